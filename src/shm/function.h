/* A function as (loaded object, offset): means the same in every process, also across exec.
 * SPDX-License-Identifier: MIT
 *
 * An object whose functions were packed or found must stay loaded in that process: where it lies is
 * remembered. */
#ifndef MP__SHM_FUNCTION_H
#define MP__SHM_FUNCTION_H

#include <stddef.h>
#include <stdint.h>

struct mp__function {
    uint32_t image;  /* 1..: row of the arena's table of loaded objects; 0: no function */
    uint64_t offset; /* from the object's load address */
};

typedef void (*mp__any_fn)(void);

/* Describe it; NULL is described too. 0; MP_EINVAL: in no loaded object, or too many objects;
 * -errno: no arena. */
int mp__function_pack(mp__any_fn function, struct mp__function *out);
/* Find it here, loading the object if need be. 0; MP_EINVAL with the reason: not there, or another
 * build. */
int mp__function_find(const struct mp__function *function, mp__any_fn *out);
/* As one word, and back; for hints: what does not fit is not told. */
uint64_t mp__function_word(const struct mp__function *function);
/* It is about to run: have its code mapped, if its object has been found here. */
void mp__function_expect(uint64_t word);
/* Look up the objects that have come to the arena's table since the last call, if they are loaded
 * here: children forked later know where they lie. */
void mp__function_learn(void);
/* What to call it in a sentence: its name, or "<file>+0x<offset>" when that is not to be found.
 * Reads the object's file. */
void mp__function_describe(const struct mp__function *function, char *out, size_t capacity);

#endif

/* A function as (loaded object, offset): means the same in every process, also across exec.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SHM_FUNCTION_H
#define MP__SHM_FUNCTION_H

#include <stdint.h>

struct mp__function {
    uint32_t image;  /* 1.. index into the arena's table of images (path, build id); 0: no function */
    uint64_t offset; /* from the object's load address */
};

typedef void (*mp__any_fn)(void);

int mp__function_pack(mp__any_fn function, struct mp__function *out); /* 0; MP_EINVAL: in no loaded object; NULL packs as none */
/* Find it here, loading the object if need be: 0; MP_EINVAL with the reason: not there, or another build. */
int mp__function_find(const struct mp__function *function, mp__any_fn *out);

#endif

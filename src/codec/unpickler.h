/* What the reader of pickles is made of: its input, stack, marks, memo and limits.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_UNPICKLER_H
#define MP__CODEC_UNPICKLER_H

#include <errno.h>

#include "codec/object.h"
#include "codec/opcodes.h"
#include "mp/pickle.h"

struct mp__unpickler {
    const uint8_t *begin, *at, *end; /* the bytes; `at` is what comes next */
    mp_object **stack;               /* references of its own; from malloc */
    size_t top;                      /* how many lie on it */
    size_t stack_capacity;
    size_t *marks; /* heights of the stack; from malloc */
    size_t mark_count;
    size_t mark_capacity;
    mp_object **memo; /* references of its own, NULL where none; from malloc */
    size_t memo_capacity;
    size_t memo_count;    /* of entries that are not NULL */
    mp_object **suspects; /* changed after they were fetched: may contain themselves */
    size_t suspect_count;
    size_t suspect_capacity;
    struct mp_load_limits limits; /* none is 0 */
    size_t spent;                 /* bytes of memory, about */
    int protocol;                 /* as the pickle says; 0 before it does */
    bool is_short;                /* it failed because the bytes end too early */
};

/* Why reading stops; every reader of an instruction returns 0, a code, or this. */
#define MP__STOPPED 1

__attribute__((format(printf, 2, 3), cold)) int
mp__unpickler_refuse(struct mp__unpickler *unpickler, const char *format, ...);

/* The bytes end within an instruction. */
__attribute__((cold)) int mp__unpickler_end(struct mp__unpickler *unpickler);

/* Account for memory. */
int mp__unpickler_spend(struct mp__unpickler *unpickler, size_t bytes);

/* Push an object, whose reference is the stack's, also on failure; NULL fails as -ENOMEM. */
int mp__unpickler_grow(struct mp__unpickler *unpickler);
static inline int mp__unpickler_push(struct mp__unpickler *unpickler, mp_object *object) {
    if (!object)
        return -ENOMEM;
    if (unpickler->top == unpickler->stack_capacity) {
        int code = mp__unpickler_grow(unpickler);
        if (code < 0) {
            mp_object_free(object);
            return code;
        }
    }
    unpickler->stack[unpickler->top++] = object;
    return 0;
}

/* Take `count` bytes; NULL: there are not so many. */
static inline const uint8_t *mp__unpickler_take(struct mp__unpickler *unpickler, size_t count) {
    if ((size_t)(unpickler->end - unpickler->at) < count)
        return NULL;
    const uint8_t *bytes = unpickler->at;
    unpickler->at += count;
    return bytes;
}

/* Take a line: [*line, *line_end) without its end. */
int mp__unpickler_line(struct mp__unpickler *unpickler, const char **line, const char **line_end);

/* The objects above the last mark, which is taken away; or of the whole count. */
int mp__unpickler_mark(struct mp__unpickler *unpickler, size_t *first);

/* Are `count` objects on the stack above the last mark? */
int mp__unpickler_need(struct mp__unpickler *unpickler, size_t count);

/* Before a node is changed: if it was fetched a second time it may come to contain itself, which
 * freeing has to know even if reading then fails. */
int mp__unpickler_suspect(struct mp__unpickler *unpickler, mp_object *node);

/* After it was: are its depth and length within the limits? */
int mp__unpickler_changed(struct mp__unpickler *unpickler, mp_object *node);

/* Make a str of UTF-8; refuses others. */
int mp__unpickler_str(struct mp__unpickler *unpickler, const void *text, size_t size,
                      mp_object **out);

/* Push a call, or what it stands for where C knows that. The parts are taken over, also on
 * failure. */
int mp__unpickler_call(struct mp__unpickler *unpickler, mp_call_form form, mp_object *callable,
                       mp_object *args, mp_object *kwargs);

/* Instructions with text, all from protocols 0 and 1. */
int mp__read_int(struct mp__unpickler *unpickler);
int mp__read_long(struct mp__unpickler *unpickler);
int mp__read_float(struct mp__unpickler *unpickler);
int mp__read_string(struct mp__unpickler *unpickler);
int mp__read_unicode(struct mp__unpickler *unpickler);
int mp__read_global(struct mp__unpickler *unpickler);
int mp__read_inst(struct mp__unpickler *unpickler);
int mp__read_obj(struct mp__unpickler *unpickler);
int mp__read_persid(struct mp__unpickler *unpickler);
int mp__read_get(struct mp__unpickler *unpickler);
int mp__read_put(struct mp__unpickler *unpickler);

/* The memo. */
int mp__unpickler_fetch(struct mp__unpickler *unpickler, size_t number);
int mp__unpickler_store(struct mp__unpickler *unpickler, size_t number);

#endif

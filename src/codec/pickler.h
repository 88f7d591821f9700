/* What the writer of pickles is made of: its output with frames, and its memo.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_PICKLER_H
#define MP__CODEC_PICKLER_H

#include "codec/buffer.h"
#include "codec/object.h"
#include "codec/opcodes.h"
#include "codec/pointer_map.h"

#define MP__FRAME_HEAD 9       /* FRAME and its length */
#define MP__FRAME_MIN 4        /* a shorter one has no head */
#define MP__FRAME_TARGET 65536 /* a longer one ends; longer texts are outside */
#define MP__BATCH 1000         /* items between a MARK and its APPENDS */

/* Globals that kinds of ours are written with in protocols that have no instruction for them. */
enum mp__native {
    NATIVE_SET,
    NATIVE_FROZENSET,
    NATIVE_BYTEARRAY,
    NATIVE_BYTES,
    NATIVE_ENCODE,
    NATIVE_NEWOBJ_EX,
    NATIVE_COUNT
};

/* A node whose slots are being written. */
struct mp__open_node {
    const mp_object *node;
    size_t next;   /* the slot that comes next */
    size_t left;   /* how many more items the open batch takes */
    bool is_open;  /* a batch is */
    bool is_short; /* the batch is one item, without a MARK */
};

struct mp__pickler {
    struct mp__buffer *out;
    int protocol;
    bool is_framing;              /* protocol 4 and on: all but long texts goes into frames */
    bool has_frame;               /* one is open */
    bool is_cyclic;               /* something may contain itself: tuples are gone through twice */
    size_t frame;                 /* where it begins in out */
    struct mp__pointer_map memo;  /* numbers of objects that can be met again */
    size_t memo_count;            /* numbers given so far, to all that Python numbers */
    struct mp__open_node *stack;  /* from malloc */
    size_t count;                 /* on it */
    size_t capacity;              /* of it */
    size_t natives[NATIVE_COUNT]; /* their numbers + 1; 0: not yet written */
    size_t builtins;              /* number + 1 of the str "builtins" as a module */
    size_t latin1;                /* number + 1 of the str "latin1" */
};

/* Writing; all 0 or -ENOMEM, or MP_EINVAL where the protocol cannot say it. */
int mp__pickler_open_frame(struct mp__pickler *pickler);
void mp__pickler_close_frame(struct mp__pickler *pickler);
int mp__pickler_long(struct mp__pickler *pickler, const uint8_t *head, size_t head_size,
                     const void *data, size_t size); /* not in a frame if it is long */
int mp__pickler_get(struct mp__pickler *pickler, size_t number);
int mp__pickler_memoize(struct mp__pickler *pickler, const mp_object *object); /* NULL: made up */
int mp__pickler_str(struct mp__pickler *pickler, const mp_object *object, const char *text,
                    size_t size); /* object NULL: of no object */
int mp__pickler_bytes(struct mp__pickler *pickler, const mp_object *object, const void *data,
                      size_t size);
int mp__pickler_bytearray(struct mp__pickler *pickler, const mp_object *object);
int mp__pickler_integer(struct mp__pickler *pickler, const mp_object *object);
int mp__pickler_native(struct mp__pickler *pickler, enum mp__native native);
int mp__pickler_global(struct mp__pickler *pickler, const mp_object *global);

/* Room for `size` bytes of an instruction, in a frame. */
static inline int mp__pickler_room(struct mp__pickler *pickler, size_t size) {
    if (pickler->is_framing && !pickler->has_frame) {
        int code = mp__pickler_open_frame(pickler);
        if (code < 0)
            return code;
    }
    return mp__buffer_reserve(pickler->out, size);
}

/* Before an object: a full frame ends. */
static inline void mp__pickler_boundary(struct mp__pickler *pickler) {
    if (pickler->has_frame &&
        pickler->out->size - pickler->frame >= MP__FRAME_TARGET + MP__FRAME_HEAD)
        mp__pickler_close_frame(pickler);
}

static inline int mp__pickler_op(struct mp__pickler *pickler, enum mp__opcode opcode) {
    int code = mp__pickler_room(pickler, 1);
    if (code == 0)
        pickler->out->data[pickler->out->size++] = (uint8_t)opcode;
    return code;
}

/* Can this object come only once, so that the memo need not know it? */
static inline bool mp__comes_once(const struct mp__pickler *pickler, const mp_object *object) {
    return mp__is_met_once(object) && !pickler->is_cyclic;
}

static inline void mp__write_number(uint8_t *out, uint64_t value, unsigned size) {
    for (unsigned i = 0; i < size; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

#endif

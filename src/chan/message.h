/* Messages as blocks of the arena.
 * SPDX-License-Identifier: MIT
 *
 * A small message that was got together with others lies in one block with them, its batch, which
 * is freed with the last of them. */
#ifndef MP__CHAN_MESSAGE_H
#define MP__CHAN_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mp/queue.h"
#include "sync/kind.h"

struct message_shared {
    mp__kind_word kind;   /* MP__KIND_MESSAGE */
    uint32_t batch;       /* bytes / 16 from the start of its batch; 0: a block of its own */
    uint64_t size;        /* bytes of data */
    unsigned char data[]; /* 16-byte aligned */
};

struct batch_shared {
    _Atomic uint64_t left; /* messages not yet freed */
    uint64_t used;         /* bytes given to messages, this head included */
};

#define MP__MESSAGE_MAX_BYTES (UINT64_C(1) << 47) /* more than any arena */

/* A block of this process until published: NULL with detail when there is no room. */
struct message_shared *mp__message_alloc(uint64_t size);

/* Write all of a message just made, from its first byte on. */
void mp__message_fill(struct message_shared *message, const void *data, uint64_t size);

/* Room for messages of `bytes` in all that are freed one by one: NULL with detail. */
struct batch_shared *mp__batch_alloc(uint64_t bytes);
static inline uint64_t mp__batch_bytes(uint64_t size) { /* what a message of `size` needs in it */
    return (sizeof(struct message_shared) + size + 15) & ~UINT64_C(15);
}
static inline void mp__message_init(struct message_shared *message, uint32_t batch, uint64_t size) {
    message->batch = batch;
    message->size = size;
    atomic_store_explicit(&message->kind, MP__KIND_MESSAGE, memory_order_release);
}
static inline struct message_shared *mp__batch_add(struct batch_shared *batch, uint64_t size) {
    struct message_shared *message = (struct message_shared *)((char *)batch + batch->used);
    mp__message_init(message, (uint32_t)(batch->used / 16), size);
    batch->used += mp__batch_bytes(size);
    return message;
}
/* It is complete: so many were added. */
static inline void mp__batch_seal(struct batch_shared *batch, uint64_t count) {
    atomic_store_explicit(&batch->left, count, memory_order_release);
}

#endif

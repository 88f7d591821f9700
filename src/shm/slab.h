/* Slabs: runs of units cut into blocks of one size. Private to the heap.
 * SPDX-License-Identifier: MIT
 *
 *     +--------+-----------------+------------------+-----------------------------------+
 *     | layout | owner's stack   | tags, u16 each   | blocks ...                        |
 *     +--------+-----------------+------------------+-----------------------------------+
 *
 * A tag is the truth about its block: 0 free, the member that holds it, MP__TAG_PUBLISHED. Only the
 * owner, a thread, turns a 0 into something else, so it needs no lock; anybody may store the 0.
 * After that store a freer touches the slab's memory no more (it may be something else by then),
 * only the unit table. */
#ifndef MP__SHM_SLAB_H
#define MP__SHM_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "shm/unit.h"

#define MP__SLAB_STACK 28

struct slab_shared {
    uint32_t class;      /* constant as long as it is a slab, and so are the next four */
    uint32_t size;       /* of a block */
    uint32_t count;      /* of blocks */
    uint32_t first;      /* offset of block 0 from here */
    uint64_t reciprocal; /* 2^32 / size, rounded up: divides offsets */
    uint32_t padding[10];
    uint32_t stack_count;           /* the owner's: free blocks it knows, popped from the end */
    uint32_t cursor;                /* the owner's: tags before it were looked at in this round */
    uint16_t stack[MP__SLAB_STACK]; /* the owner's */
    _Atomic uint16_t tags[];        /* count of them */
};
_Static_assert(sizeof(struct slab_shared) == 128, "header takes two cache lines");

static inline struct slab_shared *mp__slab(uint32_t head) {
    return mp__unit_memory(head);
}
static inline void *mp__slab_block(struct slab_shared *slab, uint32_t index) {
    return (char *)slab + slab->first + (uint64_t)index * slab->size;
}
/* Which block begins at this offset from block 0. */
static inline uint32_t mp__slab_index(const struct slab_shared *slab, uint32_t offset) {
    return (uint32_t)((offset * slab->reciprocal) >> 32);
}

/* By the owner, whose stack is empty. false: too few free blocks to go on with this slab. */
bool mp__slab_refill(struct slab_shared *slab);
/* Count the tags that are not 0. */
uint32_t mp__slab_used(struct slab_shared *slab);
/* So many free blocks make it worth adopting. */
uint32_t mp__slab_threshold(const struct slab_shared *slab);
/* Compute the constant fields. */
void mp__slab_layout(struct slab_shared *out, uint32_t class, uint32_t length);

/* With the lock: find or make a slab for a block of `asked` bytes, by a thread that has used up one
 * of `used_up` units just now (0: none). 0: arena full, detail set. */
uint32_t mp__slab_adopt(uint32_t class, uint32_t thread, uint32_t used_up, size_t asked);
/* With the lock: it has no owner any more. */
void mp__slab_disown(uint32_t head);
/* With the lock: a slab without owner is listed, or given back, or left until blocks are freed. */
void mp__slab_settle(uint32_t head);
/* Without the lock: a block of a slab without owner was freed. */
void mp__slab_freed(uint32_t head);

#endif

/* The heap's lower half: runs of 4 KiB units, their table, and the lock that guards them.
 * SPDX-License-Identifier: MIT
 *
 * Private to the heap. The units from 1 to top are cut into runs without a gap. The state word of a
 * run's first unit is the truth about it; everything else (bins, lists, marks at the run's end,
 * sums) can be derived from these words and is, after the death of a process that had the lock:
 * mp__units_rebuild. So each change of a run is ordered round one store of one state word. Inside a
 * run lie stale words, but never one that says LARGE, SPARE, BUSY or SLAB.
 *
 *     state word    63         48 47       32 31                 4   3      2..0
 *                   +------------+-----------+--------------------+-------+------+
 *                   | size class | holder    | length in units    | dirty | kind |
 *                   +------------+-----------+--------------------+-------+------+ */
#ifndef MP__SHM_UNIT_H
#define MP__SHM_UNIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/robust.h"
#include "shm/arena.h"
#include "shm/class.h"

#define MP__UNIT_BYTES 4096
#define MP__UNIT_MAX ((UINT32_C(1) << 28) - 1) /* what a length can say */
#define MP__BIN_COUNT 128
#define MP__SPARE_COUNT 64       /* slots, see shm/spare.h */
#define MP__TAG_PUBLISHED 0xffff /* holder: a shared structure, or the user */

enum mp__unit_kind {
    MP__UNIT_INSIDE, /* of some run */
    MP__UNIT_FREE,   /* head of a free run */
    MP__UNIT_END,    /* last unit of a free run of this length, when that is more than one */
    MP__UNIT_LARGE,  /* head of a block */
    MP__UNIT_BUSY,   /* head of a free run that `holder` is giving back to the system */
    MP__UNIT_SLAB,   /* head of a slab */
    MP__UNIT_SPARE,  /* head of a freed block that is kept whole, see shm/spare.h */
    MP__UNIT_BODY    /* of a slab whose head is `length` units before, if that head says so too */
};

struct unit_shared {
    _Atomic uint64_t state; /* see above */
    uint32_t next;          /* in the bin's or the class's list, 0 ends it; the lock */
    uint32_t prev;          /* 0: first; the lock */
    _Atomic uint32_t owner; /* slab: the thread that allocates from it; changed under the lock */
    _Atomic int32_t left;   /* slab without owner: frees until somebody must look at it */
    uint32_t is_listed;     /* slab: in its class's list; the lock */
    uint32_t dirty;         /* free run: at most so many units of it have memory; the lock */
};

struct heap_shared {
    struct mp__robust lock; /* guards all but state words of blocks, owners and counters of slabs */
    uint32_t unit_count;    /* that fit into the arena; constant */
    _Atomic uint32_t top;   /* units from here on were never used */
    uint64_t used_units;    /* in runs that are not free; the lock */
    uint64_t peak_units;    /* largest used_units; the lock */
    uint64_t dirty_units;   /* in free runs that may have memory; the lock */
    uint64_t bin_map[2];    /* bit: the bin has runs; the lock */
    uint32_t bins[MP__BIN_COUNT];          /* free runs by length; the lock */
    uint32_t partial[MP__CLASS_COUNT];     /* slabs with free blocks and without owner; the lock */
    uint32_t class_units[MP__CLASS_COUNT]; /* in slabs of the class; the lock */
    _Alignas(64) _Atomic uint64_t spares[MP__SPARE_COUNT]; /* where spare runs are; 0 empty */
};

/* Where the heap lies in this process. */
struct mp__heap_place {
    struct heap_shared *heap;  /* NULL: no arena yet */
    struct unit_shared *units; /* table, [0] is not used */
    char *base;                /* memory of unit 0 */
};
extern struct mp__heap_place mp__heap_place;

static inline uint64_t mp__unit_word(enum mp__unit_kind kind, uint32_t length, uint32_t holder) {
    return (uint64_t)kind | (uint64_t)length << 4 | (uint64_t)holder << 32;
}
/* Free run: may have memory; block: was not all zeros when taken. */
#define MP__UNIT_DIRTY (UINT64_C(1) << 3)

static inline enum mp__unit_kind mp__unit_kind(uint64_t word) {
    return (enum mp__unit_kind)(word & 7);
}
static inline uint32_t mp__unit_length(uint64_t word) {
    return (uint32_t)word >> 4;
}
static inline uint32_t mp__unit_holder(uint64_t word) {
    return (uint32_t)(word >> 32) & 0xffff;
}
static inline uint32_t mp__unit_class(uint64_t word) {
    return (uint32_t)(word >> 48);
}

static inline struct unit_shared *mp__unit(uint32_t index) {
    return &mp__heap_place.units[index];
}
static inline uint64_t mp__unit_state(uint32_t index) {
    return atomic_load_explicit(&mp__unit(index)->state, memory_order_acquire);
}
static inline void mp__unit_set(uint32_t index, uint64_t word) {
    atomic_store_explicit(&mp__unit(index)->state, word, memory_order_release);
}
static inline void *mp__unit_memory(uint32_t index) {
    return mp__heap_place.base + (uint64_t)index * MP__UNIT_BYTES;
}
static inline uint32_t mp__unit_at(const void *pointer) {
    return (uint32_t)(((uintptr_t)pointer - (uintptr_t)mp__heap_place.base) / MP__UNIT_BYTES);
}

uint64_t mp__heap_table_bytes(uint64_t arena_bytes); /* what the heap's section needs */
void mp__heap_locate(struct arena_shared *arena);    /* this process: where it is */
void mp__heap_create(struct arena_shared *arena);    /* a new arena: make it usable */

void mp__heap_lock(void); /* repairs what a dead holder left */
void mp__heap_unlock(void);

/* With the lock: take a run, still marked FREE but in no bin. 0: arena full, with a detail that
 * names the bytes asked. */
uint32_t mp__run_take(uint32_t length, size_t asked);
/* With the lock: make it free and merge it with its neighbours. */
void mp__run_free(uint32_t head, uint32_t length, bool is_dirty);
/* With the lock: make the last unit's word agree with the first's. */
void mp__run_mark_end(uint32_t head, uint64_t word);
/* With the lock: so many more units are used, once the words say so. */
void mp__run_count(int64_t units);

/* With the lock: the lists. */
uint32_t mp__bin_of(uint32_t length);
void mp__bin_link(uint32_t head);
void mp__bin_unlink(uint32_t head);
void mp__list_push(uint32_t *list, uint32_t head);
void mp__list_drop(uint32_t *list, uint32_t head);

/* With the lock: derive everything from the state words. */
void mp__units_rebuild(void);
/* With the lock: do free runs have so much memory that it should be given back? */
bool mp__units_are_dirty(void);
/* Without the lock: give it back. member: who does that, 0: it has not joined. */
void mp__units_trim(uint32_t member);

#endif

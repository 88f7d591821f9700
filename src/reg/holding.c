/* A thread's list of what it has taken, and giving it back for the dead.
 * SPDX-License-Identifier: MIT
 *
 *     record:  holdings[0 .. 35]   more ----> chunk 1: entries 162..287 ----> chunk 0: 36..161
 *
 * A stack with holes: others may erase any entry, only the thread itself adds. Chunks stay "held"
 * by the member in the heap's books: when it dies, the heap frees them without our help, after we
 * have walked them. They are freed only when the whole list is empty, so nobody who looks for its
 * entry in another thread's chunks can lose the ground under it. */
#include "reg/holding.h"

#include <stdbool.h>

#include "base/point.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/arena.h"
#include "shm/heap.h"

#define CHUNK_ENTRIES 126

struct holdings_chunk_shared {
    struct holdings_chunk_shared *older; /* towards chunk 0, NULL for that; constant once linked */
    uint64_t number;                     /* of this chunk */
    mp__holding entries[CHUNK_ENTRIES];  /* as in the record */
};

_Static_assert(sizeof(struct holdings_chunk_shared) == 1024, "one block of a KiB");

static mp__recover_fn recover_table[MP__HOLDING_KIND_COUNT];

void mp__recover_register(enum mp__holding_kind kind, mp__recover_fn recover) {
    recover_table[kind] = recover;
}

/* The entry at a position below the capacity of record and chunks. */
static mp__holding *entry_at(struct thread_shared *self, uint32_t position) {
    if (position < MP__HOLDINGS_INLINE)
        return &self->holdings[position];
    struct holdings_chunk_shared *chunk = atomic_load_explicit(&self->more, memory_order_relaxed);
    uint32_t beyond = position - MP__HOLDINGS_INLINE;
    while (chunk->number > beyond / CHUNK_ENTRIES)
        chunk = chunk->older;
    return &chunk->entries[beyond % CHUNK_ENTRIES];
}

void mp__holdings_drop_chunks(struct thread_shared *self) {
    struct holdings_chunk_shared *chunk = atomic_load(&self->more);
    atomic_store(&self->more, NULL);
    MP__POINT("holding.drop.unlinked");
    while (chunk) {
        struct holdings_chunk_shared *older = chunk->older;
        mp__heap_free(chunk);
        MP__POINT("holding.drop.freed");
        chunk = older;
    }
}

/* Forget empty entries at the top: erased by us or by others. */
static uint32_t shrink_list(struct thread_shared *self) {
    uint32_t count = self->holding_count;
    while (count > 0 && mp__holding_look(entry_at(self, count - 1)) == 0)
        count--;
    self->holding_count = count;
    if (__builtin_expect(count == 0 && atomic_load_explicit(&self->more, memory_order_relaxed), 0))
        mp__holdings_drop_chunks(self);
    return count;
}

static bool add_chunk(struct thread_shared *self, uint32_t number) {
    struct holdings_chunk_shared *chunk = mp__heap_zalloc(sizeof *chunk);
    if (!chunk)
        return false;
    chunk->older = atomic_load(&self->more);
    chunk->number = number;
    MP__POINT("holding.chunk.filled");
    atomic_store(&self->more, chunk);
    MP__POINT("holding.chunk.linked");
    return true;
}

/* More than fit into the record: first into a hole, then into a chunk. */
__attribute__((noinline)) static mp__holding *hold_more(struct thread_shared *self,
                                                        uint64_t value) {
    uint32_t position = 0;
    while (position < self->holding_count && mp__holding_look(entry_at(self, position)) != 0)
        position++;
    if (position == self->holding_count) {
        struct holdings_chunk_shared *newest = atomic_load(&self->more);
        uint32_t number = (position - MP__HOLDINGS_INLINE) / CHUNK_ENTRIES;
        if ((!newest || newest->number < number) && !add_chunk(self, number))
            return NULL;
        self->holding_count = position + 1;
    }
    mp__holding *entry = entry_at(self, position);
    atomic_store_explicit(entry, value, memory_order_release);
    MP__POINT("holding.hold.written_far");
    return entry;
}

mp__holding *mp__hold_slow(struct thread_shared *self, uint64_t value) {
    uint32_t count = shrink_list(self);
    if (__builtin_expect(count >= MP__HOLDINGS_INLINE, 0))
        return hold_more(self, value);
    self->holding_count = count + 1;
    atomic_store_explicit(&self->holdings[count], value, memory_order_release);
    MP__POINT("holding.hold.written");
    return &self->holdings[count];
}

void mp__unhold_slow(struct thread_shared *self, uint64_t value) {
    for (uint32_t i = self->holding_count; i > 0; i--) {
        mp__holding *entry = entry_at(self, i - 1);
        if (mp__holding_look(entry) != value)
            continue;
        atomic_store_explicit(entry, 0, memory_order_release);
        MP__POINT("holding.unhold.erased");
        if (i == self->holding_count)
            shrink_list(self);
        return;
    }
}

static bool erase_one(mp__holding *entries, uint32_t count, uint64_t value) {
    for (uint32_t i = count; i > 0; i--) {
        uint64_t expected = value;
        if (mp__holding_look(&entries[i - 1]) == value &&
            atomic_compare_exchange_strong(&entries[i - 1], &expected, 0))
            return true;
    }
    return false;
}

void mp__unhold_of(uint32_t thread, enum mp__holding_kind kind, const void *object) {
    struct thread_shared *record = mp__thread_at(thread);
    uint64_t value = mp__holding_make(kind, object);
    if (erase_one(record->holdings, MP__HOLDINGS_INLINE, value))
        return;
    struct holdings_chunk_shared *chunk = atomic_load(&record->more);
    while (chunk && !erase_one(chunk->entries, CHUNK_ENTRIES, value))
        chunk = chunk->older;
}

static bool is_empty(const mp__holding *entries, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (atomic_load_explicit(&entries[i], memory_order_acquire) != 0)
            return false;
    return true;
}

/* Looks at everything, since the count is the thread's own and may be behind at its death. */
bool mp__holdings_are_empty(struct thread_shared *record) {
    if (!is_empty(record->kept, MP__KEPT) || !is_empty(record->holdings, MP__HOLDINGS_INLINE))
        return false;
    for (struct holdings_chunk_shared *chunk = atomic_load(&record->more); chunk;
         chunk = chunk->older)
        if (!is_empty(chunk->entries, CHUNK_ENTRIES))
            return false;
    return true;
}

static void give_back(mp__holding *entries, uint32_t count, uint32_t thread) {
    for (uint32_t i = count; i > 0; i--) {
        uint64_t entry = atomic_load(&entries[i - 1]);
        uint32_t kind = mp__holding_kind_of(entry);
        void *object = mp__holding_object(entry);
        if (entry == 0)
            continue;
        if (kind < MP__HOLDING_KIND_COUNT && recover_table[kind] && mp__arena_contains(object, 1))
            recover_table[kind](object, thread);
        MP__POINT("recover.holding.given_back");
        atomic_store(&entries[i - 1], 0);
        MP__POINT("recover.holding.erased");
    }
}

void mp__holdings_recover(struct thread_shared *record, uint32_t thread) {
    for (struct holdings_chunk_shared *chunk = atomic_load(&record->more); chunk;
         chunk = chunk->older)
        give_back(chunk->entries, CHUNK_ENTRIES, thread);
    give_back(record->holdings, MP__HOLDINGS_INLINE, thread);
    give_back(record->kept, MP__KEPT, thread);
    atomic_store(&record->more, NULL); /* the blocks are the member's: the heap frees them */
    MP__POINT("recover.holding.unlinked");
}

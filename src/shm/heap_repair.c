/* Repairing the heap after a death: of a process that had the lock, and of one that held blocks.
 * SPDX-License-Identifier: MIT
 *
 * Both walk the runs by their state words, both may be cut off by a death at any point and begun
 * again. */
#include <string.h>

#include "base/point.h"
#include "shm/heap.h"
#include "shm/slab.h"
#include "shm/spare.h"
#include "shm/unit.h"

static struct heap_shared *heap(void) {
    return mp__heap_place.heap;
}

static void forget_derived(void) {
    struct heap_shared *h = heap();
    h->used_units = h->dirty_units = 0;
    memset(h->bin_map, 0, sizeof h->bin_map);
    memset(h->bins, 0, sizeof h->bins);
    memset(h->partial, 0, sizeof h->partial);
    memset(h->class_units, 0, sizeof h->class_units);
}

/* Make one run out of neighbours that a death left unmerged. Returns the run's word. */
static uint64_t merge_free(uint32_t head, uint64_t word, uint32_t top) {
    uint32_t length = mp__unit_length(word);
    uint64_t dirty = word & MP__UNIT_DIRTY, next;
    while (head + length < top &&
           mp__unit_kind(next = mp__unit_state(head + length)) == MP__UNIT_FREE) {
        length += mp__unit_length(next);
        dirty |= next & MP__UNIT_DIRTY;
    }
    word = mp__unit_word(MP__UNIT_FREE, length, 0) | dirty;
    mp__unit(head)->dirty = dirty ? length : 0;
    mp__unit_set(head, word);
    MP__POINT("heap.rebuild.merged");
    return word;
}

static void note_used(uint32_t head, uint64_t word) {
    if (mp__unit_kind(word) != MP__UNIT_BUSY)
        mp__run_count(mp__unit_length(word));
    if (mp__unit_kind(word) != MP__UNIT_SLAB)
        return;
    heap()->class_units[mp__unit_class(word)] += mp__unit_length(word);
    mp__unit(head)->is_listed = 0;
}

/* The used run after this one. Asked before anything is done to this one: freeing it may merge it
 * with the free run that follows, whose first word then means nothing any more. */
static uint32_t next_used(uint32_t head, uint32_t top) {
    uint32_t next = head + mp__unit_length(mp__unit_state(head));
    if (next < top && mp__unit_kind(mp__unit_state(next)) == MP__UNIT_FREE)
        next += mp__unit_length(mp__unit_state(next));
    return next;
}

/* Slabs come last: giving one back merges runs, which needs bins and ends to be right. */
static void settle_slabs(uint32_t top) {
    for (uint32_t head = 1, next; head < top; head = next) {
        next = next_used(head, top);
        if (mp__unit_kind(mp__unit_state(head)) == MP__UNIT_SLAB &&
            atomic_load(&mp__unit(head)->owner) == 0)
            mp__slab_settle(head);
    }
}

void mp__units_rebuild(void) {
    uint32_t top = atomic_load(&heap()->top);
    forget_derived();
    for (uint32_t head = 1; head < top;) {
        uint64_t word = mp__unit_state(head);
        bool is_free = mp__unit_kind(word) == MP__UNIT_FREE;
        if (is_free)
            word = merge_free(head, word, top);
        mp__run_mark_end(head, word);
        if (is_free)
            mp__bin_link(head);
        else
            note_used(head, word);
        MP__POINT("heap.rebuild.run");
        head += mp__unit_length(word);
    }
    settle_slabs(top);
}

/* Free the dead member's blocks of a slab. */
static void untag(struct slab_shared *slab, uint32_t dead_member) {
    for (uint32_t i = 0; i < slab->count; i++) {
        uint16_t expected = (uint16_t)dead_member;
        if (atomic_load_explicit(&slab->tags[i], memory_order_relaxed) == expected)
            atomic_compare_exchange_strong(&slab->tags[i], &expected, 0);
        MP__POINT("heap.recover.untagged");
    }
}

static void recover_slab(uint32_t head, uint32_t dead_member,
                         bool (*is_dead_thread)(uint32_t thread)) {
    struct unit_shared *unit = mp__unit(head);
    untag(mp__slab(head), dead_member);
    uint32_t owner = atomic_load(&unit->owner);
    if (owner != 0 && is_dead_thread(owner))
        atomic_store(&unit->owner, 0);
    MP__POINT("heap.recover.disowned");
    if (atomic_load(&unit->owner) == 0)
        mp__slab_settle(
            head); /* also when it had none before: the dead one may have freed and not counted */
}

static void recover_run(uint32_t head, uint64_t word, uint32_t dead_member) {
    uint32_t length = mp__unit_length(word);
    if (mp__unit_holder(word) != dead_member)
        return;
    mp__run_free(head, length, true);
    if (mp__unit_kind(word) == MP__UNIT_LARGE)
        mp__run_count(-(int64_t)length);
    MP__POINT("heap.recover.freed");
}

void mp__heap_recover(uint32_t dead_member, bool (*is_dead_thread)(uint32_t thread)) {
    mp__heap_lock();
    uint32_t top = atomic_load(&heap()->top);
    for (uint32_t head = 1, next; head < top; head = next) {
        next = next_used(head, top);
        uint64_t word = mp__unit_state(head);
        enum mp__unit_kind kind = mp__unit_kind(word);
        if (kind == MP__UNIT_SLAB)
            recover_slab(head, dead_member, is_dead_thread);
        else if (kind == MP__UNIT_SPARE)
            mp__spare_free(head);
        else if (kind == MP__UNIT_LARGE || kind == MP__UNIT_BUSY)
            recover_run(head, word, dead_member);
    }
    bool is_much = mp__units_are_dirty();
    mp__heap_unlock();
    if (is_much)
        mp__units_trim(0);
}

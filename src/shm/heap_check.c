/* Counting the heap's blocks and comparing all that it says about itself.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "base/fail.h"
#include "shm/heap.h"
#include "shm/slab.h"
#include "shm/unit.h"

/* What a walk over the runs adds up to. */
struct sums {
    uint64_t used_units;                   /* in runs that are not free */
    uint64_t free_runs;                    /* how many */
    uint64_t dirty_units;                  /* of them */
    uint32_t class_units[MP__CLASS_COUNT]; /* in slabs */
    uint32_t listed[MP__CLASS_COUNT];      /* slabs that say they are in the list */
    uint32_t slabs;                        /* how many */
};

static struct heap_shared *heap(void) {
    return mp__heap_place.heap;
}

static uint32_t top(void) {
    return atomic_load(&heap()->top);
}

static void count_run(uint32_t head, uint64_t word, struct mp__heap_figures *out) {
    uint64_t blocks = 0, size = (uint64_t)mp__unit_length(word) * MP__UNIT_BYTES;
    if (mp__unit_kind(word) == MP__UNIT_LARGE)
        blocks = 1;
    if (mp__unit_kind(word) == MP__UNIT_SPARE)
        out->used_bytes -= size;
    if (mp__unit_kind(word) == MP__UNIT_SLAB) {
        blocks = mp__slab_used(mp__slab(head));
        size = mp__slab(head)->size;
    }
    out->blocks += blocks;
    out->block_bytes += blocks * size;
}

void mp__heap_figures(struct mp__heap_figures *out) {
    *out = (struct mp__heap_figures){0};
    if (!heap())
        return;
    mp__heap_lock();
    out->used_bytes = heap()->used_units * MP__UNIT_BYTES;
    for (uint32_t head = 1; head < top(); head += mp__unit_length(mp__unit_state(head)))
        count_run(head, mp__unit_state(head), out);
    out->peak_bytes = heap()->peak_units * MP__UNIT_BYTES;
    mp__heap_unlock();
}

static int check_free(uint32_t head, uint64_t word, struct sums *sums) {
    uint32_t length = mp__unit_length(word), next = head + length;
    if (next < top() && mp__unit_kind(mp__unit_state(next)) == MP__UNIT_FREE)
        return mp__fail(MP_ESTATE, "free runs at unit %u and %u are not merged", head, next);
    if (length > 1 && mp__unit_state(next - 1) != mp__unit_word(MP__UNIT_END, length, 0))
        return mp__fail(MP_ESTATE, "the free run at unit %u has no mark at its end", head);
    if (mp__unit(head)->dirty > length)
        return mp__fail(MP_ESTATE, "the free run at unit %u has more dirty units than units", head);
    sums->free_runs++;
    sums->dirty_units += mp__unit(head)->dirty;
    return 0;
}

static int check_used(uint32_t head, uint64_t word) {
    uint32_t length = mp__unit_length(word);
    enum mp__unit_kind last = mp__unit_kind(mp__unit_state(head + length - 1));
    if (length > 1 && last != MP__UNIT_INSIDE)
        return mp__fail(MP_ESTATE, "the block at unit %u has mark %d at its end", head, (int)last);
    if (mp__unit_holder(word) == 0 && mp__unit_kind(word) == MP__UNIT_LARGE)
        return mp__fail(MP_ESTATE, "the block at unit %u has no holder", head);
    return 0;
}

static int check_slab(uint32_t head, uint64_t word, struct sums *sums) {
    uint32_t length = mp__unit_length(word), class = mp__unit_class(word);
    if (class >= MP__CLASS_COUNT)
        return mp__fail(MP_ESTATE, "the slab at unit %u has class %u", head, class);
    struct slab_shared *slab = mp__slab(head), wanted;
    mp__slab_layout(&wanted, class, length);
    if (slab->class != class || slab->size != wanted.size || slab->count != wanted.count ||
        slab->first != wanted.first || slab->reciprocal != wanted.reciprocal)
        return mp__fail(MP_ESTATE, "the slab at unit %u has another layout than its class %u", head,
                        class);
    for (uint32_t i = 1; i < length; i++)
        if (mp__unit_state(head + i) != mp__unit_word(MP__UNIT_BODY, i, 0))
            return mp__fail(MP_ESTATE, "unit %u of the slab at unit %u is not marked", head + i,
                            head);
    if (mp__unit(head)->is_listed && atomic_load(&mp__unit(head)->owner) != 0)
        return mp__fail(MP_ESTATE, "the slab at unit %u is listed and has an owner", head);
    sums->class_units[class] += length;
    sums->listed[class] += mp__unit(head)->is_listed;
    sums->slabs++;
    return 0;
}

static int check_run(uint32_t head, uint64_t word, struct sums *sums) {
    uint32_t length = mp__unit_length(word);
    if (length == 0 || length > top() - head)
        return mp__fail(MP_ESTATE, "the run at unit %u has %u units of %u", head, length, top());
    if (mp__unit_kind(word) == MP__UNIT_FREE)
        return check_free(head, word, sums);
    sums->used_units += mp__unit_kind(word) == MP__UNIT_BUSY ? 0 : length;
    if (mp__unit_kind(word) == MP__UNIT_SLAB)
        return check_slab(head, word, sums);
    if (mp__unit_kind(word) == MP__UNIT_LARGE || mp__unit_kind(word) == MP__UNIT_SPARE ||
        mp__unit_kind(word) == MP__UNIT_BUSY)
        return check_used(head, word);
    return mp__fail(MP_ESTATE, "the run at unit %u is of kind %d", head, (int)mp__unit_kind(word));
}

static int check_bins(const struct sums *sums) {
    uint64_t linked = 0;
    for (uint32_t bin = 0; bin < MP__BIN_COUNT; bin++) {
        uint32_t prev = 0;
        for (uint32_t head = heap()->bins[bin]; head; prev = head, head = mp__unit(head)->next) {
            uint64_t word = mp__unit_state(head);
            if (mp__unit_kind(word) != MP__UNIT_FREE || mp__bin_of(mp__unit_length(word)) != bin)
                return mp__fail(MP_ESTATE, "unit %u does not belong into bin %u", head, bin);
            if (mp__unit(head)->prev != prev || ++linked > sums->free_runs)
                return mp__fail(MP_ESTATE, "the list of bin %u is broken at unit %u", bin, head);
        }
        if ((heap()->bins[bin] != 0) != (heap()->bin_map[bin / 64] >> bin % 64 & 1))
            return mp__fail(MP_ESTATE, "the map is wrong about bin %u", bin);
    }
    if (linked != sums->free_runs)
        return mp__fail(MP_ESTATE, "%" PRIu64 " free runs, %" PRIu64 " in bins", sums->free_runs,
                        linked);
    return 0;
}

static int check_partial(uint32_t class, const struct sums *sums) {
    uint32_t listed = 0, prev = 0;
    for (uint32_t head = heap()->partial[class]; head; prev = head, head = mp__unit(head)->next) {
        uint64_t word = mp__unit_state(head);
        if (mp__unit_kind(word) != MP__UNIT_SLAB || mp__unit_class(word) != class)
            return mp__fail(MP_ESTATE, "unit %u does not belong into the list of class %u", head,
                            class);
        if (mp__unit(head)->prev != prev || ++listed > sums->listed[class])
            return mp__fail(MP_ESTATE, "the list of class %u is broken at unit %u", class, head);
    }
    if (listed != sums->listed[class])
        return mp__fail(MP_ESTATE, "class %u: %u slabs say listed, %u are", class,
                        sums->listed[class], listed);
    if (heap()->class_units[class] != sums->class_units[class])
        return mp__fail(MP_ESTATE, "class %u has %u units, counted %u", class,
                        sums->class_units[class], heap()->class_units[class]);
    return 0;
}

static int check_locked(void) {
    struct sums sums = {0};
    int code = 0;
    for (uint32_t head = 1; head < top() && code == 0;
         head += mp__unit_length(mp__unit_state(head)))
        code = check_run(head, mp__unit_state(head), &sums);
    if (code == 0)
        code = check_bins(&sums);
    for (uint32_t class = 0; class < MP__CLASS_COUNT && code == 0; class ++)
        code = check_partial(class, &sums);
    if (code < 0)
        return code;
    if (sums.used_units != heap()->used_units || sums.dirty_units != heap()->dirty_units)
        return mp__fail(MP_ESTATE,
                        "%" PRIu64 " units used, counted %" PRIu64 "; %" PRIu64
                        " dirty, counted %" PRIu64,
                        sums.used_units, heap()->used_units, sums.dirty_units, heap()->dirty_units);
    return 0;
}

int mp__heap_check(void) {
    if (!heap())
        return 0;
    mp__heap_lock();
    int code = check_locked();
    mp__heap_unlock();
    return code;
}

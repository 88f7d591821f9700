/* Spare runs: kept and taken without the lock.
 * SPDX-License-Identifier: MIT */
#include "shm/spare.h"

#include "base/point.h"
#include "os/cpu.h"
#include "shm/unit.h"

/* A slot: the run's head, and its length in the upper half. */
static uint64_t make_slot(uint32_t head, uint32_t length) {
    return head | (uint64_t)length << 32;
}

static uint32_t slot_length(uint64_t slot) {
    return (uint32_t)(slot >> 32);
}

static _Atomic uint64_t *slots(void) {
    return mp__heap_place.heap->spares;
}

static uint64_t look(uint32_t i) {
    return atomic_load_explicit(&slots()[i], memory_order_relaxed);
}

static uint64_t spare_word(uint32_t length) {
    return mp__unit_word(MP__UNIT_SPARE, length, 0);
}

static uint64_t block_word(uint32_t length, uint32_t member) {
    return mp__unit_word(MP__UNIT_LARGE, length, member) | MP__UNIT_DIRTY;
}

static bool change(uint32_t head, uint64_t from, uint64_t to) {
    bool is_ours = atomic_compare_exchange_strong(&mp__unit(head)->state, &from, to);
    MP__POINT("heap.spare.changed");
    return is_ours;
}

/* Each thread goes round the slots, so that who frees and who allocates work on lines of their own
 * as long as there are some in between. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    uint8_t take; /* the slot to look at first */
    uint8_t keep; /* likewise */
} cursor;

/* The slots from 0 on that runs of this length may use: fewer for longer ones. */
static uint32_t slot_count(uint32_t length) {
    uint32_t count = MP__SPARE_UNITS / length;
    return count < MP__SPARE_COUNT ? count : MP__SPARE_COUNT;
}

static void expect_next(uint32_t i, uint32_t length) {
    uint64_t slot = look(i);
    if (slot_length(slot) == length)
        mp__cpu_expect_write(mp__unit((uint32_t)slot));
}

/* Only who has taken the run empties its slot: others would not see it being filled again. */
static uint32_t take_slot(uint32_t i, uint32_t length, uint32_t member) {
    uint64_t slot = look(i);
    uint32_t head = (uint32_t)slot;
    if (slot_length(slot) != length ||
        !change(head, spare_word(length), block_word(length, member)))
        return 0;
    atomic_compare_exchange_strong(&slots()[i], &slot, 0);
    MP__POINT("heap.spare.cleared");
    return head;
}

uint32_t mp__spare_take(uint32_t length, uint32_t member) {
    uint32_t count = slot_count(length), i = cursor.take;
    for (uint32_t left = count; left > 0; left--) {
        i = i < count ? i : 0;
        uint32_t head = take_slot(i++, length, member);
        if (head) {
            cursor.take = (uint8_t)i;
            expect_next(i < count ? i : 0, length);
            return head;
        }
    }
    return 0;
}

static bool fill_slot(uint32_t i, uint64_t slot) {
    uint64_t empty = 0;
    bool is_filled = atomic_compare_exchange_strong(&slots()[i], &empty, slot);
    MP__POINT("heap.spare.filled");
    return is_filled;
}

static uint32_t find_room(uint32_t count) {
    uint32_t i = cursor.keep;
    for (uint32_t left = count; left > 0; left--, i++) {
        i = i < count ? i : 0;
        if (look(i) == 0)
            return i;
    }
    return MP__SPARE_COUNT;
}

/* The slot is filled last: until then recovery alone can find the run. */
bool mp__spare_keep(uint32_t head, uint32_t length, uint32_t member) {
    uint32_t count = slot_count(length), i = find_room(count);
    if (i == MP__SPARE_COUNT)
        return false;
    mp__unit_set(head, spare_word(length));
    MP__POINT("heap.spare.marked");
    for (; i < count; i++)
        if (fill_slot(i, make_slot(head, length))) {
            cursor.keep = (uint8_t)(i + 1);
            return true;
        }
    return !change(head, spare_word(length), block_word(length, member));
}

/* A free run says how much of it has memory before it says that it is free. */
void mp__spare_free(uint32_t head) {
    uint64_t word = mp__unit_state(head);
    uint32_t length = mp__unit_length(word);
    if (word != spare_word(length))
        return;
    uint64_t free_word = mp__unit_word(MP__UNIT_FREE, length, 0) | MP__UNIT_DIRTY;
    mp__unit(head)->dirty = length;
    if (!change(head, word, free_word))
        return;
    mp__run_free(head, length, true);
    mp__run_count(-(int64_t)length);
}

bool mp__spares_free(void) {
    bool has_some = false;
    for (uint32_t i = 0; i < MP__SPARE_COUNT; i++) {
        uint64_t slot = atomic_exchange(&slots()[i], 0);
        MP__POINT("heap.spare.emptied");
        if (slot == 0)
            continue;
        has_some = true;
        mp__spare_free((uint32_t)slot);
    }
    return has_some;
}

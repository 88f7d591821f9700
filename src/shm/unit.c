/* Runs of units: taking, freeing, merging, growing, and giving memory back to the system.
 * SPDX-License-Identifier: MIT */
#include "shm/unit.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/memory.h"
#include "shm/spare.h"

#define BIN_EXACT 32 /* bins for one length each */
#define BIN_LOOK \
    8 /* runs tried in a bin that may hold too short ones, before a bin of longer ones */
#define TRIM_UNITS \
    4096 /* memory of free runs that is kept for reuse, beside half of what is used */

struct mp__heap_place mp__heap_place;

static struct heap_shared *heap(void) {
    return mp__heap_place.heap;
}

static uint32_t top(void) {
    return atomic_load_explicit(&heap()->top, memory_order_relaxed);
}

uint64_t mp__heap_table_bytes(uint64_t arena_bytes) {
    return sizeof(struct heap_shared) + arena_bytes / MP__UNIT_BYTES * sizeof(struct unit_shared);
}

static uint64_t table_offset(void) {
    return (sizeof(struct heap_shared) + 63) & ~(uint64_t)63;
}

void mp__heap_locate(struct arena_shared *arena) {
    char *section = (char *)arena + arena->section_offset[MP__SECTION_HEAP];
    mp__heap_place.heap = (struct heap_shared *)section;
    mp__heap_place.units = (struct unit_shared *)(section + table_offset());
    mp__heap_place.base = (char *)arena + arena->heap_offset;
}

void mp__heap_create(struct arena_shared *arena) {
    mp__heap_locate(arena);
    uint64_t count = (arena->size - arena->heap_offset) / MP__UNIT_BYTES;
    heap()->unit_count = count > MP__UNIT_MAX ? MP__UNIT_MAX : (uint32_t)count;
    atomic_store(&heap()->top, 1);
    mp__robust_init(&heap()->lock);
}

void mp__heap_lock(void) {
    if (mp__robust_lock(&heap()->lock) == MP_EOWNERDEAD)
        mp__units_rebuild();
}

void mp__heap_unlock(void) {
    mp__robust_unlock(&heap()->lock);
}

void mp__list_push(uint32_t *list, uint32_t head) {
    mp__unit(head)->prev = 0;
    mp__unit(head)->next = *list;
    if (*list)
        mp__unit(*list)->prev = head;
    *list = head;
}

void mp__list_drop(uint32_t *list, uint32_t head) {
    struct unit_shared *unit = mp__unit(head);
    if (unit->next)
        mp__unit(unit->next)->prev = unit->prev;
    if (unit->prev)
        mp__unit(unit->prev)->next = unit->next;
    else
        *list = unit->next;
}

uint32_t mp__bin_of(uint32_t length) {
    if (length <= BIN_EXACT)
        return length - 1;
    uint32_t doubling = 31 - (uint32_t)__builtin_clz(length);
    return BIN_EXACT + (doubling - 5) * 4 + ((length >> (doubling - 2)) & 3);
}

void mp__bin_link(uint32_t head) {
    uint64_t word = mp__unit_state(head);
    uint32_t bin = mp__bin_of(mp__unit_length(word));
    mp__list_push(&heap()->bins[bin], head);
    heap()->bin_map[bin / 64] |= UINT64_C(1) << bin % 64;
    heap()->dirty_units += mp__unit(head)->dirty;
    MP__POINT("heap.bin.linked");
}

void mp__bin_unlink(uint32_t head) {
    uint64_t word = mp__unit_state(head);
    uint32_t bin = mp__bin_of(mp__unit_length(word));
    mp__list_drop(&heap()->bins[bin], head);
    if (!heap()->bins[bin])
        heap()->bin_map[bin / 64] &= ~(UINT64_C(1) << bin % 64);
    heap()->dirty_units -= mp__unit(head)->dirty;
    MP__POINT("heap.bin.unlinked");
}

void mp__run_mark_end(uint32_t head, uint64_t word) {
    uint32_t length = mp__unit_length(word);
    if (length < 2)
        return;
    if (mp__unit_kind(word) == MP__UNIT_FREE)
        mp__unit_set(head + length - 1, mp__unit_word(MP__UNIT_END, length, 0));
    else if (mp__unit_kind(word) != MP__UNIT_SLAB) /* a slab's last unit says BODY */
        mp__unit_set(head + length - 1, mp__unit_word(MP__UNIT_INSIDE, 0, 0));
}

/* The free run that ends before this unit; 0: what is there is not free. */
static uint32_t free_run_before(uint32_t head) {
    uint64_t word = mp__unit_state(head - 1);
    if (mp__unit_kind(word) == MP__UNIT_END)
        return head - mp__unit_length(word);
    return mp__unit_kind(word) == MP__UNIT_FREE ? head - 1 : 0;
}

/* A free run's word; its count of dirty units goes beside. */
static uint64_t mark_free(uint32_t head, uint32_t length, uint32_t dirty) {
    uint64_t word = mp__unit_word(MP__UNIT_FREE, length, 0) | (dirty ? MP__UNIT_DIRTY : 0);
    mp__unit(head)->dirty = dirty;
    mp__unit_set(head, word);
    return word;
}

/* Take a neighbour out of its bin, to become part of a longer run. */
static void absorb(uint32_t neighbour, uint32_t *length, uint32_t *dirty) {
    mp__bin_unlink(neighbour);
    *length += mp__unit_length(mp__unit_state(neighbour));
    *dirty += mp__unit(neighbour)->dirty;
}

void mp__run_free(uint32_t head, uint32_t length, bool is_dirty) {
    uint32_t dirty = is_dirty ? length : 0, right = head + length;
    mark_free(head, length, dirty);
    MP__POINT("heap.run.freed");
    if (right < top() && mp__unit_kind(mp__unit_state(right)) == MP__UNIT_FREE)
        absorb(right, &length, &dirty);
    uint32_t left = free_run_before(head);
    if (left)
        absorb(left, &length, &dirty);
    head = left ? left : head;
    uint64_t word = mark_free(head, length, dirty);
    MP__POINT("heap.run.merged");
    mp__run_mark_end(head, word);
    mp__bin_link(head);
}

static uint32_t find_in_bin(uint32_t bin, uint32_t length, uint32_t look) {
    uint32_t head = heap()->bins[bin];
    for (; head && look > 0; head = mp__unit(head)->next, look--)
        if (mp__unit_length(mp__unit_state(head)) >= length)
            return head;
    return 0;
}

/* The first bin from `bin` on that has runs; MP__BIN_COUNT: none. */
static uint32_t next_bin(uint32_t bin) {
    for (uint32_t i = bin / 64; i < 2 && bin < MP__BIN_COUNT; i++, bin = i * 64) {
        uint64_t map = heap()->bin_map[i] >> bin % 64;
        if (map)
            return bin + (uint32_t)__builtin_ctzll(map);
    }
    return MP__BIN_COUNT;
}

static uint32_t find_run(uint32_t length) {
    uint32_t bin = mp__bin_of(length);
    uint32_t head = find_in_bin(bin, length, BIN_LOOK);
    if (head)
        return head;
    uint32_t higher = next_bin(bin + 1);
    return higher < MP__BIN_COUNT ? heap()->bins[higher] : find_in_bin(bin, length, UINT32_MAX);
}

/* Memory for units, and for their rows in the table, must be there before it is touched. */
static int commit(uint32_t from, uint32_t count) {
    struct unit_shared *rows = mp__unit(from);
    int descriptor = mp__arena_descriptor();
    int code = mp__memory_commit(descriptor, (uint64_t)((char *)rows - (char *)mp__arena),
                                 count * sizeof *rows);
    if (code < 0)
        return code;
    return mp__memory_commit(descriptor, mp__arena->heap_offset + (uint64_t)from * MP__UNIT_BYTES,
                             (uint64_t)count * MP__UNIT_BYTES);
}

static uint32_t fail_full(size_t asked) {
    mp__fail(-ENOMEM, "arena full: %" PRIu64 " MiB, %zu B asked; set LIBMP_ARENA_BYTES",
             mp__arena->size >> 20, asked);
    return 0;
}

/* Put never used units into a free run of this length at the top. 0: no more units or memory. */
static uint32_t grow(uint32_t length, size_t asked) {
    uint32_t from = top(), head = free_run_before(from);
    uint32_t more = length - (head ? from - head : 0);
    if (more > heap()->unit_count - from)
        return fail_full(asked);
    int code = commit(from, more);
    if (code < 0) {
        mp__fail(code, "no memory behind the arena for %zu B", asked);
        return 0;
    }
    mp__unit_set(from, mp__unit_word(MP__UNIT_FREE, more, 0));
    MP__POINT("heap.grow.marked");
    atomic_store(&heap()->top, from + more);
    MP__POINT("heap.grow.raised");
    mp__run_free(from, more, false);
    return head ? head : from;
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

uint32_t mp__run_take(uint32_t length, size_t asked) {
    uint32_t head = find_run(length);
    if (!head && mp__spares_free())
        head = find_run(length);
    if (!head)
        head = grow(length, asked);
    if (!head)
        return 0;
    uint32_t rest = mp__unit_length(mp__unit_state(head)) - length, dirty = mp__unit(head)->dirty;
    mp__bin_unlink(head);
    if (rest == 0)
        return head;
    uint64_t word = mark_free(head + length, rest, least(dirty, rest));
    mp__run_mark_end(head + length, word);
    MP__POINT("heap.split.rest");
    mark_free(head, length, least(dirty, length));
    MP__POINT("heap.split.head");
    mp__bin_link(head + length);
    return head;
}

void mp__run_count(int64_t units) {
    heap()->used_units += (uint64_t)units;
    if (heap()->used_units > heap()->peak_units)
        heap()->peak_units = heap()->used_units;
}

bool mp__units_are_dirty(void) {
    return mp__memory_is_returnable() && heap()->dirty_units > TRIM_UNITS + heap()->used_units / 2;
}

/* A free run with memory, the longest ones first. */
static uint32_t find_dirty(void) {
    for (uint32_t bin = MP__BIN_COUNT; bin-- > 0;)
        for (uint32_t head = heap()->bins[bin]; head; head = mp__unit(head)->next)
            if (mp__unit(head)->dirty > 0)
                return head;
    return 0;
}

/* The system call runs without the lock, so the run is marked as ours meanwhile. */
static bool trim_one(uint32_t member) {
    uint32_t head = mp__units_are_dirty() ? find_dirty() : 0;
    if (!head)
        return false;
    uint32_t length = mp__unit_length(mp__unit_state(head));
    mp__bin_unlink(head);
    uint64_t word = mp__unit_word(MP__UNIT_BUSY, length, member);
    mp__unit_set(head, word);
    mp__run_mark_end(head, word);
    MP__POINT("heap.trim.marked");
    if (member)
        mp__heap_unlock();
    mp__memory_release(mp__unit_memory(head), (uint64_t)length * MP__UNIT_BYTES);
    MP__POINT("heap.trim.released");
    if (member)
        mp__heap_lock();
    mp__run_free(head, length, false);
    return true;
}

void mp__units_trim(uint32_t member) {
    mp__heap_lock();
    while (trim_one(member))
        MP__POINT("heap.trim.freed");
    mp__heap_unlock();
}

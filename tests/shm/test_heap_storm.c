/* The heap under random use by four processes: nothing overlaps, nothing leaks, it does not grow.
 * SPDX-License-Identifier: MIT
 *
 * MPT_HEAP_OPS in the environment: how many allocations and frees all together (10000000 is the
 * full run). */
#include "mpt.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shm/arena.h"
#include "shm/heap.h"

#define WORKERS 4
#define SLOTS_MOST 60000

/* Shared by the workers: the blocks that are alive, each in a slot of its own. */
struct yard {
    _Atomic(uint64_t *) slots[SLOTS_MOST]; /* block: [0] its size, last byte: low byte of that */
    size_t slot_count;                     /* in use */
    size_t (*pick)(uint64_t random);       /* a size */
    _Atomic uint64_t live_bytes;           /* asked for, now */
    _Atomic uint64_t live_peak;            /* largest ever */
};

struct worker {
    struct yard *yard; /* in the arena */
    uint32_t member;   /* and thread */
    uint64_t ops;      /* to do */
    uint64_t seed;     /* of its random numbers */
};

static uint64_t next_random(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed * UINT64_C(0x2545f4914f6cdd1d) >> 8;
}

/* As many blocks between 16 and 32 bytes as between 16 and 32 KiB. */
static size_t pick_even_logarithm(uint64_t random) {
    size_t power = (size_t)1 << (4 + random % 13);
    return power + (random >> 8) % power;
}

static size_t pick_small(uint64_t random) {
    return 9 + random % 200;
}

static void note_live(struct yard *yard, int64_t bytes) {
    uint64_t now = atomic_fetch_add(&yard->live_bytes, (uint64_t)bytes) + (uint64_t)bytes;
    uint64_t peak = atomic_load(&yard->live_peak);
    while (bytes > 0 && now > peak && !atomic_compare_exchange_weak(&yard->live_peak, &peak, now))
        ;
}

static void drop(struct yard *yard, uint64_t *block) {
    if (!block)
        return;
    uint64_t size = block[0];
    MPT_CHECK(mp__heap_is_block(block) && mp__heap_size(block) >= size);
    MPT_CHECK(((unsigned char *)block)[size - 1] == (unsigned char)size);
    note_live(yard, -(int64_t)size);
    mp__heap_free(block);
}

static void work(void *arg) {
    struct worker *worker = arg;
    struct yard *yard = worker->yard;
    mp__heap_forked();
    mp__heap_join(worker->member, worker->member);
    for (uint64_t i = 0; i < worker->ops; i++) {
        uint64_t random = next_random(&worker->seed);
        size_t size = yard->pick(random >> 16);
        uint64_t *block = random & 1 ? mp__heap_alloc(size) : NULL;
        MPT_CHECK(block || !(random & 1));
        if (block) {
            note_live(yard, (int64_t)size);
            block[0] = size;
            ((unsigned char *)block)[size - 1] = (unsigned char)size;
            mp__heap_publish(block);
        }
        drop(yard, atomic_exchange(&yard->slots[(random >> 1) % yard->slot_count], block));
    }
    mp__heap_leave();
}

static uint64_t ops_asked(void) {
    const char *text = getenv("MPT_HEAP_OPS");
    return text ? strtoull(text, NULL, 10) : 400000;
}

static void run_storm(size_t slot_count, size_t (*pick)(uint64_t random)) {
    MPT_OK(mp__arena_open());
    mp__heap_join(1, 1);
    struct yard *yard = mp__heap_zalloc(sizeof *yard);
    yard->slot_count = slot_count;
    yard->pick = pick;
    pid_t pids[WORKERS];
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct worker worker = {yard, i + 2, ops_asked() / WORKERS, 88172645463325252 + i};
        pids[i] = mpt_fork(work, &worker);
    }
    MPT_JOIN_ALL(pids, WORKERS);
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    MPT_OK(mp__heap_check());
    double live = (double)(atomic_load(&yard->live_peak) + sizeof *yard);
    print_message("peak %.0f KiB for %.0f KiB asked: %.2f\n", (double)figures.peak_bytes / 1024,
                  live / 1024, (double)figures.peak_bytes / live);
    assert_true((double)figures.peak_bytes <= 1.5 * live);
    for (int i = 0; i < SLOTS_MOST; i++)
        drop(yard, atomic_load(&yard->slots[i]));
    mp__heap_free(yard);
    mp__heap_leave();
    mp__heap_figures(&figures);
    assert_int_equal(figures.used_bytes, 0);
}

static void test_heap_stays_small_when_sizes_are_mixed(void **state) {
    (void)state;
    run_storm(6000, pick_even_logarithm);
}

static void test_heap_stays_small_when_blocks_are_small(void **state) {
    (void)state;
    run_storm(SLOTS_MOST, pick_small);
}

MPT_MAIN(MPT_CASE(test_heap_stays_small_when_sizes_are_mixed),
         MPT_CASE(test_heap_stays_small_when_blocks_are_small))

/* The heap: sizes, alignment, reuse, returning memory, many processes.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "os/memory.h"
#include "shm/arena.h"
#include "shm/class.h"
#include "shm/heap.h"

static void join(uint32_t member) {
    MPT_OK(mp__arena_open());
    mp__heap_join(member, member);
}

static uint64_t blocks_in_use(void) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    return figures.blocks;
}

static void test_a_thread_that_has_not_joined_gets_nothing(void **state) {
    (void)state;
    MPT_OK(mp__arena_open());
    assert_null(mp__heap_alloc(100));
    assert_non_null(strstr(mp_error_detail(), "no place in the family"));
    assert_null(mp__heap_zalloc(1000000));
    join(1);
    void *block = mp__heap_alloc(100);
    assert_non_null(block);
    mp__heap_free(block);
    MPT_OK(mp__heap_check());
}

static void test_every_size_fits_its_class(void **state) {
    (void)state;
    for (size_t size = 1; size <= MP__SMALL_MAX; size++) {
        uint32_t class = mp__class_of(size);
        assert_true(class < MP__CLASS_COUNT && mp__class_size(class) >= size);
        assert_true(class == 0 || mp__class_size(class - 1) < size);
        assert_int_equal(mp__class_size(class) % mp__class_align(class), 0);
    }
}

static void test_blocks_are_aligned_and_do_not_overlap(void **state) {
    (void)state;
    join(1);
    static unsigned char *blocks[3000];
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i * 37 % 70000;
        blocks[i] = mp__heap_alloc(size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % (size >= 64 ? 64 : 16), 0);
        assert_true(mp__heap_size(blocks[i]) >= size);
        memset(blocks[i], (int)i, size);
    }
    MPT_OK(mp__heap_check());
    assert_int_equal(blocks_in_use(), 3000);
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i * 37 % 70000;
        for (size_t k = 0; k < size; k++)
            assert_int_equal(blocks[i][k], (unsigned char)i);
        assert_true(mp__heap_is_block(blocks[i]));
        mp__heap_free(blocks[i]);
        assert_false(mp__heap_is_block(blocks[i]));
    }
}

static uint64_t used_bytes(void) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    return figures.used_bytes;
}

/* Bytes of memory that the system has given for the arena. */
static uint64_t resident_bytes(void) {
    struct stat status;
    assert_int_equal(fstat(mp__arena_descriptor(), &status), 0);
    return (uint64_t)status.st_blocks * 512;
}

/* Where the system cannot take pages back (the portable backend), there is nothing to see. */
static void skip_unless_memory_goes_back(void) {
    char *block = mp__heap_alloc(1 << 20);
    memset(block, 1, 1 << 20);
    uint64_t before = resident_bytes();
    mp__memory_release(block, 1 << 20);
    bool goes_back = resident_bytes() < before;
    mp__heap_free(block);
    if (!goes_back)
        skip();
}

static void test_zalloc_is_zero_when_memory_was_used(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 40, 64, 3000, 32768, 50000, 3 << 20, 20 << 20};
    join(1);
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i / 2];
        char *block = mp__heap_zalloc(size);
        for (size_t k = 0; k < size; k += size < 4096 ? 1 : 512)
            assert_int_equal(block[k], 0);
        assert_int_equal(block[size - 1], 0);
        memset(block, 0xee, size);
        mp__heap_free(block);
    }
}

static void test_large_block_is_fresh_until_it_was_freed_once(void **state) {
    (void)state;
    join(1);
    void *small = mp__heap_alloc(1000), *large = mp__heap_alloc(1 << 20);
    assert_false(mp__heap_is_fresh(small));
    assert_true(mp__heap_is_fresh(large));
    mp__heap_free(large);
    assert_ptr_equal(mp__heap_alloc(1 << 20), large);
    assert_false(mp__heap_is_fresh(large));
    mp__heap_free(large);
    mp__heap_free(small);
}

static void test_is_block_is_true_for_starts_only(void **state) {
    (void)state;
    assert_false(mp__heap_is_block(state));
    join(1);
    static const size_t sizes[] = {1, 16, 100, 5000, 30000, 40000, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *block = mp__heap_alloc(sizes[i]);
        assert_true(mp__heap_is_block(block));
        for (size_t k = 1; k < mp__heap_size(block); k += k < 64 ? 1 : 16)
            assert_false(mp__heap_is_block(block + k));
        mp__heap_free(block);
        assert_false(mp__heap_is_block(block));
    }
    const char *arena = (const char *)mp__arena;
    assert_false(mp__heap_is_block(NULL));
    assert_false(mp__heap_is_block(&arena));
    assert_false(mp__heap_is_block((void *)UINTPTR_MAX));
    for (uint64_t k = 0; k < mp__arena->heap_offset; k += mp__arena->heap_offset / 997 & ~15u)
        assert_false(mp__heap_is_block(arena + k));
    assert_false(mp__heap_is_block(arena + mp__arena->size - 4096));
}

/* The memory of one size after another is cut anew; what is left of old cuts is not believed. */
static void test_is_block_is_false_for_stale_starts(void **state) {
    (void)state;
    enum { COUNT = 64 };
    static const size_t sizes[] = {40000, 16, 3000, 32768, 200000, 64, 20000};
    static char *old[COUNT * 7];
    size_t known = 0;
    join(1);
    for (size_t i = 0; i < 7; i++) {
        char *now[COUNT];
        for (size_t k = 0; k < COUNT; k++)
            now[k] = mp__heap_alloc(sizes[i]);
        for (size_t k = 0; k < known; k++) {
            bool is_now = false;
            for (size_t m = 0; m < COUNT; m++)
                is_now |= now[m] == old[k];
            assert_int_equal(mp__heap_is_block(old[k]), is_now);
        }
        for (size_t k = 0; k < COUNT; k++)
            mp__heap_free(old[known++] = now[k]);
        mp__heap_leave();
        mp__heap_join(1, 1);
    }
}

static void test_huge_block_goes_back_to_the_system_when_freed(void **state) {
    (void)state;
    join(1);
    skip_unless_memory_goes_back();
    uint64_t before = resident_bytes();
    char *block = mp__heap_alloc(64 << 20);
    memset(block, 1, 64 << 20);
    assert_true(resident_bytes() >= before + (64 << 20));
    mp__heap_free(block);
    assert_true(resident_bytes() <= before + (1 << 20));
}

static void test_large_blocks_go_back_to_the_system_when_many_are_freed(void **state) {
    (void)state;
    enum { COUNT = 100 };
    char *blocks[COUNT];
    join(1);
    skip_unless_memory_goes_back();
    for (int i = 0; i < COUNT; i++)
        memset(blocks[i] = mp__heap_alloc(1 << 20), 1, 1 << 20);
    for (int i = 0; i < COUNT; i += 2) /* with holes, so that they do not become one run */
        mp__heap_free(blocks[i]);
    for (int i = 1; i < COUNT; i += 2)
        mp__heap_free(blocks[i]);
    assert_int_equal(used_bytes(), 0);
    assert_true(resident_bytes() <= (40 << 20));
}

static void test_freed_large_block_is_used_again_at_once(void **state) {
    (void)state;
    static const size_t sizes[] = {40000, 1 << 20, 4 << 20};
    join(1);
    for (size_t i = 0; i < 3; i++) {
        void *freed[3], *again[3];
        for (size_t k = 0; k < 3; k++)
            freed[k] = mp__heap_alloc(sizes[i]);
        for (size_t k = 0; k < 3; k++)
            mp__heap_free(freed[k]);
        assert_int_equal(used_bytes(), 0);
        for (size_t k = 0; k < 3; k++)
            again[k] = mp__heap_alloc(sizes[i]);
        for (size_t k = 0; k < 3; k++)
            assert_true(again[k] == freed[0] || again[k] == freed[1] || again[k] == freed[2]);
        for (size_t k = 0; k < 3; k++)
            mp__heap_free(again[k]);
    }
    MPT_OK(mp__heap_check());
}

/* What is kept for other sizes must not cost the arena anything. */
static void test_heap_does_not_grow_for_blocks_that_are_kept(void **state) {
    (void)state;
    void *blocks[8];
    join(1);
    for (int i = 0; i < 8; i++)
        blocks[i] = mp__heap_alloc(2 << 20);
    for (int i = 0; i < 8; i++)
        mp__heap_free(blocks[i]);
    void *whole = mp__heap_alloc(16 << 20);
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    assert_int_equal(figures.peak_bytes, 16 << 20);
    mp__heap_free(whole);
    MPT_OK(mp__heap_check());
}

/* The first and another word of a block are the same as long as it is nobody else's. */
static void free_what_comes(void *arg) {
    _Atomic(uint64_t *) *box = arg;
    mp__heap_forked();
    mp__heap_join(2, 2);
    for (;;) {
        uint64_t *block = atomic_exchange(box, NULL);
        if (block == (uint64_t *)box)
            break;
        if (!block)
            continue;
        MPT_CHECK(block[0] == block[5000]);
        mp__heap_free(block);
    }
    mp__heap_leave();
}

static void test_large_blocks_are_whole_when_processes_pass_them_on(void **state) {
    (void)state;
    enum { ROUNDS = 20000 };
    join(1);
    _Atomic(uint64_t *) *box = mp__heap_zalloc(64);
    pid_t other = mpt_fork(free_what_comes, box);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        uint64_t *block = mp__heap_alloc(i % 3 ? 50000 : 90000);
        block[0] = block[5000] = i;
        uint64_t *empty = NULL;
        while (!atomic_compare_exchange_weak(box, &empty, block))
            empty = NULL;
    }
    while (atomic_load(box))
        ;
    atomic_store(box, (uint64_t *)box); /* the end */
    assert_int_equal(mpt_join(other), 0);
    MPT_OK(mp__heap_check());
    mp__heap_free(box);
    assert_int_equal(blocks_in_use(), 0);
}

static void test_64_gib_block_can_be_used(void **state) {
    (void)state;
    size_t size = (size_t)64 << 30;
    join(1);
    skip_unless_memory_goes_back();
    if (mp__arena->size < 2 * size)
        skip();
    char *block = mp__heap_zalloc(size);
    assert_non_null(block);
    assert_int_equal(mp__heap_size(block), size);
    block[0] = block[size / 2] = block[size - 1] = 1;
    mp__heap_free(block);
    assert_true(resident_bytes() < (16 << 20));
}

static void exhaust(size_t size) {
    static void *blocks[1 << 20];
    size_t count = 0;
    char wanted[64];
    while ((blocks[count] = mp__heap_alloc(size)) != NULL)
        count++;
    snprintf(wanted, sizeof wanted, "arena full: 16 MiB, %zu B asked", size);
    assert_non_null(strstr(mp_error_detail(), wanted));
    MPT_OK(mp__heap_check());
    assert_true(count * size > 3 << 20);
    assert_null(mp__heap_alloc(size));
    while (count > 0)
        mp__heap_free(blocks[--count]);
    mp__heap_leave();
    assert_int_equal(used_bytes(), 0);
    mp__heap_join(1, 1);
}

static void test_alloc_fails_when_the_arena_is_full(void **state) {
    (void)state;
    setenv("LIBMP_ARENA_BYTES", "16777216", 1);
    join(1);
    exhaust(12);
    exhaust(1000);
    exhaust(20000);
    exhaust(100000);
    assert_null(mp__heap_alloc(SIZE_MAX));
    assert_null(mp__heap_alloc((size_t)1 << 50));
    assert_null(mp__heap_zalloc(20 << 20));
}

static bool is_thread_2(uint32_t thread) {
    return thread == 2;
}

static void hold_some(void *arg) {
    void **published = arg;
    mp__heap_forked();
    mp__heap_join(2, 2);
    MPT_CHECK(mp__heap_alloc(100) && mp__heap_alloc(100000));
    published[0] = mp__heap_alloc(100);
    published[1] = mp__heap_alloc(100000);
    published[2] = mp__heap_alloc(100000);
    for (int i = 0; i < 3; i++)
        mp__heap_publish(published[i]);
    mp__heap_take(published[2]);
}

static void test_recover_frees_what_was_held_and_no_more(void **state) {
    (void)state;
    join(1);
    void **published = mp__heap_zalloc(3 * sizeof *published), *mine = mp__heap_alloc(100);
    assert_int_equal(mpt_join(mpt_fork(hold_some, published)), 0);
    assert_int_equal(blocks_in_use(), 7);
    for (int i = 0; i < 2; i++) {
        mp__heap_recover(2, is_thread_2);
        MPT_OK(mp__heap_check());
        assert_int_equal(blocks_in_use(), 4);
    }
    assert_true(mp__heap_is_block(published[0]) && mp__heap_is_block(published[1]));
    assert_false(mp__heap_is_block(published[2]));
    mp__heap_free(published[0]);
    mp__heap_free(published[1]);
    mp__heap_free(mine);
    mp__heap_free(published);
    mp__heap_leave();
    assert_int_equal(used_bytes(), 0);
}

static void test_slabs_are_used_on_when_their_owner_leaves(void **state) {
    (void)state;
    void *blocks[50];
    join(1);
    for (uint32_t i = 0; i < 50; i++) {
        mp__heap_join(1, i + 1);
        blocks[i] = mp__heap_alloc(48);
        mp__heap_leave();
    }
    assert_int_equal(used_bytes(), 4096);
    mp__heap_join(1, 1);
    for (int i = 0; i < 50; i++)
        mp__heap_free(blocks[i]);
    mp__heap_leave();
    assert_int_equal(used_bytes(), 0);
}

static void test_idle_users_cost_a_page_for_each_class(void **state) {
    (void)state;
    join(1);
    mp__heap_forked();
    void *blocks[300];
    for (uint32_t i = 0; i < 100; i++) { /* as a hundred processes, none of which leaves */
        mp__heap_join(i + 2, i + 2);
        blocks[3 * i] = mp__heap_alloc(24);
        blocks[3 * i + 1] = mp__heap_alloc(64);
        blocks[3 * i + 2] = mp__heap_alloc(300);
        mp__heap_forked();
    }
    assert_true(used_bytes() <= 300 * 4096);
    for (int i = 0; i < 300; i++)
        mp__heap_free(blocks[i]);
}

static void free_first_half(void *arg) {
    void **blocks = arg;
    mp__heap_forked(); /* never joins: freeing needs no name */
    for (int i = 0; i < 500; i++)
        mp__heap_free(blocks[i]);
}

static void test_any_process_frees(void **state) {
    (void)state;
    join(1);
    void **blocks = mp__heap_alloc(1000 * sizeof *blocks);
    for (size_t i = 0; i < 1000; i++)
        blocks[i] = mp__heap_alloc(1 + i * 61 % 50000);
    assert_int_equal(mpt_join(mpt_fork(free_first_half, blocks)), 0);
    assert_int_equal(blocks_in_use(), 501);
    MPT_OK(mp__heap_check());
    for (size_t i = 500; i < 1000; i++)
        mp__heap_free(blocks[i]);
    mp__heap_free(blocks);
    mp__heap_leave();
    assert_int_equal(used_bytes(), 0);
}

/* Threads that free what others allocated, for ThreadSanitizer. */
static _Atomic(unsigned char *) exchange[256];

static void *trade(void *arg) {
    uint32_t thread = *(uint32_t *)arg, random = thread;
    mp__heap_join(1, thread);
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        size_t size = 8 + (random >> 12) % ((random >> 8) % 16 == 0 ? 100000 : 3000);
        unsigned char *block = mp__heap_alloc(size);
        MPT_CHECK(block);
        memset(block, (int)thread, 8);
        block = atomic_exchange(&exchange[random >> 24], block);
        MPT_CHECK(!block || (block[0] == block[7] && mp__heap_is_block(block)));
        mp__heap_free(block);
    }
    mp__heap_leave();
    return NULL;
}

static void test_threads_trade_blocks(void **state) {
    (void)state;
    MPT_OK(mp__arena_open());
    pthread_t threads[4];
    uint32_t numbers[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, trade, &numbers[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    MPT_OK(mp__heap_check());
    for (int i = 0; i < 256; i++)
        mp__heap_free(atomic_load(&exchange[i]));
    assert_int_equal(used_bytes(), 0);
}

MPT_MAIN(MPT_CASE(test_a_thread_that_has_not_joined_gets_nothing),
         MPT_CASE(test_every_size_fits_its_class),
         MPT_CASE(test_blocks_are_aligned_and_do_not_overlap),
         MPT_CASE(test_zalloc_is_zero_when_memory_was_used),
         MPT_CASE(test_large_block_is_fresh_until_it_was_freed_once),
         MPT_CASE(test_is_block_is_true_for_starts_only),
         MPT_CASE(test_is_block_is_false_for_stale_starts),
         MPT_CASE(test_huge_block_goes_back_to_the_system_when_freed),
         MPT_CASE(test_large_blocks_go_back_to_the_system_when_many_are_freed),
         MPT_CASE(test_freed_large_block_is_used_again_at_once),
         MPT_CASE(test_heap_does_not_grow_for_blocks_that_are_kept),
         MPT_CASE(test_large_blocks_are_whole_when_processes_pass_them_on),
         MPT_CASE(test_64_gib_block_can_be_used), MPT_CASE(test_alloc_fails_when_the_arena_is_full),
         MPT_CASE(test_recover_frees_what_was_held_and_no_more),
         MPT_CASE(test_slabs_are_used_on_when_their_owner_leaves),
         MPT_CASE(test_idle_users_cost_a_page_for_each_class), MPT_CASE(test_any_process_frees),
         MPT_CASE(test_threads_trade_blocks))

/* The list of what a thread holds: a stack with holes, as long as it has to be.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "reg/holding.h"
#include "reg/registry.h"
#include "shm/arena.h"
#include "shm/heap.h"

#define MANY 1000

/* Any pointer into the arena will do, as long as they differ. */
static void *object_at(uint32_t number) {
    MPT_CHECK(mp__self());
    return (char *)mp__registry + 16 * (size_t)number;
}

static bool hold(uint32_t number) {
    return mp__hold(mp__self(), MP__HOLDING_LOCK, object_at(number)) != NULL;
}

static void unhold(uint32_t number) {
    mp__unhold(mp__self(), MP__HOLDING_LOCK, object_at(number));
}

static uint64_t block_count(void) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    return figures.blocks;
}

static void test_entry_says_kind_and_object(void **state) {
    (void)state;
    struct thread_shared *self = mp__self();
    assert_non_null(self);
    mp__holding *entry = mp__hold(self, MP__HOLDING_PROCESS, object_at(3));
    assert_ptr_equal(entry, &self->holdings[0]);
    assert_int_equal(mp__holding_kind_of(atomic_load(entry)), MP__HOLDING_PROCESS);
    assert_ptr_equal(mp__holding_object(atomic_load(entry)), object_at(3));
    assert_int_equal(self->holding_count, 1);
    mp__unhold(self, MP__HOLDING_PROCESS, object_at(3));
    assert_int_equal(self->holding_count, 0);
    assert_true(mp__holdings_are_empty(self));
}

static void test_unhold_erases_the_newest_of_equal_entries(void **state) {
    (void)state;
    struct thread_shared *self = mp__self();
    assert_true(hold(1) && hold(2) && hold(1));
    unhold(1);
    assert_int_equal(self->holding_count, 2);
    assert_true(atomic_load(&self->holdings[0]) != 0 && atomic_load(&self->holdings[1]) != 0);
    unhold(1);
    unhold(2);
    assert_int_equal(self->holding_count, 0);
}

static void test_unhold_of_what_is_not_held_does_nothing(void **state) {
    (void)state;
    assert_true(hold(1));
    unhold(2);
    mp__unhold(mp__self(), MP__HOLDING_GATE, object_at(1));
    assert_int_equal(mp__self()->holding_count, 1);
    unhold(1);
}

static void test_hole_at_the_top_closes_with_what_is_below(void **state) {
    (void)state;
    assert_true(hold(1) && hold(2) && hold(3));
    unhold(2);
    assert_int_equal(mp__self()->holding_count, 3);
    unhold(3);
    assert_int_equal(mp__self()->holding_count, 1);
    unhold(1);
}

static void test_many_entries_live_in_blocks_that_go_with_them(void **state) {
    (void)state;
    assert_non_null(mp__self());
    uint64_t before = block_count();
    for (uint32_t i = 0; i < MANY; i++)
        assert_true(hold(i));
    assert_true(block_count() > before);
    assert_int_equal(mp__registry_check(), 0);
    for (uint32_t i = 0; i < MANY; i += 2)
        unhold(i);
    for (uint32_t i = 0; i < MANY; i += 2)
        assert_true(hold(i));
    assert_int_equal(mp__self()->holding_count, MANY);
    for (uint32_t i = MANY; i > 0; i--)
        unhold(i - 1);
    assert_int_equal(block_count(), before);
    assert_true(mp__holdings_are_empty(mp__self()));
}

/* A queue, not a stack: the oldest goes first, so that the top is never free. */
static void test_list_does_not_grow_when_the_oldest_goes_first(void **state) {
    (void)state;
    assert_true(hold(0));
    for (uint32_t i = 1; i < 10000; i++) {
        assert_true(hold(i));
        unhold(i - 1);
    }
    assert_true(mp__self()->holding_count <= MP__HOLDINGS_INLINE);
    unhold(9999);
    assert_int_equal(mp__self()->holding_count, 0);
}

static void test_list_does_not_grow_when_others_erase(void **state) {
    (void)state;
    assert_non_null(mp__self());
    for (uint32_t i = 0; i < 10000; i++) {
        assert_true(hold(i % 7));
        mp__unhold_of(mp__self()->index, MP__HOLDING_LOCK, object_at(i % 7));
    }
    assert_true(mp__self()->holding_count <= 1);
    assert_true(mp__holdings_are_empty(mp__self()));
}

static void test_others_erase_beyond_the_record(void **state) {
    (void)state;
    assert_non_null(mp__self());
    for (uint32_t i = 0; i < 200; i++)
        assert_true(hold(i));
    for (uint32_t i = 0; i < 200; i++)
        mp__unhold_of(mp__self()->index, MP__HOLDING_LOCK, object_at(i));
    assert_true(mp__holdings_are_empty(mp__self()));
    assert_true(hold(1));
    unhold(1);
    assert_int_equal(block_count(), 0);
}

static void erase_all(void *arg) {
    uint32_t thread = *(uint32_t *)arg;
    for (uint32_t i = 0; i < 100; i++)
        mp__unhold_of(thread, MP__HOLDING_LOCK, object_at(i));
}

static void test_another_process_erases(void **state) {
    (void)state;
    assert_non_null(mp__self());
    uint32_t index = mp__self()->index;
    for (uint32_t i = 0; i < 100; i++)
        assert_true(hold(i));
    assert_int_equal(mpt_join(mpt_fork(erase_all, &index)), 0);
    assert_true(mp__holdings_are_empty(mp__self()));
    assert_true(hold(1));
    unhold(1);
}

#define ROUNDS 20000

struct relay {
    uint32_t owner;         /* thread that holds */
    _Atomic uint32_t given; /* entries written so far */
    _Atomic uint32_t taken; /* entries erased so far */
};

static void *erase_behind(void *arg) {
    struct relay *relay = arg;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        while (atomic_load(&relay->given) <= i)
            ;
        mp__unhold_of(relay->owner, MP__HOLDING_LOCK, object_at(i % 5000));
        atomic_store(&relay->taken, i + 1);
    }
    return NULL;
}

/* One thread takes, another gives back: nothing is lost and nothing stays. */
static void test_two_threads_work_on_one_list_at_once(void **state) {
    (void)state;
    assert_non_null(mp__self());
    struct relay relay = {.owner = mp__self()->index};
    pthread_t thread;
    MPT_CHECK(pthread_create(&thread, NULL, erase_behind, &relay) == 0);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        while (i - atomic_load(&relay.taken) >= 300)
            ;
        MPT_CHECK(hold(i % 5000));
        atomic_store(&relay.given, i + 1);
    }
    MPT_CHECK(pthread_join(thread, NULL) == 0);
    assert_true(mp__holdings_are_empty(mp__self()));
    assert_true(hold(1));
    unhold(1);
    assert_int_equal(block_count(), 0);
}

static void test_hold_fails_when_the_arena_is_full(void **state) {
    (void)state;
    setenv("LIBMP_ARENA_BYTES", "67108864", 1);
    assert_non_null(mp__self());
    for (uint32_t i = 0; i < MP__HOLDINGS_INLINE; i++)
        assert_true(hold(i));
    void *last = NULL; /* a list of everything that was to be had */
    for (size_t size = 1 << 20; size >= 16; size /= 2)
        for (void **block; (block = mp__heap_alloc(size)) != NULL; last = block)
            *block = last;
    assert_false(hold(77));
    assert_true(strlen(mp_error_detail()) > 0);
    assert_int_equal(mp__self()->holding_count, MP__HOLDINGS_INLINE);
    while (last) {
        void *next = *(void **)last;
        mp__heap_free(last);
        last = next;
    }
    assert_true(hold(77));
    for (uint32_t i = 0; i < MP__HOLDINGS_INLINE; i++)
        unhold(i);
    unhold(77);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_entry_says_kind_and_object),
         MPT_CASE(test_unhold_erases_the_newest_of_equal_entries),
         MPT_CASE(test_unhold_of_what_is_not_held_does_nothing),
         MPT_CASE(test_hole_at_the_top_closes_with_what_is_below),
         MPT_CASE(test_many_entries_live_in_blocks_that_go_with_them),
         MPT_CASE(test_list_does_not_grow_when_the_oldest_goes_first),
         MPT_CASE(test_list_does_not_grow_when_others_erase),
         MPT_CASE(test_others_erase_beyond_the_record),
         MPT_CASE(test_another_process_erases),
         MPT_CASE(test_two_threads_work_on_one_list_at_once),
         MPT_CASE(test_hold_fails_when_the_arena_is_full))

/* The family's heap as users see it.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <string.h>

#include "mp/shared.h"
#include "reg/recover.h"

static void test_blocks_are_aligned_and_apart(void **state) {
    (void)state;
    char *small = mp_shared_alloc(1), *large = mp_shared_alloc(1000);
    assert_true(small && large && small != large);
    assert_int_equal((uintptr_t)small % 16, 0);
    assert_int_equal((uintptr_t)large % 64, 0);
    memset(large, 7, 1000);
    mp_shared_free(small);
    mp_shared_free(large);
}

static void test_size_zero_gives_pointers_of_their_own(void **state) {
    (void)state;
    void *first = mp_shared_alloc(0), *second = mp_shared_calloc(0, 5);
    assert_true(first && second && first != second);
    void *third = mp_shared_realloc(first, 0);
    assert_true(third && third != second);
    mp_shared_free(second);
    mp_shared_free(third);
}

static void test_calloc_gives_zeros_also_of_used_memory(void **state) {
    (void)state;
    static const char zeros[3000];
    char *block = mp_shared_alloc(3000);
    memset(block, 0xff, 3000);
    mp_shared_free(block);
    block = mp_shared_calloc(1000, 3);
    assert_memory_equal(block, zeros, 3000);
    mp_shared_free(block);
}

static void test_too_much_is_refused(void **state) {
    (void)state;
    assert_null(mp_shared_calloc(SIZE_MAX, 2));
    assert_non_null(strstr(mp_error_detail(), "mp_shared_calloc"));
    assert_null(mp_shared_alloc(SIZE_MAX));
    assert_null(mp_shared_alloc((size_t)1 << 46));
    assert_null(mp_shared_realloc(NULL, SIZE_MAX));
}

static void test_realloc_keeps_the_contents(void **state) {
    (void)state;
    char *block = mp_shared_realloc(NULL, 5);
    memcpy(block, "abcd", 5);
    for (size_t size = 6; size < 1000000; size *= 3) {
        block = mp_shared_realloc(block, size);
        assert_non_null(block);
        assert_string_equal(block, "abcd");
    }
    assert_null(mp_shared_realloc(block, (size_t)1 << 46));
    assert_string_equal(block, "abcd");
    block = mp_shared_realloc(block, 5);
    assert_string_equal(block, "abcd");
    mp_shared_free(block);
}

static void test_a_wrong_pointer_does_no_harm(void **state) {
    (void)state;
    char *block = mp_shared_alloc(100);
    long stranger = 0;
    mp_shared_free(&stranger);
    assert_non_null(strstr(mp_error_detail(), "mp_shared_free"));
    mp_shared_free(block + 16);
    mp_shared_free(block + 1);
    assert_null(mp_shared_realloc(&stranger, 5));
    mp_shared_free(block);
    mp_shared_free(block);
    assert_null(mp_shared_realloc(block, 5));
    mp_shared_free(NULL);
}

struct link {
    struct link *next; /* the one before */
    int number;        /* 1.. */
};

static void build_list(void *arg) {
    struct link **list = arg;
    for (int i = 1; i <= 3; i++) {
        struct link *link = mp_shared_alloc(sizeof *link);
        link->next = *list;
        link->number = i;
        *list = link;
    }
}

static void test_pointers_made_by_a_child_hold_here(void **state) {
    (void)state;
    struct link **list = mp_shared_calloc(1, sizeof *list);
    assert_int_equal(mpt_join(mpt_fork(build_list, list)), 0);
    for (int i = 3; i > 0; i--) {
        struct link *link = *list;
        assert_int_equal(link->number, i);
        *list = link->next;
        mp_shared_free(link);
    }
    assert_null(*list);
    mp_shared_free(list);
}

static void die_allocating(void *arg) {
    (void)arg;
    mpt_die_at("shared.alloc.taken", 2);
    mp_shared_free(mp_shared_alloc(100));
    mp_shared_alloc(100);
}

static void test_death_in_alloc_leaks_nothing(void **state) {
    (void)state;
    void *block = mp_shared_alloc(1);
    assert_int_equal(mpt_join(mpt_fork(die_allocating, NULL)), -SIGKILL);
    mp__recover_all();
    mp_shared_free(block);
}

MPT_MAIN(MPT_CASE(test_blocks_are_aligned_and_apart),
         MPT_CASE(test_size_zero_gives_pointers_of_their_own),
         MPT_CASE(test_calloc_gives_zeros_also_of_used_memory), MPT_CASE(test_too_much_is_refused),
         MPT_CASE(test_realloc_keeps_the_contents), MPT_CASE(test_a_wrong_pointer_does_no_harm),
         MPT_CASE(test_pointers_made_by_a_child_hold_here),
         MPT_CASE(test_death_in_alloc_leaks_nothing))

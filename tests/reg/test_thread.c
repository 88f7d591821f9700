/* Thread records: one for each thread, used again only when it holds nothing.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "reg/holding.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/heap.h"

static void get_index(void *out) {
    MPT_CHECK(mp__self() && mp__self() == mp__self());
    *(uint32_t *)out = mp__self()->index;
}

static void get_index_and_hold(void *out) {
    get_index(out);
    MPT_CHECK(mp__hold(mp__self(), MP__HOLDING_LOCK, mp__registry));
}

static void test_record_knows_its_index_and_member(void **state) {
    (void)state;
    struct thread_shared *self = mp__self();
    assert_non_null(self);
    assert_ptr_equal(mp__self(), self);
    assert_ptr_equal(mp__thread_at(self->index), self);
    assert_true(atomic_load(&self->member) == mp__member_self());
    assert_true(mp__thread_high() >= self->index);
    assert_true(mp__thread_is_alive(self->index));
    assert_int_equal(sizeof *self % 64, 0);
    assert_int_equal((uintptr_t)self % 64, 0);
}

static void test_index_of_nobody_is_not_alive(void **state) {
    (void)state;
    assert_non_null(mp__self());
    assert_false(mp__thread_is_alive(0));
    assert_false(mp__thread_is_alive(MP__THREAD_MAX - 1));
    assert_false(mp__thread_is_alive(MP__THREAD_MAX));
}

static void test_record_is_used_again_after_its_thread(void **state) {
    (void)state;
    uint32_t first, second;
    assert_non_null(mp__self());
    mpt_run_threads(1, get_index, &first);
    assert_false(mp__thread_is_alive(first));
    mpt_run_threads(1, get_index, &second);
    assert_int_not_equal(first, mp__self()->index);
    assert_int_equal(first, second);
    assert_int_equal(mp__registry_check(), 0);
}

static void test_record_is_kept_while_it_holds_something(void **state) {
    (void)state;
    uint32_t first, second;
    assert_non_null(mp__self());
    mpt_run_threads(1, get_index_and_hold, &first);
    assert_true(mp__thread_is_alive(first));
    mpt_run_threads(1, get_index, &second);
    assert_int_not_equal(first, second);
    assert_int_equal(mp__registry_check(), 0);
}

/* Its own end of the fork is told through pipes: the two share nothing else yet. */
static void test_forked_child_has_a_record_of_its_own(void **state) {
    (void)state;
    uint32_t mine, other = 0;
    int ends[2];
    get_index(&mine);
    MPT_CHECK(pipe(ends) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        MPT_CHECK(mp__self_cached == NULL);
        get_index(&other);
        MPT_CHECK(mp__self() != mp__thread_at(mine));
        MPT_CHECK(atomic_load(&mp__self()->member) == mp__member_self());
        MPT_CHECK(write(ends[1], &other, sizeof other) == sizeof other);
        _exit(0);
    }
    assert_true(read(ends[0], &other, sizeof other) == sizeof other);
    assert_int_equal(mpt_join(pid), 0);
    close(ends[0]);
    close(ends[1]);
    assert_int_not_equal(mine, other);
    assert_false(mp__thread_is_alive(other));
    assert_true(mp__recover_thread_owner(other));
    assert_int_equal(mp__self()->index, mine);
    assert_int_equal(mp__registry_check(), 0);
}

static void exit_now(void) {
    _exit(0);
}

static void fork_in_thread(void *arg) {
    uint32_t mine;
    (void)arg;
    get_index(&mine);
    pid_t pid = fork();
    if (pid == 0) {
        uint32_t other;
        get_index(&other);
        MPT_CHECK(other != mine);
        MPT_CHECK(atexit(exit_now) == 0); /* before all that the parent had registered */
        pthread_exit(NULL);               /* gives back the child's record, not the parent's */
    }
    MPT_CHECK(mpt_join(pid) == 0);
    MPT_CHECK(mp__thread_is_alive(mine));
}

static void test_child_of_a_thread_leaves_the_parents_record_alone(void **state) {
    (void)state;
    assert_non_null(mp__self());
    mpt_run_threads(1, fork_in_thread, NULL);
    mp__recover_all();
    assert_int_equal(mp__registry_check(), 0);
}

static void fork_only(void *arg) {
    (void)arg;
}

static void test_child_that_never_uses_libmp_changes_nothing(void **state) {
    (void)state;
    assert_non_null(mp__self());
    assert_int_equal(mpt_join(mpt_fork(fork_only, NULL)), 0);
    mp__recover_all();
    assert_true(mp__thread_is_alive(mp__self()->index));
    assert_int_equal(mp__thread_high(), 1);
}

/* Kill points of a thread's life: the member's recovery finds the record. */

static void end_at_once(void *arg) {
    (void)arg;
    MPT_CHECK(mp__self());
}

static void die_with_a_thread(void *point) {
    MPT_CHECK(mp__member_self());
    mpt_die_at(point, 1);
    mpt_run_threads(1, end_at_once, NULL);
}

static void test_thread_killed_anywhere_leaves_no_record(void **state) {
    (void)state;
    static const char *const points[] = {"thread.join.taken", "thread.join.done",
                                         "holding.drop.unlinked", "thread.end.heap",
                                         "thread.free.cleared"};
    assert_non_null(mp__self());
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        pid_t pid = mpt_fork(die_with_a_thread, (void *)(uintptr_t)points[i]);
        MPT_CHECK(mpt_join(pid) == -SIGKILL);
        mp__recover_all();
        assert_int_equal(mp__registry_check(), 0);
        for (uint32_t n = 1; n <= mp__thread_high(); n++)
            assert_true(n == mp__self()->index || atomic_load(&mp__thread_at(n)->member) == 0);
    }
}

static void test_self_fails_when_all_records_are_taken(void **state) {
    (void)state;
    mp__member_ref self = mp__member_self();
    assert_true(self != 0);
    atomic_store(&mp__registry->thread_high, MP__THREAD_MAX - 1);
    for (uint32_t i = 1; i < MP__THREAD_MAX; i++)
        atomic_store(&mp__thread_at(i)->member, self);
    assert_null(mp__self());
    assert_non_null(strstr(mp_error_detail(), "16383 threads"));
    atomic_store(&mp__thread_at(9)->member, 0);
    assert_non_null(mp__self());
    assert_int_equal(mp__self()->index, 9);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_record_knows_its_index_and_member),
         MPT_CASE(test_index_of_nobody_is_not_alive),
         MPT_CASE(test_record_is_used_again_after_its_thread),
         MPT_CASE(test_record_is_kept_while_it_holds_something),
         MPT_CASE(test_forked_child_has_a_record_of_its_own),
         MPT_CASE(test_child_of_a_thread_leaves_the_parents_record_alone),
         MPT_CASE(test_child_that_never_uses_libmp_changes_nothing),
         MPT_CASE(test_thread_killed_anywhere_leaves_no_record),
         MPT_CASE(test_self_fails_when_all_records_are_taken))

/* Making the registry, and leaving nothing in it when a joining or leaving process is killed.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "board.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/arena.h"
#include "shm/heap.h"

struct board {
    _Atomic uint32_t arrived; /* processes that are about to join */
    _Atomic uint32_t joined;  /* those that have */
};

static void join_and_leave(void *arg) {
    (void)arg;
    MPT_CHECK(mp__self());
    mp__member_leave();
}

static void join_dying(void *arg) {
    mpt_die_at(arg, 1);
    mp__member_self();
}

static void enter_dying(void *arg) {
    mpt_die_at(arg, 1);
    mp__member_enter(mp__status_ref(atomic_load(&mp__member_at(2)->status), 2));
}

static void leave_dying(void *arg) {
    MPT_CHECK(mp__self() && mp__heap_alloc(100));
    mpt_die_at(arg, 1);
    mp__member_leave();
}

static void reserve_dying(void *arg) {
    mp__member_ref ref;
    MPT_CHECK(mp__member_self());
    mpt_die_at(arg, 1);
    mp__member_reserve(&ref);
}

/* After a death at each point the slot comes free, and the next one joins. */
static void die_at_each(void (*body)(void *), const char *const *points, size_t count) {
    struct board *board = mpt_board_new(sizeof *board);
    for (size_t i = 0; i < count; i++) {
        mp__member_ref ref = 0;
        if (body == enter_dying)
            MPT_OK(mp__member_reserve(&ref));
        MPT_CHECK(mpt_join(mpt_fork(body, (void *)(uintptr_t)points[i])) == -SIGKILL);
        mp__recover_all();
        if (ref != 0)
            mp__member_cancel(ref);
        MPT_CHECK(mpt_count_members() == 1);
        MPT_OK(mp__registry_check());
        MPT_CHECK(mpt_join(mpt_fork(join_and_leave, NULL)) == 0);
        MPT_CHECK(mpt_count_members() == 1);
    }
    mpt_board_end(board);
}

static const char *const claim_points[] = {
    "member.claim.taken",  "member.claim.cleared", "member.claim.life",  "member.register.time",
    "member.register.pid", "member.enter.running", "member.enter.alive",
};

static void test_join_killed_anywhere_leaves_nothing(void **state) {
    (void)state;
    die_at_each(join_dying, claim_points, sizeof claim_points / sizeof *claim_points);
}

static void test_enter_killed_anywhere_leaves_nothing(void **state) {
    (void)state;
    die_at_each(enter_dying, claim_points + 3, sizeof claim_points / sizeof *claim_points - 3);
}

static void test_reserve_killed_anywhere_leaves_nothing(void **state) {
    (void)state;
    die_at_each(reserve_dying, claim_points, 3);
}

static void test_leave_killed_anywhere_leaves_nothing(void **state) {
    (void)state;
    static const char *const points[] = {"holding.drop.unlinked", "member.leave.heap",
                                         "thread.free.cleared", "member.leave.record",
                                         "member.leave.life"};
    die_at_each(leave_dying, points, sizeof points / sizeof *points);
}

/* The registry itself, made by whoever comes first. */

static void test_registry_is_made_by_the_next_when_its_maker_died(void **state) {
    (void)state;
    static const char *const points[] = {"registry.make.claimed", "registry.make.recover"};
    MPT_OK(mp__arena_open());
    for (size_t i = 0; i < 2; i++)
        MPT_CHECK(mpt_join(mpt_fork(join_dying, (void *)(uintptr_t)points[i])) == -SIGKILL);
    assert_true(mp__member_self() != 0);
    assert_int_equal(mp__registry_check(), 0);
}

#define CROWD 8
static pthread_barrier_t crowd_gate;

static void *join_in_crowd(void *arg) {
    pthread_barrier_wait(&crowd_gate);
    *(struct thread_shared **)arg = mp__self();
    pthread_barrier_wait(&crowd_gate);
    return NULL;
}

static void test_threads_that_come_first_at_once_share_one_slot(void **state) {
    (void)state;
    pthread_t threads[CROWD];
    struct thread_shared *records[CROWD];
    pthread_barrier_init(&crowd_gate, NULL, CROWD);
    for (int i = 0; i < CROWD; i++)
        MPT_CHECK(pthread_create(&threads[i], NULL, join_in_crowd, &records[i]) == 0);
    for (int i = 0; i < CROWD; i++)
        MPT_CHECK(pthread_join(threads[i], NULL) == 0);
    for (int i = 0; i < CROWD; i++) {
        assert_non_null(records[i]);
        for (int j = 0; j < i; j++)
            assert_ptr_not_equal(records[i], records[j]);
    }
    assert_int_equal(mpt_count_members(), 1);
    assert_int_equal(mp__registry_check(), 0);
}

static void join_at_once(void *arg) {
    struct board *board = arg;
    atomic_fetch_add(&board->arrived, 1);
    MPT_UNTIL(atomic_load(&board->arrived) == CROWD);
    MPT_CHECK(mp__self());
    atomic_fetch_add(&board->joined, 1);
    MPT_UNTIL(atomic_load(&board->joined) == CROWD);
}

static void test_processes_that_come_at_once_get_slots_of_their_own(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pids[CROWD];
    mpt_fork_all(pids, CROWD, join_at_once, board);
    MPT_UNTIL(atomic_load(&board->joined) == CROWD);
    assert_int_equal(mpt_count_members(), CROWD + 1);
    MPT_JOIN_ALL(pids, CROWD);
    mpt_board_end(board);
    assert_int_equal(mpt_count_members(), 1);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_join_killed_anywhere_leaves_nothing),
         MPT_CASE(test_enter_killed_anywhere_leaves_nothing),
         MPT_CASE(test_reserve_killed_anywhere_leaves_nothing),
         MPT_CASE(test_leave_killed_anywhere_leaves_nothing),
         MPT_CASE(test_registry_is_made_by_the_next_when_its_maker_died),
         MPT_CASE(test_threads_that_come_first_at_once_share_one_slot),
         MPT_CASE(test_processes_that_come_at_once_get_slots_of_their_own))

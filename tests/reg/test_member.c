/* Slots: given out once, alive as long as the process is, dead when it is, whoever gets its pid
 * next. SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "board.h"
#include "os/child.h"
#include "reg/holding.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/heap.h"

struct board {
    _Atomic mp__member_ref ref;   /* whom the case is about */
    _Atomic mp__member_ref other; /* a second one */
    _Atomic uint32_t step;        /* how far they are */
    _Atomic uint32_t go;          /* the case lets them go on */
    _Atomic int32_t code;         /* what a call gave */
    _Atomic int32_t pid;          /* of a process that the case did not fork itself */
};

static bool is_running(mp__member_ref ref) {
    uint64_t status = atomic_load(&mp__member_at(mp__member_index(ref))->status);
    return mp__status_ref(status, mp__member_index(ref)) == ref &&
           mp__status_state(status) == MP__MEMBER_RUNNING;
}

/* Until it is a zombie; it stays one. */
static void wait_for_death(pid_t pid) {
    siginfo_t info;
    MPT_CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

static void block(void) {
    for (;;)
        pause();
}

/* Children. */

static void enter_and_block(void *arg) {
    struct board *board = arg;
    MPT_OK(mp__member_enter(atomic_load(&board->ref)));
    atomic_store(&board->step, 1);
    block();
}

static void join_and_block(void *arg) {
    struct board *board = arg;
    atomic_store(&board->ref, mp__member_self());
    atomic_store(&board->step, 1);
    block();
}

static void enter_and_stop(void *arg) {
    struct board *board = arg;
    MPT_OK(mp__member_enter(atomic_load(&board->ref)));
    raise(SIGSTOP);
    block();
}

static pid_t start_entered(struct board *board, void (*body)(void *)) {
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    atomic_store(&board->ref, ref);
    return mpt_fork(body, board);
}

static void test_self_is_running_and_alive(void **state) {
    (void)state;
    mp__member_ref self = mp__member_self();
    assert_true(self != 0);
    assert_true(mp__member_self() == self);
    assert_true(is_running(self));
    assert_true(mp__member_is_alive(self));
    assert_int_equal(mp__member_pid(self), getpid());
    assert_int_equal(mp__registry_check(), 0);
}

static void test_nobody_is_not_alive(void **state) {
    (void)state;
    assert_true(mp__member_self() != 0);
    assert_false(mp__member_is_alive(0));
    assert_false(mp__member_is_alive(UINT64_C(7) << 32 | 9));
    assert_false(mp__member_is_alive(UINT64_C(1) << 32 | MP__MEMBER_MAX));
    assert_int_equal(mp__member_pid(UINT64_C(7) << 32 | 9), 0);
}

static void test_bare_fork_joins_with_a_slot_of_its_own(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pid = mpt_fork(join_and_block, board);
    MPT_UNTIL(atomic_load(&board->step) == 1);
    mp__member_ref ref = atomic_load(&board->ref);
    assert_true(ref != 0 && ref != mp__member_self());
    assert_true(mp__member_is_alive(ref));
    assert_int_equal(mp__member_pid(ref), pid);
    mpt_kill(pid);
    assert_false(mp__member_is_alive(ref));
    mpt_board_end(board);
    assert_int_equal(mpt_count_members(), 1);
}

static void test_reserved_child_is_alive_from_reserve_to_death(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    assert_true(mp__member_is_alive(ref));
    atomic_store(&board->ref, ref);
    pid_t pid = mpt_fork(enter_and_block, board);
    mp__member_born(ref, pid);
    MPT_UNTIL(atomic_load(&board->step) == 1);
    assert_true(is_running(ref));
    assert_true(mp__member_is_alive(ref));
    assert_true(mp__robust_is_held(&mp__member_at(mp__member_index(ref))->life));
    mpt_kill(pid);
    assert_false(mp__member_is_alive(ref));
    mpt_board_end(board);
}

static void test_zombie_is_dead_and_recovered(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pid = start_entered(board, enter_and_block);
    MPT_UNTIL(atomic_load(&board->step) == 1);
    mp__member_ref ref = atomic_load(&board->ref);
    kill(pid, SIGKILL);
    wait_for_death(pid);
    assert_false(mp__member_is_alive(ref));
    assert_true(mp__recover_member(ref));
    assert_false(is_running(ref));
    assert_int_equal(mpt_count_members(), 1);
    MPT_CHECK(mpt_join(pid) == -SIGKILL);
    mpt_board_end(board);
}

static void return_at_once(void *arg) {
    (void)arg;
}

static void test_child_that_died_before_entering_is_dead_once_born(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    pid_t pid = mpt_fork(return_at_once, NULL);
    mp__member_born(ref, pid);
    wait_for_death(pid);
    assert_false(mp__member_is_alive(ref));
    assert_true(mp__recover_member(ref));
    mpt_join(pid);
    mpt_board_end(board);
}

static void test_stopped_process_is_alive(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pid = start_entered(board, enter_and_stop);
    int status;
    MPT_CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    mp__member_ref ref = atomic_load(&board->ref);
    assert_true(mp__member_is_alive(ref));
    assert_false(mp__recover_member(ref));
    assert_true(is_running(ref));
    mpt_kill(pid);
    mpt_board_end(board);
}

static void *enter_in_thread(void *arg) {
    MPT_OK(mp__member_enter(*(mp__member_ref *)arg));
    return NULL;
}

static void enter_in_a_thread_that_ends(void *arg) {
    struct board *board = arg;
    mp__member_ref ref = atomic_load(&board->ref);
    pthread_t thread;
    MPT_CHECK(pthread_create(&thread, NULL, enter_in_thread, &ref) == 0);
    MPT_CHECK(pthread_join(thread, NULL) == 0);
    atomic_store(&board->step, 1);
    block();
}

static void *block_in_thread(void *arg) {
    struct board *board = arg;
    atomic_store(&board->step, 1);
    block();
    return NULL;
}

static void enter_and_end_the_main_thread(void *arg) {
    struct board *board = arg;
    pthread_t thread;
    MPT_OK(mp__member_enter(atomic_load(&board->ref)));
    MPT_CHECK(pthread_create(&thread, NULL, block_in_thread, board) == 0);
    pthread_exit(NULL);
}

static void check_alive_without_life_lock(void (*body)(void *)) {
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pid = start_entered(board, body);
    mp__member_ref ref = atomic_load(&board->ref);
    struct member_shared *slot = mp__member_at(mp__member_index(ref));
    MPT_UNTIL(atomic_load(&board->step) == 1 && !mp__robust_is_held(&slot->life));
    MPT_CHECK(mp__member_is_alive(ref));
    MPT_CHECK(atomic_load(&slot->life_is_lost) == (uint32_t)(ref >> 32));
    MPT_CHECK(!mp__recover_member(ref));
    MPT_CHECK(mp__member_is_alive(ref));
    mpt_kill(pid);
    MPT_CHECK(!mp__member_is_alive(ref));
    MPT_CHECK(mp__recover_member(ref));
    mpt_board_end(board);
}

static void test_process_outlives_the_thread_that_entered(void **state) {
    (void)state;
    check_alive_without_life_lock(enter_in_a_thread_that_ends);
}

static void test_process_outlives_its_main_thread(void **state) {
    (void)state;
    check_alive_without_life_lock(enter_and_end_the_main_thread);
}

static void block_only(void *arg) {
    (void)arg;
    block();
}

/* A slot whose pid now belongs to a process that was born later. */
static void test_younger_process_with_the_same_pid_is_a_stranger(void **state) {
    (void)state;
    if (mp__child_start_time(getpid()) == 0)
        skip(); /* no system call tells when a process started */
    struct board *board = mpt_board_new(sizeof *board);
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    uint64_t epoch = ref >> 32;
    struct member_shared *slot = mp__member_at(mp__member_index(ref));
    uint64_t then = mp__boot_time() - (uint64_t)MP__SECOND;
    pid_t pid = mpt_fork(block_only, NULL);
    atomic_store(&slot->registered, epoch << 48 | then >> 14);
    atomic_store(&slot->pid, epoch << 32 | (uint32_t)pid);
    atomic_store(&slot->status, epoch << 32 | MP__MEMBER_RUNNING);
    assert_false(mp__member_is_alive(ref));
    assert_true(mp__recover_member(ref));
    mpt_kill(pid);
    mpt_board_end(board);
}

static void test_old_reference_does_not_mean_the_next_in_the_slot(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    mp__member_ref first, second;
    MPT_OK(mp__member_reserve(&first));
    mp__member_cancel(first);
    MPT_OK(mp__member_reserve(&second));
    assert_int_equal(mp__member_index(first), mp__member_index(second));
    assert_false(mp__member_is_alive(first));
    assert_true(mp__member_is_alive(second));
    mp__member_born(first, 1);
    assert_int_equal(mp__member_pid(second), 0);
    assert_true(mp__recover_member(first));
    assert_true(mp__member_is_alive(second));
    mp__member_cancel(second);
    mpt_board_end(board);
}

static void enter_cancelled(void *arg) {
    struct board *board = arg;
    MPT_CODE(mp__member_enter(atomic_load(&board->ref)), MP_ESTATE);
    MPT_CHECK(strstr(mp_error_detail(), "comes too late"));
}

static void test_enter_fails_when_cancelled(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    mp__member_cancel(ref);
    atomic_store(&board->ref, ref);
    assert_int_equal(mpt_join(mpt_fork(enter_cancelled, board)), 0);
    mpt_board_end(board);
}

static void enter_nowhere(void *arg) {
    (void)arg;
    MPT_CODE(mp__member_enter(0), MP_EINVAL);
    MPT_CODE(mp__member_enter(UINT64_C(1) << 32 | MP__MEMBER_MAX), MP_EINVAL);
}

static void test_enter_fails_without_a_place(void **state) {
    (void)state;
    assert_true(mp__member_self() != 0);
    assert_int_equal(mpt_join(mpt_fork(enter_nowhere, NULL)), 0);
}

static void test_enter_fails_when_in_already(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    assert_int_equal(mp__member_enter(ref), MP_ESTATE);
    assert_non_null(strstr(mp_error_detail(), "in the family already"));
    mp__member_cancel(ref);
    mpt_board_end(board);
}

/* A parent that dies between its fork and its word about it. */

static void enter_when_told(void *arg) {
    struct board *board = arg;
    atomic_store(&board->step, 2);
    MPT_UNTIL(atomic_load(&board->go) == 1);
    atomic_store(&board->code, mp__member_enter(atomic_load(&board->ref)));
    atomic_store(&board->step, 3);
    if (atomic_load(&board->code) == 0)
        block();
}

static void start_and_die(struct board *board, bool is_born) {
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    atomic_store(&board->ref, ref);
    atomic_store(&board->other, mp__member_self());
    pid_t pid = mpt_fork(enter_when_told, board);
    atomic_store(&board->pid, pid);
    if (is_born)
        mp__member_born(ref, pid);
    raise(SIGKILL);
}

static void start_unborn_and_die(void *arg) {
    start_and_die(arg, false);
}

static void start_born_and_die(void *arg) {
    start_and_die(arg, true);
}

static void lose_parent(struct board *board, void (*parent)(void *)) {
    MPT_CHECK(mpt_join(mpt_fork(parent, board)) == -SIGKILL);
    MPT_UNTIL(atomic_load(&board->step) == 2);
    MPT_CHECK(mp__recover_member(atomic_load(&board->other)));
    atomic_store(&board->go, 1);
    MPT_UNTIL(atomic_load(&board->step) == 3);
}

static void test_child_comes_too_late_when_its_parent_died_before_naming_it(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    lose_parent(board, start_unborn_and_die);
    assert_int_equal(atomic_load(&board->code), MP_ESTATE);
    MPT_UNTIL(!mp__child_exists(atomic_load(&board->pid), mp__boot_time()));
    assert_int_equal(mpt_count_members(), 1);
    mpt_board_end(board);
}

static void test_child_enters_when_its_parent_died_after_naming_it(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    lose_parent(board, start_born_and_die);
    assert_int_equal(atomic_load(&board->code), 0);
    assert_true(mp__member_is_alive(atomic_load(&board->ref)));
    kill(atomic_load(&board->pid), SIGKILL);
    MPT_UNTIL(!mp__member_is_alive(atomic_load(&board->ref)));
    mpt_board_end(board);
    assert_int_equal(mpt_count_members(), 1);
}

static void enter_stopping(void *arg) {
    struct board *board = arg;
    mpt_stop_at("member.register.time", 1);
    atomic_store(&board->code, mp__member_enter(atomic_load(&board->ref)));
    atomic_store(&board->step, 3);
}

static void start_stopping_and_die(void *arg) {
    struct board *board = arg;
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    atomic_store(&board->ref, ref);
    atomic_store(&board->other, mp__member_self());
    atomic_store(&board->pid, mpt_fork(enter_stopping, board));
    int status;
    MPT_CHECK(waitpid(board->pid, &status, WUNTRACED) == board->pid && WIFSTOPPED(status));
    raise(SIGKILL);
}

/* Stopped in the middle of entering, its place given up and to another: it changes nothing. */
static void test_late_child_leaves_the_next_in_its_slot_alone(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    MPT_CHECK(mpt_join(mpt_fork(start_stopping_and_die, board)) == -SIGKILL);
    MPT_CHECK(mp__recover_member(atomic_load(&board->other)));
    mp__member_ref ref = 0, others[2];
    for (int i = 0; i < 2; i++) {
        MPT_OK(mp__member_reserve(&others[i]));
        if (mp__member_index(others[i]) == mp__member_index(atomic_load(&board->ref)))
            ref = others[i];
    }
    assert_true(ref != 0);
    kill(atomic_load(&board->pid), SIGCONT);
    MPT_UNTIL(atomic_load(&board->step) == 3);
    assert_int_equal(atomic_load(&board->code), MP_ESTATE);
    assert_int_equal(mp__member_pid(ref), 0);
    assert_false(is_running(ref));
    assert_true(mp__member_is_alive(ref));
    for (int i = 0; i < 2; i++)
        mp__member_cancel(others[i]);
    mpt_board_end(board);
}

static void reserve_until_full(void *arg) {
    struct board *board = arg;
    mp__member_ref ref;
    int code;
    while ((code = mp__member_reserve(&ref)) == 0)
        atomic_store(&board->other, ref);
    MPT_CHECK(code == -EAGAIN);
    MPT_CHECK(strstr(mp_error_detail(), "4095 processes are in the family"));
}

static void test_reserve_fails_when_all_slots_are_taken(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    reserve_until_full(board);
    assert_int_equal(mpt_count_members(), MP__MEMBER_MAX - 1);
    for (uint32_t i = 1; i < MP__MEMBER_MAX; i++) {
        mp__member_ref ref = mp__status_ref(atomic_load(&mp__member_at(i)->status), i);
        if (ref != mp__member_self())
            mp__member_cancel(ref);
    }
    assert_int_equal(mpt_count_members(), 1);
    mpt_board_end(board);
}

static void test_reserve_takes_the_place_of_the_dead_when_full(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pid = mpt_fork(reserve_until_full, board);
    MPT_CHECK(mpt_join(pid) == 0);
    assert_int_equal(mpt_count_members(), MP__MEMBER_MAX - 1);
    mp__member_ref ref;
    MPT_OK(mp__member_reserve(&ref));
    mp__member_cancel(ref);
    mpt_board_end(board);
    assert_int_equal(mpt_count_members(), 1);
}

static void leave(void *arg) {
    struct board *board = arg;
    MPT_OK(mp__member_enter(atomic_load(&board->ref)));
    MPT_CHECK(mp__self() && mp__heap_alloc(100));
    mp__member_leave();
    mp__member_leave();
}

static void test_leave_frees_slot_record_and_blocks(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pid = start_entered(board, leave);
    MPT_CHECK(mpt_join(pid) == 0);
    assert_int_equal(mpt_count_members(), 1);
    for (uint32_t i = 1; i <= mp__thread_high(); i++)
        assert_true(i == mp__self()->index || atomic_load(&mp__thread_at(i)->member) == 0);
    mpt_board_end(board);
}

static void leave_holding(void *arg) {
    struct board *board = arg;
    MPT_OK(mp__member_enter(atomic_load(&board->ref)));
    MPT_CHECK(mp__hold(mp__self(), MP__HOLDING_PROCESS, board));
    mp__member_leave();
}

static void test_leave_keeps_the_slot_when_something_is_held(void **state) {
    (void)state;
    struct board *board = mpt_board_new(sizeof *board);
    pid_t pid = start_entered(board, leave_holding);
    MPT_CHECK(mpt_join(pid) == 0);
    assert_true(is_running(atomic_load(&board->ref)));
    assert_false(mp__member_is_alive(atomic_load(&board->ref)));
    mpt_board_end(board);
    assert_int_equal(mpt_count_members(), 1);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_self_is_running_and_alive),
         MPT_CASE(test_nobody_is_not_alive),
         MPT_CASE(test_bare_fork_joins_with_a_slot_of_its_own),
         MPT_CASE(test_reserved_child_is_alive_from_reserve_to_death),
         MPT_CASE(test_zombie_is_dead_and_recovered),
         MPT_CASE(test_child_that_died_before_entering_is_dead_once_born),
         MPT_CASE(test_stopped_process_is_alive),
         MPT_CASE(test_process_outlives_the_thread_that_entered),
         MPT_CASE(test_process_outlives_its_main_thread),
         MPT_CASE(test_younger_process_with_the_same_pid_is_a_stranger),
         MPT_CASE(test_old_reference_does_not_mean_the_next_in_the_slot),
         MPT_CASE(test_enter_fails_when_cancelled),
         MPT_CASE(test_enter_fails_without_a_place),
         MPT_CASE(test_enter_fails_when_in_already),
         MPT_CASE(test_child_comes_too_late_when_its_parent_died_before_naming_it),
         MPT_CASE(test_child_enters_when_its_parent_died_after_naming_it),
         MPT_CASE(test_late_child_leaves_the_next_in_its_slot_alone),
         MPT_CASE(test_reserve_fails_when_all_slots_are_taken),
         MPT_CASE(test_reserve_takes_the_place_of_the_dead_when_full),
         MPT_CASE(test_leave_frees_slot_record_and_blocks),
         MPT_CASE(test_leave_keeps_the_slot_when_something_is_held))

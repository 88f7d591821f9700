/* What a dead process held is given back, once and in order, also when those who do it are killed.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "board.h"
#include "os/child.h"
#include "os/futex.h"
#include "reg/holding.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "reg/sleep.h"
#include "shm/heap.h"

#define THINGS 60 /* more than a record has room for */

struct thing {
    _Alignas(16) _Atomic uint32_t owner; /* thread that has it; 0 nobody */
    uint32_t order;                      /* the how-manieth to be given back, from 1; 0 not yet */
};

struct board {
    struct thing things[THINGS];   /* held by the victim */
    _Atomic uint32_t given_back;   /* how many things were */
    _Atomic uint32_t calls;        /* of the recover function */
    _Atomic uint32_t word;         /* to sleep on */
    _Atomic uint32_t step;         /* how far they are */
    _Atomic uint32_t thread;       /* index of the victim */
    _Atomic mp__member_ref member; /* the victim */
};

static struct board *board;

/* Idempotent, as it has to be: it does nothing for a thing that is no longer the dead one's. */
static void recover_thing(void *object, uint32_t dead_thread) {
    struct thing *thing = object;
    atomic_fetch_add(&board->calls, 1);
    if (atomic_load(&thing->owner) != dead_thread)
        return;
    thing->order = atomic_fetch_add(&board->given_back, 1) + 1;
    atomic_store(&thing->owner, 0);
    mp__futex_wake(&thing->owner, MP__WAKE_ALL);
}

static void set_up(void) {
    board = mpt_board_new(sizeof *board);
    mp__recover_register(MP__HOLDING_PROCESS, recover_thing);
}

static void take(struct thing *thing) {
    MPT_CHECK(mp__hold(mp__self(), MP__HOLDING_PROCESS, thing));
    atomic_store(&thing->owner, mp__self()->index);
}

static void take_all(void) {
    for (int i = 0; i < THINGS; i++)
        take(&board->things[i]);
    MPT_CHECK(mp__heap_alloc(100) && mp__heap_alloc(5000));
    mp__member_ref child;
    MPT_OK(mp__member_reserve(&child));
    atomic_store(&board->thread, mp__self()->index);
    atomic_store(&board->member, mp__member_self());
}

static void take_all_and_die(void *arg) {
    (void)arg;
    take_all();
    raise(SIGKILL);
}

static void take_all_and_exit(void *arg) {
    (void)arg;
    take_all();
}

static void take_all_and_block(void *arg) {
    (void)arg;
    take_all();
    atomic_store(&board->step, 1);
    for (;;)
        pause();
}

static void lose_victim(void) {
    MPT_CHECK(mpt_join(mpt_fork(take_all_and_die, NULL)) == -SIGKILL);
}

static unsigned count_used(void) {
    unsigned count = 0;
    for (uint32_t i = 1; i < MP__MEMBER_MAX; i++)
        count += mp__status_state(atomic_load(&mp__member_at(i)->status)) != MP__MEMBER_FREE;
    for (uint32_t i = 1; i <= mp__thread_high(); i++)
        count += atomic_load(&mp__thread_at(i)->member) != 0;
    return count;
}

/* This process and its thread, and nothing else, are left; of blocks, the board. */
static void check_all_is_given_back(void) {
    struct mp__heap_figures figures;
    for (int i = 0; i < THINGS; i++)
        MPT_CHECK(atomic_load(&board->things[i].owner) == 0 && board->things[i].order > 0);
    MPT_CHECK(count_used() == 2);
    mp__heap_figures(&figures);
    MPT_CHECK(figures.blocks == 1);
    MPT_OK(mp__heap_check());
    MPT_OK(mp__registry_check());
}

static void test_the_dead_ones_things_are_given_back_newest_first(void **state) {
    (void)state;
    set_up();
    lose_victim();
    assert_true(mp__recover_member(atomic_load(&board->member)));
    check_all_is_given_back();
    for (int i = 0; i < THINGS; i++)
        assert_int_equal(board->things[i].order, THINGS - i);
    assert_int_equal(atomic_load(&board->calls), THINGS);
    assert_true(mp__recover_member(atomic_load(&board->member)));
    assert_int_equal(atomic_load(&board->calls), THINGS);
    mpt_board_end(board);
}

static void test_exit_in_order_while_holding_counts_as_a_death(void **state) {
    (void)state;
    set_up();
    assert_int_equal(mpt_join(mpt_fork(take_all_and_exit, NULL)), 0);
    assert_true(mp__recover_thread_owner(atomic_load(&board->thread)));
    check_all_is_given_back();
    mpt_board_end(board);
}

static void test_the_living_keep_everything(void **state) {
    (void)state;
    set_up();
    pid_t pid = mpt_fork(take_all_and_block, NULL);
    MPT_UNTIL(atomic_load(&board->step) == 1);
    mp__recover_all();
    assert_false(mp__recover_member(atomic_load(&board->member)));
    assert_false(mp__recover_thread_owner(atomic_load(&board->thread)));
    assert_int_equal(atomic_load(&board->calls), 0);
    mpt_kill(pid);
    mp__recover_all();
    check_all_is_given_back();
    mpt_board_end(board);
}

static void *take_in_thread(void *arg) {
    take(arg);
    atomic_fetch_add(&board->step, 1);
    for (;;)
        pause();
    return NULL;
}

static void take_in_threads_and_die(void *arg) {
    (void)arg;
    pthread_t thread;
    for (int i = 0; i < THINGS; i++)
        MPT_CHECK(pthread_create(&thread, NULL, take_in_thread, &board->things[i]) == 0);
    MPT_UNTIL(atomic_load(&board->step) == THINGS);
    raise(SIGKILL);
}

static void test_all_threads_of_the_dead_are_recovered(void **state) {
    (void)state;
    set_up();
    assert_int_equal(mpt_join(mpt_fork(take_in_threads_and_die, NULL)), -SIGKILL);
    mp__recover_all();
    check_all_is_given_back();
    mpt_board_end(board);
}

static void recover(void *arg) {
    (void)arg;
    atomic_fetch_add(&board->step, 1);
    MPT_UNTIL(atomic_load(&board->step) == 4);
    MPT_CHECK(mp__recover_member(atomic_load(&board->member)));
    MPT_CHECK(atomic_load(&board->given_back) == THINGS);
    mp__member_leave();
}

static void test_many_recover_at_once_and_each_thing_once(void **state) {
    (void)state;
    pid_t pids[4];
    set_up();
    lose_victim();
    mpt_fork_all(pids, 4, recover, NULL);
    MPT_JOIN_ALL(pids, 4);
    assert_int_equal(atomic_load(&board->calls), THINGS);
    check_all_is_given_back();
    mpt_board_end(board);
}

struct death {
    const char *point; /* where the recovering one dies */
    unsigned turn;     /* the how-manieth time it comes there */
};

static void recover_and_die(void *arg) {
    const struct death *death = arg;
    mpt_die_at(death->point, death->turn);
    mp__recover_member(atomic_load(&board->member));
}

static void test_recovery_killed_anywhere_is_finished_by_another(void **state) {
    (void)state;
    static const struct death deaths[] = {
        {"recover.holding.given_back", 1}, {"recover.holding.given_back", THINGS},
        {"recover.holding.erased", 1},     {"recover.holding.erased", THINGS / 2},
        {"recover.holding.unlinked", 1},   {"recover.member.threads", 1},
        {"recover.member.children", 1},    {"recover.member.heap", 1},
        {"thread.free.cleared", 1},        {"recover.member.records", 1},
        {"recover.member.done", 1},
    };
    set_up();
    for (size_t i = 0; i < sizeof deaths / sizeof *deaths; i++) {
        lose_victim();
        MPT_CHECK(mpt_join(mpt_fork(recover_and_die, (void *)(uintptr_t)&deaths[i])) == -SIGKILL);
        mp__recover_all();
        check_all_is_given_back();
    }
    mpt_board_end(board);
}

static void hold_dying(void *point) {
    mpt_die_at(point, 1);
    take_all();
    for (int i = THINGS - 1; i >= 0; i--) {
        atomic_store(&board->things[i].owner, 0);
        mp__unhold(mp__self(), MP__HOLDING_PROCESS, &board->things[i]);
    }
}

static void test_holder_killed_anywhere_leaves_nothing(void **state) {
    (void)state;
    static const char *const points[] = {
        "holding.hold.written",  "holding.chunk.filled",  "holding.chunk.linked",
        "holding.unhold.erased", "holding.drop.unlinked", "holding.drop.freed",
    };
    set_up();
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        MPT_CHECK(mpt_join(mpt_fork(hold_dying, (void *)(uintptr_t)points[i])) == -SIGKILL);
        mp__recover_all();
        for (int n = 0; n < THINGS; n++) {
            MPT_CHECK(atomic_load(&board->things[n].owner) == 0);
            board->things[n].order = 1;
        }
        check_all_is_given_back();
    }
    mpt_board_end(board);
}

/* Sleeping. */

static void test_sleep_returns_at_once_when_the_word_differs(void **state) {
    (void)state;
    set_up();
    assert_int_equal(mp__sleep(&board->word, 1, 0, MP__NEVER), 0);
    mpt_board_end(board);
}

static void test_sleep_times_out(void **state) {
    (void)state;
    set_up();
    mp__time deadline = mp__now() + MP__SECOND / 5;
    int code;
    while ((code = mp__sleep(&board->word, 0, mp__self()->index, deadline)) == 0)
        MPT_CHECK(mp__now() < deadline + MP__SECOND);
    assert_int_equal(code, MP_ETIMEDOUT);
    assert_true(mp__now() >= deadline);
    assert_int_equal(mp__sleep(&board->word, 0, 0, 0), MP_ETIMEDOUT);
    mpt_board_end(board);
}

/* Whatever got lost, the sleeper looks again within a second. */
static void test_sleep_ends_by_itself_within_a_second(void **state) {
    (void)state;
    set_up();
    for (int i = 0; i < 6; i++) {
        mp__time before = mp__now();
        assert_int_equal(mp__sleep(&board->word, 0, 0, MP__NEVER), 0);
        assert_true(mp__now() - before < MP__SECOND);
    }
    mpt_board_end(board);
}

static void sleep_until_set(void *arg) {
    (void)arg;
    atomic_store(&board->step, 1);
    while (atomic_load(&board->word) == 0)
        MPT_OK(mp__sleep(&board->word, 0, 0, MP__NEVER));
}

static void test_sleeper_is_woken(void **state) {
    (void)state;
    set_up();
    pid_t pid = mpt_fork(sleep_until_set, NULL);
    MPT_UNTIL(atomic_load(&board->step) == 1);
    atomic_store(&board->word, 1);
    mp__futex_wake(&board->word, 1);
    assert_int_equal(mpt_join(pid), 0);
    mpt_board_end(board);
}

static void sleep_until_released(void *arg) {
    _Atomic uint32_t *owner = &((struct board *)arg)->things[0].owner;
    uint32_t holder = atomic_load(owner);
    atomic_fetch_add(&board->step, 1);
    while (atomic_load(owner) == holder)
        MPT_OK(mp__sleep(owner, holder, holder, MP__NEVER));
}

static void *join_in_thread(void *arg) {
    MPT_CHECK(mp__self());
    return arg;
}

/* The thread that entered has ended: no life lock tells of the process any more. */
static void enter_by_another_thread_and_block(void *arg) {
    pthread_t thread;
    MPT_CHECK(pthread_create(&thread, NULL, join_in_thread, NULL) == 0);
    MPT_CHECK(pthread_join(thread, NULL) == 0);
    take_all_and_block(arg);
}

/* Several wait for what the victim has; nobody but them recovers it. */
static void check_sleepers_see_the_death_of(void (*body)(void *)) {
    pid_t pids[3];
    set_up();
    pid_t victim = mpt_fork(body, NULL);
    MPT_UNTIL(atomic_load(&board->step) == 1);
    mpt_fork_all(pids, 3, sleep_until_released, board);
    MPT_UNTIL(atomic_load(&board->step) == 4);
    mp__time before = mp__now();
    kill(victim, SIGKILL);
    MPT_JOIN_ALL(pids, 3);
    MPT_CHECK(mp__now() - before < MP__SECOND);
    mpt_join(victim);
    mp__recover_all();
    check_all_is_given_back();
    mpt_board_end(board);
}

static void test_sleepers_see_that_the_owner_died(void **state) {
    (void)state;
    check_sleepers_see_the_death_of(take_all_and_block);
}

static void test_sleepers_see_the_death_of_a_process_without_a_life_lock(void **state) {
    (void)state;
    if (!mp__child_sees_zombies())
        skip(); /* it is not dead before its parent has asked for it */
    check_sleepers_see_the_death_of(enter_by_another_thread_and_block);
}

static void join_and_execute(void *arg) {
    (void)arg;
    MPT_CHECK(mp__self());
    execl("/bin/sleep", "sleep", "60", (char *)NULL);
    MPT_CHECK(false);
}

static unsigned count_lives(void) {
    unsigned count = 0;
    for (uint32_t i = 1; i < MP__MEMBER_MAX; i++)
        count += mp__robust_is_held(&mp__member_at(i)->life);
    return count;
}

static mp__time time_sleep_for_nothing(void) {
    mp__time before = mp__now();
    MPT_OK(mp__sleep_any(&(struct mp__wait_word){&board->word, 1}, 1, MP__NEVER));
    return mp__now() - before;
}

/* Their lives seem to have ended. Nobody sleeps for that instead of for what it wants. */
static void test_sleepers_wait_once_for_who_executed_another_program(void **state) {
    (void)state;
    enum { COUNT = 3, TIMES = 10 };
    pid_t pids[COUNT];
    mp__time least = MP__NEVER;
    set_up();
    mpt_fork_all(pids, COUNT, join_and_execute, NULL);
    MPT_UNTIL(count_used() == 2 + 2 * COUNT && count_lives() == 1);
    for (int i = 0; i < TIMES; i++) {
        mp__time time = time_sleep_for_nothing();
        least = time < least ? time : least;
    }
    assert_true(least < MP__SECOND / 100);
    for (int i = 0; i < COUNT; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(mpt_join(pids[i]), -SIGKILL);
    mpt_board_end(board);
}

static void sleep_and_recover(void *arg) {
    mpt_die_at("recover.holding.erased", 5);
    sleep_until_released(arg);
}

/* The one whom the kernel wakes is killed while it recovers: the others go on. */
static void test_sleepers_go_on_when_the_first_to_know_is_killed(void **state) {
    (void)state;
    set_up();
    pid_t victim = mpt_fork(take_all_and_block, NULL);
    MPT_UNTIL(atomic_load(&board->step) == 1);
    pid_t first = mpt_fork(sleep_and_recover, board);
    MPT_UNTIL(atomic_load(&board->step) == 2);
    kill(victim, SIGKILL);
    assert_int_equal(mpt_join(first), -SIGKILL);
    pid_t second = mpt_fork(sleep_until_released, board);
    assert_int_equal(mpt_join(second), 0);
    mpt_join(victim);
    mp__recover_all();
    check_all_is_given_back();
    mpt_board_end(board);
}

/* clang-format off */
static void join_and_die(void *arg) {
    (void)arg;
    atomic_store(&board->member, mp__member_self());
    kill(getpid(), SIGKILL);
}

static void count_call(void *arg) {
    ++*(unsigned *)arg;
}

static void test_nobody_enters_what_a_dead_one_holds(void **state) {
    (void)state;
    unsigned calls = 0;
    set_up();
    assert_true(mp__recover_shut_out(mp__member_self(), count_call, &calls));
    assert_int_equal(mpt_join(mpt_fork(join_and_die, NULL)), -SIGKILL);
    assert_false(mp__recover_shut_out(atomic_load(&board->member), count_call, &calls));
    assert_int_equal(calls, 1);
    mpt_board_end(board);
}

MPT_MAIN(MPT_CASE(test_the_dead_ones_things_are_given_back_newest_first),
         MPT_CASE(test_exit_in_order_while_holding_counts_as_a_death),
         MPT_CASE(test_the_living_keep_everything),
         MPT_CASE(test_all_threads_of_the_dead_are_recovered),
         MPT_CASE(test_many_recover_at_once_and_each_thing_once),
         MPT_CASE(test_recovery_killed_anywhere_is_finished_by_another),
         MPT_CASE(test_holder_killed_anywhere_leaves_nothing),
         MPT_CASE(test_sleep_returns_at_once_when_the_word_differs),
         MPT_CASE(test_sleep_times_out),
         MPT_CASE(test_sleep_ends_by_itself_within_a_second),
         MPT_CASE(test_sleeper_is_woken),
         MPT_CASE(test_sleepers_see_that_the_owner_died),
         MPT_CASE(test_sleepers_see_the_death_of_a_process_without_a_life_lock),
         MPT_CASE(test_sleepers_wait_once_for_who_executed_another_program),
         MPT_CASE(test_sleepers_go_on_when_the_first_to_know_is_killed),
         MPT_CASE(test_nobody_enters_what_a_dead_one_holds))

/* In a family where most sleep and few look round, whatever happens is found soon all the same.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <unistd.h>

#include "os/futex.h"
#include "reg/holding.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "reg/sleep.h"
#include "shm/heap.h"

#define SLEEPERS_MAX 12
#define BUSY 10               /* more than the neighbours that a sleeper watches */
#define SOON (MP__SECOND * 2) /* who rests does so for longer */

struct board {                            /* in the arena */
    _Alignas(16) _Atomic uint32_t owner;  /* thread that has what all wait for; 0 nobody */
    _Atomic uint32_t joined;              /* processes that have entered */
    _Atomic uint32_t busy;                /* sleepers that went on to other things */
    _Atomic uint32_t words[SLEEPERS_MAX]; /* each sleeps on one; 1: it is to do other things */
    _Atomic uint32_t looks[SLEEPERS_MAX]; /* how often its sleep came to an end */
    _Atomic mp__time ends[SLEEPERS_MAX];  /* when it knew that the thing was given back */
    const char *die_at;                   /* a point where the first ones die; NULL: none */
};

static struct board *board;
static pid_t sleepers[SLEEPERS_MAX], busy[2 * BUSY], victim;
static unsigned processes; /* that were forked */

/* Whoever sleeps for it is not woken: it learns of the recovery, and of nothing else. */
static void recover_thing(void *object, uint32_t dead_thread) {
    _Atomic uint32_t *owner = object;
    (void)atomic_compare_exchange_strong(owner, &dead_thread, 0);
}

static void join_family(void) {
    MPT_CHECK(mp__self());
    atomic_fetch_add(&board->joined, 1);
}

static void be_busy(void *arg) {
    (void)arg;
    join_family();
    for (;;)
        pause();
}

static void hold_and_be_busy(void *arg) {
    MPT_CHECK(mp__hold(mp__self(), MP__HOLDING_PROCESS, &board->owner));
    atomic_store(&board->owner, mp__self()->index);
    be_busy(arg);
}

static void sleep_until_given_back(void *arg) {
    _Atomic uint32_t *word = arg;
    size_t me = (size_t)(word - board->words);
    if (board->die_at && me < MP__SLEEP_TURNS)
        mpt_die_at(board->die_at, 1);
    join_family();
    while (atomic_load(&board->owner) != 0 && atomic_load(word) == 0) {
        MPT_OK(mp__sleep(word, 0, 0, MP__NEVER));
        atomic_fetch_add(&board->looks[me], 1);
    }
    atomic_store(&board->ends[me], mp__now());
    if (atomic_load(word) == 0)
        return;
    atomic_fetch_add(&board->busy, 1);
    for (;;)
        pause();
}

/* One after the other, so that their places are next to each other. */
static pid_t start(void (*body)(void *arg), void *arg) {
    pid_t pid = mpt_fork(body, arg);
    processes++;
    MPT_UNTIL(atomic_load(&board->joined) == processes);
    return pid;
}

static bool they_rest(void) {
    for (int i = 0; i < MP__SLEEP_TURNS; i++)
        if (atomic_load(&mp__registry->turns[i]) <= mp__now())
            return false;
    return atomic_load(&mp__registry->rest) != 0;
}

/* Sleepers, and far from them, watched by nobody, the victim. */
static void open_family(unsigned count, const char *die_at) {
    if (!mp__futex_can_wait_any())
        skip(); /* all look round by themselves */
    MPT_CHECK(mp__self());
    mp__recover_register(MP__HOLDING_PROCESS, recover_thing);
    board = mp__heap_zalloc(sizeof *board);
    MPT_CHECK(board);
    board->die_at = die_at;
    mp__heap_publish(board);
    atomic_store(&board->owner, UINT32_MAX);
    for (unsigned i = 0; i < count; i++)
        sleepers[i] = start(sleep_until_given_back, &board->words[i]);
    for (unsigned i = 0; i < BUSY; i++)
        busy[i] = start(be_busy, NULL);
    victim = start(hold_and_be_busy, NULL);
    for (unsigned i = BUSY; i < 2 * BUSY; i++)
        busy[i] = start(be_busy, NULL);
    MPT_UNTIL(die_at || they_rest());
}

static void end_process(pid_t pid) {
    if (pid == 0)
        return;
    kill(pid, SIGKILL);
    (void)mpt_join(pid);
}

static void close_family(unsigned count) {
    for (unsigned i = 0; i < 2 * BUSY; i++)
        end_process(busy[i]);
    for (unsigned i = 0; i < count; i++)
        end_process(sleepers[i]);
    end_process(victim);
    mp__recover_all();
    MPT_OK(mp__registry_check());
    mp__heap_free(board);
}

/* From now on the thing is given back once somebody has seen the victim's death. */
static void check_death_is_known(unsigned from, unsigned to) {
    mp__time begin = mp__now();
    kill(victim, SIGKILL);
    for (unsigned i = from; i < to; i++) {
        MPT_UNTIL(atomic_load(&board->ends[i]) != 0);
        assert_true(atomic_load(&board->ends[i]) - begin < SOON);
    }
}

static void test_a_death_that_nobody_watches_is_known_to_all(void **state) {
    (void)state;
    open_family(SLEEPERS_MAX, NULL);
    check_death_is_known(0, SLEEPERS_MAX);
    close_family(SLEEPERS_MAX);
}

static void test_who_goes_on_to_other_things_is_replaced(void **state) {
    (void)state;
    enum { COUNT = 6 };
    open_family(COUNT, NULL);
    for (int i = 0; i < COUNT - 1; i++) {
        atomic_store(&board->words[i], 1);
        mp__futex_wake(&board->words[i], 1);
    }
    MPT_UNTIL(atomic_load(&board->busy) == COUNT - 1);
    check_death_is_known(COUNT - 1, COUNT);
    close_family(COUNT);
}

static void check_who_is_killed_is_replaced(const char *point) {
    enum { COUNT = 6 };
    open_family(COUNT, point);
    for (int i = 0; i < MP__SLEEP_TURNS; i++) {
        assert_int_equal(mpt_join(sleepers[i]), -SIGKILL);
        sleepers[i] = 0;
    }
    check_death_is_known(MP__SLEEP_TURNS, COUNT);
    close_family(COUNT);
}

static void test_who_is_killed_when_its_turn_begins_is_replaced(void **state) {
    (void)state;
    check_who_is_killed_is_replaced("sleep.turn.taken");
}

static void test_who_is_killed_when_its_turn_ends_is_replaced(void **state) {
    (void)state;
    check_who_is_killed_is_replaced("sleep.turn.ended");
}

/* By one who looks round and finds it late. */
static void test_who_is_stopped_in_its_turn_is_replaced(void **state) {
    (void)state;
    enum { COUNT = 6 };
    open_family(COUNT, NULL);
    for (int i = 1; i < MP__SLEEP_TURNS; i++)
        kill(sleepers[i], SIGSTOP);
    check_death_is_known(MP__SLEEP_TURNS, COUNT);
    close_family(COUNT);
}

static void test_who_rests_learns_that_somebody_left(void **state) {
    (void)state;
    enum { COUNT = 8 };
    uint32_t before[COUNT];
    open_family(COUNT, NULL);
    for (int i = 0; i < COUNT; i++)
        before[i] = atomic_load(&board->looks[i]);
    mp__time begin = mp__now();
    mp__sleep_tell_change();
    for (int i = 0; i < COUNT; i++)
        MPT_UNTIL(atomic_load(&board->looks[i]) != before[i]);
    assert_true(mp__now() - begin < SOON);
    close_family(COUNT);
}

MPT_MAIN(MPT_CASE(test_a_death_that_nobody_watches_is_known_to_all),
         MPT_CASE(test_who_goes_on_to_other_things_is_replaced),
         MPT_CASE(test_who_is_killed_when_its_turn_begins_is_replaced),
         MPT_CASE(test_who_is_killed_when_its_turn_ends_is_replaced),
         MPT_CASE(test_who_is_stopped_in_its_turn_is_replaced),
         MPT_CASE(test_who_rests_learns_that_somebody_left))

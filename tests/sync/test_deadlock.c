/* Deadlock: found where a lock asks for it, told to one, never where there is none.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "reg/blocked.h"
#include "reg/label.h"
#include "sync/lock.h"

#define MOST 8         /* threads in a ring */
#define FOUND_SOON 1.0 /* seconds; it takes a tenth, and the machine may be busy */
#define ROUNDS 3000    /* of a fight without deadlock */

struct ring {
    mp_lock *locks[MOST];              /* thread i holds i and wants i + 1 */
    unsigned size;                     /* of it */
    _Atomic unsigned ready, told, got; /* who holds its first, got MP_EDEADLK, got the second */
    _Atomic unsigned turn;             /* numbers for the threads */
    char detail[512];                  /* of who was told */
    double seconds;                    /* it took */
};

static struct ring *open_ring(unsigned size, unsigned detecting, bool recursive) {
    struct ring *ring = mp_shared_calloc(1, sizeof *ring);
    assert_non_null(ring);
    ring->size = size;
    for (unsigned i = 0; i < size; i++) {
        char name[20];
        snprintf(name, sizeof name, "number %u", i);
        mp_lock_options options = {recursive, (detecting >> i) & 1, name};
        MPT_OK(mp_lock_new_with(&ring->locks[i], NULL, &options));
    }
    return ring;
}

static void close_ring(struct ring *ring) {
    for (unsigned i = 0; i < ring->size; i++) {
        MPT_OK(mp__lock_check(ring->locks[i]));
        mp_lock_free(ring->locks[i]);
    }
    mp_shared_free(ring);
}

/* Take mine, when all have theirs want the next one's; give all back. */
static void walk_into_it(void *arg) {
    struct ring *ring = arg;
    unsigned i = atomic_fetch_add(&ring->turn, 1);
    mp_lock *mine = ring->locks[i], *other = ring->locks[(i + 1) % ring->size];
    MPT_OK(mp_lock_acquire(mine, MP_FOREVER));
    atomic_fetch_add(&ring->ready, 1);
    MPT_UNTIL(atomic_load(&ring->ready) == ring->size);
    mp__time begin = mp__now();
    int code = mp_lock_acquire(other, MP_FOREVER);
    if (code == MP_EDEADLK) {
        snprintf(ring->detail, sizeof ring->detail, "%s", mp_error_detail());
        ring->seconds = (double)(mp__now() - begin) / (double)MP__SECOND;
        atomic_fetch_add(&ring->told, 1);
    } else {
        MPT_OK(code);
        atomic_fetch_add(&ring->got, 1);
        MPT_OK(mp_lock_release(other));
    }
    MPT_CHECK(mp__self()->blocked_on == 0);
    MPT_OK(mp_lock_release(mine));
}

static void run_threads(struct ring *ring) {
    mpt_run_threads(ring->size, walk_into_it, ring);
}

static void run_processes(struct ring *ring) {
    pid_t pids[MOST];
    mpt_fork_all(pids, ring->size, walk_into_it, ring);
    MPT_JOIN_ALL(pids, ring->size);
}

static void check_one_was_told(struct ring *ring) {
    assert_int_equal(ring->told, 1);
    assert_int_equal(ring->got, ring->size - 1);
    assert_true(ring->seconds < FOUND_SOON);
    close_ring(ring);
}

static void check_one_is_told(unsigned size, bool recursive, void (*run)(struct ring *)) {
    struct ring *ring = open_ring(size, (1u << size) - 1, recursive);
    run(ring);
    check_one_was_told(ring);
}

static void test_one_of_two_threads_is_told(void **state) {
    (void)state;
    check_one_is_told(2, false, run_threads);
}

static void test_one_of_two_processes_is_told(void **state) {
    (void)state;
    check_one_is_told(2, false, run_processes);
}

static void test_one_of_eight_threads_is_told(void **state) {
    (void)state;
    check_one_is_told(MOST, false, run_threads);
}

static void test_one_of_six_processes_is_told_of_recursive_locks(void **state) {
    (void)state;
    check_one_is_told(6, true, run_processes);
}

/* Whoever closes the cycle wakes the one that can be told. */
static void test_waiter_of_the_one_lock_that_asks_is_told(void **state) {
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        struct ring *ring = open_ring(4, 1u << i, false);
        run_threads(ring);
        char name[20];
        snprintf(name, sizeof name, "for lock 'number %u'", i);
        assert_ptr_equal(strstr(ring->detail, "waits"), strstr(ring->detail, "waits for lock"));
        assert_non_null(strstr(ring->detail, name));
        check_one_was_told(ring);
    }
}

static void test_detail_names_processes_and_locks(void **state) {
    (void)state;
    struct ring *ring = open_ring(2, 3, false);
    mp__label_set(mp__member_self(), "the \"root\"", false);
    run_threads(ring);
    char expected[64];
    snprintf(expected, sizeof expected, "'the \"root\"' (pid %d, thread ", (int)getpid());
    assert_non_null(strstr(ring->detail, expected));
    assert_non_null(strstr(ring->detail, "lock 'number 0' (0x"));
    assert_non_null(strstr(ring->detail, "lock 'number 1' (0x"));
    check_one_was_told(ring);
}

static void test_own_lock_is_a_deadlock(void **state) {
    (void)state;
    mp_lock *lock;
    mp_lock_options options = {.detect_deadlock = true};
    MPT_OK(mp_lock_new_with(&lock, NULL, &options));
    MPT_OK(mp_lock_acquire(lock, MP_FOREVER));
    MPT_CODE(mp_lock_acquire(lock, MP_FOREVER), MP_EDEADLK);
    MPT_CODE(mp_lock_acquire(lock, 0.05), MP_ETIMEDOUT);
    MPT_CODE(mp_lock_acquire(lock, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_lock_release(lock));
    MPT_CODE(mp_lock_release(lock), MP_EINVAL);
    MPT_OK(mp_lock_acquire(lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(lock));
    mp_lock_free(lock);
}

static void test_own_rlock_is_no_deadlock(void **state) {
    (void)state;
    mp_lock *lock;
    mp_lock_options options = {.recursive = true, .detect_deadlock = true};
    MPT_OK(mp_lock_new_with(&lock, NULL, &options));
    MPT_OK(mp_lock_acquire(lock, MP_FOREVER));
    MPT_OK(mp_lock_acquire(lock, MP_FOREVER));
    MPT_OK(mp_lock_release(lock));
    MPT_OK(mp_lock_release(lock));
    MPT_CODE(mp_lock_release(lock), MP_EOWNER);
    mp_lock_free(lock);
}

static void test_lock_without_the_option_waits(void **state) {
    (void)state;
    mp_lock *lock;
    MPT_CODE(mp_lock_new_with(NULL, NULL, NULL), MP_EINVAL);
    MPT_OK(mp_lock_new_with(&lock, NULL, NULL));
    MPT_OK(mp_lock_acquire(lock, MP_FOREVER));
    MPT_CODE(mp_lock_acquire(lock, 0.2), MP_ETIMEDOUT);
    MPT_OK(mp_lock_release(lock));
    mp_lock_free(lock);
}

/* In order, out of step, with timeouts that pass: no cycle, however it looks on the way. */
static void fight(void *arg) {
    struct ring *ring = arg;
    unsigned seed = atomic_fetch_add(&ring->turn, 1) + 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned low = (seed >> 16) % ring->size, high = low + (seed >> 20) % (ring->size - low);
        MPT_OK(mp_lock_acquire(ring->locks[low], MP_FOREVER));
        if (high > low) {
            int code = mp_lock_acquire(ring->locks[high], (seed >> 24) % 3 ? MP_FOREVER : 0.0001);
            MPT_CHECK(code == 0 || code == MP_ETIMEDOUT);
            if (code == 0)
                MPT_OK(mp_lock_release(ring->locks[high]));
        }
        MPT_OK(mp_lock_release(ring->locks[low]));
    }
}

static void test_ordered_locks_never_look_like_a_deadlock(void **state) {
    (void)state;
    pid_t pids[3];
    struct ring *ring = open_ring(3, 7, false);
    mpt_fork_all(pids, 3, fight, ring);
    mpt_run_threads(3, fight, ring);
    MPT_JOIN_ALL(pids, 3);
    close_ring(ring);
}

static bool is_blocked_on(unsigned thread, const mp_lock *lock) {
    return mp__blocked_object(atomic_load(&mp__thread_at(thread)->blocked_on)) == &lock->guard;
}

struct pair {
    mp_lock *first, *second; /* the other holds the first and wants the second, ours */
    _Atomic unsigned thread; /* the other's */
    pid_t other;             /* who it is */
};

static void hold_first_want_second(void *arg) {
    struct pair *pair = arg;
    MPT_OK(mp_lock_acquire(pair->first, MP_FOREVER));
    atomic_store(&pair->thread, mp__self()->index);
    (void)mp_lock_acquire(pair->second, MP_FOREVER);
}

/* We hold the second when the other waits for it. */
static struct pair *open_pair(bool second_detects) {
    struct pair *pair = mp_shared_calloc(1, sizeof *pair);
    assert_non_null(pair);
    mp_lock_options first = {.detect_deadlock = true}, second = {.detect_deadlock = second_detects};
    MPT_OK(mp_lock_new_with(&pair->first, NULL, &first));
    MPT_OK(mp_lock_new_with(&pair->second, NULL, &second));
    MPT_OK(mp_lock_acquire(pair->second, MP_FOREVER));
    pair->other = mpt_fork(hold_first_want_second, pair);
    MPT_UNTIL(atomic_load(&pair->thread) != 0 && is_blocked_on(pair->thread, pair->second));
    return pair;
}

static void close_pair(struct pair *pair) {
    mp_lock_free(pair->first);
    mp_lock_free(pair->second);
    mp_shared_free(pair);
}

/* The dead one's wait is still on record when we come; its lock is given to us. */
static void test_dead_waiter_is_no_part_of_a_cycle(void **state) {
    (void)state;
    struct pair *pair = open_pair(false);
    mpt_kill(pair->other);
    MPT_CODE(mp_lock_acquire(pair->first, MP_FOREVER), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(pair->first));
    MPT_OK(mp_lock_release(pair->second));
    close_pair(pair);
}

/* Who was told can go on; who waits behind it then gets what it gives back. */
static void test_stopped_waiter_is_part_of_a_cycle(void **state) {
    (void)state;
    struct pair *pair = open_pair(false);
    kill(pair->other, SIGSTOP);
    MPT_CODE(mp_lock_acquire(pair->first, MP_FOREVER), MP_EDEADLK);
    MPT_OK(mp_lock_release(pair->second));
    kill(pair->other, SIGCONT);
    assert_int_equal(mpt_join(pair->other), 0);
    MPT_CODE(mp_lock_acquire(pair->first, 5), MP_EOWNERDEAD); /* it ended with both */
    MPT_OK(mp_lock_release(pair->first));
    close_pair(pair);
}

/* Whose time passes lets the other one have it. */
static void test_a_wait_with_a_limit_is_part_of_no_cycle(void **state) {
    (void)state;
    struct pair *pair = open_pair(true);
    MPT_CODE(mp_lock_acquire(pair->first, 0.2), MP_ETIMEDOUT);
    assert_true(is_blocked_on(pair->thread, pair->second)); /* it was not told either */
    MPT_OK(mp_lock_release(pair->second));
    assert_int_equal(mpt_join(pair->other), 0);
    MPT_CODE(mp_lock_acquire(pair->first, MP_FOREVER), MP_EOWNERDEAD); /* it ended with both */
    MPT_CODE(mp_lock_acquire(pair->second, MP_FOREVER), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(pair->first));
    MPT_OK(mp_lock_release(pair->second));
    close_pair(pair);
}

static void test_name_is_cut_to_what_fits(void **state) {
    (void)state;
    mp_lock *lock;
    char name[100];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    mp_lock_options options = {.name = name};
    MPT_OK(mp_lock_new_with(&lock, NULL, &options));
    assert_int_equal(strlen(lock->name), MP__LOCK_NAME_BYTES - 1);
    mp_lock_free(lock);
}

MPT_MAIN(MPT_CASE(test_one_of_two_threads_is_told), MPT_CASE(test_one_of_two_processes_is_told),
         MPT_CASE(test_one_of_eight_threads_is_told),
         MPT_CASE(test_one_of_six_processes_is_told_of_recursive_locks),
         MPT_CASE(test_waiter_of_the_one_lock_that_asks_is_told),
         MPT_CASE(test_detail_names_processes_and_locks), MPT_CASE(test_own_lock_is_a_deadlock),
         MPT_CASE(test_own_rlock_is_no_deadlock), MPT_CASE(test_lock_without_the_option_waits),
         MPT_CASE(test_ordered_locks_never_look_like_a_deadlock),
         MPT_CASE(test_dead_waiter_is_no_part_of_a_cycle),
         MPT_CASE(test_stopped_waiter_is_part_of_a_cycle),
         MPT_CASE(test_a_wait_with_a_limit_is_part_of_no_cycle),
         MPT_CASE(test_name_is_cut_to_what_fits))

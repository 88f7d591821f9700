/* The quick way of a lock: given back by a store, kept on record, and how it turns to and fro.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "os/barrier.h"
#include "reg/registry.h"
#include "sync/lock.h"
#include "sync/waiters.h"

enum { MANY = 5000 }; /* uses after which a lock that nobody sleeps for is quick again */

struct scene {
    mp_lock *lock;              /* what it is about */
    mp_lock *others[9];         /* more than are kept */
    long pair[2];               /* guarded by it: equal outside of it */
    _Atomic unsigned ready, go; /* steps of the play */
    const char *point;          /* a child dies or stops there */
};

static void use(mp_lock *lock, int count) {
    for (int i = 0; i < count; i++) {
        MPT_OK(mp_lock_acquire(lock, 5));
        MPT_OK(mp_lock_release(lock));
    }
}

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    for (unsigned i = 0; i < 9; i++)
        MPT_OK(mp_lock_new(&scene->others[i], NULL));
    use(scene->lock, 50);
    return scene;
}

static void close_scene(struct scene *scene) {
    MPT_OK(mp__lock_check(scene->lock));
    MPT_OK(mp__registry_check());
    mp_lock_free(scene->lock);
    for (unsigned i = 0; i < 9; i++)
        mp_lock_free(scene->others[i]);
    mp_shared_free(scene);
}

/* Does this thread hold it by the quick way? */
static bool is_quick(mp_lock *lock) {
    for (unsigned i = 0; i < MP__KEPT; i++)
        if (mp__kept[i].held == lock)
            return mp__mode_is_quick(mp__kept[i].mode);
    return false;
}

static bool has_quick_way(void) {
    return mp__barrier_join();
}

static void test_a_lock_taken_again_and_again_is_quick(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    assert_int_equal(is_quick(scene->lock), has_quick_way());
    MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_lock_release(scene->lock));
    MPT_CODE(mp_lock_release(scene->lock), MP_EINVAL);
    MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void take_and_give(void *arg) {
    struct scene *scene = arg;
    scene->ready++;
    MPT_OK(mp_lock_acquire(scene->lock, 5));
    MPT_OK(mp_lock_release(scene->lock));
}

static void test_a_sleeper_turns_it_and_calm_turns_it_back(void **state) {
    (void)state;
    if (!has_quick_way())
        skip();
    struct scene *scene = open_scene();
    for (int turn = 0; turn < 5; turn++) {
        MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
        assert_true(is_quick(scene->lock));
        uint32_t before = mp__mode_look(&scene->lock->mode);
        pid_t sleeper = mpt_fork(take_and_give, scene);
        MPT_UNTIL(mpt_is_asleep(sleeper));
        assert_false(mp__mode_is_quick(mp__mode_look(&scene->lock->mode)));
        MPT_OK(mp_lock_release(scene->lock));
        assert_int_equal(mpt_join(sleeper), 0);
        use(scene->lock, MANY);
        assert_int_not_equal(mp__mode_look(&scene->lock->mode), before);
    }
    close_scene(scene);
}

static void stop_in_release(void *arg) {
    struct scene *scene = arg;
    use(scene->lock, 50);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    mpt_stop_at(scene->point, 1);
    scene->ready++;
    MPT_OK(mp_lock_release(scene->lock));
}

/* Of the owner, whose release is stopped behind its judgement. */
static pid_t start_with_sleepers(struct scene *scene, pid_t sleepers[3]) {
    scene->point = "lock.release.judged";
    pid_t owner = mpt_fork_stopped(stop_in_release, scene);
    mpt_fork_all(sleepers, 3, take_and_give, scene);
    for (unsigned i = 0; i < 3; i++)
        MPT_UNTIL(scene->ready == 4 && mpt_is_asleep(sleepers[i]));
    return owner;
}

/* Its store wipes out the mark of those who sleep: it sees that the mode has changed. */
static void test_a_mark_that_is_wiped_out_is_made_good(void **state) {
    (void)state;
    if (!has_quick_way())
        skip();
    struct scene *scene = open_scene();
    pid_t sleepers[3], owner = start_with_sleepers(scene, sleepers);
    kill(owner, SIGCONT);
    assert_int_equal(mpt_join(owner), 0);
    MPT_JOIN_ALL(sleepers, 3);
    close_scene(scene);
}

static void die_in_release(void *arg) {
    struct scene *scene = arg;
    use(scene->lock, MANY);
    mpt_die_at(scene->point, 1);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    MPT_OK(mp_lock_release(scene->lock));
}

static void test_death_at_each_point_of_the_quick_way(void **state) {
    static const struct {
        const char *point; /* where the only user dies */
        int code;          /* of the next acquire */
    } table[] = {
        {"guard.acquire.held", 0},
        {"guard.acquire.taken", MP_EOWNERDEAD},
        {"lock.release.judged", MP_EOWNERDEAD},
        {"lock.release.stored", 0},
    };
    (void)state;
    if (!has_quick_way())
        skip();
    struct scene *scene = open_scene();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        scene->point = table[i].point;
        assert_int_equal(mpt_join(mpt_fork(die_in_release, scene)), -SIGKILL);
        MPT_CODE(mp_lock_acquire(scene->lock, 5), table[i].code);
        MPT_OK(mp_lock_release(scene->lock));
    }
    close_scene(scene);
}

/* Killed where its store is done and nobody is woken yet: whoever finds it dead wakes them. */
static void test_sleepers_outlive_one_that_dies_before_it_wakes_them(void **state) {
    (void)state;
    if (!has_quick_way())
        skip();
    struct scene *scene = open_scene();
    pid_t sleepers[3], owner = start_with_sleepers(scene, sleepers);
    atomic_store(&scene->lock->guard.word, 0); /* as the owner would, on its next instruction */
    mpt_kill(owner);
    MPT_JOIN_ALL(sleepers, 3);
    close_scene(scene);
}

/* What a thread has it may still try to take again, in vain; then it dies, or ends in order. */
static void try_again(struct scene *scene) {
    use(scene->lock, 50);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_lock_acquire(scene->lock, 0.001), MP_ETIMEDOUT);
    for (unsigned i = 0; i < 9; i++)
        use(scene->others[i], 50);
}

static void try_again_and_die(void *arg) {
    try_again(arg);
    kill(getpid(), SIGKILL);
}

static void try_again_and_end(void *arg) {
    try_again(arg);
}

static void test_death_after_a_second_try_is_told(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    assert_int_equal(mpt_join(mpt_fork(try_again_and_die, scene)), -SIGKILL);
    MPT_CODE(mp_lock_acquire(scene->lock, 5), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    assert_int_equal(mpt_join(mpt_fork(try_again_and_end, scene)), 0);
    MPT_CODE(mp_lock_acquire(scene->lock, 5), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

/* Its record is not that of the thread before, or it would have its lock. */
static void hold_another(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_lock_acquire(scene->others[0], MP_NOWAIT));
    MPT_CHECK(mp__guard_owner(&scene->lock->guard) != mp__self()->index);
    MPT_OK(mp_lock_release(scene->others[0]));
}

static void hold_in_a_thread(void *arg) {
    mpt_run_threads(1, try_again_and_end, arg);
    kill(getpid(), SIGKILL);
}

static void test_a_thread_may_end_while_it_holds_it(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mpt_run_threads(1, try_again_and_end, scene);
    mpt_run_threads(1, hold_another, scene);
    MPT_CODE(mp_lock_acquire(scene->lock, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_lock_release(scene->lock));
    assert_int_equal(mpt_join(mpt_fork(hold_in_a_thread, scene)), -SIGKILL);
    MPT_CODE(mp_lock_acquire(scene->lock, 5), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void release_it(void *arg) {
    MPT_OK(mp_lock_release(((struct scene *)arg)->lock));
}

static void take_for_good(void *arg) {
    struct scene *scene = arg;
    use(scene->lock, MANY);
    MPT_OK(mp_lock_acquire(scene->lock, 5));
    scene->ready++;
    MPT_UNTIL(scene->go == 1);
    MPT_CODE(mp_lock_release(scene->lock), MP_EINVAL);
}

/* We believe that we have it quickly, while another one has released it, and a third has it so. */
static void test_a_belief_does_not_outlive_a_release_by_another(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    assert_int_equal(mpt_join(mpt_fork(release_it, scene)), 0);
    MPT_CODE(mp_lock_release(scene->lock), MP_EINVAL);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    assert_int_equal(mpt_join(mpt_fork(release_it, scene)), 0);
    pid_t third = mpt_fork(take_for_good, scene);
    MPT_UNTIL(scene->ready == 1);
    MPT_OK(mp_lock_release(scene->lock)); /* of the third, as any thread may */
    scene->go = 1;
    assert_int_equal(mpt_join(third), 0);
    close_scene(scene);
}

static bool holds_nothing(void) {
    for (unsigned i = 0; i < MP__HOLDINGS_INLINE; i++)
        if (atomic_load(&mp__self()->holdings[i]) != 0)
            return false;
    return true;
}

/* One of the others that wants the same place among the kept ones. */
static mp_lock *rival_of(const struct scene *scene) {
    for (unsigned i = 0; i < 9; i++)
        if (((uintptr_t)scene->others[i] - (uintptr_t)scene->lock) / sizeof(mp_lock) % MP__KEPT ==
            0)
            return scene->others[i];
    assert_true(false);
    return NULL;
}

/* Has it, loses it to who stops in the middle of releasing it, forgets it, wants it back. */
static void lose_and_want(void *arg) {
    struct scene *scene = arg;
    use(scene->lock, MANY);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    scene->ready++;
    MPT_UNTIL(scene->go == 1);
    use(rival_of(scene), 50);
    scene->ready++;
    MPT_OK(mp_lock_acquire(scene->lock, 20));
    kill(getpid(), SIGKILL);
}

static void stop_taking_over(void *arg) {
    mpt_stop_at("lock.take_over.taken", 1);
    release_it(arg);
}

static void test_who_wants_back_what_is_being_taken_is_on_record(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t owner = mpt_fork(lose_and_want, scene);
    MPT_UNTIL(scene->ready == 1);
    pid_t other = mpt_fork_stopped(stop_taking_over, scene);
    scene->go = 1;
    MPT_UNTIL(scene->ready == 2 && mpt_is_asleep(owner));
    kill(other, SIGCONT);
    assert_int_equal(mpt_join(other), 0);
    assert_int_equal(mpt_join(owner), -SIGKILL);
    MPT_CODE(mp_lock_acquire(scene->lock, 5), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    close_scene(scene);
}

static void release_of_both(void *arg) {
    struct scene *scene = arg;
    mpt_stop_at("lock.take_over.taken", 1);
    int code = mp_lock_release(scene->lock);
    MPT_CHECK(code == 0 || code == MP_EINVAL);
    MPT_CHECK(holds_nothing());
}

/* A mistake of the program, of which nothing stays behind. */
static void test_two_release_it_at_once(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    for (int turn = 0; turn < 5; turn++) {
        MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
        pid_t other = mpt_fork_stopped(release_of_both, scene);
        MPT_OK(mp_lock_release(scene->lock));
        kill(other, SIGCONT);
        assert_int_equal(mpt_join(other), 0);
        assert_true(holds_nothing());
        assert_false(mp_lock_locked(scene->lock));
        use(scene->lock, MANY);
    }
    close_scene(scene);
}

/* Nested, in any order, more than have a place. */
static void test_many_locks_at_once(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    for (unsigned turn = 0; turn < 200; turn++) {
        for (unsigned i = 0; i < 9; i++)
            MPT_OK(mp_lock_acquire(scene->others[(i * 2 + turn) % 9], MP_NOWAIT));
        for (unsigned i = 0; i < 9; i++)
            MPT_OK(mp_lock_release(scene->others[(i * 5 + turn) % 9]));
    }
    for (unsigned i = 0; i < 9; i++)
        assert_false(mp_lock_locked(scene->others[i]));
    close_scene(scene);
}

static void hold_and_die(void *arg) {
    struct scene *scene = arg;
    for (unsigned turn = 0; turn < 20; turn++)
        for (unsigned i = 0; i < 9; i++)
            use(scene->others[i], 1);
    for (unsigned i = 0; i < 9; i++)
        MPT_OK(mp_lock_acquire(scene->others[i], MP_NOWAIT));
    kill(getpid(), SIGKILL);
}

static void test_all_that_a_dead_one_had_are_told(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    assert_int_equal(mpt_join(mpt_fork(hold_and_die, scene)), -SIGKILL);
    for (unsigned i = 0; i < 9; i++) {
        MPT_CODE(mp_lock_acquire(scene->others[i], 5), MP_EOWNERDEAD);
        MPT_OK(mp_lock_release(scene->others[i]));
    }
    close_scene(scene);
}

static void test_a_freed_one_is_refused_and_its_place_is_good_again(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    for (int turn = 0; turn < 100; turn++) {
        mp_lock *lock;
        MPT_OK(mp_lock_new(&lock, NULL));
        use(lock, 20);
        MPT_OK(mp_lock_acquire(lock, MP_NOWAIT));
        mp_lock_free(lock);
        MPT_CODE(mp_lock_release(lock), MP_EINVAL);
        MPT_CODE(mp_lock_acquire(lock, MP_NOWAIT), MP_EINVAL);
    }
    close_scene(scene);
}

static void test_an_rlock_is_quick_and_deep(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_lock *rlock;
    MPT_OK(mp_rlock_new(&rlock, NULL));
    for (int turn = 0; turn < 100; turn++) {
        for (int depth = 0; depth < 3; depth++)
            MPT_OK(mp_lock_acquire(rlock, MP_NOWAIT));
        for (int depth = 0; depth < 3; depth++)
            MPT_OK(mp_lock_release(rlock));
        MPT_CODE(mp_lock_release(rlock), MP_EOWNER);
    }
    mp_lock_free(rlock);
    close_scene(scene);
}

static void test_a_condition_waits_with_a_quick_lock(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_condition *condition;
    MPT_OK(mp_condition_new(&condition, NULL, scene->lock));
    for (int turn = 0; turn < 20; turn++) {
        MPT_OK(mp_lock_acquire(scene->lock, MP_NOWAIT));
        MPT_CODE(mp_condition_wait(condition, 0.001), MP_ETIMEDOUT);
        MPT_OK(mp_lock_release(scene->lock));
        assert_false(mp_lock_locked(scene->lock));
    }
    mp_condition_free(condition);
    close_scene(scene);
}

static void wait_to_be_told(void *arg) {
    mp_condition *condition = arg;
    MPT_OK(mp_condition_acquire(condition, 5));
    MPT_OK(mp_condition_wait(condition, 20));
    MPT_OK(mp_condition_release(condition));
}

/* Told by one who goes on holding the lock: who waits for that turns it as any other sleeper. */
static void test_a_told_waiter_sleeps_for_the_lock(void **state) {
    (void)state;
    if (!has_quick_way())
        skip();
    struct scene *scene = open_scene();
    mp_condition *condition;
    MPT_OK(mp_condition_new(&condition, NULL, scene->lock));
    pid_t waiter = mpt_fork(wait_to_be_told, condition);
    MPT_UNTIL(mpt_is_asleep(waiter) && mp__waiter_count(condition) == 1);
    use(scene->lock, MANY);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    assert_true(is_quick(scene->lock));
    MPT_OK(mp_condition_notify(condition, 1));
    MPT_UNTIL(mp__mode_is_checked(mp__mode_look(&scene->lock->mode)));
    MPT_OK(mp_lock_release(scene->lock));
    assert_int_equal(mpt_join(waiter), 0);
    mp_condition_free(condition);
    close_scene(scene);
}

static void use_and_end(void *arg) {
    use(((struct scene *)arg)->lock, 50);
}

/* What a thread keeps on record it does not hold: its record is another one's next. */
static void test_threads_leave_nothing_on_record(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mpt_run_threads(1, use_and_end, scene);
    uint32_t high = mp__thread_high();
    for (int i = 0; i < 50; i++)
        mpt_run_threads(1, use_and_end, scene);
    assert_int_equal(mp__thread_high(), high);
    close_scene(scene);
}

/* Holds it for long now and then, so that others sleep, and seldom for a time, so that it turns. */
static void fight(void *arg) {
    struct scene *scene = arg;
    unsigned seed = (unsigned)getpid();
    for (int i = 0; i < 20000; i++) {
        MPT_OK(mp_lock_acquire(scene->lock, 5));
        scene->pair[0]++;
        if ((seed = seed * 1103515245 + 12345) >> 24 == 0)
            sched_yield();
        MPT_CHECK(++scene->pair[1] == scene->pair[0]);
        MPT_OK(mp_lock_release(scene->lock));
    }
}

static void test_nobody_is_forgotten_in_its_sleep(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pids[4];
    mpt_fork_all(pids, 4, fight, scene);
    MPT_JOIN_ALL(pids, 4);
    assert_int_equal(scene->pair[0], 80000);
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_a_lock_taken_again_and_again_is_quick),
         MPT_CASE(test_a_sleeper_turns_it_and_calm_turns_it_back),
         MPT_CASE(test_a_mark_that_is_wiped_out_is_made_good),
         MPT_CASE(test_death_at_each_point_of_the_quick_way),
         MPT_CASE(test_sleepers_outlive_one_that_dies_before_it_wakes_them),
         MPT_CASE(test_death_after_a_second_try_is_told),
         MPT_CASE(test_a_thread_may_end_while_it_holds_it), MPT_CASE(test_two_release_it_at_once),
         MPT_CASE(test_who_wants_back_what_is_being_taken_is_on_record),
         MPT_CASE(test_a_told_waiter_sleeps_for_the_lock),
         MPT_CASE(test_a_belief_does_not_outlive_a_release_by_another),
         MPT_CASE(test_many_locks_at_once), MPT_CASE(test_all_that_a_dead_one_had_are_told),
         MPT_CASE(test_a_freed_one_is_refused_and_its_place_is_good_again),
         MPT_CASE(test_an_rlock_is_quick_and_deep),
         MPT_CASE(test_a_condition_waits_with_a_quick_lock),
         MPT_CASE(test_threads_leave_nothing_on_record),
         MPT_CASE(test_nobody_is_forgotten_in_its_sleep))

/* Condition: wait, notify, and waiters or notifiers that die.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "sync/condition.h"

#define LIMIT 2.0 /* seconds: a death is noticed within one, and the machine may be busy */

struct scene {
    mp_condition *condition;                /* what it is about */
    mp_lock *lock;                          /* its Lock, NULL: an own RLock */
    unsigned waiting;                       /* how many have called wait; guarded by the lock */
    int value;                              /* what predicates look at; guarded by the lock */
    _Atomic unsigned woken, told_dead, out; /* waits that gave 0, MP_EOWNERDEAD, MP_ETIMEDOUT */
    _Atomic unsigned ready;                 /* steps of the play */
};

static struct scene *open_scene(bool has_lock) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    if (has_lock)
        MPT_OK(mp_lock_new(&scene->lock, NULL));
    MPT_OK(mp_condition_new(&scene->condition, NULL, scene->lock));
    return scene;
}

static void close_scene(struct scene *scene) {
    MPT_OK(mp__condition_check(scene->condition));
    mp_condition_free(scene->condition);
    mp_lock_free(scene->lock);
    mp_shared_free(scene);
}

static void enter(struct scene *scene) {
    MPT_OK(mp_condition_acquire(scene->condition, 20));
}

static void leave(struct scene *scene) {
    MPT_OK(mp_condition_release(scene->condition));
}

static void notify_one(struct scene *scene) {
    enter(scene);
    MPT_OK(mp_condition_notify(scene->condition, 1));
    leave(scene);
}

static void notify_all(struct scene *scene) {
    enter(scene);
    MPT_OK(mp_condition_notify_all(scene->condition));
    leave(scene);
}

/* With the lock held one waits after the other: the count says that they do. */
static unsigned count_waiting(struct scene *scene) {
    enter(scene);
    unsigned count = scene->waiting;
    leave(scene);
    return count;
}

static void wait_for(struct scene *scene, double timeout) {
    enter(scene);
    scene->waiting++;
    int code = mp_condition_wait(scene->condition, timeout);
    MPT_CHECK(code == 0 || code == MP_EOWNERDEAD || code == MP_ETIMEDOUT);
    _Atomic unsigned *counter = code == 0               ? &scene->woken
                                : code == MP_EOWNERDEAD ? &scene->told_dead
                                                        : &scene->out;
    ++*counter;
    leave(scene);
}

static void wait_long(void *arg) {
    wait_for(arg, 20);
}

static void wait_second(void *arg) {
    wait_for(arg, 1.5);
}

/* When they are back, that many more wait. */
static void fork_waiters(struct scene *scene, void (*body)(void *arg), pid_t *pids,
                         unsigned count) {
    unsigned before = count_waiting(scene);
    mpt_fork_all(pids, count, body, scene);
    MPT_UNTIL(count_waiting(scene) == before + count);
}

static void *wait_in_thread(void *arg) {
    wait_for(arg, 20);
    return NULL;
}

static void test_without_the_lock_nothing_goes(void **state) {
    (void)state;
    for (int has_lock = 0; has_lock < 2; has_lock++) {
        struct scene *scene = open_scene(has_lock);
        MPT_CODE(mp_condition_wait(scene->condition, 0), MP_EOWNER);
        MPT_CODE(mp_condition_wait_for(scene->condition, NULL, NULL, 0), MP_EOWNER);
        MPT_CODE(mp_condition_notify(scene->condition, 1), MP_EOWNER);
        MPT_CODE(mp_condition_notify_all(scene->condition), MP_EOWNER);
        MPT_CODE(mp_condition_release(scene->condition), has_lock ? MP_EINVAL : MP_EOWNER);
        close_scene(scene);
    }
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    mp_condition *freed;
    long stranger = 0;
    MPT_CODE(mp_condition_new(NULL, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_condition_new(&freed, NULL, (mp_lock *)&stranger), MP_EINVAL);
    MPT_CODE(mp_condition_acquire(NULL, 0), MP_EINVAL);
    MPT_CODE(mp_condition_release(NULL), MP_EINVAL);
    MPT_CODE(mp_condition_wait(NULL, 0), MP_EINVAL);
    MPT_CODE(mp_condition_notify(NULL, 1), MP_EINVAL);
    MPT_CODE(mp_condition_notify_all(NULL), MP_EINVAL);
    MPT_CODE(mp_condition_acquire(scene->condition, NAN), MP_EINVAL);
    enter(scene);
    MPT_CODE(mp_condition_wait(scene->condition, NAN), MP_EINVAL);
    MPT_CODE(mp_condition_wait_for(scene->condition, NULL, NULL, 0), MP_EINVAL);
    leave(scene);
    mp_condition_free(NULL);
    MPT_OK(mp_condition_new(&freed, NULL, NULL));
    mp_condition_free(freed);
    MPT_CODE(mp_condition_acquire(freed, 0), MP_EINVAL);
    close_scene(scene);
}

static void test_a_condition_whose_lock_was_freed_is_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene(true);
    mp_lock_free(scene->lock);
    MPT_CODE(mp_condition_acquire(scene->condition, 0), MP_EINVAL);
    mp_condition_free(scene->condition);
    mp_shared_free(scene);
}

static void test_wait_times_out_with_the_lock_held(void **state) {
    (void)state;
    struct scene *scene = open_scene(true);
    enter(scene);
    MPT_CODE(mp_condition_wait(scene->condition, 0.02), MP_ETIMEDOUT);
    assert_true(mp_lock_locked(scene->lock));
    MPT_CODE(mp_condition_wait(scene->condition, MP_NOWAIT), MP_ETIMEDOUT);
    leave(scene);
    close_scene(scene);
}

static void test_notify_without_waiters_has_no_effect(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    enter(scene);
    MPT_OK(mp_condition_notify(scene->condition, 3));
    MPT_OK(mp_condition_notify_all(scene->condition));
    MPT_CODE(mp_condition_wait(scene->condition, 0.02), MP_ETIMEDOUT);
    leave(scene);
    close_scene(scene);
}

static void test_notify_wakes_that_many(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    pid_t pids[4];
    fork_waiters(scene, wait_long, pids, 4);
    enter(scene);
    MPT_OK(mp_condition_notify(scene->condition, 0));
    MPT_OK(mp_condition_notify(scene->condition, 3));
    leave(scene);
    MPT_UNTIL(scene->woken == 3);
    enter(scene);
    assert_int_equal(scene->woken, 3);
    MPT_OK(mp_condition_notify_all(scene->condition));
    leave(scene);
    MPT_JOIN_ALL(pids, 4);
    assert_int_equal(scene->woken, 4);
    close_scene(scene);
}

static void test_notify_all_wakes_processes_and_threads(void **state) {
    (void)state;
    struct scene *scene = open_scene(true);
    pid_t pids[2];
    pthread_t threads[2];
    fork_waiters(scene, wait_long, pids, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_in_thread, scene), 0);
    MPT_UNTIL(count_waiting(scene) == 4);
    notify_all(scene);
    MPT_JOIN_ALL(pids, 2);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(scene->woken, 4);
    close_scene(scene);
}

static void wait_deep(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 3; i++)
        enter(scene);
    scene->waiting++;
    MPT_OK(mp_condition_wait(scene->condition, 20));
    for (int i = 0; i < 3; i++)
        leave(scene);
    MPT_CODE(mp_condition_release(scene->condition), MP_EOWNER);
}

static void test_wait_gives_back_and_restores_the_depth(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    pid_t pid;
    fork_waiters(scene, wait_deep, &pid, 1);
    notify_one(scene);
    assert_int_equal(mpt_join(pid), 0);
    close_scene(scene);
}

static bool is_four(void *arg) {
    return ((struct scene *)arg)->value == 4;
}

static void *wait_for_four(void *arg) {
    struct scene *scene = arg;
    enter(scene);
    scene->waiting++;
    MPT_OK(mp_condition_wait_for(scene->condition, is_four, scene, 20));
    MPT_CHECK(scene->value == 4);
    leave(scene);
    return NULL;
}

static void wait_for_four_in_process(void *arg) {
    wait_for_four(arg);
}

static void count_to_four(struct scene *scene) {
    for (int i = 0; i < 4; i++) {
        enter(scene);
        scene->value++;
        MPT_OK(mp_condition_notify(scene->condition, 1));
        leave(scene);
    }
}

static void test_wait_for_waits_for_the_predicate(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    pid_t pid;
    fork_waiters(scene, wait_for_four_in_process, &pid, 1);
    count_to_four(scene);
    assert_int_equal(mpt_join(pid), 0);
    enter(scene);
    MPT_OK(mp_condition_wait_for(scene->condition, is_four, scene, MP_NOWAIT));
    scene->value = 5;
    MPT_CODE(mp_condition_wait_for(scene->condition, is_four, scene, 0.02), MP_ETIMEDOUT);
    leave(scene);
    close_scene(scene);
}

static void test_wait_for_works_between_threads(void **state) {
    (void)state;
    struct scene *scene = open_scene(true);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wait_for_four, scene), 0);
    MPT_UNTIL(count_waiting(scene) == 1);
    count_to_four(scene);
    pthread_join(thread, NULL);
    close_scene(scene);
}

static void test_killed_waiters_do_not_block_notify_all(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    pid_t pids[4];
    fork_waiters(scene, wait_long, pids, 4);
    for (int i = 0; i < 2; i++) {
        mpt_kill(pids[i]);
    }
    notify_all(scene);
    MPT_JOIN_ALL(pids + 2, 2);
    assert_int_equal(scene->woken, 2);
    close_scene(scene);
}

static void test_a_killed_waiter_is_not_notified(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    pid_t mortal, heir;
    fork_waiters(scene, wait_long, &mortal, 1);
    fork_waiters(scene, wait_long, &heir, 1);
    mpt_kill(mortal);
    notify_one(scene);
    assert_int_equal(mpt_join(heir), 0);
    close_scene(scene);
}

static void die_awake(void *arg) {
    mpt_die_at("condition.wait.awake", 1);
    wait_for(arg, 20);
}

static void die_locked(void *arg) {
    mpt_die_at("condition.wait.locked", 1);
    wait_for(arg, 20);
}

/* The first in the queue dies notified; the second gets it, or hears of the death, although nobody
 * but itself looks after the dead. */
static void pass_on(void (*mortal_body)(void *arg), unsigned told_dead) {
    struct scene *scene = open_scene(false);
    pid_t mortal, heir;
    fork_waiters(scene, mortal_body, &mortal, 1);
    fork_waiters(scene, wait_long, &heir, 1);
    notify_one(scene);
    assert_int_equal(mpt_join(mortal), -SIGKILL);
    mp__time before = mp__now();
    assert_int_equal(mpt_join(heir), 0);
    assert_true(mp__now() - before < (mp__time)(LIMIT * MP__SECOND));
    assert_int_equal(scene->told_dead, told_dead);
    assert_int_equal(scene->woken, 1 - told_dead);
    close_scene(scene);
}

static void test_a_notify_passes_on_from_who_dies_before_the_lock(void **state) {
    (void)state;
    pass_on(die_awake, 0);
}

static void test_who_dies_with_lock_and_notify_leaves_both(void **state) {
    (void)state;
    pass_on(die_locked, 1);
}

static void die_notifying(void *arg) {
    struct scene *scene = arg;
    mpt_die_at("waiter.notify.told", 1);
    enter(scene);
    mp_condition_notify_all(scene->condition);
}

static void test_waiters_learn_of_a_notifier_that_died(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    pid_t pids[2];
    fork_waiters(scene, wait_second, pids, 2);
    assert_int_equal(mpt_join(mpt_fork(die_notifying, scene)), -SIGKILL);
    MPT_JOIN_ALL(pids, 2);
    assert_int_equal(scene->told_dead, 1);
    close_scene(scene);
}

static void die_holding(void *arg) {
    enter(arg);
    kill(getpid(), SIGKILL);
}

static void test_a_waiter_learns_of_an_owner_that_died(void **state) {
    (void)state;
    struct scene *scene = open_scene(true);
    pid_t waiter;
    fork_waiters(scene, wait_long, &waiter, 1);
    assert_int_equal(mpt_join(mpt_fork(die_holding, scene)), -SIGKILL);
    assert_int_equal(mpt_join(waiter), 0);
    assert_int_equal(scene->told_dead, 1);
    close_scene(scene);
}

static void die_enlisted(void *arg) {
    mpt_die_at("condition.wait.unlocked", 1);
    wait_for(arg, 20);
}

static void die_enlisting(void *arg) {
    mpt_die_at("waiter.enlist.state", 1);
    wait_for(arg, 20);
}

static void test_death_while_beginning_to_wait(void **state) {
    (void)state;
    struct scene *scene = open_scene(false);
    assert_int_equal(mpt_join(mpt_fork(die_enlisted, scene)), -SIGKILL);
    notify_all(scene);
    assert_int_equal(mpt_join(mpt_fork(die_enlisting, scene)), -SIGKILL);
    MPT_CODE(mp_condition_acquire(scene->condition, LIMIT), MP_EOWNERDEAD);
    leave(scene);
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_without_the_lock_nothing_goes),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_a_condition_whose_lock_was_freed_is_refused),
         MPT_CASE(test_wait_times_out_with_the_lock_held),
         MPT_CASE(test_notify_without_waiters_has_no_effect),
         MPT_CASE(test_notify_wakes_that_many),
         MPT_CASE(test_notify_all_wakes_processes_and_threads),
         MPT_CASE(test_wait_gives_back_and_restores_the_depth),
         MPT_CASE(test_wait_for_waits_for_the_predicate),
         MPT_CASE(test_wait_for_works_between_threads),
         MPT_CASE(test_killed_waiters_do_not_block_notify_all),
         MPT_CASE(test_a_killed_waiter_is_not_notified),
         MPT_CASE(test_a_notify_passes_on_from_who_dies_before_the_lock),
         MPT_CASE(test_who_dies_with_lock_and_notify_leaves_both),
         MPT_CASE(test_waiters_learn_of_a_notifier_that_died),
         MPT_CASE(test_a_waiter_learns_of_an_owner_that_died),
         MPT_CASE(test_death_while_beginning_to_wait))

/* Every object of mp/sync.h between processes, under each start method: the pointer is the object.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "process.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/semaphore.h"

#define CHILDREN 3
#define TURNS 200
#define LIMIT 20.0 /* seconds until a test is lost */

struct scene {
    mp_lock *lock; /* the object of the case, as the next four */
    mp_semaphore *semaphore;
    mp_condition *condition;
    mp_event *event;
    mp_barrier *barrier;
    long pair[2];                           /* guarded: equal outside */
    _Atomic unsigned ready, inside, most;   /* who is there */
    _Atomic unsigned served, acted, broken; /* counters of the cases */
    bool is_open;                           /* the condition's fact; guarded */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    return scene;
}

static mp_process *start(mp_target_fn target, struct scene *scene) {
    return mpt_start(target, &scene, sizeof scene);
}

/* CHILDREN of them at once, all of which return 0. */
static void run(mp_target_fn target, struct scene *scene) {
    mp_process *processes[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        processes[i] = start(target, scene);
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(mpt_end(processes[i]), 0);
}

static struct scene *told(void *arg) {
    return *(struct scene **)arg;
}

static int add_under_lock(void *arg, size_t size) {
    struct scene *scene = told(arg);
    for (int i = 0; i < TURNS; i++) {
        MPT_OK(mp_lock_acquire(scene->lock, LIMIT));
        MPT_CHECK(scene->pair[0]++ == scene->pair[1]++);
        MPT_OK(mp_lock_release(scene->lock));
    }
    return size != sizeof scene;
}

static void count_with(mp_lock *lock) {
    struct scene *scene = open_scene();
    scene->lock = lock;
    run(add_under_lock, scene);
    assert_int_equal(scene->pair[0], CHILDREN * TURNS);
    MPT_OK(mp__lock_check(lock));
    mp_lock_free(lock);
    mp_shared_free(scene);
}

static void test_lock_counts_in_children(void **state) {
    (void)state;
    mp_lock *lock;
    MPT_OK(mp_lock_new(&lock, mpt_context()));
    count_with(lock);
}

static void test_rlock_counts_in_children(void **state) {
    (void)state;
    mp_lock *lock;
    MPT_OK(mp_rlock_new(&lock, mpt_context()));
    count_with(lock);
}

static int die_with_lock(void *arg, size_t size) {
    (void)size;
    MPT_OK(mp_lock_acquire(told(arg)->lock, LIMIT));
    return raise(SIGKILL);
}

static void test_child_that_dies_with_a_lock_is_told_of(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_new(&scene->lock, mpt_context()));
    mp_process *child = start(die_with_lock, scene);
    MPT_UNTIL(mp_lock_locked(scene->lock));
    MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    assert_int_equal(mpt_end(child), -SIGKILL);
    mp_lock_free(scene->lock);
    mp_shared_free(scene);
}

static int want_both(struct scene *scene, mp_lock *first, mp_lock *second) {
    MPT_OK(mp_lock_acquire(first, LIMIT));
    atomic_fetch_add(&scene->ready, 1);
    MPT_UNTIL(atomic_load(&scene->ready) == 2);
    int code = mp_lock_acquire(second, MP_FOREVER);
    MPT_CHECK(code == 0 || code == MP_EDEADLK);
    if (code == 0)
        MPT_OK(mp_lock_release(second));
    else
        MPT_CHECK(strstr(mp_error_detail(), "Process-") &&
                  strstr(mp_error_detail(), "MainProcess"));
    MPT_OK(mp_lock_release(first));
    return code == 0 ? 0 : 1;
}

static int want_lock_of_condition(void *arg, size_t size) {
    (void)size;
    struct scene *scene = told(arg);
    return want_both(scene, scene->condition->lock, scene->lock);
}

static void test_deadlock_with_a_child_is_told_once(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_lock_options options = {.detect_deadlock = true, .name = "other"};
    mp_lock *other;
    MPT_OK(mp_lock_new_with(&scene->lock, mpt_context(), &options));
    MPT_OK(mp_lock_new_with(&other, mpt_context(), &options));
    MPT_OK(mp_condition_new(&scene->condition, mpt_context(), other));
    assert_non_null(mp_current_process());
    mp_process *child = start(want_lock_of_condition, scene);
    int told_us = want_both(scene, scene->lock, other);
    assert_int_equal(told_us + mpt_end(child), 1);
    mp_condition_free(scene->condition);
    mp_lock_free(scene->lock);
    mp_lock_free(other);
    mp_shared_free(scene);
}

static int crowd_semaphore(void *arg, size_t size) {
    (void)size;
    struct scene *scene = told(arg);
    for (int i = 0; i < TURNS; i++) {
        MPT_OK(mp_semaphore_acquire(scene->semaphore, LIMIT));
        unsigned inside = atomic_fetch_add(&scene->inside, 1) + 1;
        MPT_CHECK(inside <= 2);
        atomic_fetch_sub(&scene->inside, 1);
        MPT_OK(mp_semaphore_release(scene->semaphore, 1));
    }
    return 0;
}

static void test_semaphore_lets_two_children_in(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_semaphore_new(&scene->semaphore, mpt_context(), 2));
    run(crowd_semaphore, scene);
    assert_int_equal(mp_semaphore_value(scene->semaphore), 2);
    MPT_OK(mp__semaphore_check(scene->semaphore));
    mp_semaphore_free(scene->semaphore);
    mp_shared_free(scene);
}

static int release_bounded(void *arg, size_t size) {
    (void)size;
    MPT_CODE(mp_semaphore_release(told(arg)->semaphore, 1), MP_EINVAL);
    return 0;
}

static void test_bounded_semaphore_is_bounded_in_children(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_bounded_semaphore_new(&scene->semaphore, mpt_context(), 1));
    run(release_bounded, scene);
    mp_semaphore_free(scene->semaphore);
    mp_shared_free(scene);
}

static bool is_open(void *arg) {
    return ((struct scene *)arg)->is_open;
}

static int wait_for_opening(void *arg, size_t size) {
    (void)size;
    struct scene *scene = told(arg);
    MPT_OK(mp_condition_acquire(scene->condition, LIMIT));
    scene->ready++;
    MPT_OK(mp_condition_wait_for(scene->condition, is_open, scene, LIMIT));
    scene->served++;
    MPT_OK(mp_condition_release(scene->condition));
    return 0;
}

static void test_condition_wakes_children(void **state) {
    (void)state;
    mp_process *processes[CHILDREN];
    struct scene *scene = open_scene();
    MPT_OK(mp_condition_new(&scene->condition, mpt_context(), NULL));
    for (int i = 0; i < CHILDREN; i++)
        processes[i] = start(wait_for_opening, scene);
    MPT_UNTIL(scene->ready == CHILDREN);
    MPT_OK(mp_condition_acquire(scene->condition, LIMIT));
    scene->is_open = true;
    MPT_OK(mp_condition_notify(scene->condition, CHILDREN));
    MPT_OK(mp_condition_release(scene->condition));
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(mpt_end(processes[i]), 0);
    assert_int_equal(scene->served, CHILDREN);
    MPT_OK(mp__condition_check(scene->condition));
    mp_condition_free(scene->condition);
    mp_shared_free(scene);
}

static int wait_for_event(void *arg, size_t size) {
    (void)size;
    struct scene *scene = told(arg);
    atomic_fetch_add(&scene->ready, 1);
    MPT_OK(mp_event_wait(scene->event, LIMIT));
    return !mp_event_is_set(scene->event);
}

static void test_event_wakes_children(void **state) {
    (void)state;
    mp_process *processes[CHILDREN];
    struct scene *scene = open_scene();
    MPT_OK(mp_event_new(&scene->event, mpt_context()));
    for (int i = 0; i < CHILDREN; i++)
        processes[i] = start(wait_for_event, scene);
    MPT_UNTIL(atomic_load(&scene->ready) == CHILDREN);
    MPT_OK(mp_event_set(scene->event));
    for (int i = 0; i < CHILDREN; i++)
        assert_int_equal(mpt_end(processes[i]), 0);
    MPT_OK(mp__event_check(scene->event));
    mp_event_free(scene->event);
    mp_shared_free(scene);
}

static int act(void *arg, size_t size) {
    atomic_fetch_add(&told(arg)->acted, 1);
    return size != sizeof(struct scene *);
}

/* An action is a function of the parent's: found in whichever child comes last. */
static int meet(void *arg, size_t size) {
    (void)size;
    struct scene *scene = told(arg);
    for (unsigned i = 1; i <= 20; i++) {
        int number = mp_barrier_wait(scene->barrier, LIMIT);
        MPT_CHECK(number >= 0 && number < CHILDREN);
        MPT_CHECK(atomic_load(&scene->acted) >= i);
        atomic_fetch_add(&scene->served, (unsigned)number);
    }
    return 0;
}

static void test_barrier_runs_its_action_in_a_child(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_barrier_options options = {
        .action = act, .arg = &scene, .arg_size = sizeof scene, .break_on_death = true};
    MPT_OK(mp_barrier_new(&scene->barrier, mpt_context(), CHILDREN, &options));
    run(meet, scene);
    assert_int_equal(scene->acted, 20);
    assert_int_equal(scene->served, 20 * (0 + 1 + 2));
    MPT_OK(mp__barrier_check(scene->barrier));
    mp_barrier_free(scene->barrier);
    mp_shared_free(scene);
}

static int fail_action(void *arg, size_t size) {
    (void)arg;
    (void)size;
    return 7;
}

static int meet_broken(void *arg, size_t size) {
    (void)size;
    MPT_CODE(mp_barrier_wait(told(arg)->barrier, LIMIT), MP_EBROKEN);
    return 0;
}

static void test_action_that_fails_in_a_child_breaks_the_barrier(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_barrier_options options = {.action = fail_action};
    MPT_OK(mp_barrier_new(&scene->barrier, mpt_context(), CHILDREN, &options));
    run(meet_broken, scene);
    assert_true(mp_barrier_broken(scene->barrier));
    mp_barrier_free(scene->barrier);
    mp_shared_free(scene);
}

static int die_in_barrier(void *arg, size_t size) {
    (void)size;
    return mp_barrier_wait(told(arg)->barrier, LIMIT);
}

static void test_killed_child_breaks_a_barrier_that_asks_for_it(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_barrier_options options = {.break_on_death = true};
    MPT_OK(mp_barrier_new(&scene->barrier, mpt_context(), CHILDREN, &options));
    mp_process *victim = start(die_in_barrier, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 1);
    mp_process *other = start(meet_broken, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 2);
    MPT_OK(mp_process_kill(victim));
    assert_int_equal(mpt_end(other), 0);
    assert_int_equal(mpt_end(victim), -SIGKILL);
    mp_barrier_free(scene->barrier);
    mp_shared_free(scene);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_lock_counts_in_children),
                 MPT_EACH_METHOD(test_rlock_counts_in_children),
                 MPT_EACH_METHOD(test_child_that_dies_with_a_lock_is_told_of),
                 MPT_EACH_METHOD(test_deadlock_with_a_child_is_told_once),
                 MPT_EACH_METHOD(test_semaphore_lets_two_children_in),
                 MPT_EACH_METHOD(test_bounded_semaphore_is_bounded_in_children),
                 MPT_EACH_METHOD(test_condition_wakes_children),
                 MPT_EACH_METHOD(test_event_wakes_children),
                 MPT_EACH_METHOD(test_barrier_runs_its_action_in_a_child),
                 MPT_EACH_METHOD(test_action_that_fails_in_a_child_breaks_the_barrier),
                 MPT_EACH_METHOD(test_killed_child_breaks_a_barrier_that_asks_for_it))

/* Semaphore: units, waiters, and waiters that die.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "sync/semaphore.h"

struct scene {
    mp_semaphore *semaphore;       /* what it is about */
    _Atomic unsigned ready, taken; /* waiters that have begun, units they got */
};

static struct scene *open_scene(unsigned value) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_semaphore_new(&scene->semaphore, NULL, value));
    return scene;
}

static void close_scene(struct scene *scene) {
    MPT_OK(mp__semaphore_check(scene->semaphore));
    mp_semaphore_free(scene->semaphore);
    mp_shared_free(scene);
}

static void test_units_are_counted(void **state) {
    (void)state;
    struct scene *scene = open_scene(2);
    assert_int_equal(mp_semaphore_value(scene->semaphore), 2);
    MPT_OK(mp_semaphore_acquire(scene->semaphore, MP_FOREVER));
    MPT_OK(mp_semaphore_acquire(scene->semaphore, MP_NOWAIT));
    MPT_CODE(mp_semaphore_acquire(scene->semaphore, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_semaphore_acquire(scene->semaphore, 0.02), MP_ETIMEDOUT);
    MPT_CODE(mp_semaphore_acquire(scene->semaphore, -3), MP_ETIMEDOUT);
    MPT_OK(mp_semaphore_release(scene->semaphore, 5));
    assert_int_equal(mp_semaphore_value(scene->semaphore), 5);
    MPT_OK(mp_semaphore_acquire(scene->semaphore, -3));
    close_scene(scene);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene(MP_SEMAPHORE_MAX);
    mp_semaphore *other;
    MPT_CODE(mp_semaphore_new(NULL, NULL, 1), MP_EINVAL);
    MPT_CODE(mp_bounded_semaphore_new(NULL, NULL, 1), MP_EINVAL);
    MPT_CODE(mp_semaphore_new(&other, NULL, MP_SEMAPHORE_MAX + 1), MP_EINVAL);
    MPT_CODE(mp_bounded_semaphore_new(&other, NULL, MP_SEMAPHORE_MAX + 1), MP_EINVAL);
    MPT_CODE(mp_semaphore_release(scene->semaphore, 0), MP_EINVAL);
    MPT_CODE(mp_semaphore_release(scene->semaphore, 1), MP_EINVAL);
    MPT_CODE(mp_semaphore_release(scene->semaphore, UINT32_MAX), MP_EINVAL);
    MPT_CODE(mp_semaphore_acquire(scene->semaphore, NAN), MP_EINVAL);
    MPT_CODE(mp_semaphore_acquire(NULL, 0), MP_EINVAL);
    MPT_CODE(mp_semaphore_release(NULL, 1), MP_EINVAL);
    MPT_CODE(mp_semaphore_value(NULL), MP_EINVAL);
    mp_semaphore_free(NULL);
    assert_int_equal(mp_semaphore_value(scene->semaphore), MP_SEMAPHORE_MAX);
    close_scene(scene);
}

static void test_a_freed_one_is_refused(void **state) {
    (void)state;
    mp_semaphore *semaphore;
    MPT_OK(mp_semaphore_new(&semaphore, NULL, 1));
    mp_semaphore_free(semaphore);
    MPT_CODE(mp_semaphore_acquire(semaphore, 0), MP_EINVAL);
    mp_semaphore_free(semaphore);
}

static void test_a_bounded_one_keeps_its_bound(void **state) {
    (void)state;
    mp_semaphore *semaphore;
    MPT_OK(mp_bounded_semaphore_new(&semaphore, NULL, 2));
    MPT_CODE(mp_semaphore_release(semaphore, 1), MP_EINVAL);
    MPT_OK(mp_semaphore_acquire(semaphore, 0));
    MPT_CODE(mp_semaphore_release(semaphore, 2), MP_EINVAL);
    MPT_OK(mp_semaphore_release(semaphore, 1));
    assert_int_equal(mp_semaphore_value(semaphore), 2);
    mp_semaphore_free(semaphore);
}

static void take_one(void *arg) {
    struct scene *scene = arg;
    scene->ready++;
    MPT_OK(mp_semaphore_acquire(scene->semaphore, 20));
    scene->taken++;
}

static void test_one_release_serves_many_waiters(void **state) {
    (void)state;
    struct scene *scene = open_scene(0);
    pid_t pids[4];
    mpt_fork_all(pids, 4, take_one, scene);
    MPT_UNTIL(scene->ready == 4);
    MPT_OK(mp_semaphore_release(scene->semaphore, 4));
    MPT_JOIN_ALL(pids, 4);
    assert_int_equal(mp_semaphore_value(scene->semaphore), 0);
    close_scene(scene);
}

static void test_many_releases_serve_many_waiters(void **state) {
    (void)state;
    struct scene *scene = open_scene(0);
    pid_t pids[4];
    mpt_fork_all(pids, 4, take_one, scene);
    MPT_UNTIL(scene->ready == 4);
    for (int i = 0; i < 4; i++)
        MPT_OK(mp_semaphore_release(scene->semaphore, 1));
    MPT_JOIN_ALL(pids, 4);
    close_scene(scene);
}

static void pass_units(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 5000; i++) {
        MPT_OK(mp_semaphore_acquire(scene->semaphore, 20));
        unsigned inside = ++scene->taken;
        MPT_CHECK(inside <= 2);
        scene->taken--;
        MPT_OK(mp_semaphore_release(scene->semaphore, 1));
    }
}

static void test_no_more_than_the_units_are_inside(void **state) {
    (void)state;
    struct scene *scene = open_scene(2);
    pid_t pids[4];
    mpt_fork_all(pids, 4, pass_units, scene);
    MPT_JOIN_ALL(pids, 4);
    assert_int_equal(mp_semaphore_value(scene->semaphore), 2);
    close_scene(scene);
}

static void test_threads_share_it_too(void **state) {
    (void)state;
    struct scene *scene = open_scene(2);
    mpt_run_threads(4, pass_units, scene);
    assert_int_equal(mp_semaphore_value(scene->semaphore), 2);
    close_scene(scene);
}

static void die_waiting(void *arg) {
    mpt_die_at("semaphore.acquire.awake", 1);
    take_one(arg);
}

static void test_a_waiter_that_dies_eats_neither_unit_nor_wake(void **state) {
    (void)state;
    struct scene *scene = open_scene(0);
    pid_t mortal = mpt_fork(die_waiting, scene);
    MPT_UNTIL(scene->ready == 1);
    pid_t heir = mpt_fork(take_one, scene);
    MPT_UNTIL(scene->ready == 2);
    MPT_OK(mp_semaphore_release(scene->semaphore, 1));
    if (mpt_join(mortal) == 0) /* it came late, and got the unit without a sleep */
        MPT_OK(mp_semaphore_release(scene->semaphore, 1));
    assert_int_equal(mpt_join(heir), 0);
    assert_int_equal(mp_semaphore_value(scene->semaphore), 0);
    close_scene(scene);
}

static void die_releasing(void *arg) {
    struct scene *scene = arg;
    mpt_die_at("semaphore.release.added", 1);
    MPT_OK(mp_semaphore_release(scene->semaphore, 1));
}

static void test_a_releaser_that_dies_before_its_wake_has_released(void **state) {
    (void)state;
    struct scene *scene = open_scene(0);
    pid_t waiter = mpt_fork(take_one, scene);
    MPT_UNTIL(scene->ready == 1);
    assert_int_equal(mpt_join(mpt_fork(die_releasing, scene)), -SIGKILL);
    assert_int_equal(mpt_join(waiter), 0);
    close_scene(scene);
}

static void die_having_it(void *arg) {
    take_one(arg);
    kill(getpid(), SIGKILL);
}

static void test_a_unit_dies_with_who_took_it(void **state) {
    (void)state;
    struct scene *scene = open_scene(2);
    assert_int_equal(mpt_join(mpt_fork(die_having_it, scene)), -SIGKILL);
    assert_int_equal(mp_semaphore_value(scene->semaphore), 1);
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_units_are_counted),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_a_freed_one_is_refused),
         MPT_CASE(test_a_bounded_one_keeps_its_bound),
         MPT_CASE(test_one_release_serves_many_waiters),
         MPT_CASE(test_many_releases_serve_many_waiters),
         MPT_CASE(test_no_more_than_the_units_are_inside),
         MPT_CASE(test_threads_share_it_too),
         MPT_CASE(test_a_waiter_that_dies_eats_neither_unit_nor_wake),
         MPT_CASE(test_a_releaser_that_dies_before_its_wake_has_released),
         MPT_CASE(test_a_unit_dies_with_who_took_it))

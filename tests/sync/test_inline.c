/* Semaphores and events without a call: as the functions, also for those who wait in them.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>

#include "mp/inline.h"
#include "mp/shared.h"
#include "sync/event.h"
#include "sync/semaphore.h"

struct scene {
    mp_event *event, *answer;      /* what it is about, and the other way */
    mp_semaphore *units, *bounded; /* of 0, of 2 units */
    _Atomic unsigned ready, got;   /* steps of the play */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_event_new(&scene->event, NULL));
    MPT_OK(mp_event_new(&scene->answer, NULL));
    MPT_OK(mp_semaphore_new(&scene->units, NULL, 0));
    MPT_OK(mp_bounded_semaphore_new(&scene->bounded, NULL, 2));
    return scene;
}

static void close_scene(struct scene *scene) {
    MPT_OK(mp__event_check(scene->event));
    MPT_OK(mp__semaphore_check(scene->units));
    mp_event_free(scene->event);
    mp_event_free(scene->answer);
    mp_semaphore_free(scene->units);
    mp_semaphore_free(scene->bounded);
    mp_shared_free(scene);
}

static void test_an_event_is_set_and_cleared(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    assert_false(mp_event_is_set(scene->event));
    MPT_CODE(mp_event_wait(scene->event, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_event_set(scene->event));
    MPT_OK((mp_event_set)(scene->event));
    assert_true((mp_event_is_set)(scene->event));
    MPT_OK(mp_event_wait(scene->event, MP_FOREVER));
    MPT_OK(mp_event_clear(scene->event));
    assert_false((mp_event_is_set)(scene->event));
    mp_inline_set_end(scene->event); /* nobody waits */
    assert_false(mp_event_is_set(scene->event));
    close_scene(scene);
}

static void test_units_are_taken_and_given_back(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_CODE(mp_semaphore_acquire(scene->units, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_semaphore_release(scene->units, 1));
    MPT_OK(mp_semaphore_release(scene->units, 2));
    for (int i = 0; i < 3; i++)
        MPT_OK(mp_semaphore_acquire(scene->units, MP_NOWAIT));
    MPT_CODE(mp_semaphore_acquire(scene->units, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_inline_release_end(scene->units, 0)); /* nobody sleeps */
    MPT_CODE(mp_semaphore_release(scene->bounded, 1), MP_EINVAL);
    MPT_OK(mp_semaphore_acquire(scene->bounded, MP_NOWAIT));
    MPT_OK(mp_semaphore_release(scene->bounded, 1));
    close_scene(scene);
}

static void test_one_too_many_is_taken_back(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_semaphore_release(scene->units, MP_SEMAPHORE_MAX));
    MPT_CODE(mp_semaphore_release(scene->units, 1), MP_EINVAL);
    MPT_CODE((mp_semaphore_release)(scene->units, 1), MP_EINVAL);
    assert_int_equal(mp_semaphore_value(scene->units), MP_SEMAPHORE_MAX);
    close_scene(scene);
}

static void test_what_is_none_is_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_CODE(mp_event_set((mp_event *)scene->units), MP_EINVAL);
    MPT_CODE(mp_event_clear(NULL), MP_EINVAL);
    MPT_CODE(mp_event_wait(NULL, 0), MP_EINVAL);
    MPT_CODE(mp_event_wait(scene->event, NAN), MP_EINVAL);
    assert_false(mp_event_is_set(NULL));
    MPT_CODE(mp_semaphore_acquire((mp_semaphore *)scene->event, 0), MP_EINVAL);
    MPT_CODE(mp_semaphore_acquire(scene->units, NAN), MP_EINVAL);
    MPT_CODE(mp_semaphore_release(NULL, 1), MP_EINVAL);
    MPT_CODE(mp_semaphore_release(scene->units, 0), MP_EINVAL);
    close_scene(scene);
}

static void wait_for_both(void *arg) {
    struct scene *scene = arg;
    scene->ready++;
    MPT_OK(mp_event_wait(scene->event, 20));
    MPT_OK(mp_semaphore_acquire(scene->units, 20));
    scene->got++;
}

static void test_sleepers_are_woken(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pids[3];
    mpt_fork_all(pids, 3, wait_for_both, scene);
    for (unsigned i = 0; i < 3; i++)
        MPT_UNTIL(scene->ready == 3 && mpt_is_asleep(pids[i]));
    MPT_OK(mp_event_set(scene->event));
    for (unsigned i = 0; i < 3; i++) {
        MPT_UNTIL(mpt_is_asleep(pids[0]) && mpt_is_asleep(pids[1]) && mpt_is_asleep(pids[2]));
        MPT_OK(mp_semaphore_release(scene->units, 1));
        MPT_UNTIL(scene->got == i + 1);
    }
    MPT_JOIN_ALL(pids, 3);
    close_scene(scene);
}

static void answer_many(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 500; i++) {
        MPT_OK(mp_event_wait(scene->event, 20));
        MPT_OK(mp_event_clear(scene->event));
        MPT_OK(mp_event_set(scene->answer));
        MPT_OK(mp_semaphore_release(scene->units, 1));
    }
}

static void test_two_processes_take_turns(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pid = mpt_fork(answer_many, scene);
    for (int i = 0; i < 500; i++) {
        MPT_OK(mp_event_set(scene->event));
        MPT_OK(mp_event_wait(scene->answer, 20));
        MPT_OK(mp_event_clear(scene->answer));
        MPT_OK(mp_semaphore_acquire(scene->units, 20));
    }
    assert_int_equal(mpt_join(pid), 0);
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_an_event_is_set_and_cleared), MPT_CASE(test_units_are_taken_and_given_back),
         MPT_CASE(test_one_too_many_is_taken_back), MPT_CASE(test_what_is_none_is_refused),
         MPT_CASE(test_sleepers_are_woken), MPT_CASE(test_two_processes_take_turns))

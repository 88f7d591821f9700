/* Event: set, clear, wait.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"

struct scene {
    mp_event *event;               /* what it is about */
    mp_event *answer;              /* the other way */
    _Atomic unsigned ready, woken; /* waiters that have begun, that are through */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_event_new(&scene->event, NULL));
    MPT_OK(mp_event_new(&scene->answer, NULL));
    return scene;
}

static void close_scene(struct scene *scene) {
    mp_event_free(scene->event);
    mp_event_free(scene->answer);
    mp_shared_free(scene);
}

static void test_set_and_clear_change_it(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    assert_false(mp_event_is_set(scene->event));
    MPT_CODE(mp_event_wait(scene->event, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_event_wait(scene->event, 0.02), MP_ETIMEDOUT);
    MPT_OK(mp_event_set(scene->event));
    MPT_OK(mp_event_set(scene->event));
    assert_true(mp_event_is_set(scene->event));
    MPT_OK(mp_event_wait(scene->event, MP_FOREVER));
    MPT_OK(mp_event_clear(scene->event));
    MPT_OK(mp_event_clear(scene->event));
    MPT_CODE(mp_event_wait(scene->event, -1), MP_ETIMEDOUT);
    close_scene(scene);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_CODE(mp_event_new(NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_event_set(NULL), MP_EINVAL);
    MPT_CODE(mp_event_clear(NULL), MP_EINVAL);
    MPT_CODE(mp_event_wait(NULL, 0), MP_EINVAL);
    MPT_CODE(mp_event_wait(scene->event, NAN), MP_EINVAL);
    assert_false(mp_event_is_set(NULL));
    mp_event_free(NULL);
    mp_event *freed = scene->event;
    MPT_OK(mp_event_new(&scene->event, NULL));
    mp_event_free(freed);
    MPT_CODE(mp_event_set(freed), MP_EINVAL);
    close_scene(scene);
}

static void wait_for_it(void *arg) {
    struct scene *scene = arg;
    scene->ready++;
    MPT_OK(mp_event_wait(scene->event, 20));
    scene->woken++;
}

static void test_set_wakes_everybody(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pids[4];
    mpt_fork_all(pids, 4, wait_for_it, scene);
    MPT_UNTIL(scene->ready == 4);
    MPT_OK(mp_event_set(scene->event));
    MPT_JOIN_ALL(pids, 4);
    close_scene(scene);
}

/* The waiter is stopped while it is set and cleared. */
static void stop_waiting(void *arg) {
    mpt_stop_at("event.wait.announced", 1);
    wait_for_it(arg);
}

static void test_a_waiter_sees_what_was_cleared_at_once(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pid = mpt_fork_stopped(stop_waiting, scene);
    MPT_OK(mp_event_set(scene->event));
    MPT_OK(mp_event_clear(scene->event));
    kill(pid, SIGCONT);
    assert_int_equal(mpt_join(pid), 0);
    close_scene(scene);
}

static void stop_setting(void *arg) {
    struct scene *scene = arg;
    mpt_stop_at("event.set.set", 1);
    MPT_OK(mp_event_set(scene->event));
}

static void test_one_set_serves_one_wait(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t setter = mpt_fork_stopped(stop_setting, scene);
    MPT_OK(mp_event_wait(scene->event, 20));
    MPT_OK(mp_event_clear(scene->event));
    MPT_CODE(mp_event_wait(scene->event, 0.001), MP_ETIMEDOUT);
    kill(setter, SIGCONT);
    assert_int_equal(mpt_join(setter), 0);
    MPT_CODE(mp_event_wait(scene->event, 0.02), MP_ETIMEDOUT);
    close_scene(scene);
}

/* The one who was to wake it is killed, another one has set and cleared it meanwhile. */
static void test_a_pulse_is_seen_although_a_setter_dies(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t waiter = mpt_fork(wait_for_it, scene);
    MPT_UNTIL(scene->ready == 1 && mpt_is_asleep(waiter));
    pid_t setter = mpt_fork_stopped(stop_setting, scene);
    MPT_OK(mp_event_set(scene->event));
    MPT_OK(mp_event_clear(scene->event));
    mpt_kill(setter);
    assert_int_equal(mpt_join(waiter), 0);
    close_scene(scene);
}

static void *answer_many(void *arg) {
    struct scene *scene = arg;
    for (int i = 0; i < 500; i++) {
        MPT_OK(mp_event_wait(scene->event, 20));
        MPT_OK(mp_event_clear(scene->event));
        MPT_OK(mp_event_set(scene->answer));
    }
    return NULL;
}

static void ask_many(struct scene *scene) {
    for (int i = 0; i < 500; i++) {
        MPT_OK(mp_event_set(scene->event));
        MPT_OK(mp_event_wait(scene->answer, 20));
        MPT_OK(mp_event_clear(scene->answer));
    }
}

static void answer_in_process(void *arg) {
    answer_many(arg);
}

static void test_two_processes_take_turns(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t pid = mpt_fork(answer_in_process, scene);
    ask_many(scene);
    assert_int_equal(mpt_join(pid), 0);
    close_scene(scene);
}

static void test_two_threads_take_turns(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, answer_many, scene), 0);
    ask_many(scene);
    pthread_join(thread, NULL);
    close_scene(scene);
}

static void die_setting(void *arg) {
    struct scene *scene = arg;
    mpt_die_at("event.set.set", 1);
    MPT_OK(mp_event_set(scene->event));
}

static void test_a_setter_that_dies_before_its_wake_has_set(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t waiter = mpt_fork(wait_for_it, scene);
    MPT_UNTIL(scene->ready == 1);
    assert_int_equal(mpt_join(mpt_fork(die_setting, scene)), -SIGKILL);
    assert_int_equal(mpt_join(waiter), 0);
    close_scene(scene);
}

static void test_a_killed_waiter_blocks_nobody(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t mortal = mpt_fork(wait_for_it, scene);
    pid_t other = mpt_fork(wait_for_it, scene);
    MPT_UNTIL(scene->ready == 2);
    mpt_kill(mortal);
    MPT_OK(mp_event_set(scene->event));
    assert_int_equal(mpt_join(other), 0);
    close_scene(scene);
}

static mp_event *event_to_set;

static void set_from_handler(int signal) {
    (void)signal;
    mp_event_set(event_to_set);
}

static void test_a_handler_may_set_it_while_its_thread_waits(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    event_to_set = scene->event;
    signal(SIGALRM, set_from_handler);
    ualarm(20000, 0);
    MPT_OK(mp_event_wait(scene->event, 20));
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_set_and_clear_change_it), MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_set_wakes_everybody), MPT_CASE(test_one_set_serves_one_wait),
         MPT_CASE(test_a_pulse_is_seen_although_a_setter_dies),
         MPT_CASE(test_a_waiter_sees_what_was_cleared_at_once),
         MPT_CASE(test_two_processes_take_turns), MPT_CASE(test_two_threads_take_turns),
         MPT_CASE(test_a_setter_that_dies_before_its_wake_has_set),
         MPT_CASE(test_a_killed_waiter_blocks_nobody),
         MPT_CASE(test_a_handler_may_set_it_while_its_thread_waits))

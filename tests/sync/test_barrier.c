/* Barrier: coming together, breaking, and parties that die.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "sync/barrier.h"

struct scene {
    mp_barrier *barrier;            /* what it is about */
    _Atomic unsigned met[3];        /* how many got this number */
    _Atomic unsigned broken, acted; /* waits that were broken, runs of the action */
    _Atomic unsigned rounds;        /* arrivals in the lockstep test */
    _Atomic pid_t victim;           /* who is killed */
};

#define LIMIT (2 * MP__SECOND) /* a death is known within one, and the machine may be busy */

static const mp_barrier_options breaks_on_death = {.break_on_death = true};

static struct scene *open_scene(unsigned parties, const mp_barrier_options *options) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_barrier_new(&scene->barrier, NULL, parties, options));
    return scene;
}

static void close_scene(struct scene *scene) {
    MPT_OK(mp__barrier_check(scene->barrier));
    mp_barrier_free(scene->barrier);
    mp_shared_free(scene);
}

static void come(struct scene *scene, double timeout) {
    int number = mp_barrier_wait(scene->barrier, timeout);
    MPT_CHECK(number == MP_EBROKEN || (number >= 0 && number < 3));
    ++*(number == MP_EBROKEN ? &scene->broken : &scene->met[number]);
}

static void come_once(void *arg) {
    come(arg, 20);
}

static void test_a_single_party_does_not_wait(void **state) {
    (void)state;
    struct scene *scene = open_scene(1, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mp_barrier_wait(scene->barrier, MP_NOWAIT), 0);
    assert_int_equal(mp_barrier_parties(scene->barrier), 1);
    close_scene(scene);
}

static int act(void *arg, size_t size) {
    struct scene *scene = *(struct scene **)arg;
    scene->acted += size == sizeof scene;
    return 0;
}

static int refuse(void *arg, size_t size) {
    (void)arg;
    return 7 + (int)size;
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, NULL);
    mp_barrier *freed;
    MPT_CODE(mp_barrier_new(NULL, NULL, 1, NULL), MP_EINVAL);
    MPT_CODE(mp_barrier_new(&freed, NULL, 0, NULL), MP_EINVAL);
    MPT_CODE(mp_barrier_new(&freed, NULL, 16384, NULL), MP_EINVAL);
    MPT_CODE(mp_barrier_new(&freed, NULL, 1, &(mp_barrier_options){.timeout = NAN}), MP_EINVAL);
    MPT_CODE(mp_barrier_new(&freed, NULL, 1, &(mp_barrier_options){.timeout = -1}), MP_EINVAL);
    MPT_CODE(mp_barrier_new(&freed, NULL, 1, &(mp_barrier_options){.arg_size = 1}), MP_EINVAL);
    mp_barrier_options stray = {.action = (int (*)(void *, size_t))(uintptr_t)16};
    MPT_CODE(mp_barrier_new(&freed, NULL, 1, &stray), MP_EINVAL);
    MPT_CODE(mp_barrier_wait(NULL, 0), MP_EINVAL);
    MPT_CODE(mp_barrier_wait(scene->barrier, NAN), MP_EINVAL);
    MPT_CODE(mp_barrier_reset(NULL), MP_EINVAL);
    MPT_CODE(mp_barrier_abort(NULL), MP_EINVAL);
    assert_int_equal(mp_barrier_parties(NULL), 0);
    assert_int_equal(mp_barrier_n_waiting(NULL), 0);
    assert_false(mp_barrier_broken(NULL));
    mp_barrier_free(NULL);
    MPT_OK(mp_barrier_new(&freed, NULL, 1, NULL));
    mp_barrier_free(freed);
    MPT_CODE(mp_barrier_wait(freed, 0), MP_EINVAL);
    close_scene(scene);
}

static void test_each_party_gets_another_number(void **state) {
    (void)state;
    struct scene *scene = open_scene(3, NULL);
    pid_t pids[2];
    mpt_fork_all(pids, 2, come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 2);
    come(scene, 20);
    MPT_JOIN_ALL(pids, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(scene->met[i], 1);
    assert_int_equal(mp_barrier_n_waiting(scene->barrier), 0);
    close_scene(scene);
}

/* Nobody is a round ahead of the slowest. */
static void keep_step(void *arg) {
    struct scene *scene = arg;
    for (unsigned round = 0; round < 200; round++) {
        unsigned come_before = scene->rounds++;
        MPT_CHECK(come_before >= round * 3 && come_before < round * 3 + 3);
        come(scene, 20);
    }
}

static void test_processes_keep_step(void **state) {
    (void)state;
    struct scene *scene = open_scene(3, NULL);
    pid_t pids[3];
    mpt_fork_all(pids, 3, keep_step, scene);
    MPT_JOIN_ALL(pids, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(scene->met[i], 200);
    close_scene(scene);
}

static void test_threads_keep_step(void **state) {
    (void)state;
    struct scene *scene = open_scene(3, NULL);
    mpt_run_threads(3, keep_step, scene);
    for (int i = 0; i < 3; i++)
        assert_int_equal(scene->met[i], 200);
    close_scene(scene);
}

static struct scene *open_with_action(unsigned parties, int (*action)(void *arg, size_t size)) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    mp_barrier_options options = {.action = action, .arg = &scene, .arg_size = sizeof scene};
    MPT_OK(mp_barrier_new(&scene->barrier, NULL, parties, &options));
    return scene;
}

static void test_the_action_runs_once_before_all_go_on(void **state) {
    (void)state;
    struct scene *scene = open_with_action(2, act);
    for (unsigned round = 1; round <= 3; round++) {
        pid_t pid = mpt_fork(come_once, scene);
        come(scene, 20);
        assert_int_equal(scene->acted, round);
        assert_int_equal(mpt_join(pid), 0);
    }
    close_scene(scene);
}

static void test_an_action_that_fails_breaks_it(void **state) {
    (void)state;
    struct scene *scene = open_with_action(2, refuse);
    pid_t pid = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 1);
    MPT_CODE(mp_barrier_wait(scene->barrier, 20), MP_EBROKEN);
    assert_non_null(strstr(mp_error_detail(), "15"));
    assert_int_equal(mpt_join(pid), 0);
    assert_int_equal(scene->broken, 1);
    assert_true(mp_barrier_broken(scene->barrier));
    MPT_CODE(mp_barrier_wait(scene->barrier, 20), MP_EBROKEN);
    close_scene(scene);
}

static void test_a_timeout_breaks_it_for_all(void **state) {
    (void)state;
    struct scene *scene = open_scene(3, NULL);
    pid_t pid = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 1);
    MPT_CODE(mp_barrier_wait(scene->barrier, 0.02), MP_EBROKEN);
    assert_int_equal(mpt_join(pid), 0);
    assert_int_equal(scene->broken, 1);
    assert_true(mp_barrier_broken(scene->barrier));
    close_scene(scene);
}

static void test_the_options_timeout_is_the_default(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, &(mp_barrier_options){.timeout = 0.02});
    MPT_CODE(mp_barrier_wait(scene->barrier, MP_FOREVER), MP_EBROKEN);
    close_scene(scene);
}

static void test_abort_breaks_until_reset(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, NULL);
    pid_t pid = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 1);
    MPT_OK(mp_barrier_abort(scene->barrier));
    assert_int_equal(mpt_join(pid), 0);
    assert_int_equal(scene->broken, 1);
    assert_true(mp_barrier_broken(scene->barrier));
    MPT_OK(mp_barrier_reset(scene->barrier));
    assert_false(mp_barrier_broken(scene->barrier));
    pid = mpt_fork(come_once, scene);
    come(scene, 20);
    assert_int_equal(mpt_join(pid), 0);
    assert_int_equal(scene->broken, 1);
    close_scene(scene);
}

static void test_reset_sends_waiters_away(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, NULL);
    pid_t pid = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 1);
    MPT_OK(mp_barrier_reset(scene->barrier));
    assert_int_equal(mpt_join(pid), 0);
    assert_int_equal(scene->broken, 1);
    assert_false(mp_barrier_broken(scene->barrier));
    assert_int_equal(mp_barrier_n_waiting(scene->barrier), 0);
    close_scene(scene);
}

static void test_a_killed_party_is_not_counted(void **state) {
    (void)state;
    struct scene *scene = open_scene(3, NULL);
    pid_t mortal = mpt_fork(come_once, scene);
    pid_t other = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 2);
    mpt_kill(mortal);
    assert_int_equal(mp_barrier_n_waiting(scene->barrier), 1);
    pid_t third = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 2);
    come(scene, 20);
    assert_int_equal(mpt_join(other), 0);
    assert_int_equal(mpt_join(third), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(scene->met[i], 1);
    close_scene(scene);
}

static const char *fatal_point; /* where the last to come dies */

static void die_coming(void *arg) {
    mpt_die_at(fatal_point, 1);
    come(arg, 20);
}

/* Two wait, the third dies at the point in its wait; `goes_on`: the two are through nonetheless. */
static void die_last_at(const char *point, int (*action)(void *, size_t), bool goes_on,
                        bool breaks) {
    struct scene *scene = action ? open_with_action(3, action) : open_scene(3, NULL);
    pid_t pids[2];
    mpt_fork_all(pids, 2, come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 2);
    fatal_point = point;
    assert_int_equal(mpt_join(mpt_fork(die_coming, scene)), -SIGKILL);
    if (!goes_on && !breaks)
        come(scene, 20);
    MPT_JOIN_ALL(pids, 2);
    assert_int_equal(scene->broken, breaks ? 2 : 0);
    if (!breaks)
        assert_true(scene->met[0] == 1 && scene->met[1] == 1 && scene->met[2] == !goes_on);
    assert_int_equal(mp_barrier_broken(scene->barrier), breaks);
    close_scene(scene);
}

static void test_death_of_the_last_before_it_counts(void **state) {
    (void)state;
    die_last_at("barrier.wait.locked", NULL, false, false);
    die_last_at("barrier.wait.numbered", NULL, false, false);
}

static void test_death_of_the_last_while_it_lets_them_go(void **state) {
    (void)state;
    die_last_at("barrier.phase.entered", NULL, true, false);
    die_last_at("waiter.notify.told", NULL, true, false);
    die_last_at("barrier.phase.told", act, true, false);
}

static void test_death_in_the_action_breaks_it(void **state) {
    (void)state;
    die_last_at("barrier.wait.acting", act, false, true);
    die_last_at("barrier.wait.numbered", act, false, true);
}

static void test_death_while_beginning_to_wait(void **state) {
    (void)state;
    static const char *const points[] = {"waiter.enlist.state", "waiter.enlist.done",
                                         "barrier.wait.enlisted", "guard.release.freed"};
    struct scene *scene = open_scene(2, NULL);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        fatal_point = points[i];
        assert_int_equal(mpt_join(mpt_fork(die_coming, scene)), -SIGKILL);
        assert_int_equal(mp_barrier_n_waiting(scene->barrier), 0);
    }
    pid_t pid = mpt_fork(come_once, scene);
    come(scene, 20);
    assert_int_equal(mpt_join(pid), 0);
    assert_true(scene->met[0] == 1 && scene->met[1] == 1);
    close_scene(scene);
}

static void die_aborting(void *arg) {
    struct scene *scene = arg;
    mpt_die_at("barrier.phase.entered", 1);
    mp_barrier_abort(scene->barrier);
}

static void test_an_abort_is_finished_for_who_dies_in_it(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, NULL);
    pid_t pid = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 1);
    assert_int_equal(mpt_join(mpt_fork(die_aborting, scene)), -SIGKILL);
    assert_int_equal(mpt_join(pid), 0);
    assert_int_equal(scene->broken, 1);
    assert_true(mp_barrier_broken(scene->barrier));
    close_scene(scene);
}

static void come_and_die(void *arg) {
    struct scene *scene = arg;
    come(scene, 20);
    kill(getpid(), SIGKILL);
}

static void wait_for_a_death(void *arg) {
    struct scene *scene = arg;
    mp__time before = mp__now();
    MPT_CODE(mp_barrier_wait(scene->barrier, MP_FOREVER), MP_EBROKEN);
    MPT_CHECK(mp__now() - before < LIMIT);
    char pid[40];
    snprintf(pid, sizeof pid, "process %d, a party", (int)atomic_load(&scene->victim));
    MPT_CHECK(strstr(mp_error_detail(), pid));
    scene->broken++;
}

static void test_a_party_killed_while_it_waits_breaks_it_when_asked(void **state) {
    (void)state;
    struct scene *scene = open_scene(3, &breaks_on_death);
    scene->victim = mpt_fork(come_once, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 1);
    pid_t other = mpt_fork(wait_for_a_death, scene);
    MPT_UNTIL(mp_barrier_n_waiting(scene->barrier) == 2);
    kill(scene->victim, SIGKILL);
    assert_int_equal(mpt_join(other), 0);
    assert_int_equal(mpt_join(scene->victim), -SIGKILL);
    assert_true(mp_barrier_broken(scene->barrier));
    wait_for_a_death(scene);
    close_scene(scene);
}

/* Not reaped, not recovered by anybody else. */
static void test_a_party_killed_between_waits_breaks_it_when_asked(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, &breaks_on_death);
    scene->victim = mpt_fork(come_and_die, scene);
    come(scene, 20);
    wait_for_a_death(scene);
    assert_int_equal(mpt_join(scene->victim), -SIGKILL);
    MPT_OK(mp_barrier_reset(scene->barrier));
    assert_false(mp_barrier_broken(scene->barrier));
    pid_t heir = mpt_fork(come_once, scene);
    come(scene, 20);
    assert_int_equal(mpt_join(heir), 0);
    assert_true(scene->met[0] == 2 && scene->met[1] == 2);
    close_scene(scene);
}

/* It cannot come again either. */
static void test_a_party_that_ended_in_order_breaks_the_next_meeting(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, &breaks_on_death);
    scene->victim = mpt_fork(come_once, scene);
    come(scene, 20);
    assert_int_equal(mpt_join(scene->victim), 0);
    wait_for_a_death(scene);
    assert_true(mp_barrier_broken(scene->barrier));
    close_scene(scene);
}

static void test_a_party_that_ended_after_all_had_come_breaks_nothing(void **state) {
    (void)state;
    pid_t pids[2];
    struct scene *scene = open_scene(3, &breaks_on_death);
    mpt_fork_all(pids, 2, come_once, scene);
    come(scene, 20);
    MPT_JOIN_ALL(pids, 2);
    assert_false(mp_barrier_broken(scene->barrier));
    assert_true(scene->met[0] == 1 && scene->met[1] == 1 && scene->met[2] == 1);
    close_scene(scene);
}

static void test_death_while_its_process_is_noted_blocks_nobody(void **state) {
    (void)state;
    static const char *const points[] = {"barrier.party.pid", "barrier.party.noted"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct scene *scene = open_scene(2, &breaks_on_death);
        fatal_point = points[i];
        assert_int_equal(mpt_join(mpt_fork(die_coming, scene)), -SIGKILL);
        MPT_CODE(mp_barrier_wait(scene->barrier, 0.01), MP_EBROKEN);
        MPT_OK(mp_barrier_reset(scene->barrier));
        pid_t pid = mpt_fork(come_once, scene);
        come(scene, 20);
        assert_int_equal(mpt_join(pid), 0);
        close_scene(scene);
    }
}

static void die_resetting(void *arg) {
    struct scene *scene = arg;
    mpt_die_at(fatal_point, 1);
    mp_barrier_reset(scene->barrier);
}

static void test_reset_by_one_who_dies_in_it_can_be_repeated(void **state) {
    (void)state;
    struct scene *scene = open_scene(2, &breaks_on_death);
    MPT_OK(mp_barrier_abort(scene->barrier));
    fatal_point = "barrier.party.forgotten";
    assert_int_equal(mpt_join(mpt_fork(die_resetting, scene)), -SIGKILL);
    assert_true(mp_barrier_broken(scene->barrier));
    MPT_OK(mp_barrier_reset(scene->barrier));
    pid_t pid = mpt_fork(come_once, scene);
    come(scene, 20);
    assert_int_equal(mpt_join(pid), 0);
    close_scene(scene);
}

MPT_MAIN(MPT_CASE(test_a_party_killed_while_it_waits_breaks_it_when_asked),
         MPT_CASE(test_a_party_killed_between_waits_breaks_it_when_asked),
         MPT_CASE(test_a_party_that_ended_in_order_breaks_the_next_meeting),
         MPT_CASE(test_a_party_that_ended_after_all_had_come_breaks_nothing),
         MPT_CASE(test_death_while_its_process_is_noted_blocks_nobody),
         MPT_CASE(test_reset_by_one_who_dies_in_it_can_be_repeated),
         MPT_CASE(test_a_single_party_does_not_wait), MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_each_party_gets_another_number), MPT_CASE(test_processes_keep_step),
         MPT_CASE(test_threads_keep_step), MPT_CASE(test_the_action_runs_once_before_all_go_on),
         MPT_CASE(test_an_action_that_fails_breaks_it), MPT_CASE(test_a_timeout_breaks_it_for_all),
         MPT_CASE(test_the_options_timeout_is_the_default), MPT_CASE(test_abort_breaks_until_reset),
         MPT_CASE(test_reset_sends_waiters_away), MPT_CASE(test_a_killed_party_is_not_counted),
         MPT_CASE(test_death_of_the_last_before_it_counts),
         MPT_CASE(test_death_of_the_last_while_it_lets_them_go),
         MPT_CASE(test_death_in_the_action_breaks_it), MPT_CASE(test_death_while_beginning_to_wait),
         MPT_CASE(test_an_abort_is_finished_for_who_dies_in_it))

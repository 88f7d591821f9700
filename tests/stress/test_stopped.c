/* Somebody is stopped in the middle of a recovery: who has a time limit comes back in time, and all
 * go on when he does. SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/connection.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "process.h"
#include "reg/recover.h"

#define LATE (MP__SECOND * 9 / 10) /* what a call with a limit of 0.2 s must not take */

struct scene { /* in the arena */
    mp_lock *first, *last;
    mp_condition *condition;
    mp_event *event;
    mp_semaphore *semaphore;
    mp_queue *queue, *leasing;
    mp_connection *ends[2];
    _Atomic uint32_t has_got; /* by who waits without a limit */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    mp_queue_options leasing = {.joinable = true, .redeliver = true};
    MPT_CHECK(scene);
    MPT_OK(mp_lock_new(&scene->first, NULL));
    MPT_OK(mp_lock_new(&scene->last, NULL));
    MPT_OK(mp_condition_new(&scene->condition, NULL, scene->last));
    MPT_OK(mp_event_new(&scene->event, NULL));
    MPT_OK(mp_semaphore_new(&scene->semaphore, NULL, 0));
    MPT_OK(mp_queue_new(&scene->queue, NULL, 0));
    MPT_OK(mp_queue_new_with(&scene->leasing, NULL, &leasing));
    MPT_OK(mp_pipe_new(&scene->ends[0], &scene->ends[1], NULL, true));
    return scene;
}

static void close_scene(struct scene *scene) {
    mp__recover_all();
    mp_queue_free(scene->queue);
    mp_queue_free(scene->leasing);
    mp_connection_free(scene->ends[0]);
    mp_connection_free(scene->ends[1]);
    mp_semaphore_free(scene->semaphore);
    mp_event_free(scene->event);
    mp_condition_free(scene->condition);
    mp_lock_free(scene->first);
    mp_lock_free(scene->last);
    mp_shared_free(scene);
}

/* Dies with both locks, with a task, and with a message that is all but put. */
static void die_putting(void *arg) {
    struct scene *scene = arg;
    char task[8];
    MPT_OK(mp_lock_acquire(scene->first, MP_NOWAIT));
    MPT_OK(mp_queue_put(scene->leasing, "task", 4, MP_NOWAIT));
    MPT_OK(mp_queue_get(scene->leasing, task, sizeof task, NULL, MP_NOWAIT));
    mpt_die_at("channel.put.intended", 1);
    (void)mp_queue_put(scene->queue, "message", 7, MP_NOWAIT);
}

static void stop_recovering(void *point) {
    mpt_stop_at(point, 1);
    mp__recover_all();
}

static pid_t stop_in_recovery(struct scene *scene, const char *point) {
    int status;
    MPT_CODE(mpt_join(mpt_fork(die_putting, scene)), -SIGKILL);
    pid_t recoverer = mpt_fork(stop_recovering, (void *)(uintptr_t)point);
    MPT_CHECK(waitpid(recoverer, &status, WUNTRACED) == recoverer && WIFSTOPPED(status));
    return recoverer;
}

static void go_on(pid_t recoverer) {
    MPT_CHECK(kill(recoverer, SIGCONT) == 0);
    MPT_CODE(mpt_join(recoverer), 0);
}

/* `call` ends in time, with that code. */
#define IN_TIME(call, code)                      \
    do {                                         \
        mp__time mpt_begin = mp__now();          \
        MPT_CODE(call, code);                    \
        MPT_CHECK(mp__now() - mpt_begin < LATE); \
    } while (0)

static void test_getters_come_back_in_time(void **state) {
    (void)state;
    char got[8];
    struct scene *scene = open_scene();
    pid_t recoverer = stop_in_recovery(scene, "recover.member.threads");
    MPT_OK(mp_queue_get(scene->queue, got, sizeof got, NULL, MP_NOWAIT)); /* was given back */
    IN_TIME(mp_queue_get(scene->queue, got, sizeof got, NULL, 0.2), MP_EEMPTY);
    IN_TIME(mp_queue_get(scene->queue, got, sizeof got, NULL, MP_NOWAIT), MP_EEMPTY);
    IN_TIME(mp_connection_recv_bytes_into(scene->ends[0], got, 8, NULL, 0.2), MP_ETIMEDOUT);
    go_on(recoverer);
    close_scene(scene);
}

static void test_nobody_waits_longer_for_what_the_dead_still_has(void **state) {
    (void)state;
    char got[8];
    struct scene *scene = open_scene();
    mp_waitable list[] = {MP_WAIT_QUEUE(scene->queue)};
    pid_t recoverer = stop_in_recovery(scene, "channel.recover.finished");
    IN_TIME(mp_lock_acquire(scene->first, 0.2), MP_ETIMEDOUT);
    IN_TIME(mp_lock_acquire(scene->first, MP_NOWAIT), MP_ETIMEDOUT);
    IN_TIME(mp_queue_put(scene->queue, "x", 1, 0.2), MP_EFULL);
    IN_TIME(mp_queue_put(scene->queue, "x", 1, MP_NOWAIT), MP_EFULL);
    MPT_OK(mp_queue_get(scene->queue, got, sizeof got, NULL, 0.2)); /* it is visible already */
    IN_TIME(mp_queue_get(scene->queue, got, sizeof got, NULL, 0.2), MP_EEMPTY);
    IN_TIME(mp_wait(list, 1, 0.2), 0);
    IN_TIME(mp_wait(list, 1, MP_NOWAIT), 0);
    go_on(recoverer);
    MPT_CODE(mp_lock_acquire(scene->first, MP_NOWAIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->first));
    MPT_OK(mp_queue_put(scene->queue, "x", 1, MP_NOWAIT));
    close_scene(scene);
}

static void test_sleepers_for_other_things_come_back_in_time(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t recoverer = stop_in_recovery(scene, "channel.recover.finished");
    IN_TIME(mp_event_wait(scene->event, 0.2), MP_ETIMEDOUT);
    IN_TIME(mp_semaphore_acquire(scene->semaphore, 0.2), MP_ETIMEDOUT);
    MPT_OK(mp_condition_acquire(scene->condition, MP_NOWAIT));
    IN_TIME(mp_condition_wait(scene->condition, 0.2), MP_ETIMEDOUT);
    MPT_OK(mp_condition_release(scene->condition));
    IN_TIME(mp_queue_join(scene->leasing, 0.2), MP_ETIMEDOUT);
    go_on(recoverer);
    close_scene(scene);
}

static void await_message(void *arg) {
    struct scene *scene = arg;
    char got[8];
    MPT_OK(mp_queue_get(scene->queue, got, sizeof got, NULL, MP_FOREVER));
    MPT_CODE(mp_lock_acquire(scene->first, MP_FOREVER), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->first));
    atomic_store(&scene->has_got, 1);
}

static void test_who_waits_for_ever_goes_on_after_it(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    pid_t recoverer = stop_in_recovery(scene, "guard.recover.freed");
    pid_t waiter = mpt_fork(await_message, scene);
    IN_TIME(mp_event_wait(scene->event, 0.2), MP_ETIMEDOUT);
    MPT_CHECK(!atomic_load(&scene->has_got)); /* the lock is not given back yet */
    go_on(recoverer);
    MPT_CODE(mpt_join(waiter), 0);
    close_scene(scene);
}

static void test_a_killed_recoverer_is_followed_by_another(void **state) {
    (void)state;
    char got[8];
    struct scene *scene = open_scene();
    pid_t recoverer = stop_in_recovery(scene, "recover.member.threads");
    pid_t waiter = mpt_fork(await_message, scene);
    MPT_CHECK(kill(recoverer, SIGKILL) == 0);
    MPT_CODE(mpt_join(recoverer), -SIGKILL);
    MPT_CODE(mpt_join(waiter), 0);
    MPT_OK(mp_queue_get(scene->leasing, got, sizeof got, NULL, 20)); /* the dead one's task */
    MPT_OK(mp_queue_task_done(scene->leasing));
    close_scene(scene);
}

static int return_at_once(void *arg, size_t arg_size) {
    (void)arg_size;
    return *(int *)arg;
}

/* Its exit code is taken once and kept until what it had is given back. */
static void test_a_join_comes_back_in_time(void **state) {
    (void)state;
    int seven = 7, code;
    mp_process *process;
    struct scene *scene = open_scene();
    mp_process_options options = {
        .target = return_at_once, .arg = &seven, .arg_size = sizeof seven};
    MPT_OK(mp_process_new(&process, mpt_context(), &options));
    pid_t recoverer = stop_in_recovery(scene, "recover.member.threads");
    MPT_OK(mp_process_start(process));
    mp__time begin = mp__now();
    code = mp_process_join(process, 0.2); /* it left in order, or did not: see mp__member_leave */
    MPT_CHECK(code == 0 || code == MP_ETIMEDOUT);
    MPT_CHECK(mp__now() - begin < LATE);
    go_on(recoverer);
    assert_int_equal(mpt_end(process), 7);
    close_scene(scene);
}

MPT_PROCESS_MAIN(MPT_CASE(test_getters_come_back_in_time),
                 MPT_CASE(test_nobody_waits_longer_for_what_the_dead_still_has),
                 MPT_CASE(test_sleepers_for_other_things_come_back_in_time),
                 MPT_CASE(test_who_waits_for_ever_goes_on_after_it),
                 MPT_CASE(test_a_killed_recoverer_is_followed_by_another),
                 MPT_EACH_METHOD(test_a_join_comes_back_in_time))

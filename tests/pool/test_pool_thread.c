/* What a pool of threads does otherwise than one of processes. What both do alike is in the other
 * test programs, in the runs named ":thread".
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/process.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "pool.h"
#include "process.h"

static mp_pool *make_pool(const mp_pool_options *options) {
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, mp_get_context(MP_THREAD), options));
    return pool;
}

static void test_workers_are_threads_of_this_process(void **state) {
    (void)state;
    pid_t pid = 0;
    mp_process *children[1];
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 2});
    assert_int_equal(mp_active_children(children, 1), 0);
    MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pid, sizeof pid, NULL));
    assert_int_equal(pid, getpid());
    mp_pool_free(pool);
}

static int add_in_place(const void *item, void *result, void *state) {
    (void)result, (void)state;
    ++**(_Atomic int *const *)item;
    return 0;
}

static void test_tasks_reach_private_memory(void **state) {
    (void)state;
    _Atomic int counter = 0;
    _Atomic int *items[50];
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 3});
    for (int i = 0; i < 50; i++)
        items[i] = &counter;
    MPT_OK(mp_pool_map(pool, add_in_place, items, 50, sizeof items[0], NULL, 0, NULL));
    assert_int_equal(counter, 50);
    mp_pool_free(pool);
}

static _Atomic int beginners; /* calls of the initializer */

static int begin(void *arg, size_t arg_size, void **state) {
    (void)arg, (void)arg_size;
    *state = (void *)(intptr_t)++beginners;
    return 0;
}

static int store_state(const void *item, void *result, void *state) {
    (void)item;
    *(int *)result = (int)(intptr_t)state;
    return 0;
}

static void test_worker_is_replaced_after_its_number_of_tasks(void **state) {
    (void)state;
    char items[30] = {0};
    int states[30];
    mp_pool *pool = make_pool(
        &(mp_pool_options){.processes = 1, .max_tasks_per_child = 7, .initializer = begin});
    MPT_OK(mp_pool_map(pool, store_state, items, 30, 1, states, sizeof states[0],
                       &(mp_map_options){.chunk = 30}));
    for (int i = 0; i < 30; i++)
        assert_int_equal(states[i], 1 + i / 7);
    mp_pool_free(pool);
}

static void test_what_needs_a_kill_is_refused(void **state) {
    (void)state;
    mp_pool *pool = NULL;
    mp_context *threads = mp_get_context(MP_THREAD);
    MPT_CODE(mp_pool_new(&pool, threads, &(mp_pool_options){.task_timeout = 1}), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "task_timeout needs processes"));
    assert_null(pool);
    pool = make_pool(&(mp_pool_options){.processes = 1});
    MPT_CODE(
        mp_pool_apply_async(NULL, pool, mpt_answer_pid, NULL, 0, &(mp_apply_options){.timeout = 1}),
        MP_EINVAL);
    mp_pool_free(pool);
}

struct gate {
    _Atomic int arrived; /* tasks that have begun */
    _Atomic int is_open; /* they may end */
    _Atomic int done;    /* tasks that have ended */
};

static int pass_gate(const void *item, void *result, void *state) {
    (void)result, (void)state;
    struct gate *gate = *(struct gate *const *)item;
    gate->arrived++;
    while (!gate->is_open)
        sched_yield();
    gate->done++;
    return 0;
}

struct opener {
    struct gate *gate;       /* to be opened ... */
    mp_async_result *result; /* when this is done, for it was canceled */
};

static void *open_when_canceled(void *arg) {
    struct opener *opener = arg;
    MPT_CHECK(mp_async_result_wait(opener->result, MP_FOREVER) == 0);
    opener->gate->is_open = 1;
    return NULL;
}

static void test_terminate_cancels_what_waits_and_awaits_what_runs(void **state) {
    (void)state;
    struct gate gate = {0}, *items[100];
    pthread_t thread;
    struct opener opener = {.gate = &gate};
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 2});
    for (int i = 0; i < 100; i++)
        items[i] = &gate;
    MPT_OK(mp_pool_map_async(&opener.result, pool, pass_gate, items, 100, sizeof items[0], NULL, 0,
                             &(mp_map_options){.chunk = 40}));
    MPT_UNTIL(gate.arrived == 2);
    assert_int_equal(pthread_create(&thread, NULL, open_when_canceled, &opener), 0);
    MPT_OK(mp_pool_terminate(pool));
    assert_int_equal(gate.done, gate.arrived);
    MPT_CODE(mp_async_result_get(opener.result, NULL, 0, NULL, MP_NOWAIT), MP_ECANCELED);
    pthread_join(thread, NULL);
    mp_async_result_free(opener.result);
    mp_pool_free(pool);
}

static int end_own_pool(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    mp_pool *pool = *(mp_pool *const *)arg;
    MPT_CODE(mp_pool_terminate(pool), MP_ESTATE);
    mp_pool_free(pool);
    MPT_OK(mp_pool_close(pool));
    MPT_CODE(mp_pool_join(pool, MP_FOREVER), MP_ESTATE);
    return 0;
}

static void test_task_cannot_wait_for_its_own_pool(void **state) {
    (void)state;
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 1});
    MPT_OK(mp_pool_apply(pool, end_own_pool, &pool, sizeof pool, NULL, 0, NULL));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

static int leave_thread(const void *item, void *result, void *state) {
    (void)state;
    if (*(const int *)item == 3)
        pthread_exit(NULL);
    *(int *)result = 1;
    return 0;
}

static void test_task_that_ends_its_thread_fails_alone(void **state) {
    (void)state;
    int items[8] = {0, 1, 2, 3, 4, 5, 6, 7}, results[8], codes[8];
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 2});
    MPT_CODE(mp_pool_map(pool, leave_thread, items, 8, sizeof(int), results, sizeof(int),
                         &(mp_map_options){.codes = codes, .chunk = 8}),
             MP_EWORKER);
    for (int i = 0; i < 8; i++)
        assert_int_equal(codes[i], i == 3 ? MP_EWORKER : 0);
    mp_pool_free(pool);
}

static int lock_and_add(const void *item, void *result, void *state) {
    (void)result, (void)state;
    static int sum;
    mp_lock *lock = *(mp_lock *const *)item;
    MPT_CHECK(mp_lock_acquire(lock, MP_FOREVER) == 0);
    sum++;
    MPT_CHECK(mp_lock_release(lock) == 0);
    return 0;
}

static void test_locks_work_between_workers(void **state) {
    (void)state;
    mp_lock *lock, *items[400];
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 4});
    MPT_OK(mp_lock_new(&lock, NULL));
    for (int i = 0; i < 400; i++)
        items[i] = lock;
    MPT_OK(mp_pool_map(pool, lock_and_add, items, 400, sizeof items[0], NULL, 0, NULL));
    mp_pool_free(pool);
    mp_lock_free(lock);
}

static int use_inner_pool(void *arg, size_t arg_size) {
    (void)arg, (void)arg_size;
    pid_t pid = 0;
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 2});
    MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pid, sizeof pid, NULL));
    mp_pool_free(pool);
    return pid == getpid() ? 0 : 1;
}

static void test_daemon_may_have_one(void **state) {
    (void)state;
    mp_process_options options = {.target = use_inner_pool, .daemon = MP_DAEMON};
    assert_int_equal(mpt_end(mpt_start_with(mpt_context(), &options)), 0);
}

static void forget_pool(void *arg) {
    (void)arg;
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 2});
    MPT_CHECK(mp_pool_apply_async(NULL, pool, mpt_wait_for_ever, NULL, 0, NULL) == 0);
    exit(3);
}

static void test_forgotten_pool_with_a_stuck_task_does_not_hang_the_program(void **state) {
    (void)state;
    mp__time begun = mp__now();
    assert_int_equal(mpt_join(mpt_fork(forget_pool, NULL)), 3);
    assert_true(mp__now() - begun < 3 * MP__SECOND);
}

static int exit_from_task(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)reply, (void)state;
    exit(5);
}

static void exit_in_task(void *arg) {
    (void)arg;
    mp_pool *pool = make_pool(&(mp_pool_options){.processes = 2});
    mp_pool_apply(pool, exit_from_task, NULL, 0, NULL, 0, NULL);
    pause();
}

static void test_task_may_end_the_program(void **state) {
    (void)state;
    assert_int_equal(mpt_join(mpt_fork(exit_in_task, NULL)), 5);
}

static void test_process_of_the_thread_context_is_refused(void **state) {
    (void)state;
    mp_process *process = NULL;
    mp_process_options options = {.target = use_inner_pool};
    MPT_CODE(mp_process_new(&process, mp_get_context(MP_THREAD), &options), MP_EINVAL);
    assert_null(process);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_CASE(test_workers_are_threads_of_this_process),
                 MPT_CASE(test_tasks_reach_private_memory),
                 MPT_CASE(test_worker_is_replaced_after_its_number_of_tasks),
                 MPT_CASE(test_what_needs_a_kill_is_refused),
                 MPT_CASE(test_terminate_cancels_what_waits_and_awaits_what_runs),
                 MPT_CASE(test_task_cannot_wait_for_its_own_pool),
                 MPT_CASE(test_task_that_ends_its_thread_fails_alone),
                 MPT_CASE(test_locks_work_between_workers),
                 MPT_EACH_METHOD(test_daemon_may_have_one),
                 MPT_CASE(test_forgotten_pool_with_a_stuck_task_does_not_hang_the_program),
                 MPT_CASE(test_task_may_end_the_program),
                 MPT_CASE(test_process_of_the_thread_context_is_refused))

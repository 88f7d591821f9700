/* A pool's beginning and end: options, initializers, closing, terminating, joining.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/process.h"
#include "mp/shared.h"
#include "os/clock.h"
#include "pool.h"
#include "process.h"

static void check_squares(mp_pool *pool) {
    int items[20], results[20];
    for (int i = 0; i < 20; i++)
        items[i] = i;
    MPT_OK(mp_pool_map(pool, mpt_square, items, 20, sizeof(int), results, sizeof(int), NULL));
    for (int i = 0; i < 20; i++)
        assert_int_equal(results[i], i * i);
}

static void test_new_refuses_bad_options(void **state) {
    (void)state;
    mp_pool *pool = NULL;
    MPT_CODE(mp_pool_new(NULL, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = -1}), MP_EINVAL);
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 100000}), MP_EINVAL);
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.init_arg_size = 1}), MP_EINVAL);
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.task_timeout = NAN}), MP_EINVAL);
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.task_timeout = -1}), MP_EINVAL);
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.nice = 41}), MP_EINVAL);
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.nice = -41}), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "nice"));
    assert_null(pool);
}

static void test_what_is_no_pool_is_refused(void **state) {
    (void)state;
    int number = 0;
    mp_pool *wrong = (mp_pool *)(void *)&number;
    MPT_CODE(mp_pool_close(NULL), MP_EINVAL);
    MPT_CODE(mp_pool_close(wrong), MP_EINVAL);
    MPT_CODE(mp_pool_terminate(NULL), MP_EINVAL);
    MPT_CODE(mp_pool_join(NULL, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_pool_map(NULL, mpt_square, &number, 1, 4, &number, 4, NULL), MP_EINVAL);
    mp_pool_free(NULL);
    mp_pool_free(wrong);
}

static void test_default_is_a_worker_per_usable_processor(void **state) {
    (void)state;
    mp_pool *pool;
    mp_process *children[64];
    MPT_OK(mp_pool_new(&pool, mpt_context(), NULL));
    assert_int_equal(mp_active_children(children, 64), mp_usable_cpu_count());
    check_squares(pool);
    mp_pool_free(pool);
    assert_int_equal(mp_active_children(children, 64), 0);
}

static void test_workers_are_daemons_with_python_s_names(void **state) {
    (void)state;
    static const char *const names[] = {[MP_DEFAULT] = "ForkPoolWorker-",
                                        [MP_FORK] = "ForkPoolWorker-",
                                        [MP_SPAWN] = "SpawnPoolWorker-",
                                        [MP_FORKSERVER] = "ForkServerPoolWorker-"};
    mp_process *children[4];
    mp_pool *pool = mpt_pool(2);
    assert_int_equal(mp_active_children(children, 4), 2);
    for (int i = 0; i < 2; i++) {
        const char *expected = names[mpt_method()];
        assert_true(mp_process_daemon(children[i]));
        assert_memory_equal(mp_process_name(children[i]), expected, strlen(expected));
    }
    mp_pool_free(pool);
}

static void test_close_lets_the_work_be_done_and_takes_no_more(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    int items[100], results[100];
    for (int i = 0; i < 100; i++)
        items[i] = i;
    mp_async_result *result;
    MPT_OK(mp_pool_map_async(&result, pool, mpt_square, items, 100, sizeof(int), results,
                             sizeof(int), NULL));
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_close(pool));
    MPT_CODE(mp_pool_map(pool, mpt_square, items, 1, sizeof(int), results, sizeof(int), NULL),
             MP_EINVAL);
    MPT_CODE(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, NULL, 0, NULL), MP_EINVAL);
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    assert_true(mp_async_result_ready(result));
    MPT_OK(mp_async_result_get(result, NULL, 0, NULL, MP_NOWAIT));
    assert_int_equal(results[99], 99 * 99);
    mp_async_result_free(result);
    mp_pool_free(pool);
}

static void test_join_wants_a_closed_pool(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    MPT_CODE(mp_pool_join(pool, MP_FOREVER), MP_EINVAL);
    MPT_OK(mp_pool_close(pool));
    MPT_CODE(mp_pool_join(pool, NAN), MP_EINVAL);
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

static void test_join_times_out_while_a_task_runs(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    MPT_OK(mp_pool_apply_async(NULL, pool, mpt_wait_for_ever, NULL, 0, NULL));
    MPT_OK(mp_pool_close(pool));
    MPT_CODE(mp_pool_join(pool, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_pool_join(pool, 0.05), MP_ETIMEDOUT);
    mp_pool_free(pool);
}

static void test_results_outlive_their_pool(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    mp_async_result *done, *canceled;
    pid_t pid = 0;
    size_t size;
    MPT_OK(mp_pool_apply_async(&done, pool, mpt_answer_pid, NULL, 0, NULL));
    MPT_OK(mp_async_result_wait(done, MP_FOREVER));
    MPT_OK(mp_pool_apply_async(&canceled, pool, mpt_wait_for_ever, NULL, 0, NULL));
    mp_pool_free(pool);
    MPT_OK(mp_async_result_get(done, &pid, sizeof pid, &size, MP_FOREVER));
    assert_true(pid > 0 && pid != getpid());
    MPT_CODE(mp_async_result_get(canceled, NULL, 0, NULL, MP_FOREVER), MP_ECANCELED);
    assert_string_equal(mp_async_result_detail(canceled), "the pool was terminated");
    mp_async_result_free(done);
    mp_async_result_free(canceled);
}

static int count_up(void *arg, size_t arg_size, void **state) {
    MPT_CHECK(arg_size == sizeof(int));
    static _Thread_local int counter;
    counter = *(int *)arg;
    *state = &counter;
    return 0;
}

static int take_number(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size;
    int number = (*(int *)state)++;
    return mp_reply_set(reply, &number, sizeof number);
}

static void test_initializer_s_state_goes_to_every_task(void **state) {
    (void)state;
    int first = 40, number = 0;
    mp_pool *pool;
    mp_pool_options options = {
        .processes = 1, .initializer = count_up, .init_arg = &first, .init_arg_size = sizeof first};
    MPT_OK(mp_pool_new(&pool, mpt_context(), &options));
    for (int i = 0; i < 3; i++) {
        MPT_OK(mp_pool_apply(pool, take_number, NULL, 0, &number, sizeof number, NULL));
        assert_int_equal(number, 40 + i);
    }
    mp_pool_free(pool);
}

static int refuse(void *arg, size_t arg_size, void **state) {
    (void)arg, (void)arg_size, (void)state;
    return -EACCES;
}

static int refuse_kindly(void *arg, size_t arg_size, void **state) {
    (void)arg, (void)arg_size, (void)state;
    return 5;
}

static int crash(void *arg, size_t arg_size, void **state) {
    (void)arg, (void)arg_size, (void)state;
    abort();
}

static void check_broken(mp_worker_init_fn initializer, int code, const char *part) {
    mp_pool *pool;
    mp_async_result *result;
    MPT_OK(mp_pool_new(&pool, mpt_context(),
                       &(mp_pool_options){.processes = 2, .initializer = initializer}));
    int submitted = mp_pool_apply_async(&result, pool, mpt_answer_pid, NULL, 0, NULL);
    if (submitted == 0) {
        MPT_CODE(mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER), code);
        assert_non_null(strstr(mp_error_detail(), part));
        mp_async_result_free(result);
    }
    MPT_CODE(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, NULL, 0, NULL), code);
    assert_non_null(strstr(mp_error_detail(), part));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

static void test_failing_initializer_breaks_the_pool_with_its_code(void **state) {
    (void)state;
    check_broken(refuse, -EACCES, "returned -13");
}

static void test_initializer_that_returns_a_number_breaks_it_as_a_task(void **state) {
    (void)state;
    check_broken(refuse_kindly, MP_ETASK, "returned 5");
}

static void test_crashing_initializer_breaks_the_pool(void **state) {
    (void)state;
    check_broken(crash, MP_EWORKER, "died of SIGABRT");
}

static int fail_first_two(void *arg, size_t arg_size, void **state) {
    (void)arg_size, (void)state;
    _Atomic int *calls = *(_Atomic int **)arg;
    return ++*calls <= 2 ? -EAGAIN : 0;
}

static void test_initializer_that_fails_twice_is_forgiven(void **state) {
    (void)state;
    _Atomic int *calls = mp_shared_calloc(1, sizeof *calls);
    mp_pool *pool;
    mp_pool_options options = {.processes = 1,
                               .initializer = fail_first_two,
                               .init_arg = &calls,
                               .init_arg_size = sizeof calls};
    MPT_OK(mp_pool_new(&pool, mpt_context(), &options));
    check_squares(pool);
    assert_int_equal(*calls, 3);
    mp_pool_free(pool);
    mp_shared_free((void *)calls);
}

static void test_two_pools_work_side_by_side(void **state) {
    (void)state;
    mp_pool *first = mpt_pool(1), *second = mpt_pool(2);
    check_squares(first);
    check_squares(second);
    mp_pool_free(first);
    check_squares(second);
    mp_pool_free(second);
}

static mp_pool *parents_pool;

static void use_foreign_pool(void *arg) {
    mp_async_result *result = arg;
    MPT_CODE(mp_pool_apply(parents_pool, mpt_answer_pid, NULL, 0, NULL, 0, NULL), MP_EFOREIGN);
    MPT_CODE(mp_pool_terminate(parents_pool), MP_EFOREIGN);
    MPT_CODE(mp_async_result_wait(result, MP_FOREVER), MP_EFOREIGN);
    MPT_CHECK(!mp_async_result_ready(result));
    mp_async_result_free(result);
    mp_pool_free(parents_pool);
    exit(0);
}

static void test_pool_is_foreign_to_a_forked_child(void **state) {
    (void)state;
    mp_async_result *result;
    parents_pool = mpt_pool(2);
    MPT_OK(mp_pool_apply_async(&result, parents_pool, mpt_answer_pid, NULL, 0, NULL));
    assert_int_equal(mpt_join(mpt_fork(use_foreign_pool, result)), 0);
    MPT_OK(mp_async_result_wait(result, MP_FOREVER));
    check_squares(parents_pool);
    mp_async_result_free(result);
    mp_pool_free(parents_pool);
}

static void forget_pool(void *arg) {
    (void)arg;
    mp_pool *pool;
    MPT_CHECK(mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 2}) == 0);
    MPT_CHECK(mp_pool_apply_async(NULL, pool, mpt_wait_for_ever, NULL, 0, NULL) == 0);
    exit(3);
}

static void test_forgotten_pool_does_not_hang_the_program(void **state) {
    (void)state;
    mp__time begin = mp__now();
    assert_int_equal(mpt_join(mpt_fork(forget_pool, NULL)), 3);
    assert_true(mp__now() - begin < 2 * MP__SECOND);
}

static int forget_pool_and_return(void *arg, size_t arg_size) {
    (void)arg, (void)arg_size;
    mp_pool *pool;
    MPT_CHECK(mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 2}) == 0);
    MPT_CHECK(mp_pool_apply_async(NULL, pool, mpt_wait_for_ever, NULL, 0, NULL) == 0);
    return 4;
}

/* No handler of exit() runs at the end of a target. */
static void test_forgotten_pool_does_not_hang_a_child(void **state) {
    (void)state;
    mp__time begin = mp__now();
    assert_int_equal(mpt_end(mpt_start(forget_pool_and_return, NULL, 0)), 4);
    assert_true(mp__now() - begin < 3 * MP__SECOND);
}

static int start_a_pool(void *arg, size_t arg_size) {
    (void)arg, (void)arg_size;
    mp_pool *pool;
    return mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 1}) == MP_EDAEMON ? 0 : 1;
}

static void test_daemon_can_have_no_pool(void **state) {
    (void)state;
    mp_process_options options = {.target = start_a_pool, .daemon = MP_DAEMON};
    assert_int_equal(mpt_end(mpt_start_with(mpt_context(), &options)), 0);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_CASE(test_new_refuses_bad_options), MPT_CASE(test_what_is_no_pool_is_refused),
                 MPT_EACH_METHOD(test_default_is_a_worker_per_usable_processor),
                 MPT_EACH_METHOD(test_workers_are_daemons_with_python_s_names),
                 MPT_EACH_WORKER(test_close_lets_the_work_be_done_and_takes_no_more),
                 MPT_EACH_WORKER(test_join_wants_a_closed_pool),
                 MPT_EACH_METHOD(test_join_times_out_while_a_task_runs),
                 MPT_EACH_METHOD(test_results_outlive_their_pool),
                 MPT_EACH_WORKER(test_initializer_s_state_goes_to_every_task),
                 MPT_EACH_WORKER(test_failing_initializer_breaks_the_pool_with_its_code),
                 MPT_EACH_WORKER(test_initializer_that_returns_a_number_breaks_it_as_a_task),
                 MPT_EACH_METHOD(test_crashing_initializer_breaks_the_pool),
                 MPT_EACH_WORKER(test_initializer_that_fails_twice_is_forgiven),
                 MPT_EACH_WORKER(test_two_pools_work_side_by_side),
                 MPT_EACH_WORKER(test_pool_is_foreign_to_a_forked_child),
                 MPT_EACH_METHOD(test_daemon_can_have_no_pool),
                 MPT_EACH_METHOD(test_forgotten_pool_does_not_hang_a_child),
                 MPT_CASE(test_forgotten_pool_does_not_hang_the_program))

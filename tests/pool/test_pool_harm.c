/* What users fear of pools: tasks that kill their workers under load, thousands of tasks to be
 * dropped at once, huge answers, tasks that use everything there is.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/process.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "pool.h"

enum { ROUNDS = 50, LOAD = 400 };

static int parse_row(const void *item, void *result, void *state) {
    (void)state;
    if (*(const int *)item == 13) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSEGV);
    }
    *(int *)result = *(const int *)item * 2;
    return 0;
}

static void test_detail_names_item_worker_signal_and_function(void **state) {
    (void)state;
    int items[30], results[30], codes[30], pid = 0, end = 0;
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < 30; i++)
        items[i] = i;
    MPT_CODE(mp_pool_map(pool, parse_row, items, 30, sizeof(int), results, sizeof(int),
                         &(mp_map_options){.codes = codes}),
             MP_EWORKER);
    const char *detail = mp_error_detail();
    assert_int_equal(
        sscanf(detail, "item 13: worker %d died of SIGSEGV in parse_row%n", &pid, &end), 1);
    assert_int_equal(detail[end], 0);
    assert_true(pid > 0 && pid != getpid());
    for (int i = 0; i < 30; i++)
        assert_true(i == 13 ? codes[i] == MP_EWORKER : codes[i] == 0 && results[i] == 2 * i);
    mp_pool_free(pool);
}

static int square(const void *item, void *result, void *state) {
    (void)state;
    for (volatile int i = 0; i < 200; i++)
        ;
    *(int *)result = *(const int *)item * *(const int *)item;
    return 0;
}

static int kill_oneself(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)reply, (void)state;
    raise(SIGKILL);
    return 0;
}

static pid_t ask_pid(mp_pool *pool) {
    pid_t pid = 0;
    int code = mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pid, sizeof pid, NULL);
    assert_true(code == 0 || code == MP_EWORKER);
    return pid;
}

/* Maps and tasks that go on meanwhile; how many of them failed. */
struct load {
    int items[LOAD], results[LOAD], codes[LOAD]; /* of the map */
    mp_async_result *map, *tasks[20];            /* under way */
};

static void begin_load(struct load *load, mp_pool *pool, size_t chunk) {
    for (int i = 0; i < LOAD; i++)
        load->items[i] = i;
    memset(load->results, 0xff, sizeof load->results);
    mp_map_options options = {.codes = load->codes, .chunk = chunk};
    MPT_OK(mp_pool_map_async(&load->map, pool, square, load->items, LOAD, sizeof(int),
                             load->results, sizeof(int), &options));
    for (int i = 0; i < 20; i++)
        MPT_OK(mp_pool_apply_async(&load->tasks[i], pool, mpt_answer_pid, NULL, 0, NULL));
}

static int end_load(struct load *load) {
    int failed = 0;
    mp_async_result_wait(load->map, MP_FOREVER);
    for (int i = 0; i < LOAD; i++) {
        assert_true(load->codes[i] == MP_EWORKER || load->results[i] == i * i);
        failed += load->codes[i] != 0;
    }
    mp_async_result_free(load->map);
    for (int i = 0; i < 20; i++) {
        pid_t pid;
        int code = mp_async_result_get(load->tasks[i], &pid, sizeof pid, NULL, MP_FOREVER);
        assert_true(code == 0 || code == MP_EWORKER);
        failed += code != 0;
        mp_async_result_free(load->tasks[i]);
    }
    return failed;
}

/* And how soon: tests/stress/latency. */
static void test_task_that_kills_its_worker_fails_alone(void **state) {
    (void)state;
    static struct load load;
    mp_pool *pool = mpt_pool(2);
    for (int round = 0; round < ROUNDS; round++) {
        begin_load(&load, pool, round % 3 ? (size_t)round : 1);
        MPT_CODE(mp_pool_apply(pool, kill_oneself, NULL, 0, NULL, 0, NULL), MP_EWORKER);
        assert_int_equal(end_load(&load), 0);
    }
    mp_pool_free(pool);
}

static void test_idle_worker_that_is_killed_costs_a_task_at_most(void **state) {
    (void)state;
    static struct load load;
    int failed = 0;
    mp_pool *pool = mpt_pool(2);
    for (int round = 0; round < ROUNDS; round++) {
        pid_t victim = ask_pid(pool);
        if (victim > 0)
            kill(victim, SIGKILL);
        begin_load(&load, pool, round % 3 ? (size_t)round : 1);
        int lost = end_load(&load);
        assert_true(lost <= 1);
        failed += lost;
    }
    assert_true(failed <= ROUNDS);
    mp_pool_free(pool);
}

static void test_ten_thousand_queued_sleeps_are_dropped_within_a_second(void **state) {
    (void)state;
    enum { COUNT = 10000 };
    static mp_async_result *results[COUNT];
    mp_pool *pool = mpt_pool(4);
    for (int i = 0; i < COUNT; i++)
        MPT_OK(mp_pool_apply_async(&results[i], pool, mpt_wait_for_ever, NULL, 0, NULL));
    mp__time begin = mp__now();
    MPT_OK(mp_pool_terminate(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    assert_true(mp__now() - begin < MP__SECOND);
    for (int i = 0; i < COUNT; i++) {
        MPT_CODE(mp_async_result_get(results[i], NULL, 0, NULL, MP_NOWAIT), MP_ECANCELED);
        mp_async_result_free(results[i]);
    }
    MPT_CODE(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, NULL, 0, NULL), MP_EINVAL);
    mp_pool_free(pool);
}

static int answer_many(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    size_t size = *(const size_t *)arg;
    char *bytes = mp_reply_alloc(reply, size);
    if (!bytes)
        return -ENOMEM;
    memset(bytes, 'm', size);
    return 0;
}

static void test_answers_have_up_to_100_megabytes(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 64, 65, 4096, 1 << 20, 100 * 1000 * 1000};
    char *buffer = malloc(sizes[6]);
    mp_pool *pool = mpt_pool(2);
    assert_non_null(buffer);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = 1;
        MPT_OK(
            mp_pool_apply(pool, answer_many, &sizes[i], sizeof sizes[i], buffer, sizes[i], &size));
        assert_int_equal(size, sizes[i]);
        assert_true(size == 0 || (buffer[0] == 'm' && buffer[size - 1] == 'm'));
    }
    size_t too_large = SIZE_MAX / 4;
    MPT_CODE(mp_pool_apply(pool, answer_many, &too_large, sizeof too_large, NULL, 0, NULL),
             MP_ETASK);
    free(buffer);
    mp_pool_free(pool);
}

struct tools {
    mp_queue *queue; /* to put into */
    mp_lock *lock;   /* of the counter */
    int *counter;    /* in the arena */
};

static int use_tools(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    const struct tools *tools = arg;
    MPT_CHECK(mp_lock_acquire(tools->lock, MP_FOREVER) == 0);
    int number = ++*tools->counter;
    mp_lock_release(tools->lock);
    MPT_CHECK(mp_queue_put(tools->queue, &number, sizeof number, MP_FOREVER) == 0);
    return mp_reply_set(reply, &number, sizeof number);
}

static void test_tasks_use_queues_and_locks(void **state) {
    (void)state;
    enum { COUNT = 200 };
    mp_async_result *results[COUNT];
    struct tools tools = {.counter = mp_shared_calloc(1, sizeof(int))};
    int sum = 0;
    MPT_OK(mp_queue_new(&tools.queue, NULL, 0));
    MPT_OK(mp_lock_new(&tools.lock, NULL));
    mp_pool *pool = mpt_pool(3);
    for (int i = 0; i < COUNT; i++)
        MPT_OK(mp_pool_apply_async(&results[i], pool, use_tools, &tools, sizeof tools, NULL));
    for (int i = 0; i < COUNT; i++) {
        int number;
        MPT_OK(mp_queue_get(tools.queue, &number, sizeof number, NULL, MP_FOREVER));
        sum += number;
        MPT_OK(mp_async_result_get(results[i], &number, sizeof number, NULL, MP_FOREVER));
        mp_async_result_free(results[i]);
    }
    assert_int_equal(sum, COUNT * (COUNT + 1) / 2);
    mp_pool_free(pool);
    mp_queue_free(tools.queue);
    mp_lock_free(tools.lock);
    mp_shared_free(tools.counter);
}

static int map_in_a_pool_of_its_own(const void *arg, size_t arg_size, mp_reply *reply,
                                    void *state) {
    (void)arg_size, (void)state;
    int items[10], results[10], sum = 0, code;
    mp_pool *pool;
    for (int i = 0; i < 10; i++)
        items[i] = i + *(const int *)arg;
    if ((code = mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 2})) < 0)
        return mp_reply_fail(reply, code, "%s", mp_error_detail());
    code = mp_pool_map(pool, square, items, 10, sizeof(int), results, sizeof(int), NULL);
    mp_pool_free(pool);
    if (code < 0)
        return code;
    for (int i = 0; i < 10; i++)
        sum += results[i];
    return mp_reply_set(reply, &sum, sizeof sum);
}

static void test_tasks_have_pools_of_their_own(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    for (int number = 0; number < 4; number++) {
        int sum = 0, expected = 0;
        for (int i = 0; i < 10; i++)
            expected += (i + number) * (i + number);
        MPT_OK(mp_pool_apply(pool, map_in_a_pool_of_its_own, &number, sizeof number, &sum,
                             sizeof sum, NULL));
        assert_int_equal(sum, expected);
    }
    mp_pool_free(pool);
}

static int wait_for_ever(void *arg, size_t arg_size) {
    (void)arg_size;
    **(_Atomic int **)arg = getpid();
    for (;;)
        pause();
    return 0;
}

/* A child that its worker never ends. */
static int leave_a_child(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)reply, (void)state;
    mp_process *process;
    mp_process_options options = {.target = wait_for_ever, .arg = arg, .arg_size = arg_size};
    MPT_CHECK(mp_process_new(&process, NULL, &options) == 0);
    MPT_CHECK(mp_process_start(process) == 0);
    MPT_UNTIL(**(_Atomic int *const *)arg != 0);
    return 0;
}

static bool is_gone(pid_t pid) {
    return kill(pid, 0) < 0 && errno == ESRCH;
}

static void test_children_of_a_worker_end_with_it(void **state) {
    (void)state;
    _Atomic int *child = mp_shared_calloc(1, sizeof *child);
    mp_pool *pool = mpt_pool(1);
    pid_t worker = ask_pid(pool);
    MPT_OK(mp_pool_apply(pool, leave_a_child, &child, sizeof child, NULL, 0, NULL));
    assert_false(is_gone(*child));
    kill(worker, SIGKILL);
    MPT_UNTIL(is_gone(*child) || waitpid(*child, NULL, WNOHANG) == *child);
    assert_true(ask_pid(pool) != worker);
    mp_pool_free(pool);
    mp_shared_free((void *)child);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_detail_names_item_worker_signal_and_function),
                 MPT_EACH_METHOD(test_task_that_kills_its_worker_fails_alone),
                 MPT_EACH_METHOD(test_idle_worker_that_is_killed_costs_a_task_at_most),
                 MPT_EACH_METHOD(test_ten_thousand_queued_sleeps_are_dropped_within_a_second),
                 MPT_EACH_WORKER(test_answers_have_up_to_100_megabytes),
                 MPT_EACH_WORKER(test_tasks_use_queues_and_locks),
                 MPT_EACH_WORKER(test_tasks_have_pools_of_their_own),
                 MPT_EACH_METHOD(test_children_of_a_worker_end_with_it))

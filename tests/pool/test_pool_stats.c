/* What workers did, and the options that say what they may use.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mp/pool_stats.h"
#include "os/cpu.h"
#include "os/usage.h"
#include "pool.h"

#define MIB ((size_t)1 << 20)

static int do_nothing(const void *item, void *result, void *state) {
    (void)item, (void)result, (void)state;
    return 0;
}

static mp_worker_stats add_up(mp_pool *pool) {
    mp_worker_stats all[8], sum = {0};
    int count = mp_pool_stats(pool, all, 8);
    for (int i = 0; i < count; i++) {
        sum.tasks += all[i].tasks;
        sum.busy_seconds += all[i].busy_seconds;
        sum.idle_seconds += all[i].idle_seconds;
        sum.cpu_seconds += all[i].cpu_seconds;
        sum.restarts += all[i].restarts;
        sum.peak_bytes = all[i].peak_bytes > sum.peak_bytes ? all[i].peak_bytes : sum.peak_bytes;
    }
    return sum;
}

static void test_every_task_is_counted(void **state) {
    (void)state;
    char items[1000] = {0};
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 3});
    MPT_OK(mp_pool_map(pool, do_nothing, items, sizeof items, 1, NULL, 0, NULL));
    MPT_UNTIL(add_up(pool).tasks == 1000);
    for (int i = 0; i < 10; i++)
        MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, NULL, 0, NULL));
    MPT_UNTIL(add_up(pool).tasks == 1010);
    assert_int_equal(add_up(pool).restarts, 0);
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    assert_int_equal(add_up(pool).tasks, 1010);
    mp_pool_free(pool);
}

static void test_pid_is_the_worker_s(void **state) {
    (void)state;
    pid_t pid = 0;
    mp_worker_stats stats;
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 1});
    MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pid, sizeof pid, NULL));
    MPT_CODE(mp_pool_stats(pool, &stats, 1), 1);
    assert_int_equal(stats.pid, pid);
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    MPT_CODE(mp_pool_stats(pool, &stats, 1), 1);
    assert_int_equal(stats.pid, 0);
    mp_pool_free(pool);
}

static int work_hard(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    clockid_t clock = mp__usage_clock_of_thread();
    mp__time end = mp__usage_read(clock) + *(const mp__time *)arg;
    while (mp__usage_read(clock) < end)
        ;
    return 0;
}

static void test_times_and_memory_are_told(void **state) {
    (void)state;
    mp__time time = MP__SECOND / 20;
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 1});
    MPT_OK(mp_pool_apply(pool, work_hard, &time, sizeof time, NULL, 0, NULL));
    mp_worker_stats stats = add_up(pool);
    assert_true(stats.busy_seconds >= 0.05);
    assert_true(stats.cpu_seconds >= 0.05);
    MPT_UNTIL(add_up(pool).idle_seconds >= 0.02);
    assert_true(add_up(pool).idle_seconds < 20);
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    stats = add_up(pool);
    assert_true(stats.busy_seconds >= 0.05 && stats.cpu_seconds >= 0.05);
    assert_true(stats.idle_seconds >= 0.02);
    assert_in_range(stats.peak_bytes, 100000, SIZE_MAX);
    mp_pool_free(pool);
}

static void test_replaced_workers_are_counted_in(void **state) {
    (void)state;
    char items[30] = {0};
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 1, .max_tasks_per_child = 7});
    MPT_OK(mp_pool_map(pool, do_nothing, items, 30, 1, NULL, 0, &(mp_map_options){.chunk = 30}));
    MPT_UNTIL(add_up(pool).tasks == 30);
    MPT_UNTIL(add_up(pool).restarts == 4);
    mp_pool_free(pool);
}

static int work_and_die(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    work_hard(arg, arg_size, reply, state);
    raise(SIGKILL);
    return 0;
}

/* Also when the fork server has buried it before the pool could look. */
static void test_killed_worker_s_time_is_not_lost(void **state) {
    (void)state;
    mp__time time = MP__SECOND / 20;
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 1});
    MPT_CODE(mp_pool_apply(pool, work_and_die, &time, sizeof time, NULL, 0, NULL), MP_EWORKER);
    MPT_UNTIL(add_up(pool).restarts == 1);
    mp_worker_stats stats = add_up(pool);
    assert_true(stats.busy_seconds >= 0.05);
    assert_int_equal(stats.tasks, 0);
    if (mp__cpu_can_pin())
        assert_true(stats.cpu_seconds >= 0.05);
    mp_pool_free(pool);
}

static void test_stats_refuse_bad_arguments(void **state) {
    (void)state;
    mp_worker_stats stats[2];
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 2});
    MPT_CODE(mp_pool_stats(NULL, stats, 2), MP_EINVAL);
    MPT_CODE(mp_pool_stats(pool, NULL, 1), MP_EINVAL);
    MPT_CODE(mp_pool_stats(pool, stats, -1), MP_EINVAL);
    MPT_CODE(mp_pool_stats(pool, NULL, 0), 2);
    MPT_CODE(mp_pool_stats(pool, stats, 1), 2);
    mp_pool_free(pool);
}

static int count_own_processors(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    cpu_set_t set;
    MPT_CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    int count = CPU_COUNT(&set);
    return mp_reply_set(reply, &count, sizeof count);
}

static void test_pinned_workers_stay_on_one_processor(void **state) {
    (void)state;
    int count = 0;
    if (!mp__cpu_can_pin())
        skip();
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 3, .pin_cpus = true});
    for (int i = 0; i < 6; i++) {
        MPT_OK(mp_pool_apply(pool, count_own_processors, NULL, 0, &count, sizeof count, NULL));
        assert_int_equal(count, 1);
    }
    mp_pool_free(pool);
}

static void test_pinning_is_refused_where_nobody_can(void **state) {
    (void)state;
    mp_pool *pool = NULL;
    if (mp__cpu_can_pin())
        skip();
    MPT_CODE(mp_pool_new(&pool, NULL, &(mp_pool_options){.pin_cpus = true}), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "pin_cpus"));
}

static int answer_nice(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    int nice = getpriority(PRIO_PROCESS, 0);
    return mp_reply_set(reply, &nice, sizeof nice);
}

static void test_nice_workers_are_nicer_than_the_parent(void **state) {
    (void)state;
    int nice = 0, own = getpriority(PRIO_PROCESS, 0);
    mp_pool *pool = mpt_pool_with(&(mp_pool_options){.processes = 1, .nice = 2});
    MPT_OK(mp_pool_apply(pool, answer_nice, NULL, 0, &nice, sizeof nice, NULL));
    assert_int_equal(nice, own + 2 > 19 ? 19 : own + 2);
    mp_pool_free(pool);
}

static void test_threads_have_no_limits_of_their_own(void **state) {
    (void)state;
    static const mp_pool_options options[] = {{.nice = 1}, {.memory_limit = 1}, {.max_rss = 1}};
    mp_pool *pool = NULL;
    for (int i = 0; i < 3; i++)
        MPT_CODE(mp_pool_new(&pool, mp_get_context(MP_THREAD), &options[i]), MP_EINVAL);
    assert_null(pool);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_WORKER(test_every_task_is_counted),
                 MPT_EACH_WORKER(test_pid_is_the_worker_s),
                 MPT_EACH_WORKER(test_times_and_memory_are_told),
                 MPT_EACH_WORKER(test_replaced_workers_are_counted_in),
                 MPT_EACH_METHOD(test_killed_worker_s_time_is_not_lost),
                 MPT_CASE(test_stats_refuse_bad_arguments),
                 MPT_EACH_WORKER(test_pinned_workers_stay_on_one_processor),
                 MPT_CASE(test_pinning_is_refused_where_nobody_can),
                 MPT_EACH_METHOD(test_nice_workers_are_nicer_than_the_parent),
                 MPT_CASE(test_threads_have_no_limits_of_their_own))

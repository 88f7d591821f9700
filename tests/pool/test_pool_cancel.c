/* mp_async_result_cancel: of what waits, of what runs, of what is done.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/shared.h"
#include "pool.h"

struct words {
    _Atomic int go;  /* tasks may end */
    _Atomic int ran; /* how many have begun */
};

static int run_until_go(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    struct words *words = *(struct words *const *)arg;
    ++words->ran;
    while (!words->go)
        sched_yield();
    return 0;
}

static mp_async_result *submit(mp_pool *pool, struct words **words) {
    mp_async_result *result;
    MPT_OK(mp_pool_apply_async(&result, pool, run_until_go, words, sizeof *words, NULL));
    return result;
}

static void expect_canceled(mp_async_result *result) {
    assert_true(mp_async_result_ready(result));
    assert_int_equal(mp_async_result_successful(result), 0);
    MPT_CODE(mp_async_result_get(result, NULL, 0, NULL, MP_NOWAIT), MP_ECANCELED);
    assert_string_equal(mp_async_result_detail(result), "it was cancelled");
}

static pid_t ask_pid(mp_pool *pool) {
    pid_t pid = 0;
    MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pid, sizeof pid, NULL));
    return pid;
}

static void test_waiting_task_is_never_run(void **state) {
    (void)state;
    mp_async_result *results[100];
    struct words *words = mp_shared_calloc(1, sizeof *words);
    mp_pool *pool = mpt_pool(1);
    for (int i = 0; i < 100; i++)
        results[i] = submit(pool, &words);
    MPT_UNTIL(words->ran == 1);
    for (int i = 99; i > 0; i -= 2) {
        MPT_OK(mp_async_result_cancel(results[i]));
        MPT_OK(mp_async_result_cancel(results[i]));
        expect_canceled(results[i]);
    }
    words->go = 1;
    for (int i = 0; i < 100; i++) {
        if (i % 2 == 0)
            MPT_OK(mp_async_result_get(results[i], NULL, 0, NULL, MP_FOREVER));
        mp_async_result_free(results[i]);
    }
    assert_int_equal(words->ran, 50);
    mp_pool_free(pool);
    mp_shared_free(words);
}

static void test_worker_of_a_running_task_is_killed_and_replaced(void **state) {
    (void)state;
    struct words *words = mp_shared_calloc(1, sizeof *words);
    mp_pool *pool = mpt_pool(1);
    for (int round = 1; round <= 10; round++) {
        pid_t before = ask_pid(pool);
        mp_async_result *result = submit(pool, &words);
        MPT_UNTIL(words->ran == round);
        MPT_OK(mp_async_result_cancel(result));
        expect_canceled(result);
        mp_async_result_free(result);
        assert_true(ask_pid(pool) != before);
    }
    mp_pool_free(pool);
    mp_shared_free(words);
}

static void test_others_go_on_when_one_is_cancelled(void **state) {
    (void)state;
    struct words *victim = mp_shared_calloc(1, sizeof *victim);
    struct words *other = mp_shared_calloc(1, sizeof *other);
    mp_pool *pool = mpt_pool(2);
    mp_async_result *first = submit(pool, &victim), *second = submit(pool, &other);
    MPT_UNTIL(victim->ran == 1 && other->ran == 1);
    MPT_OK(mp_async_result_cancel(first));
    assert_false(mp_async_result_ready(second));
    other->go = 1;
    MPT_OK(mp_async_result_get(second, NULL, 0, NULL, MP_FOREVER));
    assert_int_equal(other->ran, 1);
    mp_async_result_free(first);
    mp_async_result_free(second);
    mp_pool_free(pool);
    mp_shared_free(victim);
    mp_shared_free(other);
}

struct item {
    struct words *words; /* where to wait */
    int number;          /* of it */
};

static int wait_from_10(const void *arg, void *result, void *state) {
    const struct item *item = arg;
    (void)state;
    ++item->words->ran;
    while (item->number >= 10 && !item->words->go)
        sched_yield();
    *(int *)result = item->number + 1;
    return 0;
}

static void test_map_keeps_what_was_done(void **state) {
    (void)state;
    struct item items[40];
    int results[40], codes[40];
    mp_async_result *result;
    struct words *words = mp_shared_calloc(1, sizeof *words);
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < 40; i++)
        items[i] = (struct item){words, i};
    mp_map_options options = {.codes = codes, .chunk = 4};
    MPT_OK(mp_pool_map_async(&result, pool, wait_from_10, items, 40, sizeof items[0], results,
                             sizeof(int), &options));
    MPT_UNTIL(words->ran == 12);
    MPT_OK(mp_async_result_cancel(result));
    expect_canceled(result);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(codes[i], i < 10 ? 0 : MP_ECANCELED);
        if (i < 10)
            assert_int_equal(results[i], i + 1);
    }
    assert_int_equal(words->ran, 12);
    mp_async_result_free(result);
    assert_true(ask_pid(pool) > 0);
    mp_pool_free(pool);
    mp_shared_free(words);
}

static void *set_go(void *arg) {
    struct words *words = arg;
    for (int i = 0; i < 1000; i++)
        sched_yield();
    words->go = 1;
    return NULL;
}

/* What a thread runs cannot be stopped, the rest of its chunk is left out. */
static void test_threads_end_their_item_first(void **state) {
    (void)state;
    struct item items[40];
    int results[40], codes[40];
    pthread_t setter;
    mp_async_result *result;
    struct words *words = mp_shared_calloc(1, sizeof *words);
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, mp_get_context(MP_THREAD), &(mp_pool_options){.processes = 1}));
    for (int i = 0; i < 40; i++)
        items[i] = (struct item){words, i};
    mp_map_options options = {.codes = codes, .chunk = 40};
    MPT_OK(mp_pool_map_async(&result, pool, wait_from_10, items, 40, sizeof items[0], results,
                             sizeof(int), &options));
    MPT_UNTIL(words->ran == 11);
    assert_int_equal(pthread_create(&setter, NULL, set_go, words), 0);
    MPT_OK(mp_async_result_cancel(result));
    pthread_join(setter, NULL);
    int done = 0;
    while (done < 40 && codes[done] == 0)
        done++;
    assert_true(done >= 11);
    for (int i = done; i < 40; i++)
        assert_int_equal(codes[i], MP_ECANCELED);
    mp_async_result_free(result);
    mp_pool_free(pool);
    mp_shared_free(words);
}

static void test_maps_cancelled_at_any_moment_end(void **state) {
    (void)state;
    enum { N = 5000 };
    static int items[N], results[N], codes[N];
    mp_pool *pool = mpt_pool(3);
    for (int i = 0; i < N; i++)
        items[i] = i % 1000;
    for (int round = 0; round < 60; round++) {
        mp_async_result *result;
        mp_map_options options = {.codes = codes, .chunk = round % 3 ? (size_t)round : 1};
        memset(results, 0xff, sizeof results);
        MPT_OK(mp_pool_map_async(&result, pool, mpt_square, items, N, sizeof(int), results,
                                 sizeof(int), &options));
        for (int i = 0; i < round * 20; i++)
            sched_yield();
        int code = mp_async_result_cancel(result);
        assert_true(code == 0 || code == MP_ESTATE);
        MPT_CODE(mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER), code ? 0 : MP_ECANCELED);
        for (int i = 0; i < N; i++) {
            assert_true(codes[i] == 0 || (code == 0 && codes[i] == MP_ECANCELED));
            if (codes[i] == 0)
                assert_int_equal(results[i], items[i] * items[i]);
        }
        mp_async_result_free(result);
    }
    mp_pool_free(pool);
}

static void note_code(void *user, int code, const char *detail) {
    assert_string_equal(detail, "it was cancelled");
    *(_Atomic int *)user = code;
}

static void test_error_callback_hears_of_it(void **state) {
    (void)state;
    _Atomic int told = 0;
    mp_async_result *result;
    struct words *words = mp_shared_calloc(1, sizeof *words);
    mp_pool *pool = mpt_pool(1);
    mp_apply_options options = {.error_callback = note_code, .user = (void *)&told};
    MPT_OK(mp_pool_apply_async(&result, pool, run_until_go, &words, sizeof words, &options));
    MPT_OK(mp_async_result_cancel(result));
    MPT_UNTIL(told == MP_ECANCELED);
    mp_async_result_free(result);
    words->go = 1;
    mp_pool_free(pool);
    mp_shared_free(words);
}

static void cancel_elsewhere(void *arg) {
    MPT_CHECK(mp_async_result_cancel(arg) == MP_EFOREIGN);
}

static void test_what_has_ended_is_not_cancelled(void **state) {
    (void)state;
    mp_async_result *result;
    mp_pool *pool = mpt_pool(1);
    MPT_CODE(mp_async_result_cancel(NULL), MP_EINVAL);
    MPT_CODE(mp_async_result_cancel((mp_async_result *)(void *)pool), MP_EINVAL);
    MPT_OK(mp_pool_apply_async(&result, pool, mpt_answer_pid, NULL, 0, NULL));
    MPT_OK(mp_async_result_wait(result, MP_FOREVER));
    MPT_CODE(mp_async_result_cancel(result), MP_ESTATE);
    assert_int_equal(mpt_join(mpt_fork(cancel_elsewhere, result)), 0);
    mp_pool_free(pool);
    MPT_CODE(mp_async_result_cancel(result), MP_ESTATE);
    mp_async_result_free(result);
}

static int cancel_in_task(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    int code = mp_async_result_cancel(*(mp_async_result *const *)arg);
    return mp_reply_set(reply, &code, sizeof code);
}

static void test_task_of_a_thread_cannot_cancel(void **state) {
    (void)state;
    int code = 0;
    struct words *words = mp_shared_calloc(1, sizeof *words);
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, mp_get_context(MP_THREAD), &(mp_pool_options){.processes = 2}));
    mp_async_result *result = submit(pool, &words);
    MPT_OK(mp_pool_apply(pool, cancel_in_task, &result, sizeof result, &code, sizeof code, NULL));
    assert_int_equal(code, MP_ESTATE);
    words->go = 1;
    mp_async_result_free(result);
    mp_pool_free(pool);
    mp_shared_free(words);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_WORKER(test_waiting_task_is_never_run),
                 MPT_EACH_METHOD(test_worker_of_a_running_task_is_killed_and_replaced),
                 MPT_EACH_METHOD(test_others_go_on_when_one_is_cancelled),
                 MPT_EACH_METHOD(test_map_keeps_what_was_done),
                 MPT_CASE(test_threads_end_their_item_first),
                 MPT_EACH_WORKER(test_maps_cancelled_at_any_moment_end),
                 MPT_EACH_METHOD(test_error_callback_hears_of_it),
                 MPT_EACH_WORKER(test_what_has_ended_is_not_cancelled),
                 MPT_CASE(test_task_of_a_thread_cannot_cancel))

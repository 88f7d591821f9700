/* Single tasks: arguments, answers, failures, callbacks, time limits, recycling.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/shared.h"
#include "pool.h"

static void test_argument_and_answer_may_have_any_size(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, 1 << 20};
    char *sent = malloc(1 << 20), *got = malloc(1 << 20);
    mp_pool *pool = mpt_pool(2);
    for (size_t i = 0; i < 1 << 20; i++)
        sent[i] = (char)(i * 7 + i / 256);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = 12345;
        MPT_OK(mp_pool_apply(pool, mpt_echo, sent, sizes[i], got, 1 << 20, &size));
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(sent, got, size);
    }
    free(sent);
    free(got);
    mp_pool_free(pool);
}

static int build_in_place(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    MPT_CHECK(mp_reply_set(reply, "an earlier answer", 18) == 0);
    MPT_CHECK(mp_reply_alloc(reply, 200) != NULL);
    char *bytes = mp_reply_alloc(reply, 100);
    MPT_CHECK(bytes != NULL);
    memset(bytes, 'x', 100);
    return 0;
}

static void test_last_answer_counts(void **state) {
    (void)state;
    char got[200] = {0};
    size_t size;
    mp_pool *pool = mpt_pool(1);
    MPT_OK(mp_pool_apply(pool, build_in_place, NULL, 0, got, sizeof got, &size));
    assert_int_equal(size, 100);
    assert_int_equal(strspn(got, "x"), 100);
    mp_pool_free(pool);
}

static void test_too_short_buffer_says_what_it_takes(void **state) {
    (void)state;
    char got[8] = {0};
    size_t size;
    mp_async_result *result;
    mp_pool *pool = mpt_pool(1);
    MPT_CODE(mp_pool_apply(pool, mpt_echo, "12345678", 9, got, sizeof got, &size), MP_ETOOSHORT);
    assert_int_equal(size, 9);
    MPT_OK(mp_pool_apply_async(&result, pool, mpt_echo, "1234567", 8, NULL));
    MPT_CODE(mp_async_result_get(result, NULL, 0, &size, MP_FOREVER), MP_ETOOSHORT);
    assert_int_equal(size, 8);
    MPT_OK(mp_async_result_get(result, got, sizeof got, &size, MP_FOREVER));
    assert_string_equal(got, "1234567");
    MPT_OK(mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER));
    mp_async_result_free(result);
    mp_pool_free(pool);
}

static int fail_with_words(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    MPT_CHECK(mp_reply_alloc(reply, 5000) != NULL);
    return mp_reply_fail(reply, *(const int *)arg, "cannot read '%s'", "x.txt");
}

static int fail_without_words(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state, (void)reply;
    return *(const int *)arg;
}

static void check_failure(mp_pool *pool, mp_apply_fn fn, int told, int code, const char *detail) {
    MPT_CODE(mp_pool_apply(pool, fn, &told, sizeof told, NULL, 0, NULL), code);
    assert_string_equal(mp_error_detail(), detail);
}

static void test_failed_task_says_why(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    check_failure(pool, fail_with_words, MP_EKEY, MP_EKEY, "cannot read 'x.txt'");
    check_failure(pool, fail_with_words, 0, MP_ETASK, "cannot read 'x.txt'");
    check_failure(pool, fail_without_words, 3, MP_ETASK, "the task returned 3");
    check_failure(pool, fail_without_words, -EBUSY, MP_ETASK,
                  "the task returned -16 (EBUSY: Device or resource busy)");
    mp_pool_free(pool);
}

static int misuse_reply(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    MPT_CHECK(mp_reply_set(NULL, "", 0) == MP_EINVAL);
    MPT_CHECK(mp_reply_set(reply, NULL, 1) == MP_EINVAL);
    MPT_CHECK(mp_reply_alloc(NULL, 1) == NULL);
    MPT_CHECK(mp_reply_fail(NULL, -1, "x") == MP_EINVAL);
    MPT_CHECK(mp_reply_set(reply, "x", SIZE_MAX / 2) == -ENOMEM);
    return mp_reply_set(reply, "ok", 3);
}

static void test_misused_reply_gives_codes(void **state) {
    (void)state;
    char got[3];
    mp_pool *pool = mpt_pool(1);
    MPT_OK(mp_pool_apply(pool, misuse_reply, NULL, 0, got, sizeof got, NULL));
    assert_string_equal(got, "ok");
    mp_pool_free(pool);
}

static void test_thousands_of_tasks_each_get_their_answer(void **state) {
    (void)state;
    enum { COUNT = 5000 };
    static mp_async_result *results[COUNT];
    mp_pool *pool = mpt_pool(3);
    for (int i = 0; i < COUNT; i++)
        MPT_OK(mp_pool_apply_async(&results[i], pool, mpt_echo, &i, sizeof i, NULL));
    for (int i = 0; i < COUNT; i++) {
        int got = -1;
        MPT_OK(mp_async_result_get(results[i], &got, sizeof got, NULL, MP_FOREVER));
        assert_int_equal(got, i);
        mp_async_result_free(results[i]);
    }
    mp_pool_free(pool);
}

static int add_one(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state, (void)reply;
    ++**(_Atomic int *const *)arg;
    return 0;
}

static void test_tasks_nobody_asks_for_are_done_and_freed(void **state) {
    (void)state;
    _Atomic int *counter = mp_shared_calloc(1, sizeof *counter);
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < 3000; i++)
        MPT_OK(mp_pool_apply_async(NULL, pool, add_one, &counter, sizeof counter, NULL));
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    assert_int_equal(*counter, 3000);
    mp_pool_free(pool);
    mp_shared_free((void *)counter);
}

struct told {
    _Atomic int answers, errors; /* calls of each */
    int code;                    /* the last error's */
    char detail[100];            /* its words */
    char data[100];              /* the last answer */
    size_t size;                 /* its bytes */
};

static void note_answer(void *user, const void *data, size_t size) {
    struct told *told = user;
    told->size = size;
    memcpy(told->data, data, size);
    told->answers++;
}

static void note_error(void *user, int code, const char *detail) {
    struct told *told = user;
    told->code = code;
    strncpy(told->detail, detail, sizeof told->detail - 1);
    told->errors++;
}

static void test_one_of_the_callbacks_is_called(void **state) {
    (void)state;
    struct told told = {0};
    int code = MP_EKEY;
    mp_async_result *result;
    mp_pool *pool = mpt_pool(2);
    mp_apply_options options = {
        .callback = note_answer, .error_callback = note_error, .user = &told};
    MPT_OK(mp_pool_apply_async(NULL, pool, mpt_echo, "hello", 6, &options));
    MPT_UNTIL(told.answers == 1);
    assert_string_equal(told.data, "hello");
    MPT_OK(mp_pool_apply_async(&result, pool, fail_with_words, &code, sizeof code, &options));
    MPT_CODE(mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER), MP_EKEY);
    mp_async_result_free(result);
    MPT_UNTIL(told.errors == 1);
    assert_int_equal(told.code, MP_EKEY);
    assert_string_equal(told.detail, "cannot read 'x.txt'");
    assert_int_equal(told.answers, 1);
    mp_pool_free(pool);
}

static void test_every_task_gets_its_callback_before_join_returns(void **state) {
    (void)state;
    struct told told = {0};
    mp_pool *pool = mpt_pool(2);
    mp_apply_options options = {.callback = note_answer, .user = &told};
    for (int i = 0; i < 2000; i++)
        MPT_OK(mp_pool_apply_async(NULL, pool, mpt_echo, &i, sizeof i, &options));
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    assert_int_equal(told.answers, 2000);
    mp_pool_free(pool);
}

static void submit_more(void *user, const void *data, size_t size) {
    mp_pool *pool = user;
    int left = *(const int *)data - 1;
    MPT_CHECK(size == sizeof left);
    mp_apply_options options = {.callback = submit_more, .user = pool};
    if (left > 0)
        MPT_OK(mp_pool_apply_async(NULL, pool, mpt_echo, &left, sizeof left, &options));
    else
        MPT_OK(mp_pool_close(pool));
}

static void test_callback_may_submit(void **state) {
    (void)state;
    int first = 50;
    mp_pool *pool = mpt_pool(1);
    mp_apply_options options = {.callback = submit_more, .user = pool};
    MPT_OK(mp_pool_apply_async(NULL, pool, mpt_echo, &first, sizeof first, &options));
    int code;
    MPT_UNTIL((code = mp_pool_join(pool, MP_FOREVER)) != MP_EINVAL);
    assert_int_equal(code, 0);
    mp_pool_free(pool);
}

static int hang(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)reply, (void)state;
    for (;;)
        pause();
    return 0;
}

static void test_task_over_its_time_is_killed(void **state) {
    (void)state;
    mp_pool *pool;
    mp_async_result *result;
    int number = 5, got = 0;
    MPT_OK(mp_pool_new(&pool, mpt_context(),
                       &(mp_pool_options){.processes = 1, .task_timeout = 0.05}));
    MPT_CODE(mp_pool_apply(pool, hang, NULL, 0, NULL, 0, NULL), MP_ETIMEDOUT);
    assert_non_null(strstr(mp_error_detail(), "was killed after 0.05 seconds"));
    MPT_OK(mp_pool_apply(pool, mpt_echo, &number, sizeof number, &got, sizeof got, NULL));
    assert_int_equal(got, 5);
    mp_apply_options options = {.timeout = 0.02};
    MPT_OK(mp_pool_apply_async(&result, pool, hang, NULL, 0, &options));
    MPT_CODE(mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER), MP_ETIMEDOUT);
    mp_async_result_free(result);
    mp_pool_free(pool);
}

static void test_worker_is_replaced_after_its_number_of_tasks(void **state) {
    (void)state;
    pid_t pids[6];
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, mpt_context(),
                       &(mp_pool_options){.processes = 1, .max_tasks_per_child = 2}));
    for (int i = 0; i < 6; i++)
        MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pids[i], sizeof pids[i], NULL));
    for (int i = 0; i < 6; i += 2) {
        assert_int_equal(pids[i], pids[i + 1]);
        assert_true(i == 0 || pids[i] != pids[i - 1]);
    }
    mp_pool_free(pool);
}

static int store_pid(const void *item, void *result, void *state) {
    (void)item, (void)state;
    *(pid_t *)result = getpid();
    return 0;
}

static void test_worker_is_replaced_within_a_chunk(void **state) {
    (void)state;
    char items[30] = {0};
    pid_t pids[30];
    int changes = 0;
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, mpt_context(),
                       &(mp_pool_options){.processes = 1, .max_tasks_per_child = 7}));
    MPT_OK(mp_pool_map(pool, store_pid, items, 30, 1, pids, sizeof pids[0],
                       &(mp_map_options){.chunk = 30}));
    for (int i = 1; i < 30; i++)
        changes += pids[i] != pids[i - 1];
    assert_int_equal(changes, 4);
    mp_pool_free(pool);
}

struct client {
    mp_pool *pool; /* to work with */
    int number;    /* which client */
};

static void *use_pool(void *arg) {
    struct client *client = arg;
    for (int i = 0; i < 200; i++) {
        int sent = client->number * 1000 + i, got = -1;
        MPT_OK(mp_pool_apply(client->pool, mpt_echo, &sent, sizeof sent, &got, sizeof got, NULL));
        MPT_CHECK(got == sent);
    }
    return NULL;
}

static void test_threads_share_a_pool(void **state) {
    (void)state;
    pthread_t threads[4];
    struct client clients[4];
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < 4; i++) {
        clients[i] = (struct client){pool, i};
        assert_int_equal(pthread_create(&threads[i], NULL, use_pool, &clients[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    mp_pool_free(pool);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    char buffer[4];
    mp_async_result *out;
    mp_pool *pool = mpt_pool(1);
    MPT_CODE(mp_pool_apply(pool, NULL, NULL, 0, NULL, 0, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_apply(pool, mpt_echo, NULL, 4, NULL, 0, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_apply(pool, mpt_echo, NULL, 0, NULL, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_apply(NULL, mpt_echo, NULL, 0, NULL, 0, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_apply_async(&out, pool, mpt_echo, "", 1, &(mp_apply_options){.timeout = NAN}),
             MP_EINVAL);
    MPT_OK(mp_pool_apply_async(&out, pool, mpt_echo, "abc", 4, NULL));
    MPT_CODE(mp_async_result_get(out, NULL, 4, NULL, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_async_result_get(out, buffer, 4, NULL, NAN), MP_EINVAL);
    MPT_OK(mp_async_result_get(out, buffer, 4, NULL, MP_FOREVER));
    mp_async_result_free(out);
    mp_pool_free(pool);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_WORKER(test_argument_and_answer_may_have_any_size),
                 MPT_EACH_WORKER(test_last_answer_counts),
                 MPT_EACH_WORKER(test_too_short_buffer_says_what_it_takes),
                 MPT_EACH_WORKER(test_failed_task_says_why),
                 MPT_EACH_WORKER(test_misused_reply_gives_codes),
                 MPT_EACH_WORKER(test_thousands_of_tasks_each_get_their_answer),
                 MPT_EACH_WORKER(test_tasks_nobody_asks_for_are_done_and_freed),
                 MPT_EACH_WORKER(test_one_of_the_callbacks_is_called),
                 MPT_EACH_WORKER(test_every_task_gets_its_callback_before_join_returns),
                 MPT_EACH_WORKER(test_callback_may_submit),
                 MPT_EACH_METHOD(test_task_over_its_time_is_killed),
                 MPT_EACH_METHOD(test_worker_is_replaced_after_its_number_of_tasks),
                 MPT_EACH_METHOD(test_worker_is_replaced_within_a_chunk),
                 MPT_EACH_WORKER(test_threads_share_a_pool),
                 MPT_EACH_WORKER(test_bad_arguments_are_refused))

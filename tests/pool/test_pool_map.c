/* Maps: order, sizes, places, codes, chunks, results without waiting, bad arguments.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/shared.h"
#include "pool.h"

static int *make_numbers(size_t n, bool is_shared) {
    int *numbers = is_shared ? mp_shared_alloc(n * sizeof(int)) : malloc(n * sizeof(int));
    MPT_CHECK(numbers != NULL);
    for (size_t i = 0; i < n; i++)
        numbers[i] = (int)(i % 30000);
    return numbers;
}

static void check_map(mp_pool *pool, size_t n, bool is_shared, size_t chunk) {
    int *items = make_numbers(n, is_shared), *results = make_numbers(n, is_shared);
    memset(results, 0xff, n * sizeof(int));
    MPT_OK(mp_pool_map(pool, mpt_square, items, n, sizeof(int), results, sizeof(int),
                       &(mp_map_options){.chunk = chunk}));
    for (size_t i = 0; i < n; i++)
        MPT_CHECK(results[i] == items[i] * items[i]);
    if (is_shared) {
        mp_shared_free(items);
        mp_shared_free(results);
        return;
    }
    free(items);
    free(results);
}

static void test_results_come_in_order_whatever_the_chunk(void **state) {
    (void)state;
    static const size_t chunks[] = {0, 1, 2, 3, 7, 64, 999, 1000, 1001, SIZE_MAX};
    mp_pool *pool = mpt_pool(3);
    for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
        check_map(pool, 1000, false, chunks[i]);
        check_map(pool, 1000, true, chunks[i]);
    }
    mp_pool_free(pool);
}

static void test_every_small_number_of_items_is_mapped(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    for (size_t n = 1; n < 70; n++)
        check_map(pool, n, false, 0);
    mp_pool_free(pool);
}

static void test_million_items_are_mapped(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    check_map(pool, 1000000, true, 0);
    check_map(pool, 1000000, false, 16);
    mp_pool_free(pool);
}

static void test_no_items_are_done_at_once(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    mp_async_result *result;
    MPT_OK(mp_pool_map(pool, mpt_square, NULL, 0, 0, NULL, 0, NULL));
    MPT_OK(mp_pool_map_async(&result, pool, mpt_square, NULL, 0, sizeof(int), NULL, 0, NULL));
    assert_true(mp_async_result_ready(result));
    assert_int_equal(mp_async_result_successful(result), 1);
    mp_async_result_free(result);
    mp_pool_free(pool);
}

struct wide {
    char letters[1000]; /* all the same */
};

static int widen(const void *item, void *result, void *state) {
    (void)state;
    memset(((struct wide *)result)->letters, *(const char *)item, sizeof(struct wide));
    return 0;
}

static int narrow(const void *item, void *result, void *state) {
    (void)state;
    *(char *)result = ((const struct wide *)item)->letters[999];
    return 0;
}

static void test_items_and_results_have_sizes_of_their_own(void **state) {
    (void)state;
    char letters[26], back[26] = {0};
    struct wide *wide = calloc(26, sizeof *wide);
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < 26; i++)
        letters[i] = (char)('a' + i);
    MPT_OK(mp_pool_map(pool, widen, letters, 26, 1, wide, sizeof *wide, NULL));
    MPT_OK(mp_pool_map(pool, narrow, wide, 26, sizeof *wide, back, 1, NULL));
    assert_memory_equal(letters, back, 26);
    free(wide);
    mp_pool_free(pool);
}

static int count(const void *item, void *result, void *state) {
    (void)state;
    MPT_CHECK(result == NULL);
    ++**(_Atomic int *const *)item;
    return 0;
}

static void test_results_need_not_be_wanted(void **state) {
    (void)state;
    _Atomic int *counter = mp_shared_calloc(1, sizeof *counter);
    _Atomic int *items[100];
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < 100; i++)
        items[i] = counter;
    MPT_OK(mp_pool_map(pool, count, items, 100, sizeof items[0], NULL, 0, NULL));
    assert_int_equal(*counter, 100);
    mp_pool_free(pool);
    mp_shared_free((void *)counter);
}

static int fail_odd(const void *item, void *result, void *state) {
    (void)state;
    int number = *(const int *)item;
    *(int *)result = number;
    return number % 2 ? number % 4 == 1 ? number : -ENOENT : 0;
}

static void check_failures(mp_pool *pool, int *codes, size_t chunk) {
    int results[50], *items = make_numbers(50, false);
    MPT_CODE(mp_pool_map(pool, fail_odd, items, 50, sizeof(int), results, sizeof(int),
                         &(mp_map_options){.codes = codes, .chunk = chunk}),
             MP_ETASK);
    assert_string_equal(mp_error_detail(), "item 1: the function returned 1");
    for (int i = 0; i < 50; i++) {
        assert_int_equal(codes[i], i % 4 == 1 ? i : i % 4 == 3 ? -ENOENT : 0);
        if (i % 2 == 0)
            assert_int_equal(results[i], i);
    }
    free(items);
}

static void test_failed_items_have_their_codes_and_others_are_done(void **state) {
    (void)state;
    int codes[50], *shared = mp_shared_alloc(sizeof codes);
    mp_pool *pool = mpt_pool(2);
    memset(codes, 0xff, sizeof codes);
    check_failures(pool, codes, 0);
    check_failures(pool, shared, 1);
    mp_shared_free(shared);
    mp_pool_free(pool);
}

static int fail_last(const void *item, void *result, void *state) {
    (void)result, (void)state;
    return *(const int *)item == 29 ? -ENOENT : 0;
}

static void test_detail_names_item_and_error(void **state) {
    (void)state;
    int *items = make_numbers(30, false);
    mp_pool *pool = mpt_pool(2);
    MPT_CODE(mp_pool_map(pool, fail_last, items, 30, sizeof(int), NULL, 0, NULL), MP_ETASK);
    assert_string_equal(mp_error_detail(),
                        "item 29: the function returned -2 (ENOENT: No such file or directory)");
    free(items);
    mp_pool_free(pool);
}

static void test_several_maps_are_under_way_at_once(void **state) {
    (void)state;
    enum { MAPS = 20, N = 500 };
    static int items[N], results[MAPS][N];
    mp_async_result *handles[MAPS];
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < N; i++)
        items[i] = i;
    for (int m = 0; m < MAPS; m++)
        MPT_OK(mp_pool_map_async(&handles[m], pool, mpt_square, items, N, sizeof(int), results[m],
                                 sizeof(int), &(mp_map_options){.chunk = (size_t)m}));
    for (int m = MAPS - 1; m >= 0; m--) {
        MPT_OK(mp_async_result_get(handles[m], NULL, 0, NULL, MP_FOREVER));
        for (int i = 0; i < N; i++)
            assert_int_equal(results[m][i], i * i);
        mp_async_result_free(handles[m]);
    }
    mp_pool_free(pool);
}

struct gate {
    _Atomic int is_open; /* go on */
    _Atomic int arrived; /* somebody waits */
};

static int wait_at_gate(const void *item, void *result, void *state) {
    (void)state;
    struct gate *gate = *(struct gate *const *)item;
    gate->arrived = 1;
    while (!gate->is_open)
        sched_yield();
    *(int *)result = 7;
    return 0;
}

static void test_async_result_tells_what_there_is_to_tell(void **state) {
    (void)state;
    struct gate *gate = mp_shared_calloc(1, sizeof *gate);
    int answer = 0;
    size_t size = 99;
    mp_async_result *result;
    mp_pool *pool = mpt_pool(1);
    MPT_OK(mp_pool_map_async(&result, pool, wait_at_gate, &gate, 1, sizeof gate, &answer,
                             sizeof answer, NULL));
    MPT_UNTIL(gate->arrived);
    assert_false(mp_async_result_ready(result));
    MPT_CODE(mp_async_result_successful(result), MP_EINVAL);
    MPT_CODE(mp_async_result_wait(result, 0.01), MP_ETIMEDOUT);
    MPT_CODE(mp_async_result_get(result, NULL, 0, NULL, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_async_result_wait(result, NAN), MP_EINVAL);
    assert_string_equal(mp_async_result_detail(result), "");
    gate->is_open = 1;
    MPT_OK(mp_async_result_wait(result, MP_FOREVER));
    assert_int_equal(answer, 7);
    assert_int_equal(mp_async_result_successful(result), 1);
    MPT_OK(mp_async_result_get(result, NULL, 0, &size, MP_FOREVER));
    assert_int_equal(size, 0);
    mp_async_result_free(result);
    mp_pool_free(pool);
    mp_shared_free(gate);
}

static void test_freed_result_writes_no_results(void **state) {
    (void)state;
    struct gate *gate = mp_shared_calloc(1, sizeof *gate);
    int answer = 0;
    mp_async_result *result;
    mp_pool *pool = mpt_pool(1);
    MPT_OK(mp_pool_map_async(&result, pool, wait_at_gate, &gate, 1, sizeof gate, &answer,
                             sizeof answer, NULL));
    mp_async_result_free(result);
    gate->is_open = 1;
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    assert_int_equal(answer, 0);
    mp_pool_free(pool);
    mp_shared_free(gate);
}

struct told {
    _Atomic int calls;       /* of the callback */
    int code;                /* what it heard */
    int first_result;        /* what lay there when it was called */
    int *results;            /* of the map */
    size_t last_done, total; /* of progress */
    bool went_back;          /* progress did */
};

static void note_end(void *user, int code) {
    struct told *told = user;
    told->code = code;
    told->first_result = told->results[1];
    told->calls++;
}

static void note_progress(void *user, size_t done, size_t total) {
    struct told *told = user;
    told->went_back |= done < told->last_done;
    told->last_done = done;
    told->total = total;
}

static void test_callback_comes_once_after_the_results(void **state) {
    (void)state;
    int results[30], *items = make_numbers(30, false);
    struct told told = {.results = results};
    mp_pool *pool = mpt_pool(2);
    mp_map_options options = {.callback = note_end, .progress = note_progress, .user = &told};
    MPT_OK(mp_pool_map_async(NULL, pool, mpt_square, items + 5, 25, sizeof(int), results,
                             sizeof(int), &options));
    MPT_UNTIL(told.calls == 1);
    assert_int_equal(told.code, 0);
    assert_int_equal(told.first_result, 36);
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    assert_int_equal(told.calls, 1);
    assert_int_equal(told.last_done, 25);
    assert_int_equal(told.total, 25);
    assert_false(told.went_back);
    free(items);
    mp_pool_free(pool);
}

static void test_callback_hears_of_failure_and_of_empty_maps(void **state) {
    (void)state;
    int results[30] = {0}, *items = make_numbers(30, false);
    struct told told = {.results = results};
    mp_pool *pool = mpt_pool(2);
    mp_map_options options = {.callback = note_end, .user = &told};
    MPT_OK(mp_pool_map_async(NULL, pool, fail_last, items, 30, sizeof(int), NULL, 0, &options));
    MPT_UNTIL(told.calls == 1);
    assert_int_equal(told.code, MP_ETASK);
    MPT_OK(mp_pool_map_async(NULL, pool, mpt_square, NULL, 0, sizeof(int), NULL, 0, &options));
    MPT_UNTIL(told.calls == 2);
    assert_int_equal(told.code, 0);
    free(items);
    mp_pool_free(pool);
}

static void join_in_callback(void *user, int code) {
    (void)code;
    mp_pool *pool = *(mp_pool **)user;
    MPT_OK(mp_pool_close(pool));
    MPT_CODE(mp_pool_join(pool, MP_FOREVER), MP_ESTATE);
}

static void test_callback_cannot_join_its_pool(void **state) {
    (void)state;
    int number = 3, result;
    mp_pool *pool = mpt_pool(1);
    mp_map_options options = {.callback = join_in_callback, .user = &pool};
    MPT_OK(
        mp_pool_map(pool, mpt_square, &number, 1, sizeof number, &result, sizeof result, &options));
    mp_pool_close(pool);
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    int items[2] = {1, 2}, results[2];
    mp_async_result *out;
    mp_pool *pool = mpt_pool(1);
    MPT_CODE(mp_pool_map(pool, NULL, items, 2, 4, results, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map(pool, mpt_square, NULL, 2, 4, results, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map(pool, mpt_square, items, 2, 0, results, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map(pool, mpt_square, items, 2, 4, NULL, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map(pool, mpt_square, items, 2, 4, results, 0, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map(pool, mpt_square, items, SIZE_MAX / 2, 4, results, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map(pool, mpt_square, items, 1000, SIZE_MAX / 2, results, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map_async(NULL, pool, mpt_square, items, 2, 4, results, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_map_async(&out, pool, mpt_square, items, 2, 4, NULL, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_async_result_get(NULL, NULL, 0, NULL, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_async_result_wait(NULL, MP_FOREVER), MP_EINVAL);
    MPT_CODE(mp_async_result_successful((mp_async_result *)(void *)pool), MP_EINVAL);
    assert_false(mp_async_result_ready(NULL));
    mp_async_result_free(NULL);
    mp_pool_free(pool);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_WORKER(test_results_come_in_order_whatever_the_chunk),
                 MPT_EACH_WORKER(test_every_small_number_of_items_is_mapped),
                 MPT_EACH_WORKER(test_million_items_are_mapped),
                 MPT_EACH_WORKER(test_no_items_are_done_at_once),
                 MPT_EACH_WORKER(test_items_and_results_have_sizes_of_their_own),
                 MPT_EACH_WORKER(test_results_need_not_be_wanted),
                 MPT_EACH_WORKER(test_failed_items_have_their_codes_and_others_are_done),
                 MPT_EACH_WORKER(test_detail_names_item_and_error),
                 MPT_EACH_WORKER(test_several_maps_are_under_way_at_once),
                 MPT_EACH_WORKER(test_async_result_tells_what_there_is_to_tell),
                 MPT_EACH_WORKER(test_freed_result_writes_no_results),
                 MPT_EACH_WORKER(test_callback_comes_once_after_the_results),
                 MPT_EACH_WORKER(test_callback_hears_of_failure_and_of_empty_maps),
                 MPT_EACH_WORKER(test_callback_cannot_join_its_pool),
                 MPT_EACH_WORKER(test_bad_arguments_are_refused))

/* mp_pool_starmap: several arrays, item by item.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "mp/pool.h"
#include "mp/shared.h"
#include "pool.h"

enum { N = 300 };

static int weigh(const void *const *args, size_t n_args, void *result, void *state) {
    (void)state;
    MPT_CHECK(n_args == 3);
    int number = *(const int *)args[0];
    double factor = *(const double *)args[1];
    const char *word = args[2];
    *(double *)result = number * factor + (double)strlen(word);
    return number == 7 ? -ENOENT : 0;
}

static int die_at_5(const void *const *args, size_t n_args, void *result, void *state) {
    (void)n_args, (void)state;
    if (*(const int *)args[0] == 5)
        raise(SIGKILL);
    *(int *)result = 1;
    return 0;
}

struct table {
    int numbers[N];       /* 0, 1, ... */
    double factors[N];    /* halves of them */
    char words[N][12];    /* of i % 10 letters */
    mp_column columns[3]; /* all of these */
};

static void fill(struct table *table, double *factors) {
    memset(table->words, 0, sizeof table->words);
    for (int i = 0; i < N; i++) {
        table->numbers[i] = i;
        factors[i] = i / 2.0;
        memset(table->words[i], 'x', (size_t)i % 10);
    }
    table->columns[0] = (mp_column){table->numbers, sizeof table->numbers[0]};
    table->columns[1] = (mp_column){factors, sizeof factors[0]};
    table->columns[2] = (mp_column){table->words, sizeof table->words[0]};
}

static void check(const double *results, const int *codes) {
    for (int i = 0; i < N; i++) {
        assert_int_equal(codes[i], i == 7 ? -ENOENT : 0);
        assert_true(results[i] == i * (i / 2.0) + i % 10);
    }
}

static void test_columns_are_zipped_wherever_they_lie(void **state) {
    (void)state;
    static struct table table;
    double results[N], *factors = mp_shared_alloc(N * sizeof *factors);
    int codes[N];
    mp_pool *pool = mpt_pool(2);
    fill(&table, factors);
    for (size_t chunk = 0; chunk < 10; chunk += 3) {
        memset(results, 0xff, sizeof results);
        MPT_CODE(mp_pool_starmap(pool, weigh, table.columns, 3, N, results, sizeof results[0],
                                 &(mp_map_options){.codes = codes, .chunk = chunk}),
                 MP_ETASK);
        assert_non_null(strstr(mp_error_detail(), "item 7: the function returned -2"));
        check(results, codes);
    }
    mp_pool_free(pool);
    mp_shared_free(factors);
}

static void test_starmap_async_gives_a_result(void **state) {
    (void)state;
    static struct table table;
    static double results[N];
    static int codes[N];
    mp_async_result *result;
    mp_pool *pool = mpt_pool(2);
    fill(&table, table.factors);
    MPT_OK(mp_pool_starmap_async(&result, pool, weigh, table.columns, 3, N, results,
                                 sizeof results[0], &(mp_map_options){.codes = codes}));
    memset(&table, 0, sizeof table);
    MPT_CODE(mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER), MP_ETASK);
    check(results, codes);
    mp_async_result_free(result);
    mp_pool_free(pool);
}

static void test_row_that_kills_its_worker_fails_alone(void **state) {
    (void)state;
    static struct table table;
    int results[20] = {0}, codes[20];
    mp_pool *pool = mpt_pool(2);
    fill(&table, table.factors);
    MPT_CODE(mp_pool_starmap(pool, die_at_5, table.columns, 1, 20, results, sizeof(int),
                             &(mp_map_options){.codes = codes, .chunk = 20}),
             MP_EWORKER);
    assert_memory_equal(mp_error_detail(), "item 5: worker ", 15);
    for (int i = 0; i < 20; i++)
        assert_true(i == 5 ? codes[i] == MP_EWORKER : codes[i] == 0 && results[i] == 1);
    mp_pool_free(pool);
}

static void test_bad_columns_are_refused(void **state) {
    (void)state;
    int number = 1, result;
    mp_async_result *out;
    mp_column columns[65], none = {NULL, 4}, flat = {&number, 0}, huge = {&number, SIZE_MAX / 2};
    for (int i = 0; i < 65; i++)
        columns[i] = (mp_column){&number, sizeof number};
    mp_pool *pool = mpt_pool(2);
    MPT_CODE(mp_pool_starmap(NULL, weigh, columns, 3, 1, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, NULL, columns, 3, 1, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, weigh, NULL, 3, 1, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, weigh, columns, 0, 1, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, weigh, columns, 65, 1, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, weigh, &none, 1, 1, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, weigh, &flat, 1, 1, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, weigh, &huge, 1, 9, &result, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap(pool, weigh, columns, 3, 1, NULL, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap_async(&out, pool, weigh, columns, 3, 1, NULL, 4, NULL), MP_EINVAL);
    MPT_CODE(mp_pool_starmap_async(NULL, pool, weigh, columns, 3, 1, &result, 4, NULL), MP_EINVAL);
    MPT_OK(mp_pool_starmap(pool, weigh, columns, 3, 0, &result, 4, NULL));
    mp_pool_free(pool);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_columns_are_zipped_wherever_they_lie),
                 MPT_EACH_METHOD(test_starmap_async_gives_a_result),
                 MPT_EACH_METHOD(test_row_that_kills_its_worker_fails_alone),
                 MPT_CASE(test_bad_columns_are_refused))

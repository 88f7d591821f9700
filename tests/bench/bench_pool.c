/* The cost of a pool: squares by maps, by tasks submitted at once, and one by one; two workers.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mp/imap.h"
#include "mp/pool.h"
#include "mp/shared.h"
#include "pools.h"

#define MANY 1000000
#define SOME 100000
#define CHOSEN (MANY / (4 * POOL_WORKERS))

static mp_pool *pool;
static int *items, *results;                 /* in the shared heap */
static int *private_items, *private_results; /* outside of it */

static int square(const void *item, void *result, void *state) {
    (void)state;
    *(int *)result = bench_square(*(const int *)item);
    return 0;
}

static int answer_square(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    int result = bench_square(*(const int *)arg);
    return mp_reply_set(reply, &result, sizeof result);
}

static void check(int *got, size_t count) {
    for (size_t i = 0; i < count; i++)
        BENCH_CHECK(got[i] == bench_square((int)i));
    memset(got, 0, count * sizeof *got);
}

static double map_arrays(const struct bench_work *work, const int *from, int *to) {
    mp_map_options options = {.chunk = work->chunk == CHOSEN ? 0 : work->chunk};
    int64_t begin = 0;
    for (int turn = 0; turn < 2; turn++) {
        begin = bench_now();
        BENCH_CHECK(mp_pool_map(pool, square, from, work->count, sizeof *from, to, sizeof *to,
                                &options) == 0);
    }
    double elapsed = (double)(bench_now() - begin);
    check(to, work->count);
    return elapsed / (double)work->count;
}

static double map_in_place(const struct bench_work *work) {
    return map_arrays(work, items, results);
}

static double map_copied(const struct bench_work *work) {
    return map_arrays(work, private_items, private_results);
}

static double submit_tasks(const struct bench_work *work) {
    static mp_async_result *handles[SOME];
    int64_t begin = bench_now();
    for (size_t i = 0; i < work->count; i++)
        BENCH_CHECK(mp_pool_apply_async(&handles[i], pool, answer_square, &items[i], sizeof(int),
                                        NULL) == 0);
    for (size_t i = 0; i < work->count; i++) {
        BENCH_CHECK(mp_async_result_get(handles[i], &private_results[i], sizeof(int), NULL,
                                        MP_FOREVER) == 0);
        mp_async_result_free(handles[i]);
    }
    double elapsed = (double)(bench_now() - begin);
    check(private_results, work->count);
    return elapsed / (double)work->count;
}

static int draw(void *user, const void **data, size_t *size) {
    size_t *left = user;
    if (*left == 0)
        return 0;
    *data = &private_items[--*left];
    *size = sizeof(int);
    return 1;
}

static double iterate(const struct bench_work *work) {
    size_t left = work->count;
    mp_imap *imap;
    mp_imap_options options = {.chunk = 64, .unordered = true, .user = &left};
    const void *data;
    int code;
    int64_t begin = bench_now();
    BENCH_CHECK(mp_pool_imap(&imap, pool, answer_square, draw, &options) == 0);
    while ((code = mp_imap_next(imap, &data, NULL, MP_FOREVER)) == 0)
        private_results[work->count - 1 - mp_imap_index(imap)] = *(const int *)data;
    mp_imap_free(imap);
    double elapsed = (double)(bench_now() - begin);
    BENCH_CHECK(code == MP_EEND);
    check(private_results, work->count);
    return elapsed / (double)work->count;
}

static double apply(const struct bench_work *work) {
    int result;
    int64_t begin = bench_now();
    for (size_t i = 0; i < work->count; i++)
        BENCH_CHECK(mp_pool_apply(pool, answer_square, &items[i], sizeof(int), &result,
                                  sizeof result, NULL) == 0 &&
                    result == bench_square((int)i));
    return (double)(bench_now() - begin) / (double)work->count / 1e3;
}

static double measure(const void *subject) {
    const struct bench_work *work = subject;
    struct bench_work less = *work;
    if (bench_is_smoke() && less.count > 1000)
        less.count /= 100;
    return work->measure ? work->measure(&less) : NAN;
}

static double openmp(const struct bench_work *work) {
    return bench_map_openmp ? bench_apart(bench_map_openmp, work) : NAN;
}

static double glib(const struct bench_work *work) {
    return bench_tasks_glib ? bench_apart(bench_tasks_glib, work) : NAN;
}

static double uv(const struct bench_work *work) {
    return bench_tasks_uv ? bench_apart(bench_tasks_uv, work) : NAN;
}

/* clang-format off: braces of initializers */
#define WORK(whose, ...)                       \
    {                                          \
        whose, measure, &(struct bench_work) { \
            NULL, __VA_ARGS__                  \
        }                                      \
    }
#define PYTHON(what, ...)                          \
    {                                              \
        "CPython", measure, &(struct bench_work) { \
            what, bench_map_python, __VA_ARGS__    \
        }                                          \
    }
/* clang-format on */

static const struct bench_contender chosen[] = {
    WORK("raw prefork", bench_map_raw, MANY, CHOSEN),
    WORK("OpenMP", openmp, MANY, CHOSEN),
    WORK("libmp map", map_in_place, MANY, CHOSEN),
    WORK("libmp map, copied", map_copied, MANY),
    PYTHON("map", MANY, 0),
};
static const struct bench_contender one[] = {
    WORK("raw prefork", bench_map_raw, SOME, 1),
    WORK("OpenMP", openmp, SOME, 1),
    WORK("libmp map", map_in_place, SOME, 1),
    PYTHON("map", SOME / 50, 1),
};
static const struct bench_contender tasks[] = {
    WORK("raw task ring", bench_tasks_raw, SOME),
    WORK("GLib threads", glib, SOME),
    WORK("libuv threads", uv, SOME),
    WORK("libmp apply_async", submit_tasks, SOME),
    WORK("libmp imap", iterate, SOME),
    PYTHON("apply_async", SOME / 20, 0),
};
static const struct bench_contender trips[] = {
    WORK("raw task ring", bench_apply_raw, 500),
    WORK("libmp apply", apply, 500),
    PYTHON("apply", 100, 0),
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    BENCH_CHECK(mp_pool_new(&pool, mp_get_context(MP_FORK),
                            &(mp_pool_options){.processes = POOL_WORKERS}) == 0);
    items = mp_shared_alloc(MANY * sizeof *items);
    results = mp_shared_calloc(MANY, sizeof *results);
    private_items = malloc(MANY * sizeof *private_items);
    private_results = calloc(MANY, sizeof *private_results);
    BENCH_CHECK(items && results && private_items && private_results);
    for (int i = 0; i < MANY; i++)
        items[i] = private_items[i] = i;
    bench_raw_start();
    bench_run("map, 10^6 ints", "ns", chosen, BENCH_COUNT(chosen), 10);
    bench_run("map, chunk 1", "ns", one, BENCH_COUNT(one), 10);
    bench_run("10^5 tasks at once", "ns", tasks, BENCH_COUNT(tasks), 10);
    bench_run("one task, round trip", "us", trips, BENCH_COUNT(trips), 10);
    bench_raw_stop();
    mp_pool_free(pool);
    mp_shared_free(items);
    mp_shared_free(results);
    free(private_items);
    free(private_results);
    return 0;
}

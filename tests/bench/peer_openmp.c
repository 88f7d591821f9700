/* OpenMP's dynamic schedule, with threads; the caller is one of them.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>

#include "pools.h"

static int (*volatile task)(int) = bench_square;

static void map(const int *items, int *results, size_t count, size_t chunk) {
    int (*function)(int) = task;
    (void)chunk;
#pragma omp parallel for schedule(dynamic, chunk) num_threads(POOL_WORKERS)
    for (size_t i = 0; i < count; i++)
        results[i] = function(items[i]);
}

double bench_map_openmp(const struct bench_work *work) {
    int *items = malloc(work->count * sizeof *items), *results = calloc(work->count, sizeof *items);
    BENCH_CHECK(items && results);
    for (size_t i = 0; i < work->count; i++)
        items[i] = (int)i;
    map(items, results, work->count, work->chunk);
    int64_t begin = bench_now();
    map(items, results, work->count, work->chunk);
    double elapsed = (double)(bench_now() - begin);
    for (size_t i = 0; i < work->count; i++)
        BENCH_CHECK(results[i] == bench_square((int)i));
    free(items);
    free(results);
    return elapsed / (double)work->count;
}

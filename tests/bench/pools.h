/* Who is measured with parallel maps and single tasks: limits, libmp, and peers that may not be
 * installed. All have two workers. SPDX-License-Identifier: MIT */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include "bench.h"

#define POOL_WORKERS 2
#define POOL_ITEMS_MAX 1000000

/* Squares of items, and tasks with chunk 0: the answer is nanoseconds for one. Of two maps in a row
 * the second one counts: OpenMP makes its threads in the first. */
struct bench_work {
    const char *who;                               /* for peer_pool.py */
    double (*measure)(const struct bench_work *w); /* NULL: not installed */
    size_t count;                                  /* items, or tasks */
    size_t chunk;                                  /* items given out at once */
};

/* Limits: nobody may die, nothing but squares of ints. */
void bench_raw_start(void); /* the workers, which sleep until they are wanted */
void bench_raw_stop(void);
double bench_map_raw(const struct bench_work *work);   /* an atomic counter */
double bench_tasks_raw(const struct bench_work *work); /* a ring: submit all, wait for all */
double bench_apply_raw(const struct bench_work *work); /* one by one */

double bench_map_python(const struct bench_work *work); /* and tasks: `who` says what */

/* Peers: NULL when their headers were not found. Each sample in a child of its own, for their
 * threads would be in the way of the next contender's. */
#define BENCH_PEER __attribute__((weak))
double bench_map_openmp(const struct bench_work *work) BENCH_PEER;
double bench_tasks_glib(const struct bench_work *work) BENCH_PEER;
double bench_tasks_uv(const struct bench_work *work) BENCH_PEER;
double bench_apart(double (*measure)(const struct bench_work *work), const struct bench_work *work);

static inline int bench_square(int number) {
    return (int)((unsigned)number * (unsigned)number);
}

#endif

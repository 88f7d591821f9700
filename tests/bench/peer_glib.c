/* GLib's GThreadPool: submit all, wait for all.
 * SPDX-License-Identifier: MIT */
#include <glib.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "pools.h"

static int *results;
static size_t count;
static _Atomic size_t done;
static GMutex mutex;
static GCond all_done;

/* 0 cannot be pushed. */
static void run(gpointer data, gpointer user) {
    size_t number = GPOINTER_TO_SIZE(data) - 1;
    (void)user;
    results[number] = bench_square((int)number);
    if (atomic_fetch_add(&done, 1) + 1 < count)
        return;
    g_mutex_lock(&mutex);
    g_cond_signal(&all_done);
    g_mutex_unlock(&mutex);
}

static void do_tasks(GThreadPool *pool) {
    atomic_store(&done, 0);
    for (size_t i = 0; i < count; i++)
        BENCH_CHECK(g_thread_pool_push(pool, GSIZE_TO_POINTER(i + 1), NULL));
    g_mutex_lock(&mutex);
    while (atomic_load(&done) < count)
        g_cond_wait(&all_done, &mutex);
    g_mutex_unlock(&mutex);
}

double bench_tasks_glib(const struct bench_work *work) {
    GThreadPool *pool = g_thread_pool_new(run, NULL, POOL_WORKERS, TRUE, NULL);
    results = calloc(work->count, sizeof *results);
    BENCH_CHECK(pool && results);
    count = work->count;
    do_tasks(pool);
    int64_t begin = bench_now();
    do_tasks(pool);
    double elapsed = (double)(bench_now() - begin);
    for (size_t i = 0; i < count; i++)
        BENCH_CHECK(results[i] == bench_square((int)i));
    g_thread_pool_free(pool, FALSE, TRUE);
    free(results);
    return elapsed / (double)work->count;
}

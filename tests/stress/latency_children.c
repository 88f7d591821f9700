/* How soon it is known that a process has died which is joined, or a worker of a pool; on an idle
 * machine, and on one where others want the processors. SPDX-License-Identifier: MIT */
#include "latency.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/pool_stats.h"
#include "mp/process.h"
#include "mp/shared.h"
#include "mpt.h"

enum { WORKERS = 2, LOAD = 64, SPINNERS_PER_CPU = 2, SPINNERS_MAX = 64 };

static struct moments {       /* in the arena */
    _Atomic int64_t death;    /* just before the signal */
    _Atomic int64_t known;    /* whoever waited has returned */
    _Atomic int64_t relieved; /* the newest worker has begun */
} * moments;

static mp_context *context;

void sleep_for(mp__time time) {
    struct timespec left = {time / MP__SECOND, time % MP__SECOND};
    while (nanosleep(&left, &left) < 0)
        continue;
}

static int compare(const void *a, const void *b) {
    double difference = *(const double *)a - *(const double *)b;
    return difference < 0 ? -1 : difference > 0;
}

void report(double *times, unsigned rounds, const char *format, ...) {
    char name[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    qsort(times, rounds, sizeof *times, compare);
    printf("%-34s %8.2f %8.2f %8.2f\n", name, times[rounds / 2],
           times[(rounds * 95 + 99) / 100 - 1], times[rounds - 1]);
    fflush(stdout);
}

static void note(_Atomic int64_t *moment) {
    atomic_store(moment, mp__now());
}

static void die_now(const void *argument) {
    memcpy(&moments, argument, sizeof moments);
    sleep_for(MP__SECOND / 100);
    note(&moments->death);
    kill(getpid(), SIGKILL);
}

static int die_as_process(void *argument, size_t size) {
    (void)size;
    die_now(argument);
    return 0;
}

static int die_as_task(const void *argument, size_t size, mp_reply *reply, void *state) {
    (void)size, (void)reply, (void)state;
    die_now(argument);
    return 0;
}

static void join_one(mp_pool *unused) {
    mp_process *process;
    mp_process_options options = {
        .target = die_as_process, .arg = &moments, .arg_size = sizeof moments};
    (void)unused;
    MPT_OK(mp_process_new(&process, context, &options));
    MPT_OK(mp_process_start(process));
    MPT_OK(mp_process_join(process, MP_FOREVER));
    note(&moments->known);
    MPT_OK(mp_process_close(process));
}

static void lose_task(mp_pool *pool) {
    MPT_CODE(mp_pool_apply(pool, die_as_task, &moments, sizeof moments, NULL, 0, NULL), MP_EWORKER);
    note(&moments->known);
}

static int take_time(const void *item, void *result, void *state) {
    mp__time end = mp__now() + MP__SECOND / 1000;
    (void)item, (void)result, (void)state;
    while (mp__now() < end)
        continue;
    return 0;
}

/* While the others of the pool have enough to do. */
static void lose_task_of_many(mp_pool *pool) {
    static const char items[LOAD];
    mp_async_result *map;
    MPT_OK(mp_pool_map_async(&map, pool, take_time, items, LOAD, 1, NULL, 0,
                             &(mp_map_options){.chunk = 1}));
    lose_task(pool);
    MPT_OK(mp_async_result_get(map, NULL, 0, NULL, MP_FOREVER));
    mp_async_result_free(map);
}

static int do_nothing(const void *arg, size_t size, mp_reply *reply, void *state) {
    (void)arg, (void)size, (void)reply, (void)state;
    return 0;
}

/* Nothing was to be done in it; known is when the next task is done all the same. */
static void lose_idle_worker(mp_pool *pool) {
    mp_worker_stats workers[WORKERS];
    MPT_CHECK(mp_pool_stats(pool, workers, WORKERS) == WORKERS && workers[0].pid > 0);
    note(&moments->death);
    kill(workers[0].pid, SIGKILL);
    MPT_OK(mp_pool_apply(pool, do_nothing, NULL, 0, NULL, 0, NULL));
    note(&moments->known);
}

static void spin(void *arg) {
    (void)arg;
    for (;;)
        continue;
}

static int note_relief(void *arg, size_t size, void **state) {
    struct moments *its;
    (void)size, (void)state;
    memcpy(&its, arg, sizeof its);
    note(&its->relieved);
    return 0;
}

struct loss {
    const char *name;
    void (*lose)(mp_pool *pool);
    bool has_pool;  /* its relief is measured, too */
    bool is_loaded; /* others want the processors */
};

static const struct loss losses[] = {{"join, the process", join_one, false, false},
                                     {"pool task, its worker", lose_task, true, false},
                                     {"loaded, pool task", lose_task_of_many, true, true},
                                     {"loaded, idle worker", lose_idle_worker, true, true}};

static double milliseconds(_Atomic int64_t *end) {
    return (double)(atomic_load(end) - atomic_load(&moments->death)) / 1e6;
}

/* A worker is lost after all of them have begun, and the next one after its relief. */
static void measure_loss(const struct loss *loss, double *known, double *relieved,
                         unsigned rounds) {
    mp_pool *pool = NULL;
    mp_pool_options options = {.processes = WORKERS,
                               .initializer = note_relief,
                               .init_arg = &moments,
                               .init_arg_size = sizeof moments};
    if (loss->has_pool)
        MPT_OK(mp_pool_new(&pool, context, &options));
    for (unsigned round = 0; round < rounds; round++) {
        mp_worker_stats workers[WORKERS];
        MPT_UNTIL(!pool || (mp_pool_stats(pool, workers, WORKERS) == WORKERS &&
                            workers[0].pid > 0 && workers[1].pid > 0));
        loss->lose(pool);
        known[round] = milliseconds(&moments->known);
        MPT_UNTIL(!pool || atomic_load(&moments->relieved) > atomic_load(&moments->death));
        relieved[round] = milliseconds(&moments->relieved);
    }
    mp_pool_free(pool);
}

static unsigned begin_load(pid_t *spinners) {
    unsigned count = SPINNERS_PER_CPU * (unsigned)mp_usable_cpu_count();
    count = count < SPINNERS_MAX ? count : SPINNERS_MAX;
    for (unsigned i = 0; i < count; i++)
        spinners[i] = mpt_fork(spin, NULL);
    return count;
}

static void end_load(const pid_t *spinners, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        kill(spinners[i], SIGKILL);
        MPT_CODE(mpt_join(spinners[i]), -SIGKILL);
    }
}

static void measure_and_report(const struct loss *loss, const char *method, unsigned rounds) {
    pid_t spinners[SPINNERS_MAX];
    double *times = calloc(2 * rounds, sizeof *times);
    MPT_CHECK(times);
    unsigned spinner_count = loss->is_loaded ? begin_load(spinners) : 0;
    measure_loss(loss, times, times + rounds, rounds);
    end_load(spinners, spinner_count);
    report(times, rounds, "%s, %s", loss->name, method);
    if (loss->has_pool)
        report(times + rounds, rounds, "  its relief");
    free(times);
}

void measure_children(unsigned rounds, const char *chosen) {
    moments = mp_shared_calloc(1, sizeof *moments);
    MPT_CHECK(moments);
    for (unsigned i = 0; i < sizeof losses / sizeof losses[0]; i++)
        for (mp_start_method method = MP_FORK; method <= MP_FORKSERVER; method++) {
            context = mp_get_context(method);
            if (!chosen || strstr(losses[i].name, chosen))
                measure_and_report(&losses[i], mp_start_method_name(method), rounds);
        }
    mp_shared_free(moments);
}

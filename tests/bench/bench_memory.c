/* What an idle worker has for itself (USS): a raw forked child against a worker of a forked pool.
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mp/context.h"
#include "mp/pool.h"

/* Private memory of a process in kB. */
static double private_kilobytes(pid_t pid) {
    char line[256];
    long total = 0, kilobytes;
    snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)pid);
    FILE *stream = fopen(line, "r");
    BENCH_CHECK(stream != NULL);
    while (fgets(line, sizeof line, stream))
        if (sscanf(line, "Private_Clean: %ld", &kilobytes) == 1 ||
            sscanf(line, "Private_Dirty: %ld", &kilobytes) == 1)
            total += kilobytes;
    fclose(stream);
    BENCH_CHECK(total > 0);
    return (double)total;
}

/* Asleep as its /proc state says; the memory of one that still works is not what we ask for. */
static void wait_until_idle(pid_t pid) {
    for (char state = 0; state != 'S';) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
        FILE *stream = fopen(path, "r");
        BENCH_CHECK(stream && fscanf(stream, "%*d (%*[^)]) %c", &state) == 1);
        fclose(stream);
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
}

static void be_idle(void *arg) {
    char stack[16384]; /* what a worker's loop would touch */
    memset(stack, 1, sizeof stack);
    __asm__ volatile("" ::"r"(stack) : "memory");
    (void)arg;
    pause();
}

static double measure_raw_child(const void *subject) {
    (void)subject;
    pid_t pid = bench_fork(be_idle, NULL);
    wait_until_idle(pid);
    double kilobytes = private_kilobytes(pid);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    return kilobytes;
}

static int tell_pid(const void *item, void *result, void *state) {
    (void)item;
    (void)state;
    *(pid_t *)result = getpid();
    return 0;
}

static double measure_worker(const void *subject) {
    const mp_start_method *method = subject;
    mp_pool *pool;
    pid_t pids[8];
    int items[8] = {0};
    BENCH_CHECK(mp_pool_new(&pool, mp_get_context(*method), &(mp_pool_options){.processes = 2}) ==
                0);
    BENCH_CHECK(
        mp_pool_map(pool, tell_pid, items, 8, sizeof items[0], pids, sizeof pids[0], NULL) == 0);
    wait_until_idle(pids[0]);
    double kilobytes = private_kilobytes(pids[0]);
    mp_pool_free(pool);
    return kilobytes;
}

static const struct bench_contender contenders[] = {
    {"raw fork", measure_raw_child, NULL},
    {"libmp fork", measure_worker, &(mp_start_method){MP_FORK}},
    {"libmp forkserver", measure_worker, &(mp_start_method){MP_FORKSERVER}},
    {"libmp spawn", measure_worker, &(mp_start_method){MP_SPAWN}},
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    bench_run("idle worker, private memory", "kB", contenders, BENCH_COUNT(contenders), 2);
    return 0;
}

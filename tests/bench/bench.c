/* What the benchmarks share, see bench.h.
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mp/base.h"

static bool is_smoke;
static unsigned round_number;

void bench_options(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--smoke") == 0)
            is_smoke = true;
        else if (strcmp(argv[i], "--round") == 0 && i + 1 < argc)
            round_number = (unsigned)atoi(argv[++i]);
}

bool bench_is_smoke(void) {
    return is_smoke;
}

void bench_run(const char *metric, const char *unit, const struct bench_contender *list,
               size_t count, unsigned turns) {
    for (unsigned turn = 0; turn < (is_smoke ? 1 : turns); turn++)
        for (size_t i = 0; i < count; i++) {
            const struct bench_contender *next =
                &list[(round_number + turn) % 2 ? count - 1 - i : i];
            printf("%s\t%s\t%s\t%.6g\n", metric, next->name, unit, next->measure(next->subject));
            fflush(stdout);
        }
}

int64_t bench_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t bench_cpu(void) {
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * INT64_C(1000000000) + used.tv_nsec;
}

void bench_pin(unsigned number) {
    cpu_set_t may, one;
    CPU_ZERO(&one);
    BENCH_CHECK(sched_getaffinity(0, sizeof may, &may) == 0);
    unsigned count = (unsigned)CPU_COUNT(&may);
    for (unsigned cpu = 0, seen = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &may) && seen++ == number % count)
            CPU_SET(cpu, &one);
    BENCH_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
}

static int compare_values(const void *first, const void *second) {
    double a = *(const double *)first, b = *(const double *)second;
    return (a > b) - (a < b);
}

double bench_median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_values);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

void *bench_shared(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(memory != MAP_FAILED);
    return memset(memory, 0, size);
}

void bench_reap(pid_t pid) {
    int status;
    BENCH_CHECK(pid > 0);
    while (waitpid(pid, &status, 0) < 0)
        BENCH_CHECK(errno == EINTR);
    BENCH_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

pid_t bench_fork(void (*body)(void *arg), void *arg) {
    fflush(NULL);
    pid_t pid = fork();
    BENCH_CHECK(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body(arg);
    fflush(NULL);
    _exit(0);
}

void bench_fail(const char *file, int line, const char *text) {
    fprintf(stderr, "%s:%d: not so: %s (%s)\n", file, line, text, mp_error_detail());
    fflush(NULL);
    _exit(1);
}

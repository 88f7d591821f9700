/* What the benchmarks share: options, a clock, contenders taking turns, one line per sample for
 * run.py. SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One who is measured. */
struct bench_contender {
    const char *name;
    double (*measure)(const void *subject); /* one sample, in the metric's unit; NAN: not here */
    const void *subject;                    /* for measure */
};
#define BENCH_COUNT(list) (sizeof(list) / sizeof((list)[0]))

/* Read --smoke (a second or two, only that it runs and its checks hold) and --round N. */
void bench_options(int argc, char **argv);
bool bench_is_smoke(void);

/* Print samples of all contenders, one after the other, `turns` times (once in a smoke run);
 * backwards in odd rounds, so that nobody always follows the same neighbour. */
void bench_run(const char *metric, const char *unit, const struct bench_contender *list,
               size_t count, unsigned turns);

int64_t bench_now(void);                           /* nanoseconds, monotonic */
int64_t bench_cpu(void);                           /* nanoseconds that this process worked */
void bench_pin(unsigned number);                   /* to that one of the cpus we may use */
double bench_median(double *values, size_t count); /* sorts them */
void *bench_shared(size_t size); /* zeroed pages that forked children share, touched */
void bench_reap(pid_t pid);      /* wait for a child that must have succeeded */
pid_t bench_fork(void (*body)(void *arg), void *arg); /* a raw child, which dies with us */

bool bench_has_python(void); /* is there a python3? */

/* For what must not fail: print where, and exit. */
#define BENCH_CHECK(condition)                          \
    do {                                                \
        if (!(condition))                               \
            bench_fail(__FILE__, __LINE__, #condition); \
    } while (0)
void bench_fail(const char *file, int line, const char *text) __attribute__((noreturn));

#endif

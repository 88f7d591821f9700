/* Start and join of an empty child: raw fork and raw vfork+exec of this program against the three
 * start methods; a few after a pause, and the average of a long series. With --gigabyte the parent
 * has touched 1 GiB of private memory, which fork has to copy the page tables of.
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mp/context.h"
#include "mp/process.h"

#define STARTS_MAX 40             /* whose median is one sample */
#define STARTS_FEW 5              /* of those that take a hundred times as long */
#define SERIES 3000               /* starts in a row, whose average is one sample */
#define BUSY_NANOSECONDS 50000000 /* that the parent has worked before each sample */

/* One way to start a child and wait for its end. */
struct way {
    void (*start)(mp_start_method method);
    mp_start_method method; /* of libmp's ways */
    bool copies_tables;     /* of the parent's pages: takes long when it is large */
};

static bool is_large; /* the parent */

static void start_raw_fork(mp_start_method method) {
    (void)method;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    bench_reap(pid);
}

static void start_raw_exec(mp_start_method method) {
    (void)method;
    extern char **environ;
    char *argv[] = {(char *)"bench_process", (char *)"--nothing", NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execve("/proc/self/exe", argv, environ);
        _exit(127);
    }
    bench_reap(pid);
}

static int do_nothing(void *arg, size_t arg_size) {
    (void)arg;
    (void)arg_size;
    return 0;
}

static void start_process(mp_start_method method) {
    mp_process *process;
    int exit_code;
    BENCH_CHECK(mp_process_new(&process, mp_get_context(method),
                               &(mp_process_options){.target = do_nothing}) == 0);
    BENCH_CHECK(mp_process_start(process) == 0);
    BENCH_CHECK(mp_process_join(process, MP_FOREVER) == 0);
    BENCH_CHECK(mp_process_exitcode(process, &exit_code) == 0 && exit_code == 0);
    BENCH_CHECK(mp_process_close(process) == 0);
}

/* A system may keep the children of a process that did little of late on its own processor, where
 * a raw fork takes two thirds of the time: who was measured before must not decide that. */
static void be_busy(void) {
    int64_t end = bench_now() + BUSY_NANOSECONDS;
    while (!bench_is_smoke() && bench_now() < end)
        continue;
}

static double measure_starts(const void *subject) {
    const struct way *way = subject;
    double microseconds[STARTS_MAX];
    unsigned count = bench_is_smoke()                 ? 2
                     : is_large && way->copies_tables ? STARTS_FEW
                                                      : STARTS_MAX;
    be_busy();
    for (unsigned i = 0; i < count; i++) {
        int64_t begin = bench_now();
        way->start(way->method);
        microseconds[i] = (double)(bench_now() - begin) / 1e3;
    }
    return bench_median(microseconds, count);
}

/* Nobody has children in stock for so many. */
static double measure_series(const void *subject) {
    const struct way *way = subject;
    unsigned count = bench_is_smoke() ? 40 : SERIES;
    be_busy();
    int64_t begin = bench_now();
    for (unsigned i = 0; i < count; i++)
        way->start(way->method);
    return (double)(bench_now() - begin) / 1e3 / count;
}

static void touch_gigabyte(void) {
    size_t size = (size_t)1 << 30;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(memory != MAP_FAILED && madvise(memory, size, MADV_NOHUGEPAGE) == 0);
    for (size_t i = 0; i < size; i += 4096)
        memory[i] = 1;
}

static const struct bench_contender contenders[] = {
    {"raw fork", measure_starts, &(struct way){start_raw_fork, MP_DEFAULT, true}},
    {"libmp fork", measure_starts, &(struct way){start_process, MP_FORK, true}},
    {"libmp forkserver", measure_starts, &(struct way){start_process, MP_FORKSERVER, false}},
    {"raw vfork+exec", measure_starts, &(struct way){start_raw_exec, MP_DEFAULT, false}},
    {"libmp spawn", measure_starts, &(struct way){start_process, MP_SPAWN, false}},
};

/* The last one alone with a large parent: it copies no tables. */
static const struct bench_contender in_a_row[] = {
    {"raw fork", measure_series, &(struct way){start_raw_fork, MP_DEFAULT, true}},
    {"libmp fork", measure_series, &(struct way){start_process, MP_FORK, true}},
    {"libmp forkserver", measure_series, &(struct way){start_process, MP_FORKSERVER, false}},
};

int main(int argc, char **argv) {
    if (argc == 2 && strcmp(argv[1], "--nothing") == 0)
        return 0;
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    start_process(
        MP_FORKSERVER); /* its server is small, as it is in a program that sets it up first */
    is_large = argc > 1 && strcmp(argv[1], "--gigabyte") == 0;
    if (is_large && !bench_is_smoke())
        touch_gigabyte();
    bench_run(is_large ? "start+join, 1 GiB parent" : "start+join", "us", contenders,
              BENCH_COUNT(contenders), 5);
    if (is_large)
        bench_run("start+join, 3000 in a row, 1 GiB", "us", &in_a_row[2], 1, 3);
    else
        bench_run("start+join, 3000 in a row", "us", in_a_row, BENCH_COUNT(in_a_row), 3);
    return 0;
}

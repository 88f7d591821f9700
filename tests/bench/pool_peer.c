/* Peers of pools that are measured in a process of their own: CPython, and C libraries' threads.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pools.h"

double bench_map_python(const struct bench_work *work) {
    char command[512];
    double value;
    if (!bench_has_python())
        return NAN;
    snprintf(command, sizeof command, "python3 '" BENCH_DIR "/peer_pool.py' %s %zu %zu", work->who,
             work->count, work->chunk);
    FILE *output = popen(command, "r");
    BENCH_CHECK(output && fscanf(output, "%lf", &value) == 1 && pclose(output) == 0);
    return value;
}

struct errand {
    double (*measure)(const struct bench_work *work); /* what to call */
    const struct bench_work *work;                    /* its argument */
    double *value;                                    /* its answer, shared */
};

static void run(void *arg) {
    const struct errand *errand = arg;
    *errand->value = errand->measure(errand->work);
}

double bench_apart(double (*measure)(const struct bench_work *work),
                   const struct bench_work *work) {
    static double *value;
    if (!value)
        value = bench_shared(sizeof *value);
    bench_reap(bench_fork(run, &(struct errand){measure, work, value}));
    return *value;
}

/* libuv's uv_queue_work: submit all, run the loop until all are done.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <uv.h>

#include "pools.h"

struct task {
    uv_work_t request; /* whose data is us */
    int number;        /* of the task */
    int result;        /* its square */
};

static size_t done;

static void run(uv_work_t *request) {
    struct task *task = request->data;
    task->result = bench_square(task->number);
}

static void note_done(uv_work_t *request, int status) {
    (void)request;
    BENCH_CHECK(status == 0);
    done++;
}

static void do_tasks(uv_loop_t *loop, struct task *tasks, size_t count) {
    done = 0;
    for (size_t i = 0; i < count; i++) {
        tasks[i] = (struct task){.number = (int)i};
        tasks[i].request.data = &tasks[i];
        BENCH_CHECK(uv_queue_work(loop, &tasks[i].request, run, note_done) == 0);
    }
    BENCH_CHECK(uv_run(loop, UV_RUN_DEFAULT) == 0 && done == count);
}

double bench_tasks_uv(const struct bench_work *work) {
    setenv("UV_THREADPOOL_SIZE", "2", 1);
    uv_loop_t *loop = uv_default_loop();
    struct task *tasks = calloc(work->count, sizeof *tasks);
    BENCH_CHECK(loop && tasks);
    do_tasks(loop, tasks, work->count);
    int64_t begin = bench_now();
    do_tasks(loop, tasks, work->count);
    double elapsed = (double)(bench_now() - begin);
    for (size_t i = 0; i < work->count; i++)
        BENCH_CHECK(tasks[i].result == bench_square((int)i));
    free(tasks);
    return elapsed / (double)work->count;
}

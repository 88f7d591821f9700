/* A small program with everything behind it: a process, the heap, a lock, a queue. Built against
 * the installed tree, run with little address space and under valgrind. SPDX-License-Identifier:
 * MIT */
#include <stdio.h>

#include <mp/mp.h>

struct job {
    mp_queue *queue; /* where the child puts its total */
    mp_lock *lock;   /* guards the numbers */
    int *numbers;    /* in the shared heap */
    int count;       /* of them */
};

static int add_numbers(void *arg, size_t arg_size) {
    struct job *job = arg;
    (void)arg_size;
    int total = 0;
    mp_lock_acquire(job->lock, MP_FOREVER);
    for (int i = 0; i < job->count; i++)
        total += job->numbers[i];
    mp_lock_release(job->lock);
    return mp_queue_put(job->queue, &total, sizeof total, MP_FOREVER) < 0;
}

static int run(mp_start_method method, struct job *job) {
    mp_process *process;
    int total = 0, exit_code = -1;
    mp_process_options options = {.target = add_numbers, .arg = job, .arg_size = sizeof *job};
    if (mp_process_new(&process, mp_get_context(method), &options) < 0 ||
        mp_process_start(process) < 0 ||
        mp_queue_get(job->queue, &total, sizeof total, NULL, 60) < 0 ||
        mp_process_join(process, 60) < 0 || mp_process_exitcode(process, &exit_code) < 0 ||
        exit_code != 0 || mp_process_close(process) < 0)
        return fprintf(stderr, "%s: %s\n", mp_start_method_name(method), mp_error_detail()), -1;
    printf("%s: total %d\n", mp_start_method_name(method), total);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    struct job job = {.numbers = mp_shared_alloc(1000 * sizeof(int)), .count = 1000};
    if (!job.numbers || mp_lock_new(&job.lock, NULL) < 0 || mp_queue_new(&job.queue, NULL, 0) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < job.count; i++)
        job.numbers[i] = i;
    int failures = 0;
    for (mp_start_method method = MP_FORK; method <= MP_FORKSERVER; method++)
        failures += run(method, &job) < 0;
    mp_queue_free(job.queue);
    mp_lock_free(job.lock);
    mp_shared_free(job.numbers);
    return failures > 0;
}

/* pool_long_tasks.c: five tasks of random length for four workers; nobody waits for their results,
 * but for their end. Python: Pool.apply_async, close, join. SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int long_time_task(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    int name = *(const int *)arg;
    unsigned seed = (unsigned)name + (unsigned)getpid();
    printf("Run task %d (%d)...\n", name, (int)getpid());
    double start = now();
    poll(NULL, 0, rand_r(&seed) % 300);
    printf("Task %d runs %.2f seconds.\n", name, now() - start);
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    printf("Parent process %d.\n", (int)getpid());
    mp_pool *pool;
    if (mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 4}) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < 5; i++)
        mp_pool_apply_async(NULL, pool, long_time_task, &i, sizeof i, NULL);
    printf("Waiting for all subprocesses done...\n");
    mp_pool_close(pool);
    mp_pool_join(pool, MP_FOREVER);
    printf("All subprocesses done.\n");
    mp_pool_free(pool);
    return 0;
}

/* pool_functions.c: tasks of one pool may be different functions. Python: several functions given
 * to apply_async. SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static int run(const char *name, int longest) {
    struct timespec start, end;
    unsigned seed = (unsigned)getpid();
    printf("Run task %s (%d)\n", name, (int)getpid());
    clock_gettime(CLOCK_MONOTONIC, &start);
    poll(NULL, 0, rand_r(&seed) % longest);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("Task %s runs %.2f seconds.\n", name,
           (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9);
    return 0;
}

#define TASK(function, longest)                                                           \
    static int function(const void *arg, size_t arg_size, mp_reply *reply, void *state) { \
        (void)arg, (void)arg_size, (void)reply, (void)state;                              \
        return run(#function, longest);                                                   \
    }
TASK(Lee, 100)
TASK(Marlon, 400)
TASK(Allen, 300)
TASK(Frank, 200)

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    static const mp_apply_fn functions[] = {Lee, Marlon, Allen, Frank};
    mp_pool *pool;
    printf("Parent process %d.\n", (int)getpid());
    if (mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 4}) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < 4; i++)
        mp_pool_apply_async(NULL, pool, functions[i], NULL, 0, NULL);
    printf("Waiting for all subprocesses done...\n");
    mp_pool_close(pool);
    mp_pool_join(pool, MP_FOREVER);
    printf("All subprocesses done.\n");
    mp_pool_free(pool);
    return 0;
}

/* pool_squares.c: a function over the numbers from 0 to 7; each worker prints what it finds.
 * Python: Pool(cpu_count()).map. SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <stdio.h>

static int m1(const void *item, void *result, void *state) {
    (void)result, (void)state;
    int x = *(const int *)item;
    printf("%d\n", x * x);
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    int numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    mp_pool *pool;
    if (mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = mp_cpu_count()}) < 0 ||
        mp_pool_map(pool, m1, numbers, 8, sizeof(int), NULL, 0, NULL) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    mp_pool_close(pool);
    mp_pool_join(pool, MP_FOREVER);
    mp_pool_free(pool);
    return 0;
}

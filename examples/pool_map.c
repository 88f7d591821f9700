/* pool_map.c: a function over many items; one fails, one kills its worker, all others are done.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static int square(const void *item, void *result, void *state) {
    (void)state;
    int number = *(const int *)item;
    if (number == 3)
        return -1; /* this item failed */
    if (number == 5)
        raise(SIGKILL); /* and this one crashes */
    *(int *)result = number * number;
    return 0;
}

static int shout(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    char *out = mp_reply_alloc(reply, arg_size + 1);
    if (!out)
        return mp_reply_fail(reply, MP_ETASK, "no memory for %zu bytes", arg_size + 1);
    memcpy(out, arg, arg_size - 1);
    memcpy(out + arg_size - 1, "!", 2);
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    int items[8] = {0, 1, 2, 3, 4, 5, 6, 7}, results[8] = {0}, codes[8];
    mp_pool *pool;
    if (mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 2}) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;

    int code = mp_pool_map(pool, square, items, 8, sizeof(int), results, sizeof(int),
                           &(mp_map_options){.codes = codes});
    printf("map: %s, %s\n", mp_error_name(code), mp_error_detail());
    for (int i = 0; i < 8; i++)
        if (codes[i] == 0)
            printf("%d squared is %d\n", items[i], results[i]);
        else
            printf("%d failed: %s\n", items[i],
                   codes[i] == -1 ? "its function returned -1" : mp_error_name(codes[i]));

    char answer[32];
    size_t size;
    if (mp_pool_apply(pool, shout, "hello", 6, answer, sizeof answer, &size) == 0)
        printf("apply: %s, %zu bytes\n", answer, size);
    mp_pool_close(pool);
    mp_pool_join(pool, MP_FOREVER);
    mp_pool_free(pool);
    return 0;
}

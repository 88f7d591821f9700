/* pool_apply.c: the same task by apply_async, for who does not wait; by apply, for who does; and by
 * apply_async whose results are taken later. Python: the three in one.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static int func(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    const char *msg = arg;
    char answer[64];
    printf("msg: %s\n", msg);
    poll(NULL, 0, 50);
    printf("end %s\n", msg);
    int size = snprintf(answer, sizeof answer, "done %s", msg);
    return mp_reply_set(reply, answer, (size_t)size + 1);
}

static mp_pool *make_pool(int processes) {
    mp_pool *pool = NULL;
    if (mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = processes}) < 0)
        fprintf(stderr, "%s\n", mp_error_detail());
    return pool;
}

static void finish(mp_pool *pool) {
    mp_pool_close(pool); /* join wants it closed: else more could come */
    mp_pool_join(pool, MP_FOREVER);
    mp_pool_free(pool);
    printf("Sub-process(es) done.\n");
}

/* Three of four begin at once, the last one when a worker is free. */
static int do_not_wait(void) {
    mp_pool *pool = make_pool(3);
    for (int i = 0; pool && i < 4; i++) {
        char msg[32];
        snprintf(msg, sizeof msg, "hello %d", i);
        mp_pool_apply_async(NULL, pool, func, msg, strlen(msg) + 1, NULL);
    }
    printf("Mark~ Mark~ Mark~\n");
    finish(pool);
    return pool ? 0 : 1;
}

/* One after the other: each call returns when its task is done. */
static int wait_for_each(void) {
    mp_pool *pool = make_pool(3);
    for (int i = 0; pool && i < 4; i++) {
        char msg[32];
        snprintf(msg, sizeof msg, "hi %d", i);
        mp_pool_apply(pool, func, msg, strlen(msg) + 1, NULL, 0, NULL);
    }
    finish(pool);
    return pool ? 0 : 1;
}

static int ask_later(void) {
    mp_pool *pool = make_pool(4);
    mp_async_result *results[3] = {NULL};
    for (int i = 0; pool && i < 3; i++) {
        char msg[32];
        snprintf(msg, sizeof msg, "hey %d", i);
        mp_pool_apply_async(&results[i], pool, func, msg, strlen(msg) + 1, NULL);
    }
    finish(pool);
    for (int i = 0; i < 3; i++) {
        char answer[64] = "";
        if (mp_async_result_get(results[i], answer, sizeof answer, NULL, MP_FOREVER) == 0)
            printf("::: %s\n", answer);
        mp_async_result_free(results[i]);
    }
    return pool ? 0 : 1;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    return do_not_wait() + wait_for_each() + ask_later();
}

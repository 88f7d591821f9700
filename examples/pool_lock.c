/* pool_lock.c: twenty tasks, of which one at a time is let through by a lock. In Python it must be
 * a manager's, here a pointer to any lock can be given to a task. SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <mp/sync.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

struct order {
    int count;     /* which task */
    mp_lock *lock; /* the same in every process */
};

static int work(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    const struct order *order = arg;
    char answer[64];
    if (mp_lock_acquire(order->lock, MP_FOREVER) < 0)
        return mp_reply_fail(reply, MP_ETASK, "%s", mp_error_detail());
    printf("%d (%d)\n", order->count, (int)getpid());
    poll(NULL, 0, 5);
    mp_lock_release(order->lock);
    int size = snprintf(answer, sizeof answer, "i am %d and (%d)", order->count, (int)getpid());
    return mp_reply_set(reply, answer, (size_t)size + 1);
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    struct order order = {0, NULL};
    mp_async_result *results[20];
    mp_pool *pool;
    if (mp_lock_new(&order.lock, NULL) < 0 ||
        mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 5}) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (; order.count < 20; order.count++)
        if (mp_pool_apply_async(&results[order.count], pool, work, &order, sizeof order, NULL) < 0)
            return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < 20; i++) {
        char answer[64] = "";
        int code = mp_async_result_get(results[i], answer, sizeof answer, NULL, MP_FOREVER);
        printf("%s\n", code < 0 ? mp_async_result_detail(results[i]) : answer);
        mp_async_result_free(results[i]);
    }
    mp_pool_close(pool);
    mp_pool_join(pool, MP_FOREVER);
    mp_pool_free(pool);
    mp_lock_free(order.lock);
    return 0;
}

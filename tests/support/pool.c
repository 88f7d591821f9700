/* Pools in a test, and what many of them are given to do.
 * SPDX-License-Identifier: MIT */
#include "pool.h"

#include <unistd.h>

#include "mpt.h"

mp_pool *mpt_pool(int processes) {
    return mpt_pool_with(&(mp_pool_options){.processes = processes});
}

mp_pool *mpt_pool_with(const mp_pool_options *options) {
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, mpt_context(), options));
    return pool;
}

int mpt_square(const void *item, void *result, void *state) {
    (void)state;
    *(int *)result = *(const int *)item * *(const int *)item;
    return 0;
}

int mpt_echo(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    return mp_reply_set(reply, arg, arg_size);
}

int mpt_answer_pid(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    pid_t pid = getpid();
    return mp_reply_set(reply, &pid, sizeof pid);
}

int mpt_wait_for_ever(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)reply, (void)state;
    for (;;)
        pause();
    return 0;
}

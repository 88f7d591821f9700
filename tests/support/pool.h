/* Pools in a test, and what many of them are given to do.
 * SPDX-License-Identifier: MIT */
#ifndef MPT_POOL_H
#define MPT_POOL_H

#include <stddef.h>

#include "mp/pool.h"

/* Under mpt_context(); must work (as MPT_OK). */
mp_pool *mpt_pool(int processes);
mp_pool *mpt_pool_with(const mp_pool_options *options);

/* For maps of ints. */
int mpt_square(const void *item, void *result, void *state);
/* Tasks: what they are given; their pid_t; nothing, and no end. */
int mpt_echo(const void *arg, size_t arg_size, mp_reply *reply, void *state);
int mpt_answer_pid(const void *arg, size_t arg_size, mp_reply *reply, void *state);
int mpt_wait_for_ever(const void *arg, size_t arg_size, mp_reply *reply, void *state);

#endif

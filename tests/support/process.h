/* Processes of libmp in a test. Each call must work (as MPT_OK).
 * SPDX-License-Identifier: MIT */
#ifndef MPT_PROCESS_H
#define MPT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "mp/process.h"

/* Under mpt_context(), with the argument and nothing else. */
mp_process *mpt_new(mp_target_fn target, const void *arg, size_t arg_size);
mp_process *mpt_start(mp_target_fn target, const void *arg, size_t arg_size);
/* With all that a process can have. */
mp_process *mpt_start_with(mp_context *context, const mp_process_options *options);
/* Join, close; the exit code. Whoever takes 50 seconds (ctest's limit is 60) has failed. */
int mpt_end(mp_process *process);

/* A target that returns 0 at once. */
int mpt_do_nothing(void *arg, size_t arg_size);
/* Is somebody there with this pid, no zombie? Anybody's child. */
bool mpt_exists(pid_t pid);

#endif

/* Processes of libmp in a test: from making one to its exit code.
 * SPDX-License-Identifier: MIT */
#include "process.h"

#include "mpt.h"

#include "os/child.h"

mp_process *mpt_new(mp_target_fn target, const void *arg, size_t arg_size) {
    mp_process *process;
    mp_process_options options = {.target = target, .arg = arg, .arg_size = arg_size};
    MPT_OK(mp_process_new(&process, mpt_context(), &options));
    return process;
}

mp_process *mpt_start(mp_target_fn target, const void *arg, size_t arg_size) {
    mp_process *process = mpt_new(target, arg, arg_size);
    MPT_OK(mp_process_start(process));
    return process;
}

mp_process *mpt_start_with(mp_context *context, const mp_process_options *options) {
    mp_process *process;
    MPT_OK(mp_process_new(&process, context, options));
    MPT_OK(mp_process_start(process));
    return process;
}

int mpt_end(mp_process *process) {
    int code;
    MPT_OK(mp_process_join(process, 50));
    MPT_OK(mp_process_exitcode(process, &code));
    MPT_OK(mp_process_close(process));
    return code;
}

int mpt_do_nothing(void *arg, size_t arg_size) {
    (void)arg;
    (void)arg_size;
    return 0;
}

bool mpt_exists(pid_t pid) {
    return mp__child_exists(pid, mp__boot_time());
}

/* Start method fork: the child is a copy.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/descriptor.h"
#include "os/output.h"
#include "proc/bootstrap.h"
#include "proc/current.h"
#include "proc/exit.h"
#include "proc/start.h"

static void become_child(const struct child *child, bool is_clean) __attribute__((noreturn));

/* Lifelines' and sentinels' other ends were closed by the handlers of os. */
static void become_child(const struct child *child, bool is_clean) {
    mp__descriptor_close(child->sentinel.fd);
    struct mp__bootstrap how = {
        .launch = child->launch,
        .sentinel_end = child->sentinel.child_end,
        .lifeline_end = child->lifeline.child_end,
        .is_forked = true,
        .is_clean = is_clean,
    };
    mp__bootstrap(&how);
}

static int fork_child(struct child *child) {
    int code = mp__start_prepare(child);
    if (code == 0)
        code = mp__current_note(child->process);
    if (code < 0)
        return code;
    MP__POINT("fork.start.prepared");
    bool is_clean = mp__exit_flush_for_fork();
    pid_t pid = fork();
    int error = errno;
    if (pid == 0) {
        mp__output_forget(stdout);
        mp__output_forget(stderr);
        become_child(child, is_clean);
    }
    mp__current_forget_note();
    if (pid < 0)
        return mp__fail(-error, "mp_process_start: fork");
    return mp__start_born(child, pid);
}

int mp__start_fork(struct child *child) {
    mp__start_lock();
    int code = fork_child(child);
    mp__start_unlock();
    return code;
}

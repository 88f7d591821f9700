/* Making processes, ending them, asking after them.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_CHILD_H
#define MP__OS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/clock.h"

struct mp__exec {
    int image;               /* descriptor of the program, -1: use path */
    const char *path;        /* the program's file */
    char *const *argv;       /* NULL-terminated */
    const int *descriptors;  /* kept under the same numbers, besides 0, 1 and 2 */
    size_t descriptor_count; /* at most MP__PASS_MAX */
};

/* Start another program, without copying our address space, signals reset to default and unblocked,
 * no other descriptor inherited: its pid, or -errno (that of exec included). */
pid_t mp__child_exec(const struct mp__exec *exec);

/* Open our own program's file for exec, now: later replacements of the file do no harm. The
 * descriptor or -errno. */
int mp__child_own_image(void);

/* Take the exit status of a child of ours: 1 and *code = exit code or -signal; 0 still running;
 * -ECHILD when it is not our child or was taken by somebody else. Without `wait` it only looks; to
 * wait with a deadline poll its sentinel first. */
int mp__child_reap(pid_t pid, bool wait, int *code);

/* _exit() for a child forked by a process that may have more threads. */
_Noreturn void mp__child_leave(int code);

/* In a child of one thread, forked by `parent`, which has one thread: be killed when that dies,
 * till unbound. -ENOSYS: the system cannot; look at getppid() from time to time. */
int mp__child_bind(pid_t parent);
void mp__child_unbind(void);

/* This machine's clock since boot in nanoseconds, which runs on in suspend: what process start
 * times are measured in. */
uint64_t mp__boot_time(void);

/* When the process started, in the same unit (coarse: 10 ms); 0 when there is none or it cannot be
 * known. */
uint64_t mp__child_start_time(pid_t pid);

/* Is the process that was registered under `pid` at `registered` (mp__boot_time) still there? A
 * zombie is not, neither is a younger process that got the same number. Costs system calls. */
bool mp__child_exists(pid_t pid, uint64_t registered);

/* Sleep until that process has ended, or until the deadline. Returns at once where the system
 * cannot tell, and when there is no such process. */
void mp__child_await_end(pid_t pid, mp__time deadline);

/* Can mp__child_exists tell a zombie of another parent from the living? Where it cannot, it says
 * that such a one exists. */
bool mp__child_sees_zombies(void);

#endif

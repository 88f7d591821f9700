/* Linux: starting a program without copying this process.
 * SPDX-License-Identifier: MIT
 *
 * As vfork does, the child runs in our memory until exec while this thread waits. It has its own
 * stack and does nothing but system calls: libc's (and a sanitizer's) state is ours. posix_spawn
 * cannot close all but a list of descriptors. */
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/inherit.h"
#include "os/sanitizer.h"

#define STACK_BYTES (64 * 1024)
#define SIGNALS 64 /* the kernel's, whatever libc hides of them */
#define SIGNAL_SET_BYTES (SIGNALS / 8)
#define CLOSE_ON_EXEC 4U /* CLOSE_RANGE_CLOEXEC, Linux 5.11 */

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same number on every architecture */
#endif

/* A child in our memory would make TSan believe that this process was forked. */
#if defined(MP__UNDER_TSAN)
#define CLONE_FLAGS (CLONE_VFORK | SIGCHLD)
#define MAP_FLAGS (MAP_SHARED | MAP_ANONYMOUS)
#else
#define CLONE_FLAGS (CLONE_VM | CLONE_VFORK | SIGCHLD)
#define MAP_FLAGS (MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK)
#endif

#define NOT_INSTRUMENTED __attribute__((no_sanitize_address, no_sanitize_thread))

extern char **environ;

struct launch {
    const struct mp__exec *exec;          /* what to start */
    volatile int error;                   /* errno, written by the child when it could not */
    _Alignas(64) char stack[STACK_BYTES]; /* the child's */
};

/* All zeros is the default disposition, in every architecture's layout. */
NOT_INSTRUMENTED static void reset_signals(void) {
    unsigned long zeros[16] = {0};
    for (int number = 1; number <= SIGNALS; number++)
        syscall(SYS_rt_sigaction, number, zeros, NULL, (size_t)SIGNAL_SET_BYTES);
}

NOT_INSTRUMENTED static int pass_descriptors(const struct mp__exec *exec) {
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_ON_EXEC) < 0)
        mp__inherit_nothing();
    for (size_t i = 0; i < exec->descriptor_count; i++)
        if (syscall(SYS_fcntl, exec->descriptors[i], F_SETFD, 0) < 0)
            return -1;
    return 0;
}

NOT_INSTRUMENTED static void become(const struct mp__exec *exec) {
    if (exec->image < 0)
        syscall(SYS_execve, exec->path, exec->argv, environ);
    else
        syscall(SYS_execveat, exec->image, "", exec->argv, environ, AT_EMPTY_PATH);
}

/* Dispositions first: once unblocked, a signal must not run a handler of the parent's in the
 * parent's memory. */
NOT_INSTRUMENTED static int run_child(void *argument) {
    struct launch *launch = argument;
    uint64_t none = 0;
    reset_signals();
    if (pass_descriptors(launch->exec) == 0) {
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, (size_t)SIGNAL_SET_BYTES);
        become(launch->exec);
    }
    launch->error = errno;
    syscall(SYS_exit_group, 127);
    return 0;
}

/* Every signal, also those that libc keeps for itself and lets nobody block. */
static pid_t clone_blocked(struct launch *launch) {
    uint64_t all = ~UINT64_C(0), before;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, (size_t)SIGNAL_SET_BYTES);
    pid_t pid = clone(run_child, launch->stack + STACK_BYTES, CLONE_FLAGS, launch);
    int error = errno;
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, (size_t)SIGNAL_SET_BYTES);
    return pid < 0 ? -error : pid;
}

pid_t mp__child_exec(const struct mp__exec *exec) {
    struct launch *launch = mmap(NULL, sizeof *launch, PROT_READ | PROT_WRITE, MAP_FLAGS, -1, 0);
    if (launch == MAP_FAILED)
        return -errno;
    launch->exec = exec;
    pid_t pid = clone_blocked(launch);
    int error = launch->error, code;
    munmap(launch, sizeof *launch);
    if (pid < 0 || error == 0)
        return pid;
    mp__child_reap(pid, true, &code);
    return -error;
}

/* O_PATH: a program may be executable without being readable. Once the first thread has ended
 * /proc/self shows nothing of what the others still have. It is asked first all the same: valgrind
 * knows that name alone, and would show itself under the other. */
int mp__child_own_image(void) {
    static const char *const names[] = {"/proc/self/exe", "/proc/thread-self/exe"};
    int descriptor = -1;
    for (size_t i = 0; i < 2 && descriptor < 0; i++)
        do
            descriptor = open(names[i], O_PATH | O_CLOEXEC);
        while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

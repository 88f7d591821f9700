/* POSIX: starting a program by fork and exec; a pipe tells why it could not.
 * SPDX-License-Identifier: MIT */
#include "os/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/inherit.h"

#define SIGNALS 64 /* the last number to reset; those that do not exist are refused */

extern char **environ;

static void reset_signals(void) {
    struct sigaction fallback = {.sa_handler = SIG_DFL};
    for (int number = 1; number <= SIGNALS; number++)
        sigaction(number, &fallback, NULL);
}

static int pass_descriptors(const struct mp__exec *exec) {
    mp__inherit_nothing();
    for (size_t i = 0; i < exec->descriptor_count; i++)
        if (fcntl(exec->descriptors[i], F_SETFD, 0) < 0)
            return -1;
    return 0;
}

static void become(const struct mp__exec *exec) {
    if (exec->image < 0)
        execve(exec->path, exec->argv, environ);
    else
        fexecve(exec->image, exec->argv, environ);
}

static _Noreturn void run_child(const struct mp__exec *exec, int report) {
    reset_signals();
    if (pass_descriptors(exec) == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        become(exec);
    }
    int error = errno;
    while (write(report, &error, sizeof error) < 0 && errno == EINTR)
        continue;
    _exit(127);
}

static pid_t fork_blocked(const struct mp__exec *exec, int report) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = _Fork(); /* no handlers: they would close what is to be passed (os/unforked.h) */
    int error = errno;
    if (pid == 0)
        run_child(exec, report);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : pid;
}

/* The child's errno, 0 when exec has closed the pipe. */
static int read_error(int report) {
    int error = 0;
    ssize_t got;
    do
        got = read(report, &error, sizeof error);
    while (got < 0 && errno == EINTR);
    return got == (ssize_t)sizeof error ? error : 0;
}

/* Before the pipe takes the numbers of closed ones. */
static int check_descriptors(const struct mp__exec *exec) {
    for (size_t i = 0; i < exec->descriptor_count; i++)
        if (fcntl(exec->descriptors[i], F_GETFD) < 0)
            return -errno;
    return 0;
}

pid_t mp__child_exec(const struct mp__exec *exec) {
    int report[2];
    int code = check_descriptors(exec);
    if (code == 0)
        code = mp__descriptor_pipe(report);
    if (code < 0)
        return code;
    pid_t pid = fork_blocked(exec, report[1]);
    mp__descriptor_close(report[1]);
    int error = pid < 0 ? 0 : read_error(report[0]);
    mp__descriptor_close(report[0]);
    if (error == 0)
        return pid;
    mp__child_reap(pid, true, &code);
    return -error;
}

/* POSIX has no name for it; these are what systems have. */
int mp__child_own_image(void) {
    static const char *const names[] = {"/proc/self/exe", "/proc/thread-self/exe",
                                        "/proc/curproc/file", "/proc/curproc/exe",
                                        "/proc/self/object/a.out"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int descriptor = open(names[i], O_RDONLY | O_CLOEXEC);
        if (descriptor >= 0)
            return descriptor;
        if (errno != ENOENT)
            return -errno;
    }
    return -ENOENT;
}

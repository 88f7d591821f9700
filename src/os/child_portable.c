/* POSIX: is that process still there? Without start times a recycled number passes for the old
 * process. SPDX-License-Identifier: MIT */
#include "os/child.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

bool mp__child_sees_zombies(void) {
    return false;
}

uint64_t mp__boot_time(void) {
    return (uint64_t)mp__now();
}

uint64_t mp__child_start_time(pid_t pid) {
    (void)pid;
    return 0;
}

/* Only for our own children POSIX tells zombies from the living. */
static bool is_own_zombie(pid_t pid) {
    siginfo_t info = {0};
    int result;
    do
        result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    while (result < 0 && errno == EINTR);
    return result == 0 && info.si_pid == pid;
}

bool mp__child_exists(pid_t pid, uint64_t registered) {
    (void)registered;
    if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
        return false;
    return !is_own_zombie(pid);
}

void mp__child_await_end(pid_t pid, mp__time deadline) {
    (void)pid;
    (void)deadline;
}

int mp__child_bind(pid_t parent) {
    (void)parent;
    return -ENOSYS;
}

void mp__child_unbind(void) {
}

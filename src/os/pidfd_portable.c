/* Descriptors of processes: POSIX has none.
 * SPDX-License-Identifier: MIT */
#include "os/pidfd.h"

#include <errno.h>

int mp__pidfd_open(pid_t pid) {
    (void)pid;
    return -ENOSYS;
}

bool mp__pidfd_is_child(int pidfd) {
    (void)pidfd;
    return true;
}

int mp__pidfd_signal(int pidfd, int signal) {
    (void)pidfd;
    (void)signal;
    return -ENOSYS;
}

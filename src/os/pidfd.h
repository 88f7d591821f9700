/* Descriptors of processes, where the system has them.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_PIDFD_H
#define MP__OS_PIDFD_H

#include <stdbool.h>
#include <sys/types.h>

/* Readable when the process has ended, close-on-exec: descriptor or -errno; -ENOSYS: not here
 * (another system, an old kernel, a sandbox, valgrind). */
int mp__pidfd_open(pid_t pid);
bool mp__pidfd_is_child(int pidfd); /* of ours, and not reaped yet? true when that is not known */
int mp__pidfd_signal(int pidfd, int signal); /* to that process and no later one; 0 or -errno */

#endif

/* A descriptor that becomes readable when a process has ended: pidfd.
 * SPDX-License-Identifier: MIT */
#include "os/sentinel.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "os/descriptor.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* the same number on every architecture; Linux 5.3 */
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424 /* likewise; Linux 5.1 */
#endif

int mp__sentinel_prepare(struct mp__sentinel *out) {
    *out = (struct mp__sentinel){.fd = -1, .child_end = -1};
    return 0;
}

/* Born close-on-exec. The pid is not yet reaped, so it still is that child's. */
int mp__sentinel_begin(struct mp__sentinel *sentinel, pid_t pid) {
    int descriptor = (int)syscall(SYS_pidfd_open, pid, 0);
    if (descriptor < 0)
        return -errno;
    sentinel->fd = descriptor;
    return 0;
}

void mp__sentinel_adopt(int child_end) {
    (void)child_end;
}

int mp__sentinel_signal(const struct mp__sentinel *sentinel, pid_t pid, int signal) {
    (void)pid;
    return syscall(SYS_pidfd_send_signal, sentinel->fd, signal, NULL, 0) < 0 ? -errno : 0;
}

void mp__sentinel_close(struct mp__sentinel *sentinel) {
    mp__descriptor_close(sentinel->fd);
    *sentinel = (struct mp__sentinel){.fd = -1, .child_end = -1};
}

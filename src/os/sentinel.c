/* A descriptor that becomes readable when a process has ended: a pidfd, or where there is none a
 * pipe whose other end that process holds.
 * SPDX-License-Identifier: MIT */
#include "os/sentinel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/pidfd.h"
#include "os/unforked.h"

/* Asked once: what was prepared in one way must begin in the same. */
static bool has_pidfd(void) {
    enum { UNKNOWN, YES, NO };
    static _Atomic int answer = UNKNOWN;
    int known = atomic_load(&answer);
    if (known != UNKNOWN)
        return known == YES;
    int pidfd = mp__pidfd_open(getpid());
    mp__descriptor_close(pidfd);
    known = pidfd >= 0 || pidfd == -EMFILE || pidfd == -ENFILE || pidfd == -ENOMEM ? YES : NO;
    atomic_store(&answer, known);
    return known == YES;
}

int mp__sentinel_prepare(struct mp__sentinel *out) {
    int ends[2] = {-1, -1};
    int code = has_pidfd() ? 0 : mp__descriptor_pipe(ends);
    if (code == 0)
        *out = (struct mp__sentinel){.fd = ends[0], .child_end = ends[1]};
    return code;
}

/* The pid is not yet reaped, so it still is that child's. */
int mp__sentinel_begin(struct mp__sentinel *sentinel, pid_t pid) {
    if (has_pidfd()) {
        int pidfd = mp__pidfd_open(pid);
        if (pidfd < 0)
            return pidfd;
        sentinel->fd = pidfd;
    }
    mp__descriptor_close(sentinel->child_end);
    sentinel->child_end = -1;
    return 0;
}

bool mp__sentinel_is_of_child(const struct mp__sentinel *sentinel) {
    return !has_pidfd() || mp__pidfd_is_child(sentinel->fd);
}

/* Without memory for the note, children that this process forks may make it seem to live on. */
void mp__sentinel_adopt(int child_end) {
    if (child_end < 0)
        return;
    fcntl(child_end, F_SETFD, FD_CLOEXEC);
    (void)mp__unforked_add(child_end);
}

/* While nothing can be read from it, the number is the child's. A sandbox may allow to open a pidfd
 * and not to signal by it. */
int mp__sentinel_signal(const struct mp__sentinel *sentinel, pid_t pid, int signal) {
    int code = has_pidfd() ? mp__pidfd_signal(sentinel->fd, signal) : -ENOSYS;
    if (code != -ENOSYS && code != -EPERM)
        return code;
    if (mp__descriptor_poll(sentinel->fd, POLLIN, 0) != 0)
        return -ESRCH;
    return kill(pid, signal) < 0 ? -errno : 0;
}

void mp__sentinel_close(struct mp__sentinel *sentinel) {
    mp__descriptor_close(sentinel->fd);
    mp__descriptor_close(sentinel->child_end);
    sentinel->fd = sentinel->child_end = -1;
}

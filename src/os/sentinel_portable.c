/* A descriptor that becomes readable when a process has ended: a pipe whose other end that process
 * holds. SPDX-License-Identifier: MIT */
#include "os/sentinel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include "os/descriptor.h"
#include "os/unforked.h"

int mp__sentinel_prepare(struct mp__sentinel *out) {
    int ends[2];
    int code = mp__descriptor_pipe(ends);
    if (code == 0)
        *out = (struct mp__sentinel){.fd = ends[0], .child_end = ends[1]};
    return code;
}

int mp__sentinel_begin(struct mp__sentinel *sentinel, pid_t pid) {
    (void)pid;
    mp__descriptor_close(sentinel->child_end);
    sentinel->child_end = -1;
    return 0;
}

/* Without memory for the note, children that this process forks may make it seem to live on. */
void mp__sentinel_adopt(int child_end) {
    if (child_end < 0)
        return;
    fcntl(child_end, F_SETFD, FD_CLOEXEC);
    (void)mp__unforked_add(child_end);
}

/* While the pipe is open at the other end, the number is the child's. */
int mp__sentinel_signal(const struct mp__sentinel *sentinel, pid_t pid, int signal) {
    if (mp__descriptor_poll(sentinel->fd, POLLIN, 0) != 0)
        return -ESRCH;
    return kill(pid, signal) < 0 ? -errno : 0;
}

void mp__sentinel_close(struct mp__sentinel *sentinel) {
    mp__descriptor_close(sentinel->fd);
    mp__descriptor_close(sentinel->child_end);
    *sentinel = (struct mp__sentinel){.fd = -1, .child_end = -1};
}

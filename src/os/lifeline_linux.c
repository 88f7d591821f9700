/* Dying with the parent: the kernel sends SIGKILL when the pipe's last write end is closed.
 * SPDX-License-Identifier: MIT
 *
 * PR_SET_PDEATHSIG would not do: it fires when the thread that forked ends, and is lost when the
 * parent is not the one who forked (a fork server). */
#include "os/lifeline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

int mp__lifeline_arm(int child_end) {
    int flags = fcntl(child_end, F_GETFL);
    if (flags < 0 || fcntl(child_end, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(child_end, F_SETOWN, getpid()) < 0 || fcntl(child_end, F_SETSIG, SIGKILL) < 0 ||
        fcntl(child_end, F_SETFL, flags | O_ASYNC) < 0)
        return -errno;
    /* The parent may have been gone before; then nothing is sent any more. */
    struct pollfd poller = {.fd = child_end, .events = POLLIN};
    if (poll(&poller, 1, 0) > 0)
        kill(getpid(), SIGKILL);
    return 0;
}

void mp__lifeline_disarm(int child_end) {
    int flags = fcntl(child_end, F_GETFL);
    if (flags >= 0)
        (void)fcntl(child_end, F_SETFL, flags & ~O_ASYNC);
    close(child_end);
}

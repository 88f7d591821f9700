/* Taking the exit status of children.
 * SPDX-License-Identifier: MIT */
#include "os/child.h"

#include <assert.h>
#include <errno.h>
#include <sys/wait.h>

int mp__child_reap(pid_t pid, bool wait, int *code) {
    assert(pid > 0);
    int status;
    pid_t got;
    do
        got = waitpid(pid, &status, wait ? 0 : WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    if (got == 0)
        return 0;
    *code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    return 1;
}

/* Taking the exit status of children, leaving as one.
 * SPDX-License-Identifier: MIT */
#include "os/child.h"

#include <assert.h>
#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/sanitizer.h"
#ifdef MP__UNDER_TSAN
#include <sys/syscall.h>
#endif

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

/* ThreadSanitizer's _exit() looks for leaked threads and takes a lock of its own for that, which
 * another thread of the parent may have held at fork: the child would spin for it for ever. */
void mp__child_leave(int code) {
#ifdef MP__UNDER_TSAN
    syscall(SYS_exit_group, code);
#endif
    _exit(code);
}

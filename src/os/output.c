/* The buffers of output streams, which forked children have as well.
 * SPDX-License-Identifier: MIT */
#include "os/output.h"

#include <limits.h>
#include <poll.h>
#include <stdio_ext.h>
#include <sys/stat.h>

/* A pipe that can be written to takes this many bytes at once. */
bool mp__output_would_wait(FILE *stream) {
    struct stat status;
    struct pollfd poll_for = {.fd = fileno(stream), .events = POLLOUT};
    size_t pending = __fpending(stream);
    if (pending == 0 || poll_for.fd < 0 ||
        (fstat(poll_for.fd, &status) == 0 && S_ISREG(status.st_mode)))
        return false;
    return pending > PIPE_BUF || poll(&poll_for, 1, 0) == 0;
}

void mp__output_forget(FILE *stream) {
    __fpurge(stream);
}

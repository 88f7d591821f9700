/* File descriptors that are born close-on-exec.
 * SPDX-License-Identifier: MIT */
#include "os/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int mp__descriptor_pipe(int out[2]) {
    return pipe2(out, O_CLOEXEC) < 0 ? -errno : 0;
}

int mp__descriptor_socketpair(int out[2], int type) {
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out) < 0 ? -errno : 0;
}

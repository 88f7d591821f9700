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

int mp__descriptor_socket(int family) {
    int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return descriptor < 0 ? -errno : descriptor;
}

int mp__descriptor_accept(int listening, void *address, unsigned *size) {
    int descriptor = accept4(listening, address, size, SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

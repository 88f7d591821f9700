/* File descriptors that become close-on-exec as soon as they are there.
 * SPDX-License-Identifier: MIT */
#include "os/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int finish_pair(int out[2], const int pair[2]) {
    for (int i = 0; i < 2; i++) {
        fcntl(pair[i], F_SETFD, FD_CLOEXEC);
        out[i] = pair[i];
    }
    return 0;
}

int mp__descriptor_pipe(int out[2]) {
    int pair[2];
    return pipe(pair) < 0 ? -errno : finish_pair(out, pair);
}

int mp__descriptor_socketpair(int out[2], int type) {
    int pair[2];
    return socketpair(AF_UNIX, type, 0, pair) < 0 ? -errno : finish_pair(out, pair);
}

static int finish_one(int descriptor) {
    if (descriptor < 0)
        return -errno;
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
}

int mp__descriptor_socket(int family, int type) {
    return finish_one(socket(family, type, 0));
}

void mp__descriptor_keep_alive(int socket) {
    int yes = 1;
    (void)setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
}

/* Elsewhere an accepted socket may inherit O_NONBLOCK. */
int mp__descriptor_accept(int listening, void *address, unsigned *size) {
    int descriptor = finish_one(accept(listening, address, size));
    if (descriptor >= 0)
        (void)mp__descriptor_set_blocking(descriptor, 1);
    return descriptor;
}

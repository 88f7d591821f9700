/* File descriptors that are born close-on-exec.
 * SPDX-License-Identifier: MIT */
#include "os/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

int mp__descriptor_pipe(int out[2]) {
    return pipe2(out, O_CLOEXEC) < 0 ? -errno : 0;
}

int mp__descriptor_socketpair(int out[2], int type) {
    return socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, out) < 0 ? -errno : 0;
}

int mp__descriptor_socket(int family, int type) {
    int descriptor = socket(family, type | SOCK_CLOEXEC, 0);
    return descriptor < 0 ? -errno : descriptor;
}

void mp__descriptor_keep_alive(int socket) {
    static const struct {
        int level, name, value;
    } options[] = {{SOL_SOCKET, SO_KEEPALIVE, 1},
                   {IPPROTO_TCP, TCP_KEEPIDLE, 30},
                   {IPPROTO_TCP, TCP_KEEPINTVL, 10},
                   {IPPROTO_TCP, TCP_KEEPCNT, 3},
                   {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000}};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        (void)setsockopt(socket, options[i].level, options[i].name, &options[i].value, sizeof(int));
}

int mp__descriptor_accept(int listening, void *address, unsigned *size) {
    int descriptor = accept4(listening, address, size, SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

/* A connection over a socket, and the bare socket at its other end.
 * SPDX-License-Identifier: MIT */
#include "stream.h"

#include "mpt.h"

#include <sys/socket.h>
#include <unistd.h>

#include "chan/stream.h"

mp_connection *mpt_open_raw(int *raw) {
    int sockets[2];
    mp_connection *connection;
    MPT_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) == 0);
    MPT_OK(mp__stream_new(&connection, sockets[0]));
    *raw = sockets[1];
    return connection;
}

void mpt_put_raw(int raw, const void *bytes, size_t size) {
    MPT_CHECK(write(raw, bytes, size) == (ssize_t)size);
}

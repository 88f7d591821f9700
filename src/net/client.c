/* Connecting to a listener.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/time.h>

#include "base/fail.h"
#include "base/log.h"
#include "chan/stream.h"
#include "mp/listener.h"
#include "net/connect.h"
#include "os/descriptor.h"

void mp__connect_tune(int socket, const struct mp__address *address) {
    int yes = 1;
    if (address->storage.ss_family == AF_UNIX)
        return;
    (void)setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    mp__descriptor_keep_alive(socket);
}

static int connect_once(int socket, const struct mp__address *address) {
    return connect(socket, (const struct sockaddr *)&address->storage, address->size) < 0 ? -errno
                                                                                          : 0;
}

/* A Unix socket with a full backlog refuses those who do not wait: a time limit makes it wait. */
static int connect_unix(int socket, const struct mp__address *address, mp__time deadline) {
    for (;;) {
        struct timeval limit = {0, 0};
        mp__time left = deadline > 0 ? deadline - mp__now() : 0;
        if (deadline != MP__NEVER) {
            left = left < 1000000 ? 1000000 : left;
            limit.tv_sec = (time_t)(left / MP__SECOND);
            limit.tv_usec = (suseconds_t)(left % MP__SECOND / 1000);
        }
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        int code = connect_once(socket, address);
        limit = (struct timeval){0, 0};
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        if (code != -EINTR)
            return code == -EAGAIN ? MP_ETIMEDOUT : code;
    }
}

static int connect_tcp(int socket, const struct mp__address *address, mp__time deadline) {
    int code = mp__descriptor_set_blocking(socket, false);
    if (code == 0)
        code = connect_once(socket, address);
    if (code == -EINPROGRESS || code == -EINTR) {
        int events = mp__descriptor_poll(socket, POLLOUT, deadline);
        if (events <= 0)
            return events < 0 ? events : MP_ETIMEDOUT;
        int error = 0;
        socklen_t size = sizeof error;
        code = getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? -errno : -error;
    }
    return code == 0 ? mp__descriptor_set_blocking(socket, true) : code;
}

int mp__connect_socket(const struct mp__address *address, mp__time deadline) {
    int family = address->storage.ss_family;
    int socket = mp__descriptor_socket(family, SOCK_STREAM);
    if (socket < 0)
        return socket;
    int code = family == AF_UNIX ? connect_unix(socket, address, deadline)
                                 : connect_tcp(socket, address, deadline);
    if (code < 0) {
        mp__descriptor_close(socket);
        return code;
    }
    mp__connect_tune(socket, address);
    return socket;
}

/* The first of a name's addresses where somebody answers. */
static int connect_any(const char *text, mp__time deadline) {
    struct mp__address list[MP__ADDRESS_COUNT_MAX];
    int count = mp__address_read(text, false, list, MP__ADDRESS_COUNT_MAX, "mp_client_connect");
    if (count < 0)
        return count;
    int socket = -1;
    for (int i = 0; i < count; i++) {
        socket = mp__connect_socket(&list[i], deadline);
        if (socket >= 0)
            return socket;
    }
    if (socket == MP_ETIMEDOUT)
        return mp__fail(socket, "mp_client_connect: no answer from %.200s in time", text);
    return mp__fail(socket, "mp_client_connect: connecting to %.200s", text);
}

static double time_left(mp__time deadline) {
    if (deadline == MP__NEVER)
        return MP_FOREVER;
    mp__time left = deadline > 0 ? deadline - mp__now() : 0;
    return left > 0 ? (double)left / (double)MP__SECOND : MP_NOWAIT;
}

static int prove(mp_connection *connection, const void *key, size_t size, mp__time deadline) {
    int code = mp_connection_answer_challenge(connection, key, size, time_left(deadline));
    if (code == 0)
        code = mp_connection_deliver_challenge(connection, key, size, time_left(deadline));
    if (code == -EPIPE)
        return mp__fail(MP_EEOF, "mp_client_connect: the other end hung up");
    if (code == MP_EPROTO)
        return mp__fail(MP_EAUTH, "mp_client_connect: what answers is no listener with a key");
    return code;
}

int mp_client_connect(mp_connection **out, const char *address, const void *authkey,
                      size_t authkey_size, double timeout) {
    mp__time deadline;
    if (!out || !address || (!authkey && authkey_size > 0))
        return mp__fail(MP_EINVAL, "mp_client_connect: out, address or authkey is NULL");
    int code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    int socket = connect_any(address, deadline);
    if (socket < 0)
        return socket;
    mp_connection *connection;
    code = mp__stream_new(&connection, socket);
    if (code < 0) {
        mp__descriptor_close(socket);
        return code;
    }
    if (authkey)
        code = prove(connection, authkey, authkey_size, deadline);
    if (code < 0) {
        mp_connection_free(connection);
        return code;
    }
    mp__log_held(MP_LOG_DEBUG, "made connection to '%s'", address);
    *out = connection;
    return 0;
}

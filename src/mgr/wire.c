/* Sending and receiving messages.
 * SPDX-License-Identifier: MIT */
#include "mgr/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fail.h"
#include "codec/pickle.h"
#include "mgr/link.h"
#include "mgr/protocol.h"
#include "mp/listener.h"
#include "os/descriptor.h"
#include "sync/spin.h"

#define CONNECT_SECONDS 20.0 /* for a connection and the proof of the key */
enum { HEAD_MAX = 12, BUFFER_BYTES = 4096, BUFFER_KEPT = 1 << 16 };

int mp__wire_adopt(struct mp__wire *out, mp_connection *connection) {
    int socket = mp__descriptor_duplicate(mp_connection_fileno(connection));
    if (socket < 0)
        return mp__fail(socket, "a descriptor for a manager's connection");
    mp_connection_free(connection);
    *out = (struct mp__wire){.socket = socket};
    return 0;
}

/* The handshake is that of every connection. */
int mp__wire_open(struct mp__wire *out, const struct mp__site *site) {
    mp_connection *connection;
    int code =
        mp_client_connect(&connection, site->address, site->key, site->key_size, CONNECT_SECONDS);
    if (code < 0)
        return code;
    code = mp__wire_adopt(out, connection);
    if (code < 0)
        mp_connection_free(connection);
    return code;
}

void mp__wire_close(struct mp__wire *wire) {
    mp__descriptor_close(wire->socket);
    mp__buffer_fini(&wire->out);
    mp__buffer_fini(&wire->in);
    wire->socket = -1;
}

static int fail_gone(struct mp__wire *wire) {
    wire->is_broken = true;
    return mp__fail(MP_EEOF, "the other end of a manager's connection is gone");
}

static size_t write_head(uint8_t *head, uint64_t size) {
    size_t bytes = size > INT32_MAX ? 12 : 4;
    memset(head, 0xff, 4);
    for (size_t i = bytes == 12 ? 4 : 0; i < bytes; i++)
        head[i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
    return bytes;
}

int mp__wire_send_bytes(struct mp__wire *wire, const void *data, size_t size) {
    uint8_t head[HEAD_MAX];
    struct iovec parts[2] = {{head, write_head(head, size)}, {(void *)data, size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    while (message.msg_iovlen > 0) {
        ssize_t sent = sendmsg(wire->socket, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return fail_gone(wire);
        while (message.msg_iovlen > 0 && (size_t)sent >= message.msg_iov->iov_len) {
            sent -= (ssize_t)message.msg_iov->iov_len;
            message.msg_iov++;
            message.msg_iovlen--;
        }
        if (message.msg_iovlen > 0) {
            message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
            message.msg_iov->iov_len -= (size_t)sent;
        }
    }
    return 0;
}

/* Who is asked often answers soon: a sleep and its wake-up take longer than a call. */
static ssize_t receive_some(int socket, void *to, size_t size) {
    struct mp__spin spin = mp__spin_begin(MP__SPIN_SOCKET);
    ssize_t got = -1;
    bool is_waiting = true;
    while (is_waiting && mp__spin_once(&spin)) {
        got = recv(socket, to, size, MSG_DONTWAIT);
        is_waiting = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    }
    mp__spin_end(&spin, !is_waiting);
    return is_waiting ? recv(socket, to, size, 0) : got;
}

/* Until `wanted` bytes are there; memory grows with what has come. */
static int receive_bytes(struct mp__wire *wire, size_t wanted) {
    struct mp__buffer *buffer = &wire->in;
    while (buffer->size < wanted) {
        size_t left = wanted - buffer->size, more = buffer->size + BUFFER_BYTES;
        int code = buffer->size < buffer->capacity
                       ? 0
                       : mp__buffer_reserve(buffer, left > more ? more : left + BUFFER_BYTES);
        if (code < 0)
            return code;
        ssize_t got = receive_some(wire->socket, buffer->data + buffer->size,
                                   buffer->capacity - buffer->size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return fail_gone(wire);
        buffer->size += (size_t)got;
    }
    return 0;
}

/* Bytes of the head, and of the payload behind it. */
static int receive_head(struct mp__wire *wire, size_t *head, uint64_t *size) {
    int code = receive_bytes(wire, 4);
    bool is_long = code == 0 && memcmp(wire->in.data, "\xff\xff\xff\xff", 4) == 0;
    if (is_long)
        code = receive_bytes(wire, HEAD_MAX);
    if (code < 0)
        return code;
    *size = 0;
    *head = is_long ? HEAD_MAX : 4;
    for (size_t i = is_long ? 4 : 0; i < *head; i++)
        *size = *size << 8 | wire->in.data[i];
    if (*size > (is_long ? (uint64_t)PTRDIFF_MAX / 2 : INT32_MAX))
        return mp__fail(MP_EPROTO, "a message of %llu bytes was announced",
                        (unsigned long long)*size);
    return 0;
}

/* What came behind the last message is the beginning of the next. */
static void forget_taken(struct mp__wire *wire) {
    struct mp__buffer *buffer = &wire->in;
    buffer->size -= wire->taken;
    if (buffer->size > 0)
        memmove(buffer->data, buffer->data + wire->taken, buffer->size);
    else if (buffer->capacity > BUFFER_KEPT)
        mp__buffer_fini(buffer);
    wire->taken = 0;
}

int mp__wire_take(struct mp__wire *wire, const uint8_t **data, size_t *size, size_t size_max) {
    size_t head = 0;
    uint64_t bytes = 0;
    if (wire->taken > 0)
        forget_taken(wire);
    int code = receive_head(wire, &head, &bytes);
    if (code == 0 && bytes > size_max)
        code = mp__fail(MP_ETOOSHORT, "a message of %llu bytes is longer than the %zu allowed",
                        (unsigned long long)bytes, size_max);
    if (code == 0)
        code = receive_bytes(wire, head + bytes);
    wire->is_broken = code < 0;
    if (code < 0)
        return code;
    wire->taken = head + bytes;
    *data = wire->in.data + head;
    *size = bytes;
    return 0;
}

int mp__wire_send(struct mp__wire *wire, const mp_object *request) {
    wire->out.size = 0;
    int code = mp__pickle_write(&wire->out, request, MP_PICKLE_DEFAULT);
    if (code == 0)
        code = mp__wire_send_bytes(wire, wire->out.data, wire->out.size);
    if (wire->out.capacity > BUFFER_KEPT)
        mp__buffer_fini(&wire->out);
    return code;
}

int mp__wire_receive(struct mp__wire *wire, mp_object **reply, bool *has_proxy) {
    static const mp_load_limits limits = {.depth = MP__MANAGER_DEPTH_MAX};
    static const char proxy_word[] = "RebuildProxy";
    const uint8_t *data;
    size_t size;
    int code = mp__wire_take(wire, &data, &size, SIZE_MAX);
    if (code < 0)
        return code;
    if (has_proxy)
        *has_proxy = memmem(data, size, proxy_word, sizeof proxy_word - 1) != NULL;
    code = mp_object_loads_limited(reply, data, size, &limits);
    if (wire->in.capacity > BUFFER_KEPT)
        forget_taken(wire);
    return code;
}

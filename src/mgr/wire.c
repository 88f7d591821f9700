/* Sending requests and receiving replies: two system calls for a short one.
 * SPDX-License-Identifier: MIT */
#include "mgr/wire.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "codec/pickle.h"
#include "mgr/link.h"
#include "mgr/protocol.h"
#include "mp/listener.h"
#include "os/descriptor.h"

#define CONNECT_SECONDS 20.0 /* for a connection and the proof of the key */
enum { HEAD_MAX = 12, BUFFER_BYTES = 4096, BUFFER_KEPT = 1 << 16 };

/* The handshake is that of every connection; what follows needs no arena. */
int mp__wire_open(struct mp__wire *wire, const struct mp__site *site) {
    mp_connection *connection;
    int code =
        mp_client_connect(&connection, site->address, site->key, site->key_size, CONNECT_SECONDS);
    if (code < 0)
        return code;
    int socket = mp__descriptor_duplicate(mp_connection_fileno(connection));
    mp_connection_free(connection);
    if (socket < 0)
        return mp__fail(socket, "a descriptor for the manager at %.200s", site->address);
    *wire = (struct mp__wire){.socket = socket};
    return 0;
}

void mp__wire_close(struct mp__wire *wire) {
    mp__descriptor_close(wire->socket);
    mp__buffer_fini(&wire->out);
    mp__buffer_fini(&wire->in);
    wire->socket = -1;
}

static int send_bytes(int socket, const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t sent = send(socket, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return mp__fail(MP_EEOF, "the manager is gone");
        data += sent;
        size -= (size_t)sent;
    }
    return 0;
}

/* The pickle is written behind room for the longest head. */
int mp__wire_send(struct mp__wire *wire, const mp_object *request) {
    struct mp__buffer *buffer = &wire->out;
    buffer->size = 0;
    int code = mp__buffer_reserve(buffer, BUFFER_BYTES);
    if (code < 0)
        return code;
    buffer->size = HEAD_MAX;
    code = mp__pickle_write(buffer, request, MP_PICKLE_DEFAULT);
    if (code < 0)
        return code;
    uint64_t size = buffer->size - HEAD_MAX;
    int bytes = size > INT32_MAX ? 8 : 4;
    uint8_t *head = buffer->data + HEAD_MAX - bytes;
    for (int i = 0; i < bytes; i++)
        head[i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
    if (bytes == 8) {
        head -= 4;
        memset(head, 0xff, 4);
    }
    code = send_bytes(wire->socket, head, (size_t)(buffer->data + buffer->size - head));
    if (buffer->capacity > BUFFER_KEPT)
        mp__buffer_fini(buffer);
    return code;
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
        ssize_t got =
            recv(wire->socket, buffer->data + buffer->size, buffer->capacity - buffer->size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return mp__fail(MP_EEOF, "the manager is gone");
        buffer->size += (size_t)got;
    }
    return 0;
}

/* Bytes of the head, and of the payload behind it. */
static int receive_head(struct mp__wire *wire, size_t *head, size_t *size) {
    int code = receive_bytes(wire, 4);
    bool is_long = code == 0 && memcmp(wire->in.data, "\xff\xff\xff\xff", 4) == 0;
    if (is_long)
        code = receive_bytes(wire, HEAD_MAX);
    if (code < 0)
        return code;
    uint64_t bytes = 0;
    *head = is_long ? HEAD_MAX : 4;
    for (size_t i = is_long ? 4 : 0; i < *head; i++)
        bytes = bytes << 8 | wire->in.data[i];
    if (bytes > (is_long ? (uint64_t)PTRDIFF_MAX / 2 : INT32_MAX))
        return mp__fail(MP_EPROTO, "the manager announced a reply of %llu bytes",
                        (unsigned long long)bytes);
    *size = (size_t)bytes;
    return 0;
}

/* What came behind the reply is the beginning of the next. */
static void forget_reply(struct mp__buffer *buffer, size_t size) {
    buffer->size -= size;
    if (buffer->size > 0)
        memmove(buffer->data, buffer->data + size, buffer->size);
    else if (buffer->capacity > BUFFER_KEPT)
        mp__buffer_fini(buffer);
}

int mp__wire_receive(struct mp__wire *wire, mp_object **reply, bool *has_proxy) {
    static const mp_load_limits limits = {.depth = MP__MANAGER_DEPTH_MAX};
    static const char proxy_word[] = "RebuildProxy";
    size_t head = 0, size = 0;
    int code = receive_head(wire, &head, &size);
    if (code == 0)
        code = receive_bytes(wire, head + size);
    if (code < 0)
        return code;
    const uint8_t *payload = wire->in.data + head;
    if (has_proxy)
        *has_proxy = memmem(payload, size, proxy_word, sizeof proxy_word - 1) != NULL;
    code = mp_object_loads_limited(reply, payload, size, &limits);
    forget_reply(&wire->in, head + size);
    return code;
}

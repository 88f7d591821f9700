/* Bytes from outside on a socket or a pipe: whatever they are, receiving gives messages and then an
 * error, and never what did not come.
 * SPDX-License-Identifier: MIT
 *
 * The first byte of an input chooses how it is received, the others come over the wire. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan/stream.h"
#include "mp/connection.h"
#include "mp/object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IS_PIPE = 1, IN_TWO = 2, INTO = 4, LIMITED = 8, OBJECTS = 16, WIRE_MAX = 60000 };

static void check(bool is_right) {
    if (!is_right)
        abort();
}

static void open_wire(int ends[2], uint8_t how) {
    if (how & IS_PIPE)
        check(pipe(ends) == 0);
    else
        check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
}

static int receive(mp_connection *connection, uint8_t how, size_t most) {
    char buffer[64];
    void *data;
    mp_object *object;
    size_t size = 0;
    int code;
    if (how & OBJECTS) {
        code = mp_connection_recv(connection, &object, MP_NOWAIT);
        if (code == 0)
            mp_object_free(object);
        return code;
    }
    if (how & INTO) {
        code = mp_connection_recv_bytes_into(connection, buffer, sizeof buffer, &size, MP_NOWAIT);
        check(code != 0 || size <= sizeof buffer);
        return code;
    }
    code = mp_connection_recv_bytes(connection, &data, &size, how & LIMITED ? 100 : 0, MP_NOWAIT);
    check(code != 0 || size <= most);
    if (code == 0)
        free(data);
    return code;
}

/* A message that is too long stays, and an object that is none is taken: the number of turns ends
 * it. */
static int receive_all(mp_connection *connection, uint8_t how, size_t most) {
    int code = 0;
    for (size_t i = 0; i <= most / 4 && (code == 0 || code == MP_EPROTO); i++)
        code = receive(connection, how, most);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    mp_connection *connection;
    if (size < 2 || size > WIRE_MAX)
        return 0;
    uint8_t how = *data++;
    size_t first = how & IN_TWO ? --size / 2 : --size;
    open_wire(ends, how);
    check(mp__stream_new(&connection, ends[0]) == 0);
    check(write(ends[1], data, first) == (ssize_t)first);
    if (first < size)
        (void)receive_all(connection, how, first);
    check(write(ends[1], data + first, size - first) == (ssize_t)(size - first));
    close(ends[1]);
    int code = receive_all(connection, how, size);
    check(code < 0 && code != MP_ETIMEDOUT);
    mp_connection_free(connection);
    return 0;
}

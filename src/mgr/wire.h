/* A connection between a manager and a client once the key is proved: messages in CPython's
 * framing, one system call each when they are short.
 * SPDX-License-Identifier: MIT
 *
 * Only private memory and a descriptor: unlike a connection of mp/listener.h it cannot be given to
 * another process, and who is killed leaves nothing in the arena. */
#ifndef MP__MGR_WIRE_H
#define MP__MGR_WIRE_H

#include "codec/buffer.h"
#include "mp/connection.h"

struct mp__site;

struct mp__wire {
    int socket;            /* -1: not connected */
    bool is_broken;        /* nobody knows any more where a message begins */
    size_t taken;          /* bytes at the beginning of `in` that were given to somebody */
    struct mp__buffer out; /* of the request */
    struct mp__buffer in;  /* what has come */
};

/* Go on with a connection's descriptor; the connection is freed, on success only. 0 or -errno. */
int mp__wire_adopt(struct mp__wire *out, mp_connection *connection);
/* Connect to a manager and prove the key. What mp_client_connect says. */
int mp__wire_open(struct mp__wire *out, const struct mp__site *site);
void mp__wire_close(struct mp__wire *wire);

/* 0; MP_EEOF: the other end is gone. */
int mp__wire_send_bytes(struct mp__wire *wire, const void *data, size_t size);
/* Wait for a message, whose bytes are the wire's until the next one. 0; MP_EEOF; MP_ETOOSHORT: it
 * has more than `size_max` bytes; MP_EPROTO; -ENOMEM. */
int mp__wire_take(struct mp__wire *wire, const uint8_t **data, size_t *size, size_t size_max);

/* The same with objects. Several requests may be out; replies come in the same order.
 *   has_proxy  gets whether a proxy may be somewhere in it; NULL: not wanted */
int mp__wire_send(struct mp__wire *wire, const mp_object *request);
int mp__wire_receive(struct mp__wire *wire, mp_object **reply, bool *has_proxy);

#endif

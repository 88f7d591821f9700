/* A connection over a socket with a stranger at its other end: CPython's framing.
 * SPDX-License-Identifier: MIT
 *
 *     message := length payload          length := int32, big-endian, 0 to 0x7fffffff
 *                                                | ff ff ff ff and uint64, big-endian
 *
 * What a receiver took out of the socket when its time ran out is kept in the arena, so that any
 * process goes on with it. Nothing is allocated ahead of the bytes that came. A process that dies
 * with a part of a message taken or sent leaves `is_torn`: that direction is over. */
#ifndef MP__CHAN_STREAM_H
#define MP__CHAN_STREAM_H

#include "mp/connection.h"

#include "chan/transfer.h"
#include "sync/guard.h"
#include "sync/kind.h"

#define MP__STREAM_HEAD_MAX 12 /* bytes of the longest length */

enum { MP__PIPE_NONE, MP__PIPE_READS, MP__PIPE_WRITES };

struct stream_shared {
    mp__kind_word kind;            /* MP__KIND_STREAM */
    uint32_t has_handles;          /* 1: a Unix socket, descriptors can travel over it */
    uint64_t serial;               /* see chan/local.h; where struct connection_shared has it */
    struct mp__guard receiving;    /* who holds it takes out of the socket */
    _Atomic uint32_t receive_torn; /* a part of a message is out, and not kept: under receiving */
    struct mp__guard sending;      /* who holds it puts into the socket */
    _Atomic uint32_t send_torn;    /* a part of a message is in: under sending */
    uint32_t head_size;            /* bytes in head; under receiving */
    uint8_t head[MP__STREAM_HEAD_MAX]; /* of the message begun; under receiving */
    uint64_t kept_size;                /* bytes of its payload in kept; under receiving */
    _Atomic(uint8_t *) kept;           /* a block with them; NULL: none; under receiving */
    uint32_t pipe_end;         /* MP__PIPE_; of a pipe, as Python's queues have, not a socket */
    _Atomic uint32_t is_whole; /* 1: the message begun is here, all of it, but was not received */
    _Atomic uint32_t
        is_shared; /* 1: other processes may have it; until then it ends with its own */
};

static inline bool mp__connection_is_stream(const mp_connection *connection) {
    return mp__kind_is(connection, MP__KIND_STREAM);
}

/* Make a connection of a connected stream socket, or of one end of a pipe. 0: the descriptor is the
 * connection's; -ENOMEM: it is still the caller's. */
int mp__stream_new(mp_connection **out, int socket);
/* Another process is about to get it. A fork does that by itself. */
void mp__stream_share(struct stream_shared *stream);
/* Its socket here was closed. */
void mp__stream_free(struct stream_shared *stream, struct thread_shared *self);

/* The halves of mp_connection_*: the connection is a stream, the arguments are checked. `name` is
 * the public function's, for its sentences. */
int mp__stream_send(mp_connection *connection, const void *data, size_t size, double timeout,
                    const char *name);
int mp__stream_receive(mp_connection *connection, struct mp__intake *intake, double timeout,
                       const char *name);
int mp__stream_poll(mp_connection *connection, double timeout, const char *name);
int mp__stream_send_handle(mp_connection *connection, int fd, double timeout, const char *name);
int mp__stream_receive_handle(mp_connection *connection, int *fd, double timeout, const char *name);

#endif

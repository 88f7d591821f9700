/* Receiving a message from a socket: at once when all of it is there, else piece by piece.
 * SPDX-License-Identifier: MIT
 *
 * A short message is looked at in the socket and then taken with one system call, so that whoever
 * dies leaves it whole or takes it whole. A longer one goes into its reader's memory as it comes;
 * when that fails in the middle, what has come moves into a block of the arena. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/stream_call.h"
#include "shm/heap.h"

enum { GLANCE_BYTES = 4096 };
#define FIRST_BYTES (UINT64_C(1) << 16) /* allocated before anything of a long payload came */

struct body {
    uint8_t *data;     /* where the payload goes: the reader's memory, or the block kept */
    uint64_t size;     /* of the whole payload */
    uint64_t got;      /* bytes that have come */
    uint64_t capacity; /* bytes that data can take */
    bool is_kept;      /* data is in the arena */
};

/* When it is ready it does not wait, unless somebody else takes bytes from it. */
static ssize_t read_pipe(const struct mp__stream_call *call, void *to, size_t size) {
    for (;;) {
        int code = mp__stream_wait(call, POLLIN);
        if (code < 0)
            return code;
        ssize_t got = read(call->socket, to, size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mp__fail(-errno, "%s: reading from the pipe", call->name);
        return got > 0 ? got : MP_EEOF;
    }
}

/* Bytes, at least one; MP_EEOF, MP_ETIMEDOUT: without detail; -errno. */
static ssize_t receive_some(const struct mp__stream_call *call, void *to, size_t size, int flags) {
    if (call->stream->pipe_end)
        return read_pipe(call, to, size);
    flags |= call->deadline == MP__NEVER ? 0 : MSG_DONTWAIT;
    for (;;) {
        ssize_t got = recv(call->socket, to, size, flags);
        if (got > 0)
            return got;
        if (got == 0 || errno == ECONNRESET)
            return MP_EEOF;
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int code = mp__stream_wait(call, POLLIN);
            if (code < 0)
                return code;
        } else if (errno != EINTR) {
            return mp__fail(-errno, "%s: receiving from the socket", call->name);
        }
    }
}

static int explain(const struct mp__stream_call *call, int code, bool is_begun) {
    if (code == MP_ETIMEDOUT)
        return mp__fail(
            code, is_begun ? "%s: not all of the message came in time" : "%s: nothing came in time",
            call->name);
    if (code == MP_EEOF && is_begun)
        return mp__fail(MP_EPROTO, "%s: the other end ended in the middle of a message",
                        call->name);
    if (code == MP_EEOF)
        return mp__fail(code, "%s: all is received, and the other end is gone", call->name);
    return code;
}

/* The length in the first bytes of a message: how many bytes it takes there; 0: more are needed;
 * MP_EPROTO. */
static int read_head(const struct mp__stream_call *call, const uint8_t *head, size_t bytes,
                     uint64_t *size) {
    if (bytes < 4)
        return 0;
    bool is_long = memcmp(head, "\xff\xff\xff\xff", 4) == 0;
    if (is_long && bytes < MP__STREAM_HEAD_MAX)
        return 0;
    *size = 0;
    for (int i = is_long ? 4 : 0; i < (is_long ? 12 : 4); i++)
        *size = *size << 8 | head[i];
    if ((!is_long && *size > INT32_MAX) || *size > MP__MESSAGE_MAX_BYTES)
        return mp__fail(MP_EPROTO, "%s: a message of %lld bytes was announced", call->name,
                        is_long ? (long long)*size : (long long)(int32_t)*size);
    return is_long ? 12 : 4;
}

static int check_room(const struct mp__stream_call *call, struct mp__intake *intake,
                      uint64_t size) {
    intake->size = size;
    if (size > intake->capacity)
        return mp__fail(MP_ETOOSHORT, "%s: the next message has %llu bytes, there is room for %llu",
                        call->name, (unsigned long long)size, (unsigned long long)intake->capacity);
    return 0;
}

/* Nobody else receives, so that what was looked at is what is taken. */
static int take_glance(const struct mp__stream_call *call, uint8_t *glance, size_t bytes) {
    ssize_t got;
    do
        got = recv(call->socket, glance, bytes, 0);
    while (got < 0 && errno == EINTR);
    if (got == (ssize_t)bytes)
        return 0;
    atomic_store(&call->stream->receive_torn, 1);
    MP__POINT("stream.receive.torn");
    return mp__fail(MP_EPROTO, "%s: somebody else takes bytes from the socket", call->name);
}

/* The first bytes of a message, left in the socket: 1: it was received; 0: it must be received
 * piece by piece. */
static int try_at_once(const struct mp__stream_call *call, struct mp__intake *intake) {
    uint8_t glance[GLANCE_BYTES];
    uint64_t size;
    ssize_t got = receive_some(call, glance, sizeof glance, MSG_PEEK);
    if (got < 0)
        return explain(call, (int)got, false);
    int head = read_head(call, glance, (size_t)got, &size);
    if (head <= 0)
        return head;
    int code = check_room(call, intake, size);
    if (code < 0 || size > (uint64_t)(got - head))
        return code;
    code = mp__intake_prepare(intake, size, true);
    if (code < 0)
        return code;
    code = take_glance(call, glance, (size_t)head + size);
    if (code < 0) {
        if (intake->mode == MP__INTAKE_ALLOC)
            free(intake->data);
        return code;
    }
    if (size > 0)
        memcpy(intake->data, glance + head, size);
    return 1;
}

/* The rest of the length: 0, or the failure after which what has come stays. */
static int receive_head(const struct mp__stream_call *call, uint64_t *size) {
    struct stream_shared *stream = call->stream;
    for (;;) {
        int code = read_head(call, stream->head, stream->head_size, size);
        if (code != 0)
            return code < 0 ? code : 0;
        size_t wanted = stream->head_size < 4 ? 4 : MP__STREAM_HEAD_MAX;
        ssize_t got =
            receive_some(call, stream->head + stream->head_size, wanted - stream->head_size, 0);
        if (got < 0)
            return explain(call, (int)got, stream->head_size > 0);
        stream->head_size += (uint32_t)got;
    }
}

/* A larger block in the arena for what is kept. Recovery publishes what is linked. */
static int grow_kept(struct stream_shared *stream, struct body *body, uint64_t capacity) {
    uint8_t *block = mp__heap_alloc(capacity);
    if (!block)
        return -ENOMEM;
    if (body->got > 0)
        memcpy(block, body->data, body->got);
    uint8_t *old = atomic_load(&stream->kept);
    if (old)
        mp__heap_take(old);
    atomic_store(&stream->kept, block);
    mp__heap_publish(block);
    MP__POINT("stream.keep.linked");
    mp__heap_free(old);
    body->data = block;
    body->capacity = capacity;
    return 0;
}

static int grow(const struct mp__stream_call *call, struct body *body) {
    uint64_t capacity = body->capacity ? body->capacity * 2 : FIRST_BYTES;
    if (capacity > body->size)
        capacity = body->size > 0 ? body->size : 1;
    if (body->is_kept)
        return grow_kept(call->stream, body, capacity);
    uint8_t *data = realloc(body->data, capacity);
    if (!data)
        return mp__fail(-ENOMEM, "%s: no memory for a message of %llu bytes", call->name,
                        (unsigned long long)body->size);
    body->data = data;
    body->capacity = capacity;
    return 0;
}

static int receive_body(const struct mp__stream_call *call, struct body *body) {
    while (body->got < body->size || !body->data) {
        int code = body->got == body->capacity ? grow(call, body) : 0;
        if (code < 0)
            return code;
        uint64_t room = body->capacity - body->got;
        uint64_t left = body->size - body->got;
        if (left == 0)
            break;
        ssize_t got = receive_some(call, body->data + body->got, room < left ? room : left, 0);
        if (got < 0)
            return explain(call, (int)got, true);
        body->got += (uint64_t)got;
    }
    return 0;
}

/* What has come until now, for whoever receives next: 0 or -ENOMEM. */
static int keep(struct stream_shared *stream, struct body *body) {
    uint8_t *data = body->data;
    int code = 0;
    if (!body->is_kept && body->got > 0)
        code = grow_kept(stream, body,
                         body->got < FIRST_BYTES && body->size >= FIRST_BYTES ? FIRST_BYTES
                                                                              : body->got);
    if (code == 0)
        stream->kept_size = body->got;
    body->data = data;
    return code;
}

static void forget_message(struct stream_shared *stream) {
    mp__stream_forget(stream);
    stream->kept_size = 0;
    stream->head_size = 0;
    atomic_store(&stream->is_whole, 0);
    MP__POINT("stream.receive.done");
}

static uint8_t nothing[1]; /* where an empty payload goes */

static struct body begin_body(const struct stream_shared *stream, const struct mp__intake *intake) {
    struct body body = {.size = intake->size};
    body.is_kept = atomic_load(&stream->kept) != NULL;
    if (body.is_kept) {
        body.data = atomic_load(&stream->kept);
        body.got = stream->kept_size;
        body.capacity = mp__heap_size(body.data);
    } else if (intake->mode == MP__INTAKE_INTO) {
        body.data = intake->data ? intake->data : nothing;
        body.capacity = intake->capacity;
    }
    return body;
}

/* All of it is here: into the reader's memory. */
static int hand_over(const struct mp__stream_call *call, struct mp__intake *intake,
                     const struct body *body) {
    if (!body->is_kept) {
        if (intake->mode == MP__INTAKE_ALLOC)
            intake->data = body->data;
        return 0;
    }
    atomic_store(&call->stream->is_whole, 1);
    MP__POINT("stream.receive.whole");
    int code = mp__intake_prepare(intake, body->size, true);
    if (code == 0)
        memcpy(intake->data, body->data, body->size);
    return code;
}

/* `receive_torn` says that a part of the message is nowhere but with us. */
static int receive_pieces(const struct mp__stream_call *call, struct mp__intake *intake) {
    struct stream_shared *stream = call->stream;
    uint64_t size;
    atomic_store(&stream->receive_torn, 1);
    MP__POINT("stream.receive.begun");
    int code = receive_head(call, &size);
    if (code == 0)
        code = check_room(call, intake, size);
    if (code < 0) {
        atomic_store(&stream->receive_torn, 0);
        return code;
    }
    struct body body = begin_body(stream, intake);
    code = receive_body(call, &body);
    if (code == 0)
        code = hand_over(call, intake, &body);
    if (code == 0)
        forget_message(stream);
    bool is_lost = code < 0 && keep(stream, &body) < 0;
    if (code < 0 && !body.is_kept && intake->mode == MP__INTAKE_ALLOC)
        free(body.data);
    atomic_store(&stream->receive_torn, is_lost);
    return code;
}

static int receive_locked(const struct mp__stream_call *call, struct mp__intake *intake) {
    struct stream_shared *stream = call->stream;
    if (atomic_load(&stream->receive_torn))
        return mp__fail(MP_EPROTO,
                        "%s: a process ended while it received a message here, or lost a part",
                        call->name);
    int code = stream->head_size == 0 && !stream->pipe_end ? try_at_once(call, intake) : 0;
    return code == 0 ? receive_pieces(call, intake) : code < 0 ? code : 0;
}

int mp__stream_receive(mp_connection *connection, struct mp__intake *intake, double timeout,
                       const char *name) {
    struct mp__stream_call call;
    int code = mp__stream_begin(&call, connection, timeout, name);
    if (code == 0 && call.stream->pipe_end == MP__PIPE_WRITES)
        code = mp__fail(MP_EINVAL, "%s: this end of the pipe only sends", name);
    if (code == 0)
        code = mp__stream_lock(&call, &call.stream->receiving);
    if (code < 0)
        return code;
    code = receive_locked(&call, intake);
    mp__stream_unlock(&call, &call.stream->receiving);
    return code;
}

/* Making and freeing pipes; which descriptor this process has for an end.
 * SPDX-License-Identifier: MIT */
#include "chan/pipe.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "chan/connection.h"
#include "chan/local.h"
#include "chan/stream.h"
#include "os/descriptor.h"
#include "os/futex.h"
#include "reg/holding.h"
#include "reg/recover.h"
#include "shm/heap.h"

static void init_end(struct connection_shared *end, struct pipe_shared *pipe,
                     struct channel_shared *in, struct channel_shared *out) {
    end->serial = mp__local_serial();
    end->pipe = pipe;
    end->other = end == &pipe->first ? &pipe->second : &pipe->first;
    end->in = in;
    end->out = out;
    atomic_store(&end->kind, MP__KIND_CONNECTION);
}

static struct pipe_shared *make_pipe(bool duplex) {
    uint32_t count = duplex ? 2 : 1;
    struct pipe_shared *pipe = mp__heap_zalloc(sizeof *pipe + count * sizeof pipe->channels[0]);
    if (!pipe)
        return NULL;
    MP__POINT("pipe.new.allocated");
    for (uint32_t i = 0; i < count; i++)
        mp__channel_init(&pipe->channels[i], MP__PIPE_LIMIT_BYTES, true);
    atomic_store(&pipe->ends, MP__PIPE_FIRST | MP__PIPE_SECOND);
    pipe->channel_count = count;
    struct channel_shared *back = duplex ? &pipe->channels[1] : NULL;
    init_end(&pipe->first, pipe, &pipe->channels[0], back);
    init_end(&pipe->second, pipe, back, &pipe->channels[0]);
    return pipe;
}

/* Both descriptors noted, or none and both closed. */
static int note_ends(struct pipe_shared *pipe, const int sockets[2]) {
    struct mp__local *first = mp__local_add(&pipe->first, pipe->first.serial, sockets[0]);
    struct mp__local *second = mp__local_add(&pipe->second, pipe->second.serial, sockets[1]);
    if (first && second)
        return 0;
    mp__local_remove(&pipe->first, pipe->first.serial);
    mp__local_remove(&pipe->second, pipe->second.serial);
    return -ENOMEM;
}

static int open_sockets(int sockets[2]) {
    int code = mp__descriptor_socketpair(sockets, SOCK_SEQPACKET);
    for (int i = 0; i < 2 && code == 0; i++)
        code = mp__descriptor_set_blocking(sockets[i], false);
    return code < 0 ? mp__fail(code, "mp_pipe_new: no socket pair") : 0;
}

int mp_pipe_new(mp_connection **first, mp_connection **second, mp_context *context, bool duplex) {
    (void)context;
    if (!first || !second)
        return mp__fail(MP_EINVAL, "mp_pipe_new: first or second is NULL");
    if (!mp__self())
        return -ENOMEM;
    int sockets[2] = {-1, -1};
    int code = open_sockets(sockets);
    struct pipe_shared *pipe = code == 0 ? make_pipe(duplex) : NULL;
    if (code == 0)
        code = pipe ? note_ends(pipe, sockets) : -ENOMEM;
    if (code < 0)
        goto fail;
    mp__heap_publish(pipe);
    MP__POINT("pipe.new.published");
    mp__log_held(MP_LOG_DEBUG, "created pipe with handle %p", (void *)pipe);
    *first = (mp_connection *)&pipe->first;
    *second = (mp_connection *)&pipe->second;
    return 0;
fail:
    mp__heap_free(pipe);
    mp__descriptor_close(sockets[0]);
    mp__descriptor_close(sockets[1]);
    return code;
}

/* Is it a connection, over shared memory or over a socket? */
static bool is_connection(const mp_connection *connection) {
    return mp__kind_is(connection, MP__KIND_CONNECTION) || mp__connection_is_stream(connection);
}

/* What this process knows of it; NULL: nothing. */
static struct mp__local *entry_of(const mp_connection *connection) {
    const struct connection_shared *pipe = (const void *)connection;
    const struct stream_shared *stream = (const void *)connection;
    return mp__local_find(connection,
                          mp__connection_is_stream(connection) ? stream->serial : pipe->serial);
}

int mp__connection_check(const mp_connection *connection, const char *function) {
    if (!is_connection(connection))
        return mp__kind_refuse(connection, MP__KIND_CONNECTION, function, "connection");
    const struct mp__local *entry = entry_of(connection);
    if (!entry)
        return mp__fail(MP_ENOTPASSED,
                        "%s: this process was not given connection %p; name it in the options of "
                        "the process",
                        function, (const void *)connection);
    int descriptor = atomic_load_explicit(&entry->value, memory_order_relaxed);
    if (descriptor < 0)
        return mp__fail(MP_ECLOSED, "%s: connection %p was closed in this process", function,
                        (const void *)connection);
    return descriptor;
}

int mp__connection_descriptor(mp_connection *connection) {
    int descriptor = mp__connection_check(connection, "connection");
    if (descriptor >= 0 && mp__connection_is_stream(connection))
        mp__stream_share((struct stream_shared *)connection);
    return descriptor;
}

int mp__connection_adopt(mp_connection *connection, int descriptor) {
    const struct connection_shared *pipe = (const void *)connection;
    const struct stream_shared *stream = (const void *)connection;
    bool is_stream = mp__connection_is_stream(connection);
    struct mp__local *entry =
        mp__local_add(connection, is_stream ? stream->serial : pipe->serial, descriptor);
    if (!entry)
        return -ENOMEM;
    int old = atomic_exchange(&entry->value, descriptor);
    if (old != descriptor)
        mp__descriptor_close(old);
    return 0;
}

/* Hints go to the other end: its next send asks the system whether somebody is left, and who sleeps
 * there does so now. */
static void close_end(struct connection_shared *end, struct mp__local *entry) {
    int descriptor = atomic_exchange(&entry->value, -1);
    if (descriptor < 0)
        return;
    mp__descriptor_close(descriptor);
    if (mp__connection_is_stream((mp_connection *)end))
        return;
    atomic_fetch_add(&end->close_count, 1);
    MP__POINT("pipe.close.counted");
    if (end->out)
        mp__gate_notify(&end->out->readable, MP__WAKE_ALL);
}

int mp_connection_close(mp_connection *connection) {
    struct connection_shared *shared = (struct connection_shared *)connection;
    int descriptor = mp__connection_check(connection, "mp_connection_close");
    if (descriptor < 0)
        return descriptor == MP_ECLOSED ? 0 : descriptor;
    close_end(shared, entry_of(connection));
    return 0;
}

/* Once for each end. The thread becomes who frees the pipe (true) when this is the last one; else
 * the pipe's memory may be gone by the return. */
static bool leave_pipe(struct pipe_shared *pipe, uint32_t end, uint32_t thread) {
    uint32_t ends = atomic_load(&pipe->ends), next;
    do
        next = ends & ~end ? ends & ~end : MP__PIPE_ENDING | thread;
    while (!atomic_compare_exchange_weak(&pipe->ends, &ends, next));
    MP__POINT("pipe.free.counted");
    return next & MP__PIPE_ENDING;
}

/* All of it becomes that member's, freed when it dies. */
static void give_pipe(struct pipe_shared *pipe, uint32_t member) {
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        mp__channel_give(&pipe->channels[i], member);
    mp__heap_give(pipe, member);
    MP__POINT("pipe.free.given");
    atomic_store(&pipe->ends, 0);
    MP__POINT("pipe.free.cleared");
}

/* The pipe of an end; NULL: that was freed long since, its memory may be something else. */
static struct pipe_shared *pipe_of(struct connection_shared *end, uint32_t *bit) {
    struct pipe_shared *pipe = (void *)end;
    *bit = MP__PIPE_FIRST;
    if (!mp__heap_is_block(pipe)) {
        pipe = (void *)((char *)end - offsetof(struct pipe_shared, second));
        *bit = MP__PIPE_SECOND;
    }
    bool is_one = atomic_load(&end->kind) == 0 && mp__heap_is_block(pipe) &&
                  mp__heap_size(pipe) >= sizeof *pipe && end->pipe == pipe &&
                  pipe->first.other == &pipe->second && pipe->second.other == &pipe->first;
    return is_one ? pipe : NULL;
}

/* Freeing an end has begun once its kind is cleared; from then on it is finished here. */
static void recover_free_end(void *object, uint32_t dead_thread) {
    uint32_t bit;
    struct pipe_shared *pipe = pipe_of(object, &bit);
    if (!pipe)
        return;
    uint32_t ends = atomic_load(&pipe->ends);
    bool is_left = !(ends & MP__PIPE_ENDING) && (ends & bit);
    if (ends == (MP__PIPE_ENDING | dead_thread) || (is_left && leave_pipe(pipe, bit, dead_thread)))
        give_pipe(pipe, mp__member_index(atomic_load(&mp__thread_at(dead_thread)->member)));
}

MP__RECOVER(MP__HOLDING_PIPE_FREE, recover_free_end)

/* The channels go with the second end, for what was sent can still be received by then. */
static bool free_end(struct connection_shared *end, struct thread_shared *self) {
    uint32_t kind = MP__KIND_CONNECTION;
    if (!atomic_compare_exchange_strong(&end->kind, &kind, 0))
        return false;
    MP__POINT("pipe.free.marked");
    struct mp__local *entry = mp__local_find(end, end->serial);
    if (entry)
        close_end(end, entry);
    mp__local_remove(end, end->serial);
    struct pipe_shared *pipe = end->pipe;
    uint32_t bit = end == &pipe->first ? MP__PIPE_FIRST : MP__PIPE_SECOND;
    if (!leave_pipe(pipe, bit, self->index))
        return false;
    mp__recover_all(); /* who died in it, or while freeing the other end */
    give_pipe(pipe, mp__member_index(atomic_load(&self->member)));
    return true;
}

static void free_stream(mp_connection *connection, struct thread_shared *self) {
    struct stream_shared *stream = (struct stream_shared *)connection;
    (void)mp_connection_close(connection);
    mp__local_remove(stream, stream->serial);
    mp__stream_free(stream, self);
}

void mp_connection_free(mp_connection *connection) {
    if (mp__connection_is_stream(connection)) {
        struct thread_shared *me = mp__self();
        if (me)
            free_stream(connection, me);
        return;
    }
    struct connection_shared *shared = (struct connection_shared *)connection;
    struct thread_shared *self = mp__kind_is(shared, MP__KIND_CONNECTION) ? mp__self() : NULL;
    if (!self)
        return;
    (void)mp__hold(self, MP__HOLDING_PIPE_FREE, shared);
    struct pipe_shared *pipe = shared->pipe;
    bool is_last = free_end(shared, self);
    mp__unhold(self, MP__HOLDING_PIPE_FREE, shared);
    if (!is_last)
        return;
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        mp__channel_end(&pipe->channels[i]);
    mp__heap_free(pipe);
    mp__log_held(MP_LOG_DEBUG, "freed pipe with handle %p", (void *)pipe);
}

bool mp_connection_closed(const mp_connection *connection) {
    if (!is_connection(connection))
        return true;
    const struct mp__local *entry = entry_of(connection);
    return !entry || atomic_load(&entry->value) < 0;
}

bool mp_connection_readable(const mp_connection *connection) {
    const struct connection_shared *shared = (const void *)connection;
    if (mp__connection_is_stream(connection))
        return ((const struct stream_shared *)(const void *)connection)->pipe_end !=
               MP__PIPE_WRITES;
    return mp__kind_is(shared, MP__KIND_CONNECTION) && shared->in;
}

bool mp_connection_writable(const mp_connection *connection) {
    const struct connection_shared *shared = (const void *)connection;
    if (mp__connection_is_stream(connection))
        return ((const struct stream_shared *)(const void *)connection)->pipe_end != MP__PIPE_READS;
    return mp__kind_is(shared, MP__KIND_CONNECTION) && shared->out;
}

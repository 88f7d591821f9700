/* Making and freeing pipes; which descriptor this process has for an end.
 * SPDX-License-Identifier: MIT */
#include "chan/pipe.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/connection.h"
#include "chan/local.h"
#include "os/descriptor.h"
#include "reg/thread.h"
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
    atomic_store(&pipe->end_count, 2);
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
    *first = (mp_connection *)&pipe->first;
    *second = (mp_connection *)&pipe->second;
    return 0;
fail:
    mp__heap_free(pipe);
    mp__descriptor_close(sockets[0]);
    mp__descriptor_close(sockets[1]);
    return code;
}

int mp__connection_check(const mp_connection *connection, const char *function) {
    const struct connection_shared *shared = (const void *)connection;
    int code = mp__kind_check(shared, MP__KIND_CONNECTION, function, "connection");
    if (code < 0)
        return code;
    const struct mp__local *entry = mp__local_find(shared, shared->serial);
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

int mp__connection_descriptor(const mp_connection *connection) {
    return mp__connection_check(connection, "connection");
}

int mp__connection_adopt(mp_connection *connection, int descriptor) {
    struct connection_shared *shared = (struct connection_shared *)connection;
    struct mp__local *entry = mp__local_add(shared, shared->serial, descriptor);
    if (!entry)
        return -ENOMEM;
    int old = atomic_exchange(&entry->value, descriptor);
    if (old != descriptor)
        mp__descriptor_close(old);
    return 0;
}

/* A hint goes to the other end, so that its next send asks the system whether somebody is left. */
static void close_end(struct connection_shared *end, struct mp__local *entry) {
    int descriptor = atomic_exchange(&entry->value, -1);
    if (descriptor < 0)
        return;
    mp__descriptor_close(descriptor);
    atomic_fetch_add(&end->close_count, 1);
    MP__POINT("pipe.close.counted");
}

int mp_connection_close(mp_connection *connection) {
    struct connection_shared *shared = (struct connection_shared *)connection;
    int descriptor = mp__connection_check(connection, "mp_connection_close");
    if (descriptor < 0)
        return descriptor == MP_ECLOSED ? 0 : descriptor;
    close_end(shared, mp__local_find(shared, shared->serial));
    return 0;
}

/* The channels go with the second end, for what was sent can still be received by then. */
void mp_connection_free(mp_connection *connection) {
    struct connection_shared *shared = (struct connection_shared *)connection;
    uint32_t kind = MP__KIND_CONNECTION;
    if (!mp__kind_is(shared, MP__KIND_CONNECTION) ||
        !atomic_compare_exchange_strong(&shared->kind, &kind, 0))
        return;
    struct mp__local *entry = mp__local_find(shared, shared->serial);
    if (entry)
        close_end(shared, entry);
    mp__local_remove(shared, shared->serial);
    struct pipe_shared *pipe = shared->pipe;
    bool is_last = atomic_fetch_sub(&pipe->end_count, 1) == 1;
    MP__POINT("pipe.free.counted");
    if (!is_last)
        return;
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        mp__channel_end(&pipe->channels[i]);
    mp__heap_free(pipe);
}

bool mp_connection_closed(const mp_connection *connection) {
    const struct connection_shared *shared = (const void *)connection;
    if (!mp__kind_is(shared, MP__KIND_CONNECTION))
        return true;
    const struct mp__local *entry = mp__local_find(shared, shared->serial);
    return !entry || atomic_load(&entry->value) < 0;
}

bool mp_connection_readable(const mp_connection *connection) {
    const struct connection_shared *shared = (const void *)connection;
    return mp__kind_is(shared, MP__KIND_CONNECTION) && shared->in;
}

bool mp_connection_writable(const mp_connection *connection) {
    const struct connection_shared *shared = (const void *)connection;
    return mp__kind_is(shared, MP__KIND_CONNECTION) && shared->out;
}

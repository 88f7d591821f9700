/* Making and freeing connections over sockets; sending, waiting and handles.
 * SPDX-License-Identifier: MIT */
#include "chan/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/local.h"
#include "chan/pipe.h"
#include "chan/stream_call.h"
#include "os/descriptor.h"
#include "shm/heap.h"

_Static_assert(offsetof(struct stream_shared, serial) == offsetof(struct connection_shared, serial),
               "found at one place whatever the connection is");

/* What is kept belongs to the stream as long as it is linked there; nothing is in the hands of a
 * dead sender. */
static void recover_stream(void *object, uint32_t dead_thread) {
    struct stream_shared *stream = object;
    bool was_receiving = mp__guard_owner(&stream->receiving) == dead_thread;
    uint8_t *kept = was_receiving ? atomic_load(&stream->kept) : NULL;
    if (kept)
        mp__heap_publish(kept);
    mp__guard_recover(&stream->receiving, dead_thread, false);
    mp__guard_recover(&stream->sending, dead_thread, false);
}

MP__RECOVER(MP__HOLDING_STREAM, recover_stream)

static bool is_unix(int socket) {
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    return getsockname(socket, (struct sockaddr *)&address, &size) == 0 &&
           address.ss_family == AF_UNIX;
}

static uint32_t pipe_end_of(int descriptor) {
    struct stat status;
    if (fstat(descriptor, &status) < 0 || !S_ISFIFO(status.st_mode))
        return MP__PIPE_NONE;
    int flags = fcntl(descriptor, F_GETFL);
    return (flags & O_ACCMODE) == O_RDONLY ? MP__PIPE_READS : MP__PIPE_WRITES;
}

/* Was one made here since they all were shared? */
static _Atomic bool has_private;

void mp__stream_share(struct stream_shared *stream) {
    if (atomic_exchange(&stream->is_shared, 1))
        return;
    MP__POINT("stream.share.marked");
    mp__heap_publish(stream);
}

static void share_entry(const void *object, uint64_t serial) {
    struct stream_shared *stream = (struct stream_shared *)(uintptr_t)object;
    if (mp__connection_is_stream((const mp_connection *)object) && stream->serial == serial)
        mp__stream_share(stream);
}

static void share_all(void) {
    if (atomic_exchange(&has_private, false))
        mp__local_each(share_entry);
}

/* A forked child has what its parent has. */
__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(share_all, NULL, NULL);
}

/* It is a block of this process until another one may have it. */
int mp__stream_new(mp_connection **out, int socket) {
    if (!mp__self())
        return -ENOMEM;
    struct stream_shared *stream = mp__heap_zalloc(sizeof *stream);
    if (!stream)
        return -ENOMEM;
    stream->serial = mp__local_serial();
    stream->has_handles = is_unix(socket);
    stream->pipe_end = pipe_end_of(socket);
    if (!mp__local_add(stream, stream->serial, socket)) {
        mp__heap_free(stream);
        return -ENOMEM;
    }
    atomic_store(&stream->kind, MP__KIND_STREAM);
    atomic_store(&has_private, true);
    MP__POINT("stream.new.made");
    *out = (mp_connection *)stream;
    return 0;
}

void mp__stream_forget(struct stream_shared *stream) {
    uint8_t *kept = atomic_load(&stream->kept);
    if (!kept)
        return;
    mp__heap_take(kept);
    MP__POINT("stream.forget.taken");
    atomic_store(&stream->kept, NULL);
    MP__POINT("stream.forget.unlinked");
    mp__heap_free(kept);
}

void mp__stream_free(struct stream_shared *stream, struct thread_shared *self) {
    int code = mp__guard_acquire(&stream->receiving, self, MP__HOLDING_STREAM, stream, MP__NEVER);
    if (code != -ENOMEM) {
        mp__stream_forget(stream);
        mp__guard_release(&stream->receiving, self, MP__HOLDING_STREAM, stream);
    }
    mp__object_free(stream);
}

int mp__stream_begin(struct mp__stream_call *call, mp_connection *connection, double timeout,
                     const char *name) {
    *call = (struct mp__stream_call){.stream = (struct stream_shared *)connection, .name = name};
    call->socket = mp__connection_check(connection, name);
    if (call->socket < 0)
        return call->socket;
    int code = mp__deadline(&call->deadline, timeout);
    if (code < 0)
        return code;
    call->self = mp__self();
    return call->self ? 0 : -ENOMEM;
}

int mp__stream_lock(const struct mp__stream_call *call, struct mp__guard *guard) {
    int code =
        mp__guard_acquire(guard, call->self, MP__HOLDING_STREAM, call->stream, call->deadline);
    if (code == MP_ETIMEDOUT)
        return mp__fail(code, "%s: another thread was at it all the time", call->name);
    return code == MP_EOWNERDEAD ? 0 : code;
}

void mp__stream_unlock(const struct mp__stream_call *call, struct mp__guard *guard) {
    mp__guard_release(guard, call->self, MP__HOLDING_STREAM, call->stream);
}

int mp__stream_wait(const struct mp__stream_call *call, short events) {
    int ready = mp__descriptor_poll(call->socket, events, call->deadline);
    if (ready < 0)
        return mp__fail(ready, "%s: waiting for the socket", call->name);
    return ready == 0 ? MP_ETIMEDOUT : 0;
}

/* Its end is the other processes', too: it cannot be made not to wait, but takes PIPE_BUF bytes
 * without waiting when it is ready. */
static ssize_t write_pipe(const struct mp__stream_call *call, const struct iovec *parts) {
    const struct iovec *part = &parts[parts[0].iov_len == 0];
    for (;;) {
        int code = mp__stream_wait(call, POLLOUT);
        if (code < 0)
            return code;
        size_t size = part->iov_len < PIPE_BUF ? part->iov_len : PIPE_BUF;
        ssize_t sent = mp__descriptor_write(call->socket, part->iov_base, size);
        if (sent == -EPIPE)
            return mp__fail(-EPIPE, "%s: the other end is gone", call->name);
        if (sent != -EINTR)
            return sent < 0 ? mp__fail((int)sent, "%s: writing to the pipe", call->name) : sent;
    }
}

/* Bytes that went, at least one; MP_ETIMEDOUT; -errno. */
static ssize_t send_some(const struct mp__stream_call *call, struct iovec *parts) {
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (call->stream->pipe_end)
        return write_pipe(call, parts);
    int flags = MSG_NOSIGNAL | (call->deadline == MP__NEVER ? 0 : MSG_DONTWAIT);
    for (;;) {
        ssize_t sent = sendmsg(call->socket, &message, flags);
        if (sent >= 0)
            return sent;
        if (errno == EPIPE || errno == ECONNRESET)
            return mp__fail(-EPIPE, "%s: the other end is gone", call->name);
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int code = mp__stream_wait(call, POLLOUT);
            if (code < 0)
                return code;
        } else if (errno != EINTR) {
            return mp__fail(-errno, "%s: sending to the socket", call->name);
        }
    }
}

static void advance(struct iovec *parts, size_t bytes) {
    for (int i = 0; i < 2; i++) {
        size_t here = bytes < parts[i].iov_len ? bytes : parts[i].iov_len;
        parts[i].iov_base = (char *)parts[i].iov_base + here;
        parts[i].iov_len -= here;
        bytes -= here;
    }
}

/* Half a message cannot be taken back: the other end gets its end of file, nobody sends again. */
static int tear(const struct mp__stream_call *call, int code) {
    (void)shutdown(call->socket, SHUT_WR);
    if (code == MP_ETIMEDOUT)
        return mp__fail(code, "%s: only a part went in time, now nothing can be sent any more",
                        call->name);
    return code;
}

static int send_parts(const struct mp__stream_call *call, struct iovec *parts) {
    struct stream_shared *stream = call->stream;
    if (atomic_load_explicit(&stream->send_torn, memory_order_relaxed))
        return tear(call, mp__fail(-EPIPE, "%s: an earlier message went only in part", call->name));
    atomic_store_explicit(&stream->send_torn, 1, memory_order_relaxed);
    MP__POINT("stream.send.begun");
    bool has_begun = false;
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t sent = send_some(call, parts);
        if (sent < 0 && has_begun)
            return tear(call, (int)sent);
        if (sent < 0) {
            atomic_store_explicit(&stream->send_torn, 0, memory_order_relaxed);
            return sent == MP_ETIMEDOUT
                       ? mp__fail(MP_ETIMEDOUT, "%s: the socket is full", call->name)
                       : (int)sent;
        }
        has_begun = true;
        advance(parts, (size_t)sent);
    }
    MP__POINT("stream.send.sent");
    atomic_store_explicit(&stream->send_torn, 0, memory_order_relaxed);
    return 0;
}

static size_t write_head(uint8_t *head, uint64_t size) {
    bool is_long = size > INT32_MAX;
    int bytes = is_long ? 8 : 4;
    uint8_t *to = is_long ? head + 4 : head;
    memset(head, 0xff, 4);
    for (int i = 0; i < bytes; i++)
        to[i] = (uint8_t)(size >> (8 * (bytes - 1 - i)));
    return is_long ? 12 : 4;
}

int mp__stream_send(mp_connection *connection, const void *data, size_t size, double timeout,
                    const char *name) {
    struct mp__stream_call call;
    int code = mp__stream_begin(&call, connection, timeout, name);
    if (code == 0 && call.stream->pipe_end == MP__PIPE_READS)
        code = mp__fail(MP_EINVAL, "%s: this end of the pipe only receives", name);
    if (code == 0)
        code = mp__stream_lock(&call, &call.stream->sending);
    if (code < 0)
        return code;
    uint8_t head[MP__STREAM_HEAD_MAX];
    struct iovec parts[2] = {{head, write_head(head, size)}, {(void *)data, size}};
    code = send_parts(&call, parts);
    mp__stream_unlock(&call, &call.stream->sending);
    return code;
}

int mp__stream_poll(mp_connection *connection, double timeout, const char *name) {
    struct mp__stream_call call;
    int code = mp__stream_begin(&call, connection, timeout, name);
    if (code < 0)
        return code;
    if (atomic_load(&call.stream->is_whole))
        return 1;
    code = mp__stream_wait(&call, POLLIN);
    return code == 0 ? 1 : code == MP_ETIMEDOUT ? 0 : code;
}

static int begin_handle(struct mp__stream_call *call, mp_connection *connection, double timeout,
                        const char *name) {
    int code = mp__stream_begin(call, connection, timeout, name);
    if (code == 0 && !call->stream->has_handles)
        return mp__fail(MP_EINVAL, "%s: descriptors travel over Unix sockets only", name);
    return code;
}

/* One byte with the descriptor, as Python's reduction.send_handle. */
static int pass_handle(const struct mp__stream_call *call, int fd) {
    static const uint8_t one = 1;
    if (atomic_load_explicit(&call->stream->send_torn, memory_order_relaxed))
        return tear(call, mp__fail(-EPIPE, "%s: an earlier message went only in part", call->name));
    for (;;) {
        int code = mp__stream_wait(call, POLLOUT);
        if (code == MP_ETIMEDOUT)
            return mp__fail(code, "%s: the socket is full", call->name);
        ssize_t sent = code < 0 ? code : mp__descriptor_send(call->socket, &one, 1, &fd, 1);
        if (sent == -ECONNRESET || sent == -EPIPE)
            return mp__fail(-EPIPE, "%s: the other end is gone", call->name);
        if (sent != -EAGAIN)
            return sent < 0 ? mp__fail((int)sent, "%s: sending descriptor %d", call->name, fd) : 0;
    }
}

int mp__stream_send_handle(mp_connection *connection, int fd, double timeout, const char *name) {
    struct mp__stream_call call;
    int code = begin_handle(&call, connection, timeout, name);
    if (code == 0)
        code = mp__stream_lock(&call, &call.stream->sending);
    if (code < 0)
        return code;
    code = pass_handle(&call, fd);
    mp__stream_unlock(&call, &call.stream->sending);
    return code;
}

static int take_handle(const struct mp__stream_call *call, int *fd) {
    if (call->stream->head_size > 0)
        return mp__fail(MP_ETYPE, "%s: a message is next, not a handle", call->name);
    int code = mp__stream_wait(call, POLLIN);
    if (code < 0)
        return code == MP_ETIMEDOUT ? mp__fail(code, "%s: nothing came in time", call->name) : code;
    uint8_t byte;
    size_t count = 1;
    ssize_t got = mp__descriptor_receive(call->socket, &byte, 1, fd, &count);
    if (got < 0)
        return mp__fail((int)got, "%s: the handle is lost", call->name);
    if (got == 0)
        return mp__fail(MP_EEOF, "%s: the other end is gone", call->name);
    if (count == 1)
        return 0;
    atomic_store(&call->stream->receive_torn, 1);
    MP__POINT("stream.handle.torn");
    return mp__fail(MP_EPROTO, "%s: what came is no handle; now nothing can be received any more",
                    call->name);
}

int mp__stream_receive_handle(mp_connection *connection, int *fd, double timeout,
                              const char *name) {
    struct mp__stream_call call;
    int code = begin_handle(&call, connection, timeout, name);
    if (code == 0)
        code = mp__stream_lock(&call, &call.stream->receiving);
    if (code < 0)
        return code;
    code = take_handle(&call, fd);
    mp__stream_unlock(&call, &call.stream->receiving);
    return code;
}

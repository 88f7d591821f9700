/* Sending and receiving over one end of a pipe.
 * SPDX-License-Identifier: MIT */
#include "chan/connection.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/pipe.h"
#include "chan/record.h"
#include "chan/stream.h"
#include "chan/transfer.h"
#include "os/descriptor.h"
#include "reg/member.h"

/* A receiver that gets one message soon after the other sleeps for this long without the socket. */
#define GLANCE (MP__SECOND / 250)
#define SLICE (MP__SECOND * 10) /* nothing is lost that we know of; but nobody sleeps for ever */

/* What a call works on: checked once, at its beginning. */
struct call {
    struct connection_shared *connection;
    struct thread_shared *self;
    int socket; /* this process's descriptor; borrowed */
    mp__time deadline;
    const char *name; /* of the public function */
};

static int begin_call(struct call *call, mp_connection *connection, double timeout,
                      const char *name) {
    *call = (struct call){.connection = (struct connection_shared *)connection, .name = name};
    call->socket = mp__connection_check(connection, name);
    if (call->socket < 0)
        return call->socket;
    int code = mp__deadline(&call->deadline, timeout);
    if (code < 0)
        return code;
    call->self = mp__self();
    return call->self ? 0 : -ENOMEM;
}

static int begin_send(struct call *call, mp_connection *connection, double timeout,
                      const char *name) {
    int code = begin_call(call, connection, timeout, name);
    if (code == 0 && !mp__connection_is_stream(connection) && !call->connection->out)
        return mp__fail(MP_EINVAL, "%s: this end of the pipe only receives", name);
    return code;
}

static int begin_receive(struct call *call, mp_connection *connection, double timeout,
                         const char *name) {
    int code = begin_call(call, connection, timeout, name);
    if (code == 0 && !mp__connection_is_stream(connection) && !call->connection->in)
        return mp__fail(MP_EINVAL, "%s: this end of the pipe only sends", name);
    return code;
}

static int broken(const struct call *call) {
    return mp__fail(-EPIPE, "%s: nobody has the other end of the pipe any more", call->name);
}

/* Is that one, who has received there, alive as far as we know? Asks no system. */
static bool is_live_user(const struct call *call, uint64_t user) {
    return user == atomic_load_explicit(&call->self->member, memory_order_relaxed) ||
           (user != 0 && mp__member_is_alive(user));
}

/* Whoever closed the other end may be the one who received there: it says so again if not. */
static bool ask_for_peer(const struct call *call, uint32_t closes) {
    struct connection_shared *connection = call->connection;
    _Atomic uint64_t *last_user = &connection->out->head.last_user;
    uint64_t user = atomic_load_explicit(last_user, memory_order_relaxed);
    bool is_known =
        is_live_user(call, user) &&
        closes == atomic_load_explicit(&connection->seen_close_count, memory_order_relaxed);
    atomic_store_explicit(&connection->seen_user, is_known ? user : 0, memory_order_relaxed);
    MP__POINT("pipe.send.seen");
    if (is_known)
        return false;
    if (mp__token_peer_is_gone(call->socket))
        return true;
    atomic_store_explicit(&connection->seen_close_count, closes, memory_order_relaxed);
    MP__POINT("pipe.send.asked");
    if (user != 0)
        atomic_compare_exchange_strong(last_user, &user, 0);
    return false;
}

/* The system is asked only when there is a reason: somebody closed the other end since, the last
 * one who received there is dead, or nobody has yet. Otherwise sending needs no system call. Who it
 * is stands among what the receivers write: not to be looked at for each message. Whoever it was
 * when we last looked has the other end as long as it lives and nobody closes it. */
static bool is_peer_gone(const struct call *call) {
    struct connection_shared *connection = call->connection;
    uint32_t closes = atomic_load_explicit(&connection->other->close_count, memory_order_acquire);
    uint64_t user = atomic_load_explicit(&connection->seen_user, memory_order_relaxed);
    if (is_live_user(call, user) &&
        closes == atomic_load_explicit(&connection->seen_close_count, memory_order_relaxed))
        return false;
    return ask_for_peer(call, closes);
}

static int wait_room(const struct call *call, uint64_t size, unsigned round) {
    struct channel_shared *out = call->connection->out;
    bool slept = false;
    if (mp__token_peer_is_gone(call->socket))
        return broken(call);
    uint64_t weight = mp__record_weight(out, size);
    int code = mp__channel_wait_room(out, weight, call->deadline, round, &slept);
    if (code == MP_ETIMEDOUT)
        return mp__fail(code, "%s: the pipe is full, nobody received in time", call->name);
    return code;
}

/* A socket full of handles: unlikely, but nothing else may be sent before there is room again. */
static int wait_socket(const struct call *call) {
    int events = mp__descriptor_poll(call->socket, POLLOUT, call->deadline);
    if (events == 0)
        return mp__fail(MP_ETIMEDOUT, "%s: too many handles are under way", call->name);
    return events < 0 ? mp__fail(events, "%s: waiting for the socket", call->name) : 0;
}

/* What must lie in the socket before the message can be seen: its descriptor, or the token. */
static int send_before(const struct call *call, struct mp__outgoing *message, uint64_t *number,
                       int fd) {
    struct connection_shared *other = call->connection->other;
    int code;
    if (fd >= 0) {
        code = mp__handle_send(other, call->socket, fd, number);
        message->data = number;
    } else {
        code = mp__token_send(other, call->socket);
    }
    return code == -EPIPE ? broken(call) : code;
}

/* Under the tail's guard: 0; 1: no room. fd: the descriptor to send, -1: none. */
static int send_locked(const struct call *call, const struct mp__outgoing *message, int fd) {
    struct mp__outgoing out = *message;
    struct mp__writer writer;
    mp__writer_begin(&writer, call->connection->out);
    if (!mp__writer_has_room(&writer, out.size))
        return 1;
    uint64_t number;
    int code = send_before(call, &out, &number, fd);
    if (code < 0)
        return code;
    code = mp__writer_write(&writer, &out);
    if (code < 0)
        return code;
    mp__writer_publish(&writer);
    return 0;
}

static int refuse_side(const struct call *call, int code, const char *what) {
    if (code != MP_ETIMEDOUT)
        return code;
    return mp__fail(code, "%s: another process or thread that %s here is stopped", call->name,
                    what);
}

static int send_item(const struct call *call, const struct mp__outgoing *message, int fd) {
    struct channel_shared *out = call->connection->out;
    if (is_peer_gone(call))
        return broken(call);
    for (unsigned round = 0;; round++) {
        int code = mp__channel_lock_tail(out, call->self, call->deadline);
        if (code < 0)
            return refuse_side(call, code, "sends");
        code = send_locked(call, message, fd);
        mp__channel_unlock_tail(out, call->self);
        if (code == 0)
            mp__writer_notify(out);
        if (code <= 0 && code != -EAGAIN)
            return code;
        code = code == 1 ? wait_room(call, message->size, round) : wait_socket(call);
        if (code < 0)
            return code;
    }
}

int mp_connection_send_bytes(mp_connection *connection, const void *data, size_t size,
                             double timeout) {
    if (mp__connection_is_stream(connection) && (data || size == 0))
        return mp__stream_send(connection, data, size, timeout, "mp_connection_send_bytes");
    struct call call;
    int code = begin_send(&call, connection, timeout, "mp_connection_send_bytes");
    if (code < 0)
        return code;
    if (!data && size > 0)
        return mp__fail(MP_EINVAL, "%s: data is NULL, but size is %zu", call.name, size);
    struct mp__outgoing message;
    code = mp__outgoing_make(&message, data, size);
    if (code < 0)
        return code;
    code = send_item(&call, &message, -1);
    if (code < 0)
        mp__outgoing_drop(&message);
    return code;
}

int mp_connection_send_handle(mp_connection *connection, int fd, double timeout) {
    struct call call;
    int code = begin_send(&call, connection, timeout, "mp_connection_send_handle");
    if (code < 0)
        return code;
    if (fd < 0 || fcntl(fd, F_GETFD) < 0)
        return mp__fail(-EBADF, "%s: descriptor %d", call.name, fd);
    if (mp__connection_is_stream(connection))
        return mp__stream_send_handle(connection, fd, timeout, call.name);
    struct mp__outgoing message = {MP__RECORD_HANDLE, NULL, sizeof(uint64_t)};
    return send_item(&call, &message, fd);
}

/* The last message came soon after this thread had begun to wait for it. */
static _Thread_local __attribute__((tls_model("initial-exec"))) bool is_brisk;

/* On the channel itself: then there need be no token, which costs as much as the sleep. The end of
 * the other side may show later by that. */
static void sleep_briefly(struct channel_shared *in, mp__time deadline, bool *slept) {
    mp__time latest = mp__now() + GLANCE;
    (void)mp__channel_sleep(in, deadline < latest ? deadline : latest, slept);
    is_brisk = !mp__channel_is_empty(in);
}

/* Without a token in the socket the system tells at once when one comes, or the end. */
static int poll_socket(int socket, mp__time deadline) {
    mp__time now = deadline > 0 ? mp__now() : 0;
    int events =
        mp__descriptor_poll(socket, POLLIN, deadline - now < SLICE ? deadline : now + SLICE);
    if (deadline > 0)
        is_brisk = events > 0 && mp__now() - now < GLANCE;
    return events;
}

/* When the system tells of something although nothing can be received, everything that lies there
 * has to go. */
int mp__connection_wait(struct connection_shared *connection, int socket, mp__time deadline,
                        bool *slept) {
    struct channel_shared *in = connection->in;
    for (int events = 0;;) {
        if (mp__channel_look(in) || (deadline > 0 && mp__channel_spin(in)))
            return 0;
        if (deadline > 0 && is_brisk)
            sleep_briefly(in, deadline, slept);
        int code = 0;
        if (mp__channel_is_empty(in) &&
            (events > 0 || atomic_load_explicit(&connection->has_token, memory_order_acquire)))
            code = mp__token_settle(connection, socket, events > 0, deadline);
        if (!mp__channel_is_empty(in))
            return 0;
        if (code != 0)
            return code == 1 ? MP_EEOF : code;
        events = poll_socket(socket, deadline);
        if (events < 0)
            return mp__fail(events, "waiting for a message");
        mp__channel_heed_death(&in->tail.guard);
        if (events == 0 && (deadline <= 0 || mp__now() >= deadline))
            return mp__channel_is_empty(in) ? MP_ETIMEDOUT : 0;
    }
}

/* Something is there, or the reason why not as a failure of the call. */
static int wait_for_item(const struct call *call, bool *slept) {
    int code = mp__connection_wait(call->connection, call->socket, call->deadline, slept);
    if (code == MP_EEOF)
        return mp__fail(MP_EEOF, "%s: all is received, and nobody has the other end any more",
                        call->name);
    if (code == MP_ETIMEDOUT)
        return mp__fail(MP_ETIMEDOUT, "%s: nothing came in time", call->name);
    return code;
}

/* Takes the record looked at: 0, or a failure that leaves it there. */
typedef int (*take_fn)(const struct call *call, struct mp__reader *reader, void *arg);

static void note_user(const struct call *call, struct channel_side_shared *side) {
    uint64_t me = atomic_load_explicit(&call->self->member, memory_order_relaxed);
    if (atomic_load_explicit(&side->last_user, memory_order_relaxed) != me)
        atomic_store_explicit(&side->last_user, me, memory_order_relaxed);
    MP__POINT("pipe.user.noted");
}

/* We may have used up the wake-up of another receiver. */
static void pass_on(struct channel_shared *in, bool slept) {
    if (slept && !mp__channel_is_empty(in))
        mp__gate_notify(&in->readable, 1);
}

static int receive_item(const struct call *call, take_fn take, void *arg) {
    struct channel_shared *in = call->connection->in;
    bool slept = false;
    note_user(call, &in->head);
    for (;;) {
        int code = wait_for_item(call, &slept);
        if (code < 0)
            return code;
        code = mp__channel_lock_head(in, call->self, call->deadline);
        if (code < 0)
            return refuse_side(call, code, "receives");
        struct mp__reader reader;
        mp__reader_begin(&reader, in);
        bool is_there = mp__reader_look(&reader);
        if (is_there)
            code = take(call, &reader, arg);
        mp__channel_unlock_head(in, call->self);
        if (!is_there)
            continue;
        mp__reader_notify(in);
        pass_on(in, slept);
        if (atomic_load(&call->connection->is_watched) && mp__channel_is_empty(in))
            (void)mp__token_settle(call->connection, call->socket, false, 0);
        return code;
    }
}

static int take_bytes(const struct call *call, struct mp__reader *reader, void *arg) {
    if (reader->kind == MP__RECORD_HANDLE)
        return mp__fail(MP_ETYPE, "%s: a handle is next; mp_connection_recv_handle receives it",
                        call->name);
    return mp__intake_take(arg, reader);
}

/* Over a socket the call begins once more, there. */
static int receive_message(const struct call *call, struct mp__intake *intake, double timeout) {
    mp_connection *connection = (mp_connection *)call->connection;
    if (mp__connection_is_stream(connection))
        return mp__stream_receive(connection, intake, timeout, call->name);
    return receive_item(call, take_bytes, intake);
}

int mp_connection_recv_bytes(mp_connection *connection, void **data, size_t *size, size_t max_size,
                             double timeout) {
    struct call call;
    int code = begin_receive(&call, connection, timeout, "mp_connection_recv_bytes");
    if (code < 0)
        return code;
    if (!data || !size)
        return mp__fail(MP_EINVAL, "%s: data or size is NULL", call.name);
    struct mp__intake intake = {MP__INTAKE_ALLOC, NULL, max_size ? max_size : UINT64_MAX};
    code = receive_message(&call, &intake, timeout);
    if (code < 0)
        return code;
    mp__intake_finish(&intake);
    *data = intake.data;
    *size = intake.size;
    return 0;
}

int mp_connection_recv_bytes_into(mp_connection *connection, void *buffer, size_t capacity,
                                  size_t *size, double timeout) {
    struct call call;
    int code = begin_receive(&call, connection, timeout, "mp_connection_recv_bytes_into");
    if (code < 0)
        return code;
    if (!buffer && capacity > 0)
        return mp__fail(MP_EINVAL, "%s: buffer is NULL, but capacity is %zu", call.name, capacity);
    struct mp__intake intake = {MP__INTAKE_INTO, buffer, capacity};
    code = receive_message(&call, &intake, timeout);
    if (code == 0)
        mp__intake_finish(&intake);
    if (size && (code == 0 || code == MP_ETOOSHORT))
        *size = intake.size;
    return code;
}

/* A handle whose descriptor is lost, with a receiver that died or for want of descriptors, goes. */
static int take_handle(const struct call *call, struct mp__reader *reader, void *arg) {
    if (reader->kind != MP__RECORD_HANDLE)
        return mp__fail(MP_ETYPE, "%s: a message is next, not a handle", call->name);
    int *fd = arg;
    *fd = mp__handle_receive(call->socket, mp__record_read(reader->payload));
    mp__reader_pass(reader);
    mp__reader_commit(reader);
    return 0;
}

int mp_connection_recv_handle(mp_connection *connection, int *fd, double timeout) {
    struct call call;
    int code = begin_receive(&call, connection, timeout, "mp_connection_recv_handle");
    if (code < 0)
        return code;
    if (!fd)
        return mp__fail(MP_EINVAL, "%s: fd is NULL", call.name);
    if (mp__connection_is_stream(connection))
        return mp__stream_receive_handle(connection, fd, timeout, call.name);
    int got;
    do
        code = receive_item(&call, take_handle, &got);
    while (code == 0 && got == MP_EEOF);
    if (code < 0)
        return code;
    if (got < 0)
        return mp__fail(got, "%s: the handle is lost", call.name);
    *fd = got;
    return 0;
}

int mp_connection_poll(mp_connection *connection, double timeout) {
    struct call call;
    int code = begin_receive(&call, connection, timeout, "mp_connection_poll");
    if (code < 0)
        return code;
    if (mp__connection_is_stream(connection))
        return mp__stream_poll(connection, timeout, call.name);
    bool slept = false;
    code = mp__connection_wait(call.connection, call.socket, call.deadline, &slept);
    pass_on(call.connection->in, slept);
    if (code == MP_ETIMEDOUT)
        return 0;
    return code == 0 || code == MP_EEOF ? 1 : code;
}

/* From now on no token may lie there while nothing can be received. */
int mp_connection_fileno(mp_connection *connection) {
    int descriptor = mp__connection_check(connection, "mp_connection_fileno");
    struct connection_shared *shared = (struct connection_shared *)connection;
    if (descriptor < 0 || mp__connection_is_stream(connection) || !shared->in)
        return descriptor;
    atomic_store(&shared->is_watched, 1);
    int code = mp__channel_is_empty(shared->in) ? mp__token_settle(shared, descriptor, true, 0) : 0;
    return code == -ENOMEM ? code : descriptor;
}

/* The packets in the sockets under a pipe: tokens that say "something can be received", and
 * handles. SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/pipe.h"
#include "os/descriptor.h"

enum { YIELDS = 4 }; /* before we wait for the guard as others do */

enum packet_kind { PACKET_TOKEN = 1, PACKET_HANDLE };

struct packet {
    uint64_t kind;   /* enum packet_kind */
    uint64_t number; /* of the handle, counted from 1; a token's: of the last handle before it */
};

/* 1; 0: nothing there; MP_EEOF; -errno. A peer that died with unread packets leaves ECONNRESET
 * once. */
static int receive_packet(int socket, struct packet *packet, int flags) {
    for (;;) {
        ssize_t got = recv(socket, packet, sizeof *packet, flags | MSG_DONTWAIT);
        if (got > 0)
            return 1;
        if (got == 0)
            return MP_EEOF;
        if (errno == EAGAIN || errno == EWOULDBLOCK)
            return 0;
        if (errno != EINTR && errno != ECONNRESET)
            return mp__fail(-errno, "receiving from the socket under a pipe");
    }
}

bool mp__token_peer_is_gone(int socket) {
    int events = mp__descriptor_poll(socket, 0, 0);
    return events < 0 || events & (POLLHUP | POLLERR);
}

/* Out of memory, the kernel can send nothing although the socket is not full: that is not waited
 * for. */
static int fail_send(int error) {
    if (error == EAGAIN || error == EWOULDBLOCK)
        return -EAGAIN;
    if (error == EPIPE || error == ECONNRESET || error == ENOTCONN)
        return -EPIPE;
    return mp__fail(-error, "sending over the socket under a pipe");
}

int mp__token_send(struct connection_shared *to, int socket) {
    if (atomic_load_explicit(&to->has_token, memory_order_relaxed))
        return 0;
    struct packet packet = {PACKET_TOKEN, to->handles};
    ssize_t sent;
    do
        sent = send(socket, &packet, sizeof packet, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return fail_send(errno);
    MP__POINT("pipe.token.sent");
    atomic_store_explicit(&to->has_token, 1, memory_order_release);
    MP__POINT("pipe.token.noted");
    return 0;
}

/* 0; 1: end of file; -errno. One packet is what there is, unless somebody died or sent handles in
 * vain. */
static int drain(int socket, bool all) {
    struct packet packet;
    int code;
    do
        code = receive_packet(socket, &packet, 0);
    while (code == 1 && all);
    return code == MP_EEOF ? 1 : code < 0 ? code : 0;
}

/* Who sends has woken us while it holds the guard, and may share our cpu: it needs a moment. */
static void let_sender_finish(const struct connection_shared *at) {
    for (int i = 0; i < YIELDS && mp__guard_owner(&at->in->tail.guard) != 0; i++)
        sched_yield();
}

int mp__token_settle(struct connection_shared *at, int socket, bool all, mp__time deadline) {
    struct thread_shared *self = mp__self();
    if (!self)
        return -ENOMEM;
    let_sender_finish(at);
    int code = mp__channel_lock_tail(at->in, self, deadline);
    if (code < 0)
        return code;
    if (mp__channel_is_empty(at->in)) {
        atomic_store_explicit(&at->has_token, 0, memory_order_release);
        MP__POINT("pipe.settle.noted");
        code = drain(socket, all);
        MP__POINT("pipe.settle.drained");
    }
    mp__channel_unlock_tail(at->in, self);
    return code;
}

int mp__handle_send(struct connection_shared *to, int socket, int fd, uint64_t *number) {
    struct packet packet = {PACKET_HANDLE, ++to->handles}; /* counted first: never used twice */
    MP__POINT("pipe.handle.counted");
    ssize_t sent = mp__descriptor_send(socket, &packet, sizeof packet, &fd, 1);
    if (sent < 0)
        return fail_send((int)-sent);
    MP__POINT("pipe.handle.sent");
    *number = packet.number;
    atomic_store_explicit(&to->has_token, 0, memory_order_release);
    return mp__token_send(to, socket);
}

/* Everything before the handle goes: tokens of earlier messages, handles whose sender died before
 * it could announce them. What comes after it stays. */
int mp__handle_receive(int socket, uint64_t number) {
    for (;;) {
        struct packet packet;
        int code = receive_packet(socket, &packet, MSG_PEEK);
        if (code != 1)
            return code == 0 ? MP_EEOF : code;
        if (packet.number > number || (packet.number == number && packet.kind == PACKET_TOKEN))
            return MP_EEOF;
        int fd = -1;
        size_t count = 1;
        ssize_t got = mp__descriptor_receive(socket, &packet, sizeof packet, &fd, &count);
        MP__POINT("pipe.handle.received");
        if (got < 0)
            return (int)got;
        if (packet.kind == PACKET_HANDLE && packet.number == number && count == 1)
            return fd;
        if (count == 1)
            mp__descriptor_close(fd);
    }
}

/* A pipe in the arena: two connections and the channels between them.
 * SPDX-License-Identifier: MIT
 *
 * Each end has a socket. In the receive queue of an end lie packets: a token (something can be
 * received here), and a handle with its descriptor. What holds whenever no sender is at work:
 *
 *     the channel to an end is not empty   =>   a packet lies in its socket
 *
 * For the token, and the handle, is sent before the message can be seen, whoever dies then. A
 * receiver takes tokens away only while the channel is empty and no sender is at work: both under
 * the tail's guard; and only before it sleeps on the socket, or for somebody who asked for the
 * descriptor. Receivers who get one message soon after the other sleep on the channel's gate
 * instead: the token stays where it is, and nobody sends another one. After a handle there is
 * always a token, because its receiver removes what lies before it. A token too many costs one
 * look. */
#ifndef MP__CHAN_PIPE_H
#define MP__CHAN_PIPE_H

#include "mp/connection.h"

#include "chan/channel.h"
#include "sync/kind.h"

#define MP__PIPE_LIMIT_BYTES \
    (UINT64_C(1) << 20) /* a pipe holds that much, or one larger message \
                                                  */

struct connection_shared {
    mp__kind_word kind;              /* MP__KIND_CONNECTION */
    _Atomic uint32_t has_token;      /* 1: a token lies in our socket; under in's tail guard */
    uint64_t serial;                 /* see chan/local.h */
    struct pipe_shared *pipe;        /* whose end this is */
    struct connection_shared *other; /* the other end */
    struct channel_shared *in;       /* received from; NULL: this end only sends */
    struct channel_shared *out;      /* sent to; NULL: this end only receives */
    uint64_t handles;                /* sent to us; under in's tail guard */
    _Atomic uint32_t close_count;    /* how often a process closed this end: a hint for senders */
    _Atomic uint32_t
        seen_close_count;        /* the other end's, when a sender here last asked the system */
    _Atomic uint32_t is_watched; /* somebody looks at our socket: no token while it is empty */
    uint32_t reserved;           /* 0 */
    _Atomic uint64_t seen_user;  /* out's last receiver, as a sender here saw it; 0 nobody */
};

enum { MP__PIPE_FIRST = 1, MP__PIPE_SECOND = 2 };
#define MP__PIPE_ENDING UINT32_C(0x80000000)

struct pipe_shared {
    _Alignas(64) struct connection_shared first;
    _Alignas(64) struct connection_shared second;
    /* Bits of the ends not yet freed; none left: MP__PIPE_ENDING | thread that frees the pipe, or
     * dies and has it freed; 0: all of it is of that thread's member by now. */
    _Atomic uint32_t ends;
    uint32_t channel_count;           /* 1 or 2 */
    struct channel_shared channels[]; /* [0] to the first end, [1] to the second */
};

/* This process's end of it, checked: the descriptor or MP_EINVAL, MP_ENOTPASSED, MP_ECLOSED. */
int mp__connection_check(const mp_connection *connection, const char *function);

/* socket: this process's descriptor of the end that is meant. */
/* Under in's tail guard: 0; -EPIPE; -EAGAIN: the socket is full of handles, wait for POLLOUT;
 * -errno with detail. */
int mp__token_send(struct connection_shared *to, int socket);
/* Nothing can be received here: take the token away, so that the next message sends one; or all
 * that lies there. 0; 1: end of file; MP_ETIMEDOUT: a sender is stopped; -errno, with
 * detail. */
int mp__token_settle(struct connection_shared *at, int socket, bool all, mp__time deadline);
bool mp__token_peer_is_gone(int socket); /* asks the system */

/* The packet with that descriptor, sent before its record is published: as mp__token_send. */
int mp__handle_send(struct connection_shared *to, int socket, int fd, uint64_t *number);
/* Under in's head guard: the descriptor with that number; MP_EEOF: it is lost; -errno. */
int mp__handle_receive(int socket, uint64_t number);

/* Look, then sleep until there is something to receive: 0; MP_EEOF; MP_ETIMEDOUT. *slept: a wake-up
 * may have been used up, pass it on. */
int mp__connection_wait(struct connection_shared *connection, int socket, mp__time deadline,
                        bool *slept);

#endif

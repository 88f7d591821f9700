/* The fork server: what it and its client share, and the client's side.
 * SPDX-License-Identifier: MIT
 *
 * Each process that uses MP_FORKSERVER has a server of its own: a hidden, spawned child that forks
 * spare children ahead of need: the more the faster they are used. A spare sleeps on a word of its
 * own in the arena. To start a
 * process the client writes down what to run and changes that word; descriptors, if there are any,
 * go before through the spare's channel. The server reaps, and writes the codes of those that were
 * killed.
 *
 *     word of a spare     EMPTY --server--> IDLE --client--> TAKEN --spare--> LEFT
 *
 * The word carries a ticket: whoever holds an old one (a spare of a dead server) changes nothing.
 */
#ifndef MP__PROC_FORKSERVER_H
#define MP__PROC_FORKSERVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proc/context.h"
#include "proc/launch.h"

struct process_shared;

#define MP__SPARE_FEW 8  /* kept when there is nothing to do; they have channels */
#define MP__SPARE_MAX 32 /* kept while starts come fast */
#define MP__SPARE_CHANNELS MP__SPARE_FEW

enum mp__spare_state { MP__SPARE_EMPTY, MP__SPARE_IDLE, MP__SPARE_TAKEN, MP__SPARE_LEFT };
#define MP__SPARE_STATE_BITS 2

struct spare_shared {
    /* ticket << 2 | enum mp__spare_state; the spare sleeps on it; a cache line each */
    _Alignas(64) _Atomic uint32_t word;
    _Atomic int32_t pid;         /* of the spare; written before IDLE */
    _Atomic uint64_t launch;     /* mp__launch_name of what to start; written before TAKEN */
    _Atomic uint32_t has_parcel; /* descriptors wait in its channel; written before TAKEN */
    _Atomic uint32_t is_near; /* it was brought to the client's processor; written before TAKEN */
    _Atomic int32_t cpu;      /* where it, or one before it, went to sleep: a hint */
};

struct forkserver_shared {
    _Atomic uint64_t client; /* mp__member_ref of whose server it is; 0: free */
    _Atomic uint64_t server; /* mp__member_ref of the server; 0: not there yet */
    _Atomic uint32_t bell;   /* counts spares that became IDLE and forks that failed */
    _Atomic int32_t refusal; /* -errno of the last fork that failed; 0 since none did */
    _Atomic uint32_t ticket; /* the last one given out */
    _Atomic uint32_t stock;  /* places from the first on that the server fills */
    _Atomic int32_t cpu;     /* where the client was at its last start: a hint */
    _Atomic uint64_t target; /* image << 48 | offset of what it last started: a hint */
    struct spare_shared spares[MP__SPARE_MAX];
};

static inline uint32_t mp__spare_word(uint32_t ticket, enum mp__spare_state state) {
    return ticket << MP__SPARE_STATE_BITS | (uint32_t)state;
}
static inline uint32_t mp__spare_ticket(uint32_t word) {
    return word >> MP__SPARE_STATE_BITS;
}
static inline enum mp__spare_state mp__spare_state(uint32_t word) {
    return (enum mp__spare_state)(word & ((1U << MP__SPARE_STATE_BITS) - 1));
}

/* What comes with descriptors through a channel. */
struct mp__parcel {
    uint32_t ticket; /* of the spare that they are for */
    int32_t has_sentinel,
        has_lifeline; /* the first of the descriptors are these, then connections */
};

/* Is the server alive that was number `serial` of this process? */
bool mp__forkserver_is_alive(unsigned serial);

/* Have it look after its children now, not after a while: one was killed, and we want its code. */
void mp__forkserver_call(void);

/* End this process's server and its spares, and wait for that; children that run are not touched.
 * The next start makes a new one. Done at exit, too. */
void mp__forkserver_stop(void);

/* What the server is told, as the argument of the hidden process. */
struct mp__forkserver_order {
    struct forkserver_shared *record;
    struct mp__preload preload; /* its argument follows */
};
/* The server's target; its descriptors: control, then channels for the first spares. */
int mp__forkserver_main(void *arg, size_t arg_size);

#endif

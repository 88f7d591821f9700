/* Messages of a redelivering queue: kept until task_done, given to somebody else when their holder
 * ends before. SPDX-License-Identifier: MIT
 *
 * Every message of such a queue is a block with a lease behind its bytes. A getter copies the bytes
 * and leaves the block here, in a list in the order of the channel:
 *
 *     first -> | next | owner A | -> | next | owner 0 | -> | next | owner A | <- last      channel
 *                                     returned: the next one to be got
 *
 * One store of the owner is the whole change of hands. Nothing is done at a death: who looks next
 * finds that the owner's process has ended. Everything under leases.guard, within which getters
 * take the channel's head.
 *
 *     get from the channel: link; head.position. Linked beyond head.position: not got, cut off
 *     task_done: next_done; owner DONE (from here on recovery finishes it); take; done; unlink
 *     return: next_redelivered; owner RETURNING (from here on ...); redelivered; owner NOBODY */
#ifndef MP__CHAN_LEASE_H
#define MP__CHAN_LEASE_H

#include <stdatomic.h>
#include <stdint.h>

#include "chan/message.h"
#include "chan/transfer.h"
#include "reg/member.h"
#include "sync/guard.h"

enum { MP__LEASE_NOBODY, MP__LEASE_RETURNING, MP__LEASE_DONE }; /* owners that are no members */
#define MP__LEASE_COPYING UINT64_MAX

struct lease_shared {
    _Atomic(struct lease_shared *) next; /* NULL: the last */
    struct message_shared *message;      /* whose lease this is */
    _Atomic mp__member_ref owner;        /* whose it is; or one of the above */
    uint64_t position;                   /* of the channel's head once it was got */
    _Atomic uint64_t ticket; /* order of getting; MP__LEASE_COPYING: its getter is at work on it */
    uint64_t thread;         /* index of the thread that got it */
};

struct leases_shared {
    struct mp__guard guard;               /* guards the rest, as MP__HOLDING_LEASE of the queue */
    _Atomic uint32_t returned;            /* entries that are nobody's */
    _Atomic(struct lease_shared *) first; /* NULL: none */
    _Atomic(struct lease_shared *) last;  /* meaningless when first is NULL */
    _Atomic uint64_t next_done;           /* what the queue's `done` is about to become, or is */
    _Atomic uint64_t redelivered;         /* how often a message was returned */
    _Atomic uint64_t next_redelivered;    /* what that is about to become, or is */
    _Atomic uint64_t tickets;             /* given so far */
};

struct queue_shared;
struct mp__queue_call;

/* A block for a message and its lease: 0; -ENOMEM. Ended as after mp__outgoing_make. */
int mp__lease_make(struct mp__outgoing *out, const void *data, size_t size);
/* The lease behind a message made by somebody else; false: there is no room for it. */
bool mp__lease_fits(struct message_shared *message);

/* Get one message, as a copy in every mode: 0; MP_EEMPTY, MP_ETOOSHORT, -ENOMEM: it stays. */
int mp__lease_get(struct mp__queue_call *call, struct mp__intake *intake);
/* task_done: 0; MP_EINVAL: this process has none. */
int mp__lease_end(struct queue_shared *queue, struct thread_shared *self);
/* How many returned messages wait to be got, those of the newly dead included. */
uint64_t mp__lease_waiting(struct queue_shared *queue);
/* Their blocks, for who frees the queue. */
void mp__lease_give_all(struct queue_shared *queue, uint32_t member);
void mp__lease_free_all(struct queue_shared *queue);

#endif

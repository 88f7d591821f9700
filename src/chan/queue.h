/* A queue in the arena.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CHAN_QUEUE_H
#define MP__CHAN_QUEUE_H

#include "mp/queue.h"

#include "chan/channel.h"
#include "chan/lease.h"
#include "sync/kind.h"

struct queue_shared {
    mp__kind_word kind;            /* MP__KIND_QUEUE */
    uint16_t is_joinable;          /* 1: task_done and join may be called */
    uint16_t redelivers;           /* 1: what is got is leased until task_done, see lease.h */
    uint64_t serial;               /* see chan/local.h */
    _Atomic uint64_t done;         /* tasks done; unfinished: channel.tail.load - done */
    struct mp__gate finished;      /* mp_queue_join sleeps here */
    uint32_t reserved[9];          /* 0 */
    struct channel_shared channel; /* its load counts messages */
    struct leases_shared leases;   /* only with redelivers */
};

#define MP__KIND_QUEUE_ENDING UINT32_C(0x6d70ff09) /* being freed, by recovery if not otherwise */

/* What a call works on: checked once, at its beginning. */
struct mp__queue_call {
    struct queue_shared *queue;
    struct channel_shared *channel; /* of it */
    struct thread_shared *self;
    mp__time deadline;
    const char *name; /* of the public function */
    bool slept;       /* it has used up a wake-up */
};

/* 0; MP_EINVAL, MP_ECLOSED, -ENOMEM. */
int mp__queue_begin(struct mp__queue_call *call, mp_queue *queue, double timeout, const char *name);
/* 0: look again; MP_EFULL. */
int mp__queue_wait_room(struct mp__queue_call *call, unsigned round);
/* Before / after unlocking each side: 0 or failure; wake who must be woken. */
int mp__queue_lock_tail(struct mp__queue_call *call);
void mp__queue_unlock_tail(struct mp__queue_call *call, bool has_put);
/* Waits until there is a message, and locks: MP_EEMPTY. The reader looks at it. */
int mp__queue_lock_head(struct mp__queue_call *call, struct mp__reader *reader);
void mp__queue_unlock_head(struct mp__queue_call *call);
/* 0; MP_EFULL, -ENOMEM: the message is still the caller's. */
int mp__queue_put_item(struct mp__queue_call *call, const struct mp__outgoing *message);

#endif

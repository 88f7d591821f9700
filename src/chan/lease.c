/* Leases: getting, ending and returning the messages of a redelivering queue.
 * SPDX-License-Identifier: MIT */
#include "chan/lease.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/queue.h"
#include "chan/record.h"
#include "os/futex.h"
#include "reg/registry.h"
#include "shm/heap.h"

/* What a getter has found and not yet taken. */
struct find {
    struct leases_shared *leases;
    struct lease_shared *lease;
    struct mp__reader reader; /* on its record, when it is still in the channel */
    bool is_in_channel;
};

static uint64_t lease_offset(uint64_t size) {
    return sizeof(struct message_shared) + ((size + 7) & ~UINT64_C(7));
}

static struct lease_shared *lease_of(struct message_shared *message) {
    return (void *)((char *)message + lease_offset(message->size));
}

static struct lease_shared *next_of(const struct lease_shared *lease) {
    return atomic_load_explicit(&lease->next, memory_order_acquire);
}

static struct lease_shared *first_of(const struct leases_shared *leases) {
    return atomic_load_explicit(&leases->first, memory_order_acquire);
}

static mp__member_ref owner_of(const struct lease_shared *lease) {
    return atomic_load_explicit(&lease->owner, memory_order_acquire);
}

int mp__lease_make(struct mp__outgoing *out, const void *data, size_t size) {
    if (size > MP__MESSAGE_MAX_BYTES)
        return mp__fail(-ENOMEM, "a message of %zu bytes is larger than any shared heap", size);
    uint64_t tail = lease_offset(size) - size - sizeof(struct message_shared);
    struct message_shared *message = mp__message_alloc(size + tail + sizeof(struct lease_shared));
    if (!message)
        return -ENOMEM;
    message->size = size;
    mp__message_fill(message, data, size);
    MP__POINT("lease.make.copied");
    *out = (struct mp__outgoing){MP__RECORD_BLOCK, message, size};
    return 0;
}

bool mp__lease_fits(struct message_shared *message) {
    return message->batch == 0 &&
           mp__heap_size(message) >= lease_offset(message->size) + sizeof(struct lease_shared);
}

static int lock_leases(struct queue_shared *queue, struct thread_shared *self, mp__time deadline) {
    mp__time least = mp__now() + MP__CHANNEL_GRACE;
    int code = mp__guard_acquire(&queue->leases.guard, self, MP__HOLDING_LEASE, queue,
                                 deadline > least ? deadline : least);
    return code == MP_EOWNERDEAD ? 0 : code;
}

static void unlock_leases(struct queue_shared *queue, struct thread_shared *self) {
    mp__guard_release(&queue->leases.guard, self, MP__HOLDING_LEASE, queue);
}

static void return_lease(struct leases_shared *leases, struct lease_shared *lease) {
    uint64_t count = atomic_load(&leases->redelivered) + 1;
    atomic_store(&leases->next_redelivered, count);
    MP__POINT("lease.return.intended");
    atomic_store(&lease->owner, MP__LEASE_RETURNING);
    MP__POINT("lease.return.begun");
    atomic_store(&leases->redelivered, count);
    MP__POINT("lease.return.counted");
    atomic_store(&lease->owner, MP__LEASE_NOBODY);
    MP__POINT("lease.return.freed");
    atomic_fetch_add(&leases->returned, 1);
}

/* With the guard: what processes had that have ended is nobody's. */
static void return_orphans(struct leases_shared *leases, const struct thread_shared *self) {
    mp__member_ref alive = atomic_load(&self->member);
    for (struct lease_shared *lease = first_of(leases); lease; lease = next_of(lease)) {
        mp__member_ref owner = owner_of(lease);
        if (owner == MP__LEASE_NOBODY || owner == alive)
            continue;
        if (mp__member_is_alive(owner))
            alive = owner;
        else
            return_lease(leases, lease);
    }
}

static bool find_returned(struct find *find) {
    if (atomic_load(&find->leases->returned) == 0)
        return false;
    find->lease = first_of(find->leases);
    while (owner_of(find->lease) != MP__LEASE_NOBODY)
        find->lease = next_of(find->lease);
    return true;
}

/* Leaves the head locked when there is one. */
static int find_in_channel(struct mp__queue_call *call, struct find *find) {
    int code = mp__channel_lock_head(call->channel, call->self, call->deadline);
    if (code < 0)
        return code;
    mp__reader_begin(&find->reader, call->channel);
    find->is_in_channel = mp__reader_look(&find->reader);
    if (find->is_in_channel)
        find->lease = lease_of(mp__record_block(find->reader.payload));
    else
        mp__channel_unlock_head(call->channel, call->self);
    return find->is_in_channel;
}

static void let_go(struct mp__queue_call *call, const struct find *find) {
    if (find->is_in_channel)
        mp__channel_unlock_head(call->channel, call->self);
    unlock_leases(call->queue, call->self);
    if (find->is_in_channel)
        mp__reader_notify(call->channel);
    if (call->slept && !mp__channel_is_empty(call->channel))
        mp__gate_notify(&call->channel->readable, 1);
}

/* 1: found, and the guard is held; 0: nothing there now; MP_ETIMEDOUT, -ENOMEM. */
static int look(struct mp__queue_call *call, struct find *find) {
    *find = (struct find){.leases = &call->queue->leases};
    int code = lock_leases(call->queue, call->self, call->deadline);
    if (code < 0)
        return code;
    return_orphans(find->leases, call->self);
    if (find_returned(find))
        return 1;
    code = mp__channel_is_empty(call->channel) ? 0 : find_in_channel(call, find);
    if (code <= 0)
        unlock_leases(call->queue, call->self);
    return code;
}

/* A death ends the sleep: it may have made a lease nobody's. */
static int find_message(struct mp__queue_call *call, struct find *find) {
    for (int slept = 0;;) {
        int code = look(call, find);
        if (code == MP_ETIMEDOUT || (code == 0 && (call->deadline <= 0 || slept == MP_ETIMEDOUT)))
            return mp__fail(MP_EEMPTY, "%s: queue %p stayed empty", call->name,
                            (void *)call->queue);
        if (code != 0)
            return code < 0 ? code : 0;
        if (!mp__channel_spin(call->channel))
            slept = mp__channel_sleep(call->channel, call->deadline, &call->slept);
    }
}

/* Linked first: should we die before the head has moved, recovery cuts it off again. */
static void take_from_channel(struct find *find) {
    struct leases_shared *leases = find->leases;
    struct lease_shared *lease = find->lease;
    struct lease_shared *last = first_of(leases) ? atomic_load(&leases->last) : NULL;
    mp__reader_pass(&find->reader);
    lease->position = find->reader.at;
    atomic_store_explicit(last ? &last->next : &leases->first, lease, memory_order_release);
    MP__POINT("lease.get.linked");
    mp__reader_commit(&find->reader);
    atomic_store_explicit(&leases->last, lease, memory_order_relaxed);
    MP__POINT("lease.get.last");
}

static void take(struct find *find, const struct thread_shared *self) {
    struct lease_shared *lease = find->lease;
    lease->thread = self->index;
    atomic_store(&lease->ticket, MP__LEASE_COPYING);
    if (find->is_in_channel) {
        lease->message = mp__record_block(find->reader.payload);
        atomic_store(&lease->next, NULL);
        atomic_store(&lease->owner, atomic_load(&self->member));
        MP__POINT("lease.get.written");
        take_from_channel(find);
        return;
    }
    atomic_store(&lease->owner, atomic_load(&self->member));
    MP__POINT("lease.get.taken_over");
    atomic_fetch_sub(&find->leases->returned, 1);
    MP__POINT("lease.get.counted");
}

/* The copy is made when others can go on; until then task_done passes over it. */
static void copy(struct mp__intake *intake, const struct find *find) {
    const struct message_shared *message = find->lease->message;
    if (message->size > 0)
        memcpy(intake->data, message->data, message->size);
    MP__POINT("lease.get.copied");
    atomic_store(&find->lease->ticket, atomic_fetch_add(&find->leases->tickets, 1));
    MP__POINT("lease.get.ticketed");
}

int mp__lease_get(struct mp__queue_call *call, struct mp__intake *intake) {
    struct find find;
    int code = find_message(call, &find);
    if (code < 0)
        return code;
    uint64_t size = find.is_in_channel ? find.reader.size : find.lease->message->size;
    code = mp__intake_prepare(intake, size, true);
    if (code == 0)
        take(&find, call->self);
    let_go(call, &find);
    if (code == 0)
        copy(intake, &find);
    return code;
}

/* Got longest ago by this thread; if it has none, by this process. */
static struct lease_shared *find_oldest(struct leases_shared *leases,
                                        const struct thread_shared *self) {
    struct lease_shared *mine = NULL, *ours = NULL;
    uint64_t my_ticket = MP__LEASE_COPYING, our_ticket = MP__LEASE_COPYING;
    mp__member_ref member = atomic_load(&self->member);
    for (struct lease_shared *lease = first_of(leases); lease; lease = next_of(lease)) {
        uint64_t ticket = atomic_load(&lease->ticket);
        if (owner_of(lease) != member)
            continue;
        if (ticket < our_ticket) {
            ours = lease;
            our_ticket = ticket;
        }
        if (ticket < my_ticket && lease->thread == self->index) {
            mine = lease;
            my_ticket = ticket;
        }
    }
    return mine ? mine : ours;
}

/* Everything behind it stays; `previous` NULL: it is the first. */
static void unlink_lease(struct leases_shared *leases, struct lease_shared *lease) {
    struct lease_shared *previous = NULL;
    for (struct lease_shared *at = first_of(leases); at != lease; at = next_of(at))
        previous = at;
    atomic_store(previous ? &previous->next : &leases->first, next_of(lease));
    MP__POINT("lease.end.unlinked");
    if (!next_of(lease))
        atomic_store(&leases->last, previous);
    MP__POINT("lease.end.last");
}

int mp__lease_end(struct queue_shared *queue, struct thread_shared *self) {
    struct leases_shared *leases = &queue->leases;
    int code = lock_leases(queue, self, MP__NEVER);
    if (code < 0)
        return code;
    struct lease_shared *lease = find_oldest(leases, self);
    if (lease) {
        uint64_t done = atomic_load(&queue->done) + 1;
        atomic_store(&leases->next_done, done);
        MP__POINT("lease.end.intended");
        atomic_store(&lease->owner, MP__LEASE_DONE);
        MP__POINT("lease.end.begun");
        mp__heap_take(lease->message);
        atomic_store(&queue->done, done);
        MP__POINT("lease.end.counted");
        unlink_lease(leases, lease);
    }
    unlock_leases(queue, self);
    if (!lease)
        return mp__fail(MP_EINVAL,
                        "mp_queue_task_done: this process has no message of queue %p to be done",
                        (void *)queue);
    mp__heap_free(lease->message);
    return 0;
}

uint64_t mp__lease_waiting(struct queue_shared *queue) {
    struct thread_shared *self = first_of(&queue->leases) ? mp__self() : NULL;
    if (!self || lock_leases(queue, self, 0) < 0)
        return 0;
    return_orphans(&queue->leases, self);
    uint64_t count = atomic_load(&queue->leases.returned);
    unlock_leases(queue, self);
    return count;
}

void mp__lease_give_all(struct queue_shared *queue, uint32_t member) {
    for (struct lease_shared *lease = first_of(&queue->leases); lease; lease = next_of(lease)) {
        mp__heap_give(lease->message, member);
        MP__POINT("lease.free.given");
    }
}

void mp__lease_free_all(struct queue_shared *queue) {
    struct lease_shared *lease = first_of(&queue->leases);
    while (lease) {
        struct lease_shared *next = next_of(lease);
        mp__heap_free(lease->message);
        lease = next;
    }
}

/* Finish what the dead one had begun with this lease. false: it is to be unlinked. */
static bool repair_lease(struct queue_shared *queue, struct lease_shared *lease, uint32_t member) {
    struct leases_shared *leases = &queue->leases;
    if (lease->position > atomic_load(&queue->channel.head.position))
        return false;
    if (owner_of(lease) == MP__LEASE_RETURNING) {
        atomic_store(&leases->redelivered, atomic_load(&leases->next_redelivered));
        MP__POINT("lease.recover.return_counted");
        atomic_store(&lease->owner, MP__LEASE_NOBODY);
    }
    if (owner_of(lease) != MP__LEASE_DONE)
        return true;
    mp__heap_give(lease->message, member);
    MP__POINT("lease.recover.given");
    atomic_store(&queue->done, atomic_load(&leases->next_done));
    MP__POINT("lease.recover.done_counted");
    return false;
}

/* The channel's head has been recovered before: its holding is the younger one. */
static void repair_leases(struct queue_shared *queue, uint32_t member) {
    struct leases_shared *leases = &queue->leases;
    struct lease_shared *previous = NULL;
    uint32_t returned = 0;
    for (struct lease_shared *lease = first_of(leases); lease; lease = next_of(lease)) {
        if (repair_lease(queue, lease, member)) {
            returned += owner_of(lease) == MP__LEASE_NOBODY;
            previous = lease;
            continue;
        }
        atomic_store(previous ? &previous->next : &leases->first, next_of(lease));
        MP__POINT("lease.recover.unlinked");
    }
    atomic_store(&leases->last, previous);
    atomic_store(&leases->returned, returned);
    MP__POINT("lease.recover.counted");
}

static void recover_leases(void *object, uint32_t dead_thread) {
    struct queue_shared *queue = object;
    if (mp__guard_owner(&queue->leases.guard) == dead_thread)
        repair_leases(queue, mp__member_index(atomic_load(&mp__thread_at(dead_thread)->member)));
    mp__guard_recover(&queue->leases.guard, dead_thread, false);
    mp__gate_notify(&queue->finished, MP__WAKE_ALL);
    mp__gate_notify(&queue->channel.readable, MP__WAKE_ALL);
}

MP__RECOVER(MP__HOLDING_LEASE, recover_leases)

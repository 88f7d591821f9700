/* Enlisting, sleeping and notifying by way of the thread records.
 * SPDX-License-Identifier: MIT */
#include "sync/waiters.h"

#include <errno.h>

#include "mp/base.h"

#include "base/point.h"
#include "os/futex.h"
#include "reg/recover.h"
#include "reg/sleep.h"

#define STATE_BITS UINT32_C(3)

static bool is_in(uint32_t word, enum mp__wait_state state) {
    return (word & STATE_BITS) == (uint32_t)state;
}

static bool waits_for(const struct thread_shared *record, const void *object) {
    return atomic_load(&record->wait_on) == (uint64_t)(uintptr_t)object &&
           is_in(atomic_load(&record->wait_state), MP__WAIT_WAITING);
}

int mp__waiter_enlist(struct thread_shared *self, enum mp__holding_kind kind, const void *object,
                      uint64_t ticket) {
    if (!mp__hold(self, kind, object))
        return -ENOMEM;
    uint32_t stamp = (uint32_t)mp__now() & ~STATE_BITS;
    atomic_store(&self->wait_ticket, ticket);
    atomic_store(&self->wait_state, stamp | MP__WAIT_WAITING);
    MP__POINT("waiter.enlist.state");
    atomic_store(&self->wait_on, (uint64_t)(uintptr_t)object);
    MP__POINT("waiter.enlist.done");
    return 0;
}

void mp__waiter_leave(struct thread_shared *self, enum mp__holding_kind kind, const void *object) {
    atomic_store(&self->wait_on, 0);
    MP__POINT("waiter.leave.off");
    atomic_store(&self->wait_state, MP__WAIT_NONE);
    mp__unhold(self, kind, object);
}

/* Whose death in the guard somebody has to notice; the sleepers do, for there may be nobody else.
 */
static bool has_dead_owner(const struct mp__guard *guard) {
    if (atomic_load_explicit(&guard->word, memory_order_relaxed) & MP__GUARD_DEAD)
        return true;
    uint32_t owner = mp__guard_owner(guard);
    return owner != 0 && !mp__thread_is_alive(owner) && mp__recover_thread_owner(owner);
}

int mp__waiter_sleep_slice(struct thread_shared *self, const struct mp__guard *guard,
                           mp__time deadline) {
    uint32_t state = atomic_load(&self->wait_state);
    if (!is_in(state, MP__WAIT_WAITING))
        return 0;
    int code = mp__sleep(&self->wait_state, state, 0, deadline);
    MP__POINT("waiter.sleep.awake");
    return has_dead_owner(guard) ? MP_EOWNERDEAD : code < 0 ? code : -EAGAIN;
}

int mp__waiter_sleep(struct thread_shared *self, const struct mp__guard *guard, bool tells_death,
                     mp__time deadline) {
    int code;
    do
        code = mp__waiter_sleep_slice(self, guard, deadline);
    while (code == -EAGAIN || (code == MP_EOWNERDEAD && !tells_death));
    return code;
}

bool mp__waiter_waits(const struct thread_shared *self) {
    return is_in(atomic_load(&self->wait_state), MP__WAIT_WAITING);
}

bool mp__waiter_give_up(struct thread_shared *self) {
    uint32_t state = atomic_load(&self->wait_state);
    return is_in(state, MP__WAIT_WAITING) &&
           atomic_compare_exchange_strong(&self->wait_state, &state, MP__WAIT_NONE);
}

/* Into its place; the highest one falls out when there are more than `most`. */
static void insert(struct mp__waiters *out, struct thread_shared *record, uint64_t ticket,
                   uint32_t most) {
    uint32_t i = out->count < most ? out->count++ : most - 1;
    for (; i > 0 && out->tickets[i - 1] > ticket; i--) {
        out->tickets[i] = out->tickets[i - 1];
        out->list[i] = out->list[i - 1];
    }
    out->tickets[i] = ticket;
    out->list[i] = record;
}

/* A dead one that asks for it is skipped; one that dies after it was notified passes it on when it
 * is recovered. */
uint32_t mp__waiter_lowest(struct mp__waiters *out, const void *object, uint64_t floor,
                           uint32_t most) {
    uint32_t high = mp__thread_high();
    most = most < MP__WAITERS_MAX ? most : MP__WAITERS_MAX;
    out->count = 0;
    for (uint32_t i = 1; i <= high; i++) {
        struct thread_shared *record = mp__thread_at(i);
        if (!waits_for(record, object))
            continue;
        uint64_t ticket = atomic_load(&record->wait_ticket);
        bool is_low = out->count < most || ticket < out->tickets[most - 1];
        if (ticket >= floor && is_low && mp__thread_is_alive(i))
            insert(out, record, ticket, most);
    }
    return out->count;
}

struct thread_shared *mp__waiter_first(const void *object, uint64_t floor) {
    struct mp__waiters waiters;
    return mp__waiter_lowest(&waiters, object, floor, 1) > 0 ? waiters.list[0] : NULL;
}

uint32_t mp__waiter_count(const void *object) {
    uint32_t count = 0;
    uint32_t high = mp__thread_high();
    for (uint32_t i = 1; i <= high; i++)
        count += waits_for(mp__thread_at(i), object) && mp__thread_is_alive(i);
    return count;
}

bool mp__waiter_notify(struct thread_shared *waiter, const void *object) {
    uint32_t state = atomic_load(&waiter->wait_state);
    if (!is_in(state, MP__WAIT_WAITING) || !waits_for(waiter, object))
        return false;
    uint32_t told = (state & ~STATE_BITS) | MP__WAIT_NOTIFIED;
    if (!atomic_compare_exchange_strong(&waiter->wait_state, &state, told))
        return false;
    MP__POINT("waiter.notify.told");
    mp__futex_wake(&waiter->wait_state, MP__WAKE_ALL);
    return true;
}

void mp__waiter_notify_all(const void *object, const uint64_t *ticket) {
    uint32_t high = mp__thread_high();
    for (uint32_t i = 1; i <= high; i++) {
        struct thread_shared *record = mp__thread_at(i);
        if (!waits_for(record, object) || !mp__thread_is_alive(i))
            continue;
        if (ticket)
            atomic_store(&record->wait_ticket, *ticket);
        MP__POINT("waiter.notify_all.told");
        mp__waiter_notify(record, object);
    }
}

bool mp__waiter_was_notified(uint32_t dead_thread, const void *object) {
    struct thread_shared *record = mp__thread_at(dead_thread);
    return atomic_load(&record->wait_on) == (uint64_t)(uintptr_t)object &&
           is_in(atomic_load(&record->wait_state), MP__WAIT_NOTIFIED);
}

void mp__waiter_erase(uint32_t dead_thread, const void *object) {
    struct thread_shared *record = mp__thread_at(dead_thread);
    if (atomic_load(&record->wait_on) != (uint64_t)(uintptr_t)object)
        return;
    MP__POINT("waiter.erase.begun");
    atomic_store(&record->wait_on, 0);
    atomic_store(&record->wait_state, MP__WAIT_NONE);
}

/* Who waits for an object: the thread records that say so, no list or count a death makes wrong.
 * SPDX-License-Identifier: MIT
 *
 *     waiter                                    who notifies, holding the object's lock
 *     mp__waiter_enlist(self, kind, o, ticket); mp__waiter_lowest(&waiters, o, 0, n);
 *     release the lock;                         for each: mp__waiter_notify(w, o);
 *     mp__waiter_sleep(self, lock, deadline);
 *     take the lock;
 *     mp__waiter_leave(self, kind, o);
 *
 * wait_state is a stamp of this wait << 2 | WAITING. It goes to NOTIFIED by whoever notifies, or to
 * NONE by the waiter itself, by compare-and-swap: exactly one of them has decided. The stamp keeps
 * a recovery, which has no lock, from notifying the waiter's next wait, for another object. The
 * ticket may be changed, by the lock's holder, while the state is WAITING. */
#ifndef MP__SYNC_WAITERS_H
#define MP__SYNC_WAITERS_H

#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "reg/holding.h"
#include "sync/guard.h"

/* -ENOMEM: no room for the holding. `kind` is the holding's. */
int mp__waiter_enlist(struct thread_shared *self, enum mp__holding_kind kind, const void *object,
                      uint64_t ticket);
void mp__waiter_leave(struct thread_shared *self, enum mp__holding_kind kind, const void *object);

/* Until notified: 0. MP_ETIMEDOUT: not in time. MP_EOWNERDEAD: the guard's owner has died in it,
 * and was recovered, or a dead owner's mark is on it; only when `tells_death`, else it is recovered
 * silently. After a code < 0 the state may have become NOTIFIED meanwhile: see mp__waiter_give_up.
 */
int mp__waiter_sleep(struct thread_shared *self, const struct mp__guard *guard, bool tells_death,
                     mp__time deadline);
/* A part of that, for who has something to look at in between: also -EAGAIN, not yet. */
int mp__waiter_sleep_slice(struct thread_shared *self, const struct mp__guard *guard,
                           mp__time deadline);
bool mp__waiter_waits(const struct thread_shared *self); /* neither notified nor given up */
bool mp__waiter_give_up(struct thread_shared *self);     /* false: it was notified after all */

/* The living waiters with the lowest tickets that are not below `floor`, at most `most` of them, in
 * order: how many. One pass over all records. */
#define MP__WAITERS_MAX 64
struct mp__waiters {
    struct thread_shared *list[MP__WAITERS_MAX]; /* lowest ticket first */
    uint64_t tickets[MP__WAITERS_MAX];           /* theirs */
    uint32_t count;                              /* of them */
};
uint32_t mp__waiter_lowest(struct mp__waiters *out, const void *object, uint64_t floor,
                           uint32_t most);
/* The first of them; NULL: none. */
struct thread_shared *mp__waiter_first(const void *object, uint64_t floor);
uint32_t mp__waiter_count(const void *object);
/* false: it has just given up. */
bool mp__waiter_notify(struct thread_shared *waiter, const void *object);
void mp__waiter_notify_all(const void *object,
                           const uint64_t *ticket); /* ticket: NULL, or what all get first */

/* For recovery: take a dead thread off the object. true: it had been notified, and nobody learned
 * of it. */
bool mp__waiter_was_notified(uint32_t dead_thread, const void *object);
void mp__waiter_erase(uint32_t dead_thread, const void *object);

#endif

/* What a Lock and an RLock are, for those that have one inside.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_LOCK_H
#define MP__SYNC_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "mp/sync.h"

#include "sync/guard.h"
#include "sync/kind.h"
#include "sync/mode.h"

#define MP__LOCK_NAME_BYTES 54 /* of a name, its 0 included; the rest is left out */

struct lock_shared {
    _Alignas(16) mp__kind_word kind;     /* MP__KIND_LOCK */
    bool is_recursive;                   /* RLock; never changes, as the next two */
    bool detects_deadlock;               /* who waits in a cycle gets MP_EDEADLK */
    char name[MP__LOCK_NAME_BYTES];      /* for messages; "" none */
    _Alignas(64) struct mp__guard guard; /* who holds it; a line of its own */
    struct mp__mode mode;                /* how it is given back */
    _Atomic uint32_t depth; /* RLock: how often its owner has taken it, who alone writes it; left
                               behind when it is released. Lock: 0 */
};

_Static_assert(sizeof(struct lock_shared) <= 128, "a lock is small");

void mp__lock_init(struct lock_shared *lock, bool is_recursive);
static inline bool mp__lock_is_mine(const struct lock_shared *lock,
                                    const struct thread_shared *self) {
    return mp__guard_owner(&lock->guard) == self->index;
}

/* For a condition: give it back however deep, and take it again to that depth: 0, MP_EOWNERDEAD. */
uint32_t mp__lock_leave(struct lock_shared *lock, struct thread_shared *self);
int mp__lock_enter_again(struct lock_shared *lock, struct thread_shared *self, uint32_t depth);

/* Release a lock that was got with MP_EOWNERDEAD by library code: the next acquire is told, as if
 * we had not been. */
void mp__lock_release_dead(struct lock_shared *lock);

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__lock_check(const struct lock_shared *lock);

#endif

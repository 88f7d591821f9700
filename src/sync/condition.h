/* What a condition is, and its check, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_CONDITION_H
#define MP__SYNC_CONDITION_H

#include "mp/sync.h"

#include "sync/lock.h"

struct condition_shared {
    _Alignas(16) mp__kind_word kind; /* MP__KIND_CONDITION */
    uint32_t reserved;               /* 0 */
    struct lock_shared *lock;        /* the user's, or own; never changes */
    _Atomic uint64_t next_ticket;    /* waiters are served in this order; guarded by the lock */
    struct lock_shared own;          /* an RLock, when the user gave no lock */
};

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__condition_check(const mp_condition *condition);

#endif

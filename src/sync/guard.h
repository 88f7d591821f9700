/* A lock that knows its owner: one word. mp_lock, the two sides of a channel and the pool are built on it.
 * SPDX-License-Identifier: MIT
 *
 *      31       30     29 ........ 14   13 ......... 0
 *    +---------+------+----------------+--------------+
 *    | waiters | dead | 0              | owner thread |     0: free
 *    +---------+------+----------------+--------------+
 *
 * Acquire: write the holding, compare-and-swap 0 -> me. Release: exchange 0, erase the holding, wake one if the waiters bit
 * was set. `dead`: the last owner died in it; whoever acquires next is told once, by MP_EOWNERDEAD. */
#ifndef MP__SYNC_GUARD_H
#define MP__SYNC_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "reg/holding.h"

#define MP__GUARD_WAITERS UINT32_C(0x80000000)
#define MP__GUARD_DEAD UINT32_C(0x40000000)
#define MP__GUARD_OWNER UINT32_C(0x00003fff)

struct mp__guard {
    _Atomic uint32_t word; /* as drawn above */
};

/* `kind`, `object`: what recovery is told when we die holding it. 0; MP_EOWNERDEAD: acquired, the last owner died in it;
 * MP_ETIMEDOUT; -ENOMEM: no room for the holding. */
int mp__guard_acquire(struct mp__guard *guard, struct thread_shared *self, enum mp__holding_kind kind, const void *object, mp__time deadline);
void mp__guard_release(struct mp__guard *guard, struct thread_shared *self, enum mp__holding_kind kind, const void *object);
static inline uint32_t mp__guard_owner(const struct mp__guard *guard) {
    return atomic_load_explicit(&guard->word, memory_order_acquire) & MP__GUARD_OWNER;
}
/* For a recover function, after its repair: if `dead_thread` owns the guard, free it (marked dead when `mark`) and wake. */
void mp__guard_recover(struct mp__guard *guard, uint32_t dead_thread, bool mark);

#endif

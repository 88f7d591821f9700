/* A lock that knows its owner: one word. mp_lock, both sides of a channel and the pool rest on it.
 * SPDX-License-Identifier: MIT
 *
 *      31       30     29 ........ 14   13 ......... 0
 *    +---------+------+----------------+--------------+
 *    | waiters | dead | 0              | owner thread |     0: free
 *    +---------+------+----------------+--------------+
 *
 * Acquire: write the holding, compare-and-swap 0 -> me. Release: exchange me -> 0, wake one if the
 * waiters bit was set, erase the holding. Locks have a quicker way beside this one, see sync/lock.c
 * and sync/mode.h. `dead`: the last owner died in it; whoever acquires next is told once, by
 * MP_EOWNERDEAD.
 *
 * Not handed over: whoever runs takes it, a woken sleeper tries like all others. `waiters` is a
 * hint that may be set for nobody, never missing for longer than a slice of mp__sleep. */
#ifndef MP__SYNC_GUARD_H
#define MP__SYNC_GUARD_H

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mp/base.h"

#include "base/point.h"
#include "os/clock.h"
#include "reg/holding.h"
#include "sync/mode.h"

#define MP__GUARD_WAITERS UINT32_C(0x80000000)
#define MP__GUARD_DEAD UINT32_C(0x40000000)
#define MP__GUARD_OWNER UINT32_C(0x00003fff)

struct mp__guard {
    _Atomic uint32_t word; /* as drawn above */
};

static inline uint32_t mp__guard_owner(const struct mp__guard *guard) {
    return atomic_load_explicit(&guard->word, memory_order_acquire) & MP__GUARD_OWNER;
}

/* The slow halves. wait: the holding is written; 0, MP_EOWNERDEAD, MP_ETIMEDOUT (the holding is
 * still there). wait_for_lock: for one that may be released by a store (sync/mode.h); `tells`: also
 * MP_EDEADLK as MP_ETIMEDOUT, with its detail (sync/deadlock.h). finish_release: the word was
 * `word` until 0 was stored: wake one if somebody sleeps, erase the holding. */
int mp__guard_wait(struct mp__guard *guard, struct thread_shared *self, mp__time deadline);
int mp__guard_wait_for_lock(struct mp__guard *guard, struct thread_shared *self, mp__time deadline,
                            struct mp__mode *mode, bool tells);
void mp__guard_finish_release(struct mp__guard *guard, struct thread_shared *self,
                              enum mp__holding_kind kind, const void *object, uint32_t word);

/* Take it if it is free and nobody died in it. The holding is written. */
static inline bool mp__guard_take(struct mp__guard *guard, uint32_t thread) {
    MP__POINT("guard.acquire.held");
    uint32_t free_word = 0;
    if (!atomic_compare_exchange_strong_explicit(&guard->word, &free_word, thread,
                                                 memory_order_acquire, memory_order_relaxed))
        return false;
    MP__POINT("guard.acquire.taken");
    return true;
}

/* Give it back if it is ours and nobody sleeps. The holding is still there. */
static inline bool mp__guard_give(struct mp__guard *guard, uint32_t thread) {
    uint32_t mine = thread;
    if (!atomic_compare_exchange_strong_explicit(&guard->word, &mine, 0, memory_order_release,
                                                 memory_order_relaxed))
        return false;
    MP__POINT("guard.release.freed");
    return true;
}

/* Take it if it is free: 0; MP_ETIMEDOUT: it is not, or died with its owner (then acquire tells).
 * The holding is written in both cases: after MP_ETIMEDOUT either mp__guard_wait or mp__unhold has
 * to follow. -ENOMEM: no room for the holding. */
static inline int mp__guard_try(struct mp__guard *guard, struct thread_shared *self,
                                enum mp__holding_kind kind, const void *object) {
    if (!mp__hold(self, kind, object))
        return -ENOMEM;
    return mp__guard_take(guard, self->index) ? 0 : MP_ETIMEDOUT;
}

/* `kind`, `object`: what recovery is told when we die holding it. 0; MP_EOWNERDEAD: acquired, the
 * last owner died in it; MP_ETIMEDOUT; -ENOMEM: no room for the holding. */
static inline int mp__guard_acquire(struct mp__guard *guard, struct thread_shared *self,
                                    enum mp__holding_kind kind, const void *object,
                                    mp__time deadline) {
    int code = mp__guard_try(guard, self, kind, object);
    if (__builtin_expect(code != MP_ETIMEDOUT, 1))
        return code;
    code = mp__guard_wait(guard, self, deadline);
    if (code == MP_ETIMEDOUT)
        mp__unhold(self, kind, object);
    return code;
}

/* It is ours: nobody but recovery, when we are dead, takes it from us. The holding is looked for
 * first: what is loaded after the exchange has to wait for it. */
static inline void mp__guard_release(struct mp__guard *guard, struct thread_shared *self,
                                     enum mp__holding_kind kind, const void *object) {
    mp__holding *top = mp__holding_top(self, kind, object);
    uint32_t word = atomic_exchange_explicit(&guard->word, 0, memory_order_release);
    assert((word & ~MP__GUARD_WAITERS) == self->index);
    MP__POINT("guard.release.unlocked");
    if (__builtin_expect(!top || (word & MP__GUARD_WAITERS), 0)) {
        mp__guard_finish_release(guard, self, kind, object, word);
        return;
    }
    MP__POINT("guard.release.freed");
    mp__holding_erase(self, top);
}

/* For one that others may take from us. false: it is not ours, nothing was done. */
bool mp__guard_release_checked(struct mp__guard *guard, struct thread_shared *self,
                               enum mp__holding_kind kind, const void *object);

/* For a recover function, after its repair: if `dead_thread` owns the guard, free it (marked dead
 * when `mark`) and wake. Also to be called when it does not own it: the dead one may have taken a
 * wake-up with it. */
void mp__guard_recover(struct mp__guard *guard, uint32_t dead_thread, bool mark);

#endif

/* The slow halves of a guard: waiting for it, waking, and giving back a dead one's.
 * SPDX-License-Identifier: MIT */
#include "sync/guard.h"

#include "mp/base.h"
#include "os/cpu.h"
#include "os/futex.h"
#include "reg/recover.h"

/* A sleep and its wake-up cost some 20 us, a hundred looks 2.5 us: spinning pays for the short
 * sections that locks mostly guard. Not when others sleep already, for then there are more who want
 * it than it can serve. */
enum { SPIN_PAUSES = 100 };

static uint32_t spin_while_held(struct mp__guard *guard) {
    uint32_t word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    if (mp__cpu_is_alone())
        return word;
    for (int i = 0; i < SPIN_PAUSES && (word & MP__GUARD_OWNER) && !(word & MP__GUARD_WAITERS);
         i++) {
        mp__cpu_pause();
        word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    }
    return word;
}

/* Time is up, but an owner that died long ago must not look like one that is busy. */
static bool is_given_up(struct mp__guard *guard, uint32_t *word) {
    *word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    uint32_t owner = *word & MP__GUARD_OWNER;
    if (owner && (mp__thread_is_alive(owner) || !mp__recover_thread_owner(owner)))
        return true;
    *word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    return *word & MP__GUARD_OWNER;
}

/* Whoever has slept, or is about to, leaves the waiters bit set behind it, also when it takes the
 * lock or gives up: it cannot know whether it was the last, and the wake-up it got may have been
 * another one's only one. */
int mp__guard_wait(struct mp__guard *guard, struct thread_shared *self, mp__time deadline) {
    uint32_t keep = 0;
    uint32_t word = deadline > 0 ? spin_while_held(guard)
                                 : atomic_load_explicit(&guard->word, memory_order_relaxed);
    for (;;) {
        if (!(word & MP__GUARD_OWNER)) {
            uint32_t mine = self->index | keep | (word & MP__GUARD_WAITERS);
            if (!atomic_compare_exchange_weak_explicit(&guard->word, &word, mine,
                                                       memory_order_acquire, memory_order_relaxed))
                continue;
            MP__POINT("guard.acquire.taken");
            return word & MP__GUARD_DEAD ? MP_EOWNERDEAD : 0;
        }
        if (deadline > 0 && !(word & MP__GUARD_WAITERS)) {
            if (!atomic_compare_exchange_weak_explicit(&guard->word, &word,
                                                       word | MP__GUARD_WAITERS,
                                                       memory_order_relaxed, memory_order_relaxed))
                continue;
            word |= MP__GUARD_WAITERS;
            MP__POINT("guard.acquire.announced");
        }
        if (deadline > 0)
            keep = MP__GUARD_WAITERS;
        if (deadline <= 0 ||
            mp__sleep(&guard->word, word, word & MP__GUARD_OWNER, deadline) == MP_ETIMEDOUT) {
            if (is_given_up(guard, &word))
                return MP_ETIMEDOUT;
            continue;
        }
        MP__POINT("guard.acquire.woken");
        word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    }
}

bool mp__guard_release_slow(struct mp__guard *guard, struct thread_shared *self) {
    uint32_t word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    do {
        if ((word & MP__GUARD_OWNER) != self->index)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&guard->word, &word, 0, memory_order_release,
                                                    memory_order_relaxed));
    MP__POINT("guard.release.unlocked");
    if (word & MP__GUARD_WAITERS)
        mp__futex_wake(&guard->word, 1);
    return true;
}

void mp__guard_recover(struct mp__guard *guard, uint32_t dead_thread, bool mark) {
    uint32_t word = atomic_load_explicit(&guard->word, memory_order_acquire);
    while ((word & MP__GUARD_OWNER) == dead_thread) {
        uint32_t next = (word & MP__GUARD_WAITERS) | (mark ? MP__GUARD_DEAD : 0);
        if (atomic_compare_exchange_weak(&guard->word, &word, next))
            break;
    }
    MP__POINT("guard.recover.freed");
    mp__futex_wake(&guard->word, 1);
}

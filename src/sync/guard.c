/* The slow halves of a guard: waiting for it, waking, and giving back a dead one's.
 * SPDX-License-Identifier: MIT */
#include "sync/guard.h"

#include "mp/base.h"
#include "os/futex.h"
#include "reg/blocked.h"
#include "reg/recover.h"
#include "reg/sleep.h"
#include "sync/deadlock.h"
#include "sync/spin.h"

/* Several who put into one queue on all processors stand in each other's way while those who get
 * have none. So who has looked in vain lets others run: then as many put as get. */
static bool pause_again(struct mp__spin *spin) {
    bool is_long = spin->kind == MP__SPIN_GUARD && spin->step == spin->longest_step;
    return is_long ? mp__spin_yield(spin) : mp__spin_once(spin);
}

/* Also when others sleep: whoever went to sleep for the waiters bit alone would leave it set behind
 * it, and so send the next one to sleep. */
static uint32_t spin_while_held(struct mp__guard *guard, enum mp__spin_kind kind) {
    uint32_t word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    struct mp__spin spin = mp__spin_begin(kind);
    while ((word & MP__GUARD_OWNER) && pause_again(&spin))
        word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    mp__spin_end(&spin, !(word & MP__GUARD_OWNER));
    return word;
}

/* Time is up, but an owner that died long ago must not look like one that is busy. */
static bool is_given_up(struct mp__guard *guard) {
    uint32_t owner = mp__guard_owner(guard);
    if (owner == 0)
        return false;
    return !mp__recover_thread_owner(owner) || mp__guard_owner(guard) != 0;
}

/* Our mark came after the lock had turned back to QUICK, and its owner may wipe it out. Others, who
 * made the same mark while that was good, may sleep on it as if it were theirs. */
static int make_good(struct mp__guard *guard, struct mp__mode *mode) {
    mp__mode_turn(mode);
    mp__futex_wake(&guard->word, 1);
    return 0;
}

/* Announce that we sleep, and sleep: 0 look again; MP_ETIMEDOUT; MP_EDEADLK. */
static int sleep_while_held(struct mp__guard *guard, struct thread_shared *self, uint32_t word,
                            mp__time deadline, struct mp__mode *mode) {
    uint32_t marked = word | MP__GUARD_WAITERS;
    bool is_safe = !mode || mp__mode_turn(mode);
    if (word != marked && !atomic_compare_exchange_strong(&guard->word, &word, marked))
        return 0;
    MP__POINT("guard.acquire.announced");
    if (mode && is_safe && !mp__mode_is_checked(atomic_load(&mode->word)))
        return make_good(guard, mode);
    if (mp__deadlock_find(self) == MP_EDEADLK)
        return MP_EDEADLK;
    mp__time least = is_safe ? MP__NEVER : mp__now() + MP__SECOND / 1000;
    int code = mp__sleep(&guard->word, marked, marked & MP__GUARD_OWNER,
                         deadline < least ? deadline : least);
    MP__POINT("guard.acquire.woken");
    return code == MP_ETIMEDOUT && least < deadline ? 0 : code;
}

/* Whoever has slept leaves the waiters bit set behind it, also when it takes the lock or gives up:
 * it cannot know whether it was the last, and the wake-up it got may have been the only one. */
static int wait_until_mine(struct mp__guard *guard, struct thread_shared *self, mp__time deadline,
                           struct mp__mode *mode) {
    uint32_t keep = 0;
    enum mp__spin_kind kind = mode ? MP__SPIN_LOCK : MP__SPIN_GUARD;
    for (;;) {
        uint32_t word = deadline > 0 ? spin_while_held(guard, kind) : atomic_load(&guard->word);
        if (!(word & MP__GUARD_OWNER)) {
            uint32_t mine = self->index | keep | (word & MP__GUARD_WAITERS);
            if (!atomic_compare_exchange_strong_explicit(
                    &guard->word, &word, mine, memory_order_acquire, memory_order_relaxed))
                continue;
            MP__POINT("guard.acquire.taken");
            return word & MP__GUARD_DEAD ? MP_EOWNERDEAD : 0;
        }
        int code =
            deadline > 0 ? sleep_while_held(guard, self, word, deadline, mode) : MP_ETIMEDOUT;
        if (code == 0)
            keep = MP__GUARD_WAITERS;
        else if (code == MP_EDEADLK || is_given_up(guard))
            return code;
    }
}

/* A wait that ends by itself is part of no deadlock. */
static int wait_marked(struct mp__guard *guard, struct thread_shared *self, mp__time deadline,
                       struct mp__mode *mode, uint64_t marks) {
    marks = deadline == MP__NEVER ? MP__BLOCKED_GUARD | marks : 0;
    uint64_t before = mp__blocked_begin(self, guard, marks);
    int code = wait_until_mine(guard, self, deadline, mode);
    mp__blocked_end(self, before);
    return code;
}

int mp__guard_wait(struct mp__guard *guard, struct thread_shared *self, mp__time deadline) {
    return wait_marked(guard, self, deadline, NULL, 0);
}

int mp__guard_wait_for_lock(struct mp__guard *guard, struct thread_shared *self, mp__time deadline,
                            struct mp__mode *mode, bool tells) {
    return wait_marked(guard, self, deadline, mode, tells ? MP__BLOCKED_TELLS : 0);
}

void mp__guard_finish_release(struct mp__guard *guard, struct thread_shared *self,
                              enum mp__holding_kind kind, const void *object, uint32_t word) {
    if (word & MP__GUARD_WAITERS)
        mp__futex_wake(&guard->word, 1);
    MP__POINT("guard.release.freed");
    mp__unhold(self, kind, object);
}

bool mp__guard_release_checked(struct mp__guard *guard, struct thread_shared *self,
                               enum mp__holding_kind kind, const void *object) {
    uint32_t word = atomic_load_explicit(&guard->word, memory_order_relaxed);
    do {
        if ((word & MP__GUARD_OWNER) != self->index)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&guard->word, &word, 0, memory_order_release,
                                                    memory_order_relaxed));
    MP__POINT("guard.release.unlocked");
    mp__guard_finish_release(guard, self, kind, object, word);
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

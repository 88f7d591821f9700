/* Lock and RLock: a guard, and for RLock how deep its owner is in it.
 * SPDX-License-Identifier: MIT
 *
 * The quick way. A locked instruction waits for every store before it, and a load of the word that
 * it changed waits for the instruction. So a thread that takes the same lock again and again keeps
 * it on record (mp__kept) when it gives it back: then to take it is one compare-and-swap and to
 * give it back one store, and neither looks at the word nor writes a holding. It is as safe from
 * deaths as a holding: who finds it on a dead one's record looks at the lock's word. Others, and
 * those that somebody sleeps for, go the way of all guards. */
#include "sync/lock.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "os/barrier.h"
#include "os/futex.h"
#include "os/sanitizer.h"
#include "reg/recover.h"
#include "shm/heap.h"

#define MISSES 16 /* times another lock wants the place of a kept one, before it gets it */

void mp__lock_init(struct lock_shared *lock, bool is_recursive) {
    lock->is_recursive = is_recursive;
    lock->detects_deadlock = false;
    memset(lock->name, 0, sizeof lock->name);
    atomic_init(&lock->depth, 0);
    atomic_init(&lock->guard.word, 0);
    mp__mode_init(&lock->mode);
    atomic_store_explicit(&lock->kind, MP__KIND_LOCK, memory_order_release);
}

static int make_lock(mp_lock **out, const mp_lock_options *options, const char *function) {
    if (!out)
        return mp__fail(MP_EINVAL, "%s: out is NULL", function);
    if (!mp__self())
        return -ENOMEM;
    struct lock_shared *lock = mp__heap_alloc(sizeof *lock);
    if (!lock)
        return -ENOMEM;
    mp__lock_init(lock, options->recursive);
    lock->detects_deadlock = options->detect_deadlock;
    if (options->name)
        memcpy(lock->name, options->name, strnlen(options->name, sizeof lock->name - 1));
    MP__POINT("lock.new.filled");
    mp__heap_publish(lock);
    mp__log_held(MP_LOG_DEBUG, "created semlock with handle %p", (void *)lock);
    *out = lock;
    return 0;
}

int mp_lock_new(mp_lock **out, mp_context *context) {
    (void)context;
    return make_lock(out, &(mp_lock_options){.recursive = false}, __func__);
}

int mp_rlock_new(mp_lock **out, mp_context *context) {
    (void)context;
    return make_lock(out, &(mp_lock_options){.recursive = true}, __func__);
}

int mp_lock_new_with(mp_lock **out, mp_context *context, const mp_lock_options *options) {
    static const mp_lock_options defaults;
    (void)context;
    return make_lock(out, options ? options : &defaults, __func__);
}

static uint32_t depth_of(const struct lock_shared *lock) {
    return atomic_load_explicit(&lock->depth, memory_order_relaxed);
}

static void set_depth(struct lock_shared *lock, uint32_t depth) {
    atomic_store_explicit(&lock->depth, depth, memory_order_relaxed);
}

/* An RLock that is ours already. */
static int go_deeper(struct lock_shared *lock) {
    uint32_t depth = depth_of(lock);
    if (depth == UINT32_MAX)
        return mp__fail(MP_EINVAL, "mp_lock_acquire: this thread has taken the RLock %u times",
                        depth);
    set_depth(lock, depth + 1);
    return 0;
}

/* true: it is an RLock that was taken more than once, and stays ours. */
static bool leave_once(struct lock_shared *lock) {
    uint32_t depth = depth_of(lock);
    if (depth > 1)
        set_depth(lock, depth - 1);
    return depth > 1;
}

/* A Lock has no depth: it may have been released by another thread, and even freed, by now. */
static void begin_depth(struct lock_shared *lock) {
    if (lock->is_recursive)
        set_depth(lock, 1);
}

/* Which place a lock has among the kept ones of every thread. */
static size_t place_of(const struct lock_shared *lock) {
    return (uintptr_t)lock / sizeof *lock % MP__KEPT;
}

static struct mp__kept *kept_of(const struct lock_shared *lock) {
    return &mp__kept[place_of(lock)];
}

static bool is_kept(const struct lock_shared *lock) {
    return kept_of(lock)->lock == lock;
}

/* It was one, in the arena, when we began to keep it. */
static bool is_lock_still(const struct lock_shared *lock) {
    return atomic_load_explicit(&lock->kind, memory_order_relaxed) == MP__KIND_LOCK;
}

/* Keep it on record from now on. false: another one that is ours has its place, or this process
 * cannot join the barrier. */
__attribute__((noinline)) static bool keep(struct lock_shared *lock, struct thread_shared *self) {
    struct mp__kept *kept = kept_of(lock);
    const struct lock_shared *held = kept->held;
    kept->misses = 0;
    if ((held && is_lock_still(held) && mp__lock_is_mine(held, self)) || !mp__barrier_join())
        return false;
    atomic_store_explicit(&self->kept[place_of(lock)], mp__holding_make(MP__HOLDING_LOCK, lock),
                          memory_order_release);
    MP__POINT("lock.keep.written");
    *kept =
        (struct mp__kept){.lock = lock, .word = &lock->guard.word, .index = (uint16_t)self->index};
    return true;
}

/* It is ours. What is kept is held by the quick way, however it was got, and has no holding; one
 * that is marked by a sleeper, perhaps by ourselves when we slept, is not to be given back by a
 * store. */
static void settle(struct lock_shared *lock, struct thread_shared *self) {
    struct mp__kept *kept = kept_of(lock);
    if (!is_kept(lock) && (++kept->misses < MISSES || !keep(lock, self)))
        return;
    uint32_t word = atomic_load_explicit(&lock->guard.word, memory_order_relaxed);
    kept->mode = word & MP__GUARD_WAITERS ? MP__MODE_CHECKED : mp__mode_look(&lock->mode);
    kept->held = lock;
    mp__unhold(self, MP__HOLDING_LOCK, lock);
}

/* Take it if it is free: 0, MP_ETIMEDOUT. It is on record in both cases. -ENOMEM: not. */
static int try_lock(struct lock_shared *lock, struct thread_shared *self) {
    if (!is_kept(lock))
        return mp__guard_try(&lock->guard, self, MP__HOLDING_LOCK, lock);
    return mp__guard_take(&lock->guard, self->index) ? 0 : MP_ETIMEDOUT;
}

/* The guard was not free at first sight; it is on record. */
__attribute__((noinline)) static int wait_for_lock(struct lock_shared *lock,
                                                   struct thread_shared *self, double timeout) {
    mp__time deadline;
    int code = mp__deadline(&deadline, timeout);
    if (code == 0)
        code = mp__guard_wait_for_lock(&lock->guard, self, deadline, &lock->mode,
                                       lock->detects_deadlock);
    if (code < 0 && code != MP_EOWNERDEAD) {
        mp__unhold(self, MP__HOLDING_LOCK, lock);
        return code == MP_ETIMEDOUT
                   ? mp__fail(code, "mp_lock_acquire: not free within %g seconds", timeout)
                   : code;
    }
    settle(lock, self);
    begin_depth(lock);
    if (code == MP_EOWNERDEAD) {
        mp__log_held(MP_LOG_DEBUG, "lock %p: taken over from a dead owner", (void *)lock);
        mp__fail(code, "mp_lock_acquire: the lock is held now, but its last owner died holding it");
    }
    mp__log_catch_up();
    return code;
}

/* Is it an RLock that this thread has? */
static bool is_taken_again(const struct lock_shared *lock, const struct thread_shared *self) {
    return lock->is_recursive && mp__lock_is_mine(lock, self);
}

/* Whatever there is to join, to refuse and to make room for first. */
__attribute__((noinline)) static int acquire_slowly(struct lock_shared *lock, double timeout) {
    int code = mp__kind_check(lock, MP__KIND_LOCK, "mp_lock_acquire", "lock");
    if (code < 0)
        return code;
    struct thread_shared *self = mp__self();
    if (!self)
        return -ENOMEM;
    if (isnan(timeout))
        return mp__fail(MP_EINVAL, "mp_lock_acquire: the timeout is not a number");
    if (is_taken_again(lock, self))
        return go_deeper(lock);
    code = try_lock(lock, self);
    if (code == MP_ETIMEDOUT)
        return wait_for_lock(lock, self, timeout);
    if (code < 0)
        return code;
    settle(lock, self);
    begin_depth(lock);
    return 0;
}

/* The way of all guards. */
__attribute__((noinline)) static int acquire_by_holding(struct lock_shared *lock, double timeout) {
    struct thread_shared *self = mp__self_cached;
    if (!self || !mp__kind_is(lock, MP__KIND_LOCK) || isnan(timeout) || is_kept(lock) ||
        is_taken_again(lock, self) || !mp__hold_quick(self, MP__HOLDING_LOCK, lock))
        return acquire_slowly(lock, timeout);
    if (!mp__guard_take(&lock->guard, self->index))
        return wait_for_lock(lock, self, timeout);
    settle(lock, self);
    begin_depth(lock);
    return 0;
}

int mp_lock_acquire(mp_lock *lock, double timeout) {
    struct mp__kept *kept = kept_of(lock);
    if (!is_kept(lock) || !lock || !is_lock_still(lock) || isnan(timeout) ||
        !mp__guard_take(&lock->guard, kept->index))
        return acquire_by_holding(lock, timeout);
    kept->mode = mp__mode_look(&lock->mode);
    kept->held = lock;
    begin_depth(lock);
    return 0;
}

/* Somebody else's Lock: make it ours first, so that at every moment the list of its owner names it.
 * What else of ours names it then is left from a release that another one was quicker in. */
static int take_over(struct lock_shared *lock, struct thread_shared *self) {
    if (!mp__hold(self, MP__HOLDING_LOCK, lock))
        return -ENOMEM;
    MP__POINT("lock.take_over.held");
    uint32_t word = atomic_load_explicit(&lock->guard.word, memory_order_relaxed);
    uint32_t owner;
    bool keeps_it = false;
    do {
        owner = word & MP__GUARD_OWNER;
        if (owner == 0) {
            mp__unhold(self, MP__HOLDING_LOCK, lock);
            mp__unhold(self, MP__HOLDING_LOCK, lock);
            return mp__fail(MP_EINVAL, "mp_lock_release: the lock is not held by anyone");
        }
        keeps_it = atomic_load(&mp__thread_at(owner)->kept[place_of(lock)]) ==
                   mp__holding_make(MP__HOLDING_LOCK, lock);
    } while (!atomic_compare_exchange_weak_explicit(&lock->guard.word, &word,
                                                    (word & ~MP__GUARD_OWNER) | self->index,
                                                    memory_order_acquire, memory_order_relaxed));
    MP__POINT("lock.take_over.taken");
    mp__mode_turn(&lock->mode); /* what its owner believes about it is true no more */
    if (!keeps_it)              /* else it has none; if it has by now, then for the next time */
        mp__unhold_of(owner, MP__HOLDING_LOCK, lock);
    MP__POINT("lock.take_over.erased");
    return 0;
}

static int release_of_other(struct lock_shared *lock, struct thread_shared *self) {
    int code = take_over(lock, self);
    if (code < 0)
        return code;
    if (mp__guard_release_checked(&lock->guard, self, MP__HOLDING_LOCK, lock))
        return 0;
    mp__unhold(self, MP__HOLDING_LOCK, lock);
    return mp__fail(MP_EINVAL,
                    "mp_lock_release: another thread released the lock at the same time");
}

/* It is held by the quick way no more; perhaps it is another one's by now. */
static void forget_held(const struct lock_shared *lock) {
    if (kept_of(lock)->held == lock)
        kept_of(lock)->held = NULL;
}

/* Taken by the quick way, but somebody sleeps or has slept lately. */
static bool give_checked(struct lock_shared *lock, struct thread_shared *self) {
    bool is_quick = kept_of(lock)->held == lock;
    uint32_t word = atomic_load_explicit(&lock->guard.word, memory_order_relaxed);
    forget_held(lock);
    if ((word & MP__GUARD_OWNER) != self->index)
        return false;
    if (is_quick || word != self->index)
        mp__mode_calm(&lock->mode, word == self->index);
    return is_quick && mp__guard_give(&lock->guard, self->index);
}

/* Somebody sleeps, it is taken several times or was not taken last, it is another one's, or there
 * is something to join or to refuse first. */
__attribute__((noinline)) static int release_slowly(struct lock_shared *lock) {
    int code = mp__kind_check(lock, MP__KIND_LOCK, "mp_lock_release", "lock");
    if (code < 0)
        return code;
    struct thread_shared *self = mp__self();
    if (!self)
        return -ENOMEM;
    if (lock->is_recursive && !mp__lock_is_mine(lock, self))
        return mp__fail(MP_EOWNER, "mp_lock_release: this thread does not hold the RLock");
    if (leave_once(lock) || give_checked(lock, self) ||
        mp__guard_release_checked(&lock->guard, self, MP__HOLDING_LOCK, lock))
        return 0;
    return release_of_other(lock, self);
}

/* The way of all guards. */
__attribute__((noinline)) static int release_by_holding(struct lock_shared *lock) {
    struct thread_shared *self = mp__self_cached;
    if (!self || !mp__kind_is(lock, MP__KIND_LOCK) || depth_of(lock) > 1)
        return release_slowly(lock);
    mp__holding *top = mp__holding_top(self, MP__HOLDING_LOCK, lock);
    if (!top || !mp__guard_give(&lock->guard, self->index))
        return release_slowly(lock);
    mp__holding_erase(self, top); /* it was ours, so nobody else has erased it */
    return 0;
}

/* It was given back by a store, and its mode has changed meanwhile: perhaps the store wiped out the
 * mark of somebody who sleeps. */
__attribute__((noinline)) static int wake_one(struct lock_shared *lock) {
    mp__futex_wake(&lock->guard.word, 1);
    return 0;
}

int mp_lock_release(mp_lock *lock) {
    struct mp__kept *kept = kept_of(lock);
    uint32_t mode = kept->mode;
    if (kept->held != lock || !lock || !is_lock_still(lock) || depth_of(lock) > 1 ||
        !mp__mode_is_quick(mode) || mp__mode_look(&lock->mode) != mode)
        return release_by_holding(lock);
    MP__POINT("lock.release.judged");
    kept->held = NULL;
    atomic_store_explicit(&lock->guard.word, 0, memory_order_release);
    MP__POINT("lock.release.stored");
    atomic_signal_fence(memory_order_seq_cst);
    return __builtin_expect(mp__mode_look(&lock->mode) == mode, 1) ? 0 : wake_one(lock);
}

bool mp_lock_locked(const mp_lock *lock) {
    return mp__kind_check(lock, MP__KIND_LOCK, __func__, "lock") == 0 &&
           mp__guard_owner(&lock->guard) != 0;
}

void mp_lock_free(mp_lock *lock) {
    if (!lock || mp__kind_check(lock, MP__KIND_LOCK, __func__, "lock") < 0 || !mp__self())
        return;
    forget_held(lock);
    if (mp__lock_is_mine(lock, mp__self()))
        mp__unhold(mp__self(), MP__HOLDING_LOCK, lock);
    mp__object_free(lock);
}

uint32_t mp__lock_leave(struct lock_shared *lock, struct thread_shared *self) {
    uint32_t depth = depth_of(lock);
    forget_held(lock);
    mp__guard_release_checked(&lock->guard, self, MP__HOLDING_LOCK, lock);
    return depth;
}

int mp__lock_enter_again(struct lock_shared *lock, struct thread_shared *self, uint32_t depth) {
    int code = try_lock(lock, self);
    if (code == MP_ETIMEDOUT)
        code = mp__guard_wait_for_lock(&lock->guard, self, MP__NEVER, &lock->mode, false);
    if (code < 0 && code != MP_EOWNERDEAD)
        return code;
    settle(lock, self);
    if (lock->is_recursive)
        set_depth(lock, depth);
    return code;
}

void mp__lock_release_dead(struct lock_shared *lock) {
    struct thread_shared *self = mp__self();
    assert(mp__lock_is_mine(lock, self));
    if (leave_once(lock))
        return;
    forget_held(lock);
    mp__guard_recover(&lock->guard, self->index, true);
    mp__unhold(self, MP__HOLDING_LOCK, lock);
}

int mp__lock_check(const struct lock_shared *lock) {
    if (!mp__kind_is(lock, MP__KIND_LOCK))
        return mp__fail(MP_ESTATE, "lock %p: not a lock", (const void *)lock);
    uint32_t word = atomic_load(&lock->guard.word);
    if (word & ~(MP__GUARD_WAITERS | MP__GUARD_DEAD | MP__GUARD_OWNER))
        return mp__fail(MP_ESTATE, "lock %p: strange word %x", (const void *)lock, word);
    if ((word & MP__GUARD_DEAD) && (word & MP__GUARD_OWNER))
        return mp__fail(MP_ESTATE, "lock %p: held and dead at once", (const void *)lock);
    if ((word & MP__GUARD_OWNER) > mp__thread_high())
        return mp__fail(MP_ESTATE, "lock %p: held by nobody", (const void *)lock);
    return 0;
}

/* A kept lock may have been freed long ago: then its memory may be anything by now. */
static MP__NO_TSAN bool is_lock_by_now(const struct lock_shared *lock) {
    return atomic_load_explicit(&lock->kind, memory_order_relaxed) == MP__KIND_LOCK;
}

/* One that is somebody else's now only gets a wake-up too many. */
static void recover_lock(void *object, uint32_t dead_thread) {
    struct lock_shared *lock = object;
    if (!mp__arena_contains(lock, sizeof *lock) || !is_lock_by_now(lock))
        return;
    if (mp__guard_owner(&lock->guard) == dead_thread)
        mp__recover_note("lock", lock, "who takes it next is told that its owner has died");
    mp__guard_recover(&lock->guard, dead_thread, true);
}
MP__RECOVER(MP__HOLDING_LOCK, recover_lock)

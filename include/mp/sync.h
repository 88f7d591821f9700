/* mp/sync.h: lock, semaphore, condition, event and barrier between processes and threads.
 * SPDX-License-Identifier: MIT
 *
 *     mp_lock *lock;
 *     mp_lock_new(&lock, NULL);      // give the pointer to the children: it is good in all of them
 *     MP_WITH_LOCK(lock) {
 *         (*total)++;                // also released when left by return, break or goto
 *     }
 *     mp_lock_free(lock);            // once, when nobody uses it any more
 *
 * All live in the family's shared memory; the pointer is the object, in every process. A thread is
 * a thread of any process: threads of one process are treated no differently from processes.
 *
 * WHO MAY CALL WHAT AT ONCE
 *     _new                      any thread; `context` may be any, it makes no difference
 *     everything but _free      any thread of any process, at any time
 *     mp_event_set              also a signal handler
 *     _free                     one thread, once, when nobody is in a call on the object or will be
 *                               (also not in the release that has served us)
 *
 * IF A PROCESS DIES IN THE MIDDLE OF ...
 *     holding a lock            one who waits, or comes next, gets MP_EOWNERDEAD and the lock
 *     waiting in acquire        nobody notices; a wake-up it had been given goes to another one
 *     having a unit of a        the unit is gone, as in Python, since it belongs to nobody; where
 *       semaphore               that hurts use a lock
 *     mp_condition_wait         it is skipped; a notify it had been given goes to another waiter
 *     holding a condition       one of those who wait or acquire gets MP_EOWNERDEAD and the lock
 *     event set, clear, wait    it is set or not, never in between; waiters see it
 *     mp_barrier_wait           its arrival is taken back: one more has to come. With
 *                               break_on_death the barrier breaks, also by a death between waits
 *     a barrier's action        the barrier is broken: all get MP_EBROKEN
 *     release, notify, reset    finished or not begun
 *     giving back what another  somebody else does it. Stopped (SIGSTOP) in the middle of it:
 *       dead one had            whoever wants that waits, but no longer than its time limit
 * Who waits goes on within a second (10 s at worst, when several die at once), on Linux as a rule
 * within a millisecond, elsewhere 0.1 s.
 *
 * MP_EINVAL (NULL, a freed or wrong object, a NaN timeout) and -ENOMEM (no room in the arena, or in
 * the family for this thread) may come from any function, see mp/base.h; they are listed where
 * there is more to say.
 */
#ifndef MP_SYNC_H
#define MP_SYNC_H

#include "mp/base.h"

typedef struct lock_shared mp_lock; /* Lock and RLock */
typedef struct semaphore_shared mp_semaphore;
typedef struct condition_shared mp_condition;
typedef struct event_shared mp_event;
typedef struct barrier_shared mp_barrier;

#define MP_SEMAPHORE_MAX (1u << 30) /* units a semaphore can count */

MP_BEGIN_DECLS

/* ---- Lock and RLock ---- */

/* Make a lock. A Lock is taken once and released by anyone; an RLock belongs to its thread, which
 * may take it again.
 * returns  0; -ENOMEM
 * owns     end it with mp_lock_free
 * python   Lock(), RLock() */
int mp_lock_new(mp_lock **out, mp_context *context);
int mp_rlock_new(mp_lock **out, mp_context *context);

typedef struct mp_lock_options {
    bool recursive;       /* an RLock */
    bool detect_deadlock; /* acquire returns MP_EDEADLK; for locks that only their holders release
                           */
    const char *name;     /* in messages and mp_family_dump: the first 53 bytes; copied; or NULL */
} mp_lock_options;

/* Make a lock as the options, which are copied, say; NULL: as mp_lock_new.
 * returns  0; -ENOMEM
 * owns     end it with mp_lock_free */
int mp_lock_new_with(mp_lock **out, mp_context *context, const mp_lock_options *options);

/* Take the lock.
 * returns  0; MP_EOWNERDEAD: it is held now, but its last owner died holding it: look at what it
 *          guards, this is said only once; MP_ETIMEDOUT: not held; MP_EINVAL: an RLock taken 2^32
 *          times; MP_EDEADLK, where its options ask for it: not held, the threads of a cycle wait
 *          for each other's locks (or this one for its own), all without a time limit: with one the
 *          wait ends by itself. One of them is told, at once, who holds what. Release what you
 *          hold, then try again
 * blocks   until it is free; on a Lock that this thread holds itself too
 * python   acquire(block, timeout) */
int mp_lock_acquire(mp_lock *lock, double timeout);

/* Give it back: a Lock by any thread of any process, an RLock by its owner, as often as taken.
 * returns  0; MP_EINVAL: a Lock that is not held; MP_EOWNER: an RLock not this thread's
 * python   release() */
int mp_lock_release(mp_lock *lock);

/* Is it held by anyone? False for what is no lock. */
bool mp_lock_locked(const mp_lock *lock);
void mp_lock_free(mp_lock *lock); /* NULL: nothing */

/* For a block: acquire, run it, release however it is left (end, return, break, continue, goto).
 * After MP_EOWNERDEAD it runs too; where the difference matters call mp_lock_acquire. Where the
 * lock cannot be had (a wrong pointer, MP_EDEADLK) the block does not run and mp_error_detail()
 * says why.
 * python   with lock: */
#define MP_WITH_LOCK(lock) MP__WITH_LOCK(lock, __LINE__)

/* ---- Semaphore ---- */

/* Make a counter of `value` units, 0..MP_SEMAPHORE_MAX. A bounded one never counts above `value`.
 * returns  0; MP_EINVAL: value too large; -ENOMEM
 * python   Semaphore(value), BoundedSemaphore(value) */
int mp_semaphore_new(mp_semaphore **out, mp_context *context, unsigned value);
int mp_bounded_semaphore_new(mp_semaphore **out, mp_context *context, unsigned value);

/* Take one unit.
 * returns  0; MP_ETIMEDOUT
 * blocks   until there is one
 * python   acquire(block, timeout) */
int mp_semaphore_acquire(mp_semaphore *semaphore, double timeout);

/* Add `n` units.
 * returns  0; MP_EINVAL: n is 0, or there would be more than MP_SEMAPHORE_MAX (bounded: than at
 *          first)
 * python   release() */
int mp_semaphore_release(mp_semaphore *semaphore, unsigned n);

/* Tell how many units there are now, or MP_EINVAL. python: get_value() */
int mp_semaphore_value(const mp_semaphore *semaphore);
void mp_semaphore_free(mp_semaphore *semaphore); /* NULL: nothing */

/* ---- Condition ---- */

/* Make a condition on `lock`, a Lock or RLock of yours that must outlive it; NULL: an own RLock.
 * returns  0; MP_EINVAL: not a lock; -ENOMEM
 * python   Condition(lock) */
int mp_condition_new(mp_condition **out, mp_context *context, mp_lock *lock);
int mp_condition_acquire(mp_condition *condition, double timeout); /* mp_lock_acquire of its lock */
int mp_condition_release(mp_condition *condition);                 /* mp_lock_release of its lock */

/* Give the lock back (an RLock completely), wait to be notified, take it again as deep as before.
 * returns  with the lock held: 0; MP_ETIMEDOUT; MP_EOWNERDEAD: its last owner died holding it, so
 *          look at the state. At once, without a wait: MP_EOWNER: this thread does not hold the
 *          lock; MP_EINVAL, -ENOMEM: it holds the lock as before
 * blocks   after notify or timeout until the lock is free. After a death 0 may come without notify
 * python   wait(timeout) */
int mp_condition_wait(mp_condition *condition, double timeout);

/* Wait until `predicate(arg)`, called with the lock held, is true.
 * returns  0: it is true; MP_ETIMEDOUT: it still is not; MP_EOWNERDEAD, MP_EOWNER as above;
 *          MP_EINVAL: predicate is NULL
 * python   wait_for(predicate, timeout) */
int mp_condition_wait_for(mp_condition *condition, bool (*predicate)(void *arg), void *arg,
                          double timeout);

/* Let at most `n`, or all, of those who wait return, the longest waiting first. Nobody waits: no
 * effect.
 * returns  0; MP_EOWNER: this thread does not hold the lock
 * python   notify(n), notify_all() */
int mp_condition_notify(mp_condition *condition, unsigned n);
int mp_condition_notify_all(mp_condition *condition);
void mp_condition_free(mp_condition *condition); /* with its own lock; NULL: nothing */

/* ---- Event ---- */

/* Make an event that is not set.
 * returns  0; -ENOMEM
 * python   Event() */
int mp_event_new(mp_event **out, mp_context *context);
int mp_event_set(mp_event *event);   /* who waits returns, also when clear follows at once */
int mp_event_clear(mp_event *event); /* from now on wait waits */
bool mp_event_is_set(const mp_event *event);

/* Wait until it is set, or has been since the call.
 * returns  0; MP_ETIMEDOUT
 * python   wait(timeout) */
int mp_event_wait(mp_event *event, double timeout);
void mp_event_free(mp_event *event); /* NULL: nothing */

/* ---- Barrier ---- */

typedef struct mp_barrier_options {
    int (*action)(void *arg, size_t size); /* run by one thread before all go on; not 0: broken */
    const void *arg;                       /* for action, copied into shared memory; NULL: none */
    size_t arg_size;                       /* bytes of it */
    double timeout;                        /* seconds, for waits with MP_FOREVER; 0: none */
    bool break_on_death; /* a party's death breaks it: a process that has waited here, since it
                            was made or last reset, and has ended (killed or not). Who waits gets
                            MP_EBROKEN with the pid in the detail */
} mp_barrier_options;

/* Make a barrier for `parties` threads, 1..16383; options NULL: no action, no timeout.
 * returns  0; MP_EINVAL: parties, a negative or NaN timeout, arg NULL with a size, an action in no
 *          loaded object; -ENOMEM
 * python   Barrier(parties, action, timeout) */
int mp_barrier_new(mp_barrier **out, mp_context *context, unsigned parties,
                   const mp_barrier_options *options);

/* Wait until `parties` threads have come; then all go on, and the barrier is as new.
 * returns  0..parties-1, another number for each; MP_EBROKEN: broken before the call, or during it
 *          by abort, reset, an action that failed or died, any thread's timeout, also its own, or
 *          a party's death (break_on_death)
 * blocks   the last to come runs the action, the others wait
 * python   wait(timeout) */
int mp_barrier_wait(mp_barrier *barrier, double timeout);
int mp_barrier_reset(mp_barrier *barrier); /* as new; who waits gets MP_EBROKEN */
int mp_barrier_abort(mp_barrier *barrier); /* broken until reset; who waits gets MP_EBROKEN */
unsigned mp_barrier_parties(const mp_barrier *barrier);   /* 0: not a barrier */
unsigned mp_barrier_n_waiting(const mp_barrier *barrier); /* living threads in it now */
bool mp_barrier_broken(const mp_barrier *barrier);
void mp_barrier_free(mp_barrier *barrier); /* NULL: nothing */

MP_END_DECLS

/* What MP_WITH_LOCK is made of: a loop of one turn whose variable releases the lock as it goes. */
struct mp__with_lock {
    mp_lock *held; /* NULL: it could not be had */
    bool is_first; /* the turn is still to come */
};
static inline struct mp__with_lock mp__with_lock_enter(mp_lock *lock) {
    int code = mp_lock_acquire(lock, MP_FOREVER);
    bool is_held = code == 0 || code == MP_EOWNERDEAD;
    struct mp__with_lock with = {is_held ? lock : NULL, is_held};
    return with;
}
static inline void mp__with_lock_leave(struct mp__with_lock *with) {
    if (with->held)
        mp_lock_release(with->held);
}
#define MP__JOIN(a, b) a##b
#define MP__WITH_LOCK(lock, line) MP__WITH_LOCK_NAMED(lock, MP__JOIN(mp__with_, line))
#define MP__WITH_LOCK_NAMED(lock, name)                                             \
    for (struct mp__with_lock name                                                  \
         __attribute__((cleanup(mp__with_lock_leave))) = mp__with_lock_enter(lock); \
         name.is_first; name.is_first = false)

#endif

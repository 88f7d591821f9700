/* Locks of the server, for conditions too.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_MANAGED_LOCK_H
#define MP__MGR_MANAGED_LOCK_H

#include "mgr/managed.h"
#include "mgr/session.h"

/* Owned by a connection, as CPython's are by the thread that serves it. When the connection ends an
 * RLock is released: nobody else could. A Lock may be released by others, so it stays locked; but
 * whoever wants it need not wait for that. */
struct mp__managed_lock {
    struct mp__referent referent;
    struct mp__held held;      /* in the owner's list while the owner lives */
    struct mp__session *owner; /* NULL: not locked, or the owner has gone */
    unsigned depth;            /* 0: not locked; a Lock: 1 */
    bool is_recursive;
    pthread_cond_t released; /* somebody may take it */
};

struct mp__referent *mp__managed_lock_new(struct mp__invocation *call, bool is_recursive);
static inline bool mp__is_lock(const struct mp__referent *referent) {
    return referent->class_ == &mp__lock_class || referent->class_ == &mp__rlock_class;
}

/* 0; MP_ETIMEDOUT; MP_EEOF: the call is over. */
int mp__managed_lock_take(struct mp__invocation *call, struct mp__managed_lock *lock,
                          unsigned depth, mp__time deadline);
/* Release it wholly; how deep it was. */
unsigned mp__managed_lock_drop(struct mp__managed_lock *lock);
/* May this connection use a condition on it? As Python has it, a Lock is anybody's. */
bool mp__managed_lock_is_mine(const struct mp__invocation *call,
                              const struct mp__managed_lock *lock);

/* acquire(blocking=True, timeout=...) and release() as methods, for the lock of a condition. */
mp_object *mp__managed_lock_acquire(struct mp__invocation *call, struct mp__managed_lock *lock);
mp_object *mp__managed_lock_release(struct mp__invocation *call, struct mp__managed_lock *lock);

/* The arguments of acquire: false: raised. */
bool mp__acquire_deadline(struct mp__invocation *call, mp__time *deadline);

#endif

/* Lock and RLock, as those of Python's threading, for clients of a manager.
 * SPDX-License-Identifier: MIT */
#include "mgr/managed_lock.h"

#include <stdlib.h>

#include "base/fail.h"

static void take(struct mp__managed_lock *lock, struct mp__session *session, unsigned depth) {
    mp__held_remove(&lock->held);
    lock->owner = session;
    lock->depth = depth;
    mp__session_hold(session, &lock->held);
}

unsigned mp__managed_lock_drop(struct mp__managed_lock *lock) {
    unsigned depth = lock->depth;
    mp__held_remove(&lock->held);
    lock->owner = NULL;
    lock->depth = 0;
    (void)pthread_cond_signal(&lock->released);
    return depth;
}

static struct mp__managed_lock *lock_of_held(struct mp__held *held) {
    return (struct mp__managed_lock *)((char *)held - offsetof(struct mp__managed_lock, held));
}

static void orphan(struct mp__server *server, struct mp__held *held) {
    struct mp__managed_lock *lock = lock_of_held(held);
    (void)server;
    lock->owner = NULL;
    if (lock->is_recursive)
        lock->depth = 0;
    (void)pthread_cond_signal(&lock->released);
}

static bool is_free(const struct mp__managed_lock *lock) {
    return lock->depth == 0 || !lock->owner;
}

/* Who leaves without it may have been the one that was woken for it. */
int mp__managed_lock_take(struct mp__invocation *call, struct mp__managed_lock *lock,
                          unsigned depth, mp__time deadline) {
    while (!is_free(lock)) {
        int code = mp__call_wait(call, &lock->released, deadline);
        if (code < 0) {
            (void)pthread_cond_signal(&lock->released);
            return code;
        }
    }
    take(lock, call->session, depth);
    return 0;
}

bool mp__managed_lock_is_mine(const struct mp__invocation *call,
                              const struct mp__managed_lock *lock) {
    return lock->depth > 0 && (!lock->is_recursive || lock->owner == call->session);
}

/* A timeout of -1 is none, as Python's locks have it. */
bool mp__acquire_deadline(struct mp__invocation *call, mp__time *deadline) {
    const mp_object *arguments[2];
    double seconds = -1;
    if (!mp__call_bind(call, "blocking= timeout=", arguments))
        return false;
    bool has_timeout = arguments[1] && mp_object_get_kind(arguments[1]) != MP_OBJECT_NONE;
    bool is_blocking = !arguments[0] || mp_object_is_true(arguments[0]);
    if (!mp__call_deadline(call, arguments[1], deadline))
        return false;
    if (has_timeout)
        (void)mp_float_get(arguments[1], &seconds);
    if (!is_blocking && has_timeout && seconds != -1)
        return mp__raise(call, "builtins", "ValueError",
                         "can't specify a timeout for a non-blocking call");
    if (seconds < 0 && seconds != -1)
        return mp__raise(call, "builtins", "ValueError",
                         "timeout value must be a non-negative number");
    if (!is_blocking)
        *deadline = 0;
    else if (seconds == -1)
        *deadline = MP__NEVER;
    return true;
}

mp_object *mp__managed_lock_acquire(struct mp__invocation *call, struct mp__managed_lock *lock) {
    mp__time deadline;
    if (!mp__acquire_deadline(call, &deadline))
        return NULL;
    if (lock->is_recursive && lock->owner == call->session) {
        lock->depth++;
        return mp_bool_new(true);
    }
    int code = mp__managed_lock_take(call, lock, 1, deadline);
    return code == MP_EEOF ? NULL : mp_bool_new(code == 0);
}

mp_object *mp__managed_lock_release(struct mp__invocation *call, struct mp__managed_lock *lock) {
    if (!mp__call_bind_none(call))
        return NULL;
    if (lock->is_recursive && lock->owner != call->session)
        return mp__raise(call, "builtins", "RuntimeError", "cannot release un-acquired lock");
    if (lock->depth == 0)
        return mp__raise(call, "builtins", "RuntimeError", "release unlocked lock");
    if (--lock->depth == 0)
        (void)mp__managed_lock_drop(lock);
    return mp_none_new();
}

static struct mp__managed_lock *lock_of(const struct mp__invocation *call) {
    return (struct mp__managed_lock *)call->referent;
}

static mp_object *acquire(struct mp__invocation *call) {
    return mp__managed_lock_acquire(call, lock_of(call));
}

static mp_object *release(struct mp__invocation *call) {
    return mp__managed_lock_release(call, lock_of(call));
}

static mp_object *locked(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_bool_new(lock_of(call)->depth > 0) : NULL;
}

struct mp__referent *mp__managed_lock_new(struct mp__invocation *call, bool is_recursive) {
    struct mp__managed_lock *lock = mp__referent_new(
        call->server, is_recursive ? &mp__rlock_class : &mp__lock_class, sizeof *lock);
    if (!lock)
        return NULL;
    lock->is_recursive = is_recursive;
    lock->held.orphan = orphan;
    mp__condition_init(&lock->released);
    return &lock->referent;
}

static struct mp__referent *create_lock(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp__managed_lock_new(call, false) : NULL;
}

static struct mp__referent *create_rlock(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp__managed_lock_new(call, true) : NULL;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    struct mp__managed_lock *lock = (struct mp__managed_lock *)referent;
    (void)server;
    mp__held_remove(&lock->held);
    (void)pthread_cond_destroy(&lock->released);
    free(lock);
}

static mp_object *repr(struct mp__invocation *call) {
    const struct mp__managed_lock *lock = lock_of(call);
    const char *state = lock->depth > 0 ? "locked" : "unlocked";
    unsigned long long number = (unsigned long long)lock->referent.number;
    if (!lock->is_recursive)
        return mp__str_format("<%s _thread.lock object at 0x%llx>", state, number);
    return mp__str_format("<%s _thread.RLock object owner=%p count=%u at 0x%llx>", state,
                          (void *)lock->owner, lock->depth, number);
}

static const struct mp__method methods[] = {
    {"acquire", acquire}, {"release", release}, {"locked", locked}};

#define LOCK_CLASS(type_id, create_function)                                              \
    {                                                                                     \
        .name = type_id, .proxy_name = "AcquirerProxy", .exposed = "acquire release",     \
        MP__METHODS(methods), .create = create_function, .destroy = destroy, .repr = repr \
    }

const struct mp__class mp__lock_class = LOCK_CLASS("Lock", create_lock);
const struct mp__class mp__rlock_class = LOCK_CLASS("RLock", create_rlock);

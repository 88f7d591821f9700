/* Condition, for clients of a manager.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mgr/managed_lock.h"

struct waiter { /* on its thread's stack */
    struct waiter *next;
    pthread_cond_t woken;
    bool is_notified; /* and then in no list */
};

struct condition {
    struct mp__referent referent;
    struct mp__managed_lock *lock; /* held */
    struct waiter *waiters;        /* the longest waiting first */
};

static struct condition *condition_of(const struct mp__invocation *call) {
    return (struct condition *)call->referent;
}

/* The lock that a client gave, or a new RLock; with a hold. */
static struct mp__referent *find_lock(struct mp__invocation *call, const mp_object *argument) {
    struct mp__proxy_form form;
    if (!argument || mp_object_get_kind(argument) == MP_OBJECT_NONE)
        return mp__managed_lock_new(call, true);
    struct mp__referent *referent =
        mp__proxy_form_take(&form, argument) > 0 ? mp__server_own(call->server, &form.token) : NULL;
    if (!referent || !mp__is_lock(referent))
        return mp__raise(call, "builtins", "TypeError",
                         "the lock is no Lock or RLock of this "
                         "manager");
    mp__referent_hold(call->server, referent);
    return referent;
}

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *argument;
    if (!mp__call_bind(call, "lock=", &argument))
        return NULL;
    struct mp__referent *lock = find_lock(call, argument);
    struct condition *condition =
        lock ? mp__referent_new(call->server, call->class_, sizeof *condition) : NULL;
    if (condition)
        condition->lock = (struct mp__managed_lock *)lock;
    else if (lock)
        mp__referent_unhold(call->server, lock);
    return condition ? &condition->referent : NULL;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    mp__referent_unhold(server, &((struct condition *)referent)->lock->referent);
    free(referent);
}

static mp_object *acquire(struct mp__invocation *call) {
    return mp__managed_lock_acquire(call, condition_of(call)->lock);
}

static mp_object *release(struct mp__invocation *call) {
    return mp__managed_lock_release(call, condition_of(call)->lock);
}

static mp_object *locked(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_bool_new(condition_of(call)->lock->depth > 0) : NULL;
}

static void notify_some(struct condition *condition, uint64_t count) {
    for (; condition->waiters && count > 0; count--) {
        struct waiter *waiter = condition->waiters;
        condition->waiters = waiter->next;
        waiter->is_notified = true;
        (void)pthread_cond_signal(&waiter->woken);
    }
}

static void add_waiter(struct condition *condition, struct waiter *waiter) {
    struct waiter **place = &condition->waiters;
    while (*place)
        place = &(*place)->next;
    *place = waiter;
    mp__condition_init(&waiter->woken);
}

/* A notification for who has gone is somebody else's. */
static void remove_waiter(struct mp__invocation *call, struct condition *condition,
                          struct waiter *waiter) {
    struct waiter **place = &condition->waiters;
    while (*place && *place != waiter)
        place = &(*place)->next;
    if (*place)
        *place = waiter->next;
    else if (call->is_over)
        notify_some(condition, 1);
    (void)pthread_cond_destroy(&waiter->woken);
}

static mp_object *wait(struct mp__invocation *call) {
    struct condition *condition = condition_of(call);
    struct waiter waiter = {0};
    mp__time deadline;
    if (!mp__call_bind_timeout(call, &deadline))
        return NULL;
    if (!mp__managed_lock_is_mine(call, condition->lock))
        return mp__raise(call, "builtins", "RuntimeError", "cannot wait on un-acquired lock");
    add_waiter(condition, &waiter);
    unsigned depth = mp__managed_lock_drop(condition->lock);
    int code = 0;
    while (!waiter.is_notified && code == 0)
        code = mp__call_wait(call, &waiter.woken, deadline);
    remove_waiter(call, condition, &waiter);
    if (call->is_over || mp__managed_lock_take(call, condition->lock, depth, MP__NEVER) < 0)
        return NULL;
    return mp_bool_new(waiter.is_notified);
}

static mp_object *notify_count(struct mp__invocation *call, uint64_t count) {
    struct condition *condition = condition_of(call);
    if (!mp__managed_lock_is_mine(call, condition->lock))
        return mp__raise(call, "builtins", "RuntimeError", "cannot notify on un-acquired lock");
    notify_some(condition, count);
    return mp_none_new();
}

static mp_object *notify(struct mp__invocation *call) {
    const mp_object *argument;
    ptrdiff_t count = 1;
    if (!mp__call_bind(call, "n=", &argument) ||
        (argument && !mp__call_index(call, argument, &count)))
        return NULL;
    return notify_count(call, count > 0 ? (uint64_t)count : 0);
}

static mp_object *notify_all(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? notify_count(call, UINT64_MAX) : NULL;
}

static mp_object *repr(struct mp__invocation *call) {
    const struct condition *condition = condition_of(call);
    unsigned count = 0;
    for (const struct waiter *waiter = condition->waiters; waiter; waiter = waiter->next)
        count++;
    return mp__str_format("<Condition(<%s %s>, %u)>",
                          condition->lock->depth > 0 ? "locked" : "unlocked",
                          condition->lock->is_recursive ? "RLock" : "Lock", count);
}

static const struct mp__method methods[] = {
    {"acquire", acquire}, {"release", release}, {"locked", locked},
    {"wait", wait},       {"notify", notify},   {"notify_all", notify_all},
};

const struct mp__class mp__condition_class = {
    .name = "Condition",
    .proxy_name = "ConditionProxy",
    .exposed = "acquire release wait notify notify_all",
    MP__METHODS(methods),
    .create = create,
    .destroy = destroy,
    .repr = repr,
};

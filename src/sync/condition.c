/* Condition: a lock, and the threads whose records say that they wait for it.
 * SPDX-License-Identifier: MIT */
#include "mp/sync.h"

#include <errno.h>

#include "base/fail.h"
#include "base/point.h"
#include "shm/heap.h"
#include "sync/condition.h"
#include "sync/lock.h"
#include "sync/waiters.h"

int mp_condition_new(mp_condition **out, mp_context *context, mp_lock *lock) {
    (void)context;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_condition_new: out is NULL");
    int code = lock ? mp__kind_check(lock, MP__KIND_LOCK, __func__, "lock") : 0;
    if (code < 0)
        return code;
    struct condition_shared *condition = mp__self() ? mp__heap_zalloc(sizeof *condition) : NULL;
    if (!condition)
        return -ENOMEM;
    mp__lock_init(&condition->own, true);
    condition->lock = lock ? lock : &condition->own;
    atomic_store(&condition->kind, MP__KIND_CONDITION);
    MP__POINT("condition.new.filled");
    mp__heap_publish(condition);
    *out = condition;
    return 0;
}

/* Both it and its lock are there, and `self` is in the family. */
static int check_condition(const mp_condition *condition, const char *function,
                           struct thread_shared **self) {
    int code = mp__kind_check(condition, MP__KIND_CONDITION, function, "condition");
    if (code == 0)
        code = mp__kind_check(condition->lock, MP__KIND_LOCK, function, "condition's lock");
    if (code < 0)
        return code;
    *self = mp__self();
    return *self ? 0 : -ENOMEM;
}

static int check_owned(const mp_condition *condition, const char *function,
                       struct thread_shared **self) {
    int code = check_condition(condition, function, self);
    if (code < 0)
        return code;
    if (!mp__lock_is_mine(condition->lock, *self))
        return mp__fail(MP_EOWNER, "%s: this thread does not hold the condition's lock", function);
    return 0;
}

int mp_condition_acquire(mp_condition *condition, double timeout) {
    struct thread_shared *self;
    int code = check_condition(condition, __func__, &self);
    return code < 0 ? code : mp_lock_acquire(condition->lock, timeout);
}

int mp_condition_release(mp_condition *condition) {
    struct thread_shared *self;
    int code = check_condition(condition, __func__, &self);
    return code < 0 ? code : mp_lock_release(condition->lock);
}

/* The enlisted record stays until the lock is ours again: whoever dies before has not used its
 * notification up, and recovery passes it on. */
static int wait_until(mp_condition *condition, struct thread_shared *self, mp__time deadline) {
    uint64_t ticket = atomic_fetch_add_explicit(&condition->next_ticket, 1, memory_order_relaxed);
    int code = mp__waiter_enlist(self, MP__HOLDING_CONDITION, condition, ticket);
    if (code < 0)
        return code;
    uint32_t depth = mp__lock_leave(condition->lock, self);
    MP__POINT("condition.wait.unlocked");
    code = mp__waiter_sleep(self, &condition->lock->guard, true, deadline);
    if (code < 0 && !mp__waiter_give_up(self))
        code = 0;
    MP__POINT("condition.wait.awake");
    int lock_code = mp__lock_enter_again(condition->lock, self, depth);
    MP__POINT("condition.wait.locked");
    mp__waiter_leave(self, MP__HOLDING_CONDITION, condition);
    if (lock_code == MP_EOWNERDEAD)
        return mp__fail(lock_code, "mp_condition_wait: the lock's last owner died holding it");
    return code == MP_EOWNERDEAD ? 0 : code; /* another one was told of the death */
}

int mp_condition_wait(mp_condition *condition, double timeout) {
    struct thread_shared *self;
    mp__time deadline;
    int code = check_owned(condition, __func__, &self);
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code == 0)
        code = wait_until(condition, self, deadline);
    if (code == MP_ETIMEDOUT)
        mp__fail(code, "mp_condition_wait: not notified within %g seconds", timeout);
    return code;
}

int mp_condition_wait_for(mp_condition *condition, bool (*predicate)(void *arg), void *arg,
                          double timeout) {
    struct thread_shared *self;
    mp__time deadline;
    int code = check_owned(condition, __func__, &self);
    if (code == 0 && !predicate)
        code = mp__fail(MP_EINVAL, "mp_condition_wait_for: predicate is NULL");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    while (code == 0 && !predicate(arg))
        code = wait_until(condition, self, deadline);
    if (code == MP_ETIMEDOUT && predicate(arg))
        return 0;
    if (code == MP_ETIMEDOUT)
        mp__fail(code, "mp_condition_wait_for: not true within %g seconds", timeout);
    return code;
}

int mp_condition_notify(mp_condition *condition, unsigned n) {
    struct thread_shared *self;
    int code = check_owned(condition, __func__, &self);
    if (code < 0)
        return code;
    struct mp__waiters waiters;
    while (n > 0 && mp__waiter_lowest(&waiters, condition, 0, n) > 0)
        for (uint32_t i = 0; i < waiters.count; i++) {
            n -= mp__waiter_notify(waiters.list[i], condition);
            MP__POINT("condition.notify.one");
        }
    return 0;
}

int mp_condition_notify_all(mp_condition *condition) {
    struct thread_shared *self;
    int code = check_owned(condition, __func__, &self);
    if (code == 0)
        mp__waiter_notify_all(condition, NULL);
    return code;
}

void mp_condition_free(mp_condition *condition) {
    if (!condition || !mp__self() ||
        mp__kind_check(condition, MP__KIND_CONDITION, __func__, "condition") < 0)
        return;
    atomic_store(&condition->own.kind, 0);
    mp__object_free(condition);
}

int mp__condition_check(const mp_condition *condition) {
    if (!mp__kind_is(condition, MP__KIND_CONDITION))
        return mp__fail(MP_ESTATE, "condition %p: not a condition", (const void *)condition);
    return mp__lock_check(condition->lock);
}

/* Its notification goes to the next one before it is off the list: if we die in between, one too
 * many is notified, which a waiter has to bear, and never one too few. */
static void recover_condition(void *object, uint32_t dead_thread) {
    if (mp__waiter_was_notified(dead_thread, object) && mp__kind_is(object, MP__KIND_CONDITION)) {
        struct thread_shared *next;
        while ((next = mp__waiter_first(object, 0)) && !mp__waiter_notify(next, object))
            ;
        MP__POINT("condition.recover.passed");
    }
    mp__waiter_erase(dead_thread, object);
}
MP__RECOVER(MP__HOLDING_CONDITION, recover_condition)

/* Python's Condition: who sleeps and who has woken are counted by semaphores round its lock.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mp/pickle.h"
#include "python/semlock.h"
#include "python/shape.h"

int mp__python_condition_init(struct mp_python_condition *out, const mp_object *object) {
    mp_object *parts[4];
    mp_python_lock **locks[] = {&out->lock, &out->sleeping, &out->woken, &out->wake};
    if (!mp__shape_is(object, "multiprocessing.synchronize", "Condition") ||
        mp_object_parse(mp_call_get_state(object), "(OOOO)", &parts[0], &parts[1], &parts[2],
                        &parts[3]) < 0)
        return mp__fail(MP_EPROTO, "this condition is not written as CPython 3.8 to 3.14 does");
    int code = 0;
    for (int i = 0; i < 4 && code == 0; i++)
        code = mp__semlock_open(locks[i], parts[i]);
    return code == MP_ETYPE ? mp__fail(MP_EPROTO, "a condition without its locks") : code;
}

void mp__python_condition_fini(struct mp_python_condition *condition) {
    mp_python_lock_free(condition->lock);
    mp_python_lock_free(condition->sleeping);
    mp_python_lock_free(condition->woken);
    mp_python_lock_free(condition->wake);
}

/* All its depths are given back meanwhile. */
int mp__python_condition_wait(struct mp_python_condition *condition, mp__time deadline) {
    int depth = atomic_load(&condition->lock->count);
    mp__semlock_release(condition->sleeping);
    for (int i = 0; i < depth; i++)
        mp__semlock_release(condition->lock);
    int code = mp__semlock_acquire(condition->wake, deadline);
    mp__semlock_release(condition->woken);
    for (int i = 0; i < depth; i++)
        mp__semlock_acquire(condition->lock, MP__NEVER);
    return code;
}

/* Who stopped waiting since the last time is no sleeper any more. Then each sleeper gets a token,
 * and says that it has woken; tokens are left when some timed out in that moment. */
int mp__python_condition_notify(struct mp_python_condition *condition, unsigned count) {
    unsigned sleepers = 0;
    int code = 0;
    while (mp__semlock_acquire(condition->woken, 0) == 0)
        mp__semlock_acquire(condition->sleeping, 0);
    for (; sleepers < count && mp__semlock_acquire(condition->sleeping, 0) == 0; sleepers++)
        mp__semlock_release(condition->wake);
    for (; sleepers > 0 && code == 0; sleepers--)
        code = mp__semlock_acquire(condition->woken, MP__NEVER);
    while (mp__semlock_acquire(condition->wake, 0) == 0)
        ;
    return code;
}

int mp_python_condition_open(mp_python_condition **out, const mp_object *object) {
    int code = mp__shape_check(out, object, "mp_python_condition_open");
    if (code < 0)
        return code;
    if (!mp__shape_is(object, "multiprocessing.synchronize", "Condition"))
        return mp__shape_refuse(object, "condition", "mp_python_condition_open");
    mp_python_condition *condition = calloc(1, sizeof *condition);
    if (!condition)
        return mp__fail(-ENOMEM, "mp_python_condition_open");
    code = mp__python_condition_init(condition, object);
    if (code < 0)
        mp_python_condition_free(condition);
    else
        *out = condition;
    return code;
}

static int check(const mp_python_condition *condition, bool must_be_mine, const char *function) {
    if (!condition)
        return mp__fail(MP_EINVAL, "%s: condition is NULL", function);
    if (must_be_mine && !mp__semlock_is_mine(condition->lock))
        return mp__fail(MP_EOWNER, "%s: this thread has not got the condition's lock", function);
    return 0;
}

int mp_python_condition_acquire(mp_python_condition *condition, double timeout) {
    int code = check(condition, false, "mp_python_condition_acquire");
    return code < 0 ? code : mp_python_lock_acquire(condition->lock, timeout);
}

int mp_python_condition_release(mp_python_condition *condition) {
    int code = check(condition, false, "mp_python_condition_release");
    return code < 0 ? code : mp__semlock_release(condition->lock);
}

int mp_python_condition_wait(mp_python_condition *condition, double timeout) {
    mp__time deadline;
    int code = check(condition, true, "mp_python_condition_wait");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    code = mp__python_condition_wait(condition, deadline);
    return code == MP_ETIMEDOUT ? mp__fail(code,
                                           "mp_python_condition_wait: not notified within %g "
                                           "seconds",
                                           timeout)
                                : code;
}

int mp_python_condition_notify(mp_python_condition *condition, unsigned count) {
    int code = check(condition, true, "mp_python_condition_notify");
    return code < 0 ? code : mp__python_condition_notify(condition, count);
}

int mp_python_condition_notify_all(mp_python_condition *condition) {
    return mp_python_condition_notify(condition, UINT_MAX);
}

void mp_python_condition_free(mp_python_condition *condition) {
    if (condition)
        mp__python_condition_fini(condition);
    free(condition);
}

/* Python's Condition, and its Event, which is built of one.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mp/pickle.h"
#include "python/semlock.h"
#include "python/shape.h"

struct mp_python_event {
    struct python_condition condition; /* over a Lock */
    mp_python_lock *flag;              /* a semaphore: 1 set, 0 not */
};

int mp__python_condition_init(struct python_condition *out, const mp_object *object) {
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

void mp__python_condition_fini(struct python_condition *condition) {
    mp_python_lock_free(condition->lock);
    mp_python_lock_free(condition->sleeping);
    mp_python_lock_free(condition->woken);
    mp_python_lock_free(condition->wake);
}

/* All its depths are given back meanwhile. */
int mp__python_condition_wait(struct python_condition *condition, mp__time deadline) {
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
int mp__python_condition_notify_all(struct python_condition *condition) {
    unsigned sleepers = 0;
    int code = 0;
    while (mp__semlock_acquire(condition->woken, 0) == 0)
        mp__semlock_acquire(condition->sleeping, 0);
    for (; mp__semlock_acquire(condition->sleeping, 0) == 0; sleepers++)
        mp__semlock_release(condition->wake);
    for (; sleepers > 0 && code == 0; sleepers--)
        code = mp__semlock_acquire(condition->woken, MP__NEVER);
    while (mp__semlock_acquire(condition->wake, 0) == 0)
        ;
    return code;
}

static int fill_event(mp_python_event *event, const mp_object *object) {
    mp_object *condition, *flag;
    if (mp_object_parse(mp_call_get_state(object), "{s:O,s:O}", "_cond", &condition, "_flag",
                        &flag) < 0)
        return mp__shape_broken("event", "mp_python_event_open");
    int code = mp__python_condition_init(&event->condition, condition);
    if (code == 0)
        code = mp__semlock_open(&event->flag, flag);
    return code == MP_ETYPE ? mp__shape_broken("event", "mp_python_event_open") : code;
}

int mp_python_event_open(mp_python_event **out, const mp_object *object) {
    int code = mp__shape_check(out, object, "mp_python_event_open");
    if (code < 0)
        return code;
    if (!mp__shape_is(object, "multiprocessing.synchronize", "Event"))
        return mp__shape_refuse(object, "event", "mp_python_event_open");
    mp_python_event *event = calloc(1, sizeof *event);
    if (!event)
        return mp__fail(-ENOMEM, "mp_python_event_open");
    code = fill_event(event, object);
    if (code < 0)
        mp_python_event_free(event);
    else
        *out = event;
    return code;
}

static int lock_event(mp_python_event *event, const char *function) {
    return event ? mp__semlock_acquire(event->condition.lock, MP__NEVER)
                 : mp__fail(MP_EINVAL, "%s: event is NULL", function);
}

static int unlock_event(mp_python_event *event, int code) {
    int released = mp__semlock_release(event->condition.lock);
    return code < 0 ? code : released < 0 ? released : code;
}

/* Under its lock. */
static bool is_set(mp_python_event *event) {
    bool answer = mp__semlock_acquire(event->flag, 0) == 0;
    if (answer)
        mp__semlock_release(event->flag);
    return answer;
}

int mp_python_event_set(mp_python_event *event) {
    int code = lock_event(event, "mp_python_event_set");
    if (code < 0)
        return code;
    (void)mp__semlock_acquire(event->flag, 0);
    code = mp__semlock_release(event->flag);
    if (code == 0)
        code = mp__python_condition_notify_all(&event->condition);
    return unlock_event(event, code);
}

int mp_python_event_clear(mp_python_event *event) {
    int code = lock_event(event, "mp_python_event_clear");
    if (code < 0)
        return code;
    (void)mp__semlock_acquire(event->flag, 0);
    return unlock_event(event, 0);
}

int mp_python_event_is_set(mp_python_event *event) {
    int code = lock_event(event, "mp_python_event_is_set");
    return code < 0 ? code : unlock_event(event, is_set(event));
}

int mp_python_event_wait(mp_python_event *event, double timeout) {
    mp__time deadline;
    int code = mp__deadline(&deadline, timeout);
    if (code == 0)
        code = lock_event(event, "mp_python_event_wait");
    if (code < 0)
        return code;
    if (!is_set(event))
        (void)mp__python_condition_wait(&event->condition, deadline);
    code = is_set(event) ? 0 : MP_ETIMEDOUT;
    code = unlock_event(event, code);
    return code == MP_ETIMEDOUT
               ? mp__fail(code, "mp_python_event_wait: not set within %g seconds", timeout)
               : code;
}

void mp_python_event_free(mp_python_event *event) {
    if (!event)
        return;
    mp__python_condition_fini(&event->condition);
    mp_python_lock_free(event->flag);
    free(event);
}

/* Python's Event: a semaphore that is 1 when it is set, and a Condition for who waits.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mp/pickle.h"
#include "python/semlock.h"
#include "python/shape.h"

struct mp_python_event {
    struct mp_python_condition condition; /* over a Lock */
    mp_python_lock *flag;                 /* a semaphore: 1 set, 0 not */
};

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
        code = mp__python_condition_notify(&event->condition, UINT_MAX);
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

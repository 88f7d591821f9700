/* Barrier, for clients of a manager: the states of Python's threading.Barrier.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/managed.h"

enum state { FILLING, DRAINING, RESETTING, BROKEN };

struct barrier {
    struct mp__referent referent;
    size_t parties;
    size_t count; /* who waits, or has not yet left */
    enum state state;
    double timeout; /* of waits that say none; MP_FOREVER */
    pthread_cond_t changed;
};

static struct barrier *barrier_of(const struct mp__invocation *call) {
    return (struct barrier *)call->referent;
}

static bool is_none(const mp_object *object) {
    return !object || mp_object_get_kind(object) == MP_OBJECT_NONE;
}

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *arguments[3];
    ptrdiff_t parties;
    double timeout = MP_FOREVER;
    if (!mp__call_bind(call, "parties action= timeout=", arguments) ||
        !mp__call_index(call, arguments[0], &parties))
        return NULL;
    if (parties < 1)
        return mp__raise(call, "builtins", "ValueError", "parties must be >= 1");
    if (!is_none(arguments[1]))
        return mp__raise(call, "builtins", "TypeError",
                         "a Barrier of this manager, which is no Python, calls no action");
    if (!is_none(arguments[2]) && mp_float_get(arguments[2], &timeout) < 0)
        return mp__raise_code(call, MP_ETYPE);
    struct barrier *barrier = mp__referent_new(call->server, call->class_, sizeof *barrier);
    if (!barrier)
        return NULL;
    barrier->parties = (size_t)parties;
    barrier->timeout = timeout;
    mp__condition_init(&barrier->changed);
    return &barrier->referent;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    (void)server;
    (void)pthread_cond_destroy(&((struct barrier *)referent)->changed);
    free(referent);
}

static void change(struct barrier *barrier, enum state state) {
    barrier->state = state;
    (void)pthread_cond_broadcast(&barrier->changed);
}

static mp_object *fail_broken(struct mp__invocation *call) {
    return mp__raise_object(call, "threading", "BrokenBarrierError", NULL);
}

/* The last one out opens it again. */
static void leave(struct barrier *barrier) {
    if (--barrier->count == 0 && (barrier->state == DRAINING || barrier->state == RESETTING))
        change(barrier, FILLING);
}

/* Until the state changes. A client that has gone will never come again: the others must not wait
 * for it. */
static void wait_filled(struct mp__invocation *call, struct barrier *barrier, mp__time deadline) {
    while (barrier->state == FILLING)
        if (mp__call_wait(call, &barrier->changed, deadline) < 0 && barrier->state == FILLING)
            change(barrier, BROKEN);
}

static bool wait_deadline(struct mp__invocation *call, struct barrier *barrier,
                          mp__time *deadline) {
    const mp_object *timeout;
    if (!mp__call_bind(call, "timeout=", &timeout))
        return false;
    if (!is_none(timeout))
        return mp__call_deadline(call, timeout, deadline);
    return mp__deadline(deadline, barrier->timeout) == 0 || mp__raise_code(call, MP_EINVAL);
}

static mp_object *wait(struct mp__invocation *call) {
    struct barrier *barrier = barrier_of(call);
    mp__time deadline;
    if (!wait_deadline(call, barrier, &deadline))
        return NULL;
    while (barrier->state == DRAINING || barrier->state == RESETTING)
        if (mp__call_wait(call, &barrier->changed, MP__NEVER) < 0)
            return NULL;
    if (barrier->state == BROKEN)
        return fail_broken(call);
    size_t index = barrier->count++;
    if (index + 1 == barrier->parties)
        change(barrier, DRAINING);
    else
        wait_filled(call, barrier, deadline);
    bool is_through = barrier->state == DRAINING;
    leave(barrier);
    return is_through ? mp_integer_new_unsigned(index) : fail_broken(call);
}

static mp_object *reset(struct mp__invocation *call) {
    struct barrier *barrier = barrier_of(call);
    if (!mp__call_bind_none(call))
        return NULL;
    if (barrier->count == 0)
        change(barrier, FILLING);
    else if (barrier->state != DRAINING)
        change(barrier, RESETTING);
    return mp_none_new();
}

static mp_object *abort_all(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    change(barrier_of(call), BROKEN);
    return mp_none_new();
}

static mp_object *get_attribute(struct mp__invocation *call) {
    const struct barrier *barrier = barrier_of(call);
    const mp_object *argument;
    const char *name;
    if (!mp__call_bind(call, "name", &argument))
        return NULL;
    if (mp_str_get(argument, &name, NULL) < 0)
        return mp__raise_code(call, MP_ETYPE);
    if (strcmp(name, "parties") == 0)
        return mp_integer_new_unsigned(barrier->parties);
    if (strcmp(name, "n_waiting") == 0)
        return mp_integer_new_unsigned(barrier->state == FILLING ? barrier->count : 0);
    if (strcmp(name, "broken") == 0)
        return mp_bool_new(barrier->state == BROKEN);
    return mp__raise(call, "builtins", "AttributeError",
                     "'Barrier' object has no attribute '%.80s'", name);
}

static mp_object *repr(struct mp__invocation *call) {
    const struct barrier *barrier = barrier_of(call);
    unsigned long long number = (unsigned long long)barrier->referent.number;
    if (barrier->state == BROKEN)
        return mp__str_format("<threading.Barrier at 0x%llx: broken>", number);
    return mp__str_format("<threading.Barrier at 0x%llx: waiters=%zu/%zu>", number,
                          barrier->state == FILLING ? barrier->count : 0, barrier->parties);
}

static const struct mp__method methods[] = {
    {"__getattribute__", get_attribute}, {"wait", wait}, {"abort", abort_all}, {"reset", reset}};

const struct mp__class mp__barrier_class = {
    .name = "Barrier",
    .proxy_name = "BarrierProxy",
    .exposed = "__getattribute__ wait abort reset",
    MP__METHODS(methods),
    .create = create,
    .destroy = destroy,
    .repr = repr,
};

/* Event, for clients of a manager.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mgr/managed.h"

struct event {
    struct mp__referent referent;
    bool is_set;
    uint64_t set_count; /* who waits is woken by a set also when it was cleared at once */
    pthread_cond_t changed;
};

static struct event *event_of(const struct mp__invocation *call) {
    return (struct event *)call->referent;
}

static struct mp__referent *create(struct mp__invocation *call) {
    struct event *event = mp__call_bind_none(call)
                              ? mp__referent_new(call->server, call->class_, sizeof *event)
                              : NULL;
    if (!event)
        return NULL;
    mp__condition_init(&event->changed);
    return &event->referent;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    (void)server;
    (void)pthread_cond_destroy(&((struct event *)referent)->changed);
    free(referent);
}

static mp_object *is_set(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_bool_new(event_of(call)->is_set) : NULL;
}

static mp_object *set(struct mp__invocation *call) {
    struct event *event = event_of(call);
    if (!mp__call_bind_none(call))
        return NULL;
    event->is_set = true;
    event->set_count++;
    (void)pthread_cond_broadcast(&event->changed);
    return mp_none_new();
}

static mp_object *clear(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    event_of(call)->is_set = false;
    return mp_none_new();
}

static mp_object *wait(struct mp__invocation *call) {
    struct event *event = event_of(call);
    mp__time deadline;
    if (!mp__call_bind_timeout(call, &deadline))
        return NULL;
    uint64_t seen = event->set_count;
    while (!event->is_set && event->set_count == seen) {
        int code = mp__call_wait(call, &event->changed, deadline);
        if (code < 0)
            return code == MP_EEOF ? NULL : mp_bool_new(false);
    }
    return mp_bool_new(true);
}

static mp_object *repr(struct mp__invocation *call) {
    const struct event *event = event_of(call);
    return mp__str_format("<threading.Event at 0x%llx: %s>",
                          (unsigned long long)event->referent.number,
                          event->is_set ? "set" : "unset");
}

static const struct mp__method methods[] = {
    {"is_set", is_set}, {"set", set}, {"clear", clear}, {"wait", wait}};

const struct mp__class mp__event_class = {
    .name = "Event",
    .proxy_name = "EventProxy",
    .exposed = "is_set set clear wait",
    MP__METHODS(methods),
    .create = create,
    .destroy = destroy,
    .repr = repr,
};

/* Semaphore and BoundedSemaphore, for clients of a manager.
 * SPDX-License-Identifier: MIT
 *
 * Nobody owns what is taken from a semaphore, so a client that was killed does not give it back. */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mgr/managed_lock.h"

struct semaphore {
    struct mp__referent referent;
    int64_t value;
    int64_t highest; /* of a bounded one; else INT64_MAX */
    pthread_cond_t released;
};

static struct semaphore *semaphore_of(const struct mp__invocation *call) {
    return (struct semaphore *)call->referent;
}

static bool take_number(struct mp__invocation *call, const mp_object *object, int64_t lowest,
                        const char *text, int64_t *out) {
    ptrdiff_t value = 1;
    if (object && !mp__call_index(call, object, &value))
        return false;
    *out = value;
    return value >= lowest || mp__raise(call, "builtins", "ValueError", "%s", text);
}

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *argument;
    int64_t value;
    if (!mp__call_bind(call, "value=", &argument) ||
        !take_number(call, argument, 0, "semaphore initial value must be >= 0", &value))
        return NULL;
    struct semaphore *semaphore = mp__referent_new(call->server, call->class_, sizeof *semaphore);
    if (!semaphore)
        return NULL;
    semaphore->value = value;
    semaphore->highest = call->class_ == &mp__bounded_semaphore_class ? value : INT64_MAX;
    mp__condition_init(&semaphore->released);
    return &semaphore->referent;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    (void)server;
    (void)pthread_cond_destroy(&((struct semaphore *)referent)->released);
    free(referent);
}

static void undo_acquire(struct mp__invocation *call) {
    struct semaphore *semaphore = (struct semaphore *)call->undo_referent;
    semaphore->value++;
    (void)pthread_cond_signal(&semaphore->released);
}

static mp_object *acquire(struct mp__invocation *call) {
    struct semaphore *semaphore = semaphore_of(call);
    mp__time deadline;
    if (!mp__acquire_deadline(call, &deadline))
        return NULL;
    while (semaphore->value == 0) {
        int code = mp__call_wait(call, &semaphore->released, deadline);
        if (code < 0) {
            (void)pthread_cond_signal(&semaphore->released);
            return code == MP_EEOF ? NULL : mp_bool_new(false);
        }
    }
    semaphore->value--;
    mp__call_undo(call, undo_acquire, NULL);
    return mp_bool_new(true);
}

static mp_object *release(struct mp__invocation *call) {
    struct semaphore *semaphore = semaphore_of(call);
    const mp_object *argument;
    int64_t count;
    if (!mp__call_bind(call, "n=", &argument) ||
        !take_number(call, argument, 1, "n must be one or more", &count))
        return NULL;
    if (count > semaphore->highest - semaphore->value)
        return mp__raise(call, "builtins", "ValueError", "Semaphore released too many times");
    semaphore->value += count;
    (void)pthread_cond_broadcast(&semaphore->released);
    return mp_none_new();
}

static mp_object *locked(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_bool_new(semaphore_of(call)->value == 0) : NULL;
}

static mp_object *repr(struct mp__invocation *call) {
    const struct semaphore *semaphore = semaphore_of(call);
    bool is_bounded = semaphore->highest != INT64_MAX;
    unsigned long long number = (unsigned long long)semaphore->referent.number;
    if (!is_bounded)
        return mp__str_format("<threading.Semaphore at 0x%llx: value=%lld>", number,
                              (long long)semaphore->value);
    return mp__str_format("<threading.BoundedSemaphore at 0x%llx: value=%lld/%lld>", number,
                          (long long)semaphore->value, (long long)semaphore->highest);
}

static const struct mp__method methods[] = {
    {"acquire", acquire}, {"release", release}, {"locked", locked}};

#define SEMAPHORE_CLASS(type_id)                                                      \
    {                                                                                 \
        .name = type_id, .proxy_name = "AcquirerProxy", .exposed = "acquire release", \
        MP__METHODS(methods), .create = create, .destroy = destroy, .repr = repr      \
    }

const struct mp__class mp__semaphore_class = SEMAPHORE_CLASS("Semaphore");
const struct mp__class mp__bounded_semaphore_class = SEMAPHORE_CLASS("BoundedSemaphore");

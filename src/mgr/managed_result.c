/* Waiting for tasks of a managed pool, and taking what came out.
 * SPDX-License-Identifier: MIT
 *
 * A map is several tasks, of some items each: the parts of one result. */
#include "mgr/managed_result.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mgr/exception.h"
#include "mgr/session.h"
#include "mp/pickle.h"

struct result {
    struct mp__referent referent;
    struct mp__referent *pool; /* held; NULL: not needed any more */
    bool is_map;               /* the value is the parts' lists, one behind the other */
    size_t count;              /* of parts */
    mp_async_result *parts[];
};

struct mp__referent *mp__result_new(struct mp__invocation *call, size_t count, bool is_map) {
    struct result *result = mp__referent_new(call->server, &mp__result_class,
                                             sizeof *result + count * sizeof result->parts[0]);
    if (!result)
        return NULL;
    mp__referent_hold(call->server, call->referent);
    result->pool = call->referent;
    result->is_map = is_map;
    return &result->referent;
}

void mp__result_add(struct mp__referent *referent, mp_async_result *part) {
    struct result *result = (struct result *)referent;
    result->parts[result->count++] = part;
}

static struct result *result_of(const struct mp__invocation *call) {
    return (struct result *)call->referent;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    struct result *result = (struct result *)referent;
    mp__referent_leave(server, &result->pool);
    for (size_t i = 0; i < result->count; i++)
        mp_async_result_free(result->parts[i]);
    free(result);
}

static int wait_for_part(void *part, double timeout) {
    return mp_async_result_wait(part, timeout);
}

static int await_all(struct mp__invocation *call, struct result *result, mp__time deadline) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < result->count; i++)
        if (!mp_async_result_ready(result->parts[i]))
            code = mp__call_wait_outside(call, wait_for_part, result->parts[i], deadline);
    if (code == 0)
        mp__referent_leave(call->server, &result->pool);
    return code;
}

mp_object *mp__answer_value(struct mp__invocation *call, const void *data, size_t size) {
    mp_object *answer;
    const mp_object *payload;
    enum mp__reply_kind kind;
    int code = mp_object_loads(&answer, data, size);
    if (code < 0)
        return mp__raise_code(call, code);
    code = mp__reply_take(&kind, &payload, answer);
    mp_object *value = code == 0 ? mp_object_ref(payload) : NULL;
    mp_object_free(answer);
    if (code < 0)
        return mp__raise_code(call, code);
    if (kind == MP__REPLY_RETURN)
        return value;
    mp_object_free(call->exception);
    call->exception = value;
    return NULL;
}

/* What a task gave; NULL: what it raised is raised. */
static mp_object *take_part(struct mp__invocation *call, mp_async_result *part) {
    size_t size = 0;
    int code = mp_async_result_get(part, NULL, 0, &size, MP_NOWAIT);
    if (code != MP_ETOOSHORT)
        return mp__raise_code(call, code < 0 ? code : mp__fail(MP_EPROTO, "a task gave no answer"));
    void *data = malloc(size);
    if (!data)
        return NULL;
    code = mp_async_result_get(part, data, size, &size, MP_NOWAIT);
    mp_object *value = code < 0 ? mp__raise_code(call, code) : mp__answer_value(call, data, size);
    free(data);
    return value;
}

static mp_object *take_map(struct mp__invocation *call, const struct result *result) {
    mp_object *all = mp_list_new();
    for (size_t i = 0; all && i < result->count; i++) {
        mp_object *part = take_part(call, result->parts[i]);
        int code = part ? mp_list_extend(all, part) : MP_EREMOTE;
        mp_object_free(part);
        if (code < 0) {
            mp_object_free(all);
            all = NULL;
        }
    }
    return all;
}

mp_object *mp__result_get(struct mp__invocation *call, struct mp__referent *referent,
                          mp__time deadline) {
    struct result *result = (struct result *)referent;
    int code = await_all(call, result, deadline);
    if (code == MP_ETIMEDOUT)
        return mp__raise_object(call, "multiprocessing.context", "TimeoutError", NULL);
    if (code < 0)
        return NULL;
    return result->is_map ? take_map(call, result) : take_part(call, result->parts[0]);
}

static mp_object *get(struct mp__invocation *call) {
    mp__time deadline;
    return mp__call_bind_timeout(call, &deadline) ? mp__result_get(call, call->referent, deadline)
                                                  : NULL;
}

static mp_object *wait(struct mp__invocation *call) {
    mp__time deadline;
    if (!mp__call_bind_timeout(call, &deadline))
        return NULL;
    return await_all(call, result_of(call), deadline) == MP_EEOF ? NULL : mp_none_new();
}

static bool is_ready(const struct result *result) {
    bool is_done = true;
    for (size_t i = 0; i < result->count; i++)
        is_done = is_done && mp_async_result_ready(result->parts[i]);
    return is_done;
}

static mp_object *ready(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_bool_new(is_ready(result_of(call))) : NULL;
}

#define RESULT_FORMAT "<multiprocessing.pool.%s object at 0x%llx>"

static const char *class_name(const struct mp__invocation *call) {
    return result_of(call)->is_map ? "MapResult" : "ApplyResult";
}

static mp_object *repr(struct mp__invocation *call) {
    return mp__str_format(RESULT_FORMAT, class_name(call),
                          (unsigned long long)call->referent->number);
}

static mp_object *successful(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    if (!is_ready(result_of(call)))
        return mp__raise(call, "builtins", "ValueError", RESULT_FORMAT " not ready",
                         class_name(call), (unsigned long long)call->referent->number);
    mp_object *value = mp__result_get(call, call->referent, MP__NEVER);
    mp_object_free(value);
    mp_object_free(call->exception);
    call->exception = NULL;
    return mp_bool_new(value != NULL);
}

static const struct mp__method methods[] = {
    {"get", get}, {"wait", wait}, {"ready", ready}, {"successful", successful}};

const struct mp__class mp__result_class = {
    .name = "AsyncResult",
    .proxy_name = "AutoProxy",
    .exposed = "get ready successful wait",
    MP__METHODS(methods),
    .destroy = destroy,
    .repr = repr,
};

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

enum { FIRST_SLICE_MS = 50, LAST_SLICE_MS = 800 };

struct result {
    struct mp__referent referent;
    bool is_map;      /* the value is the parts' lists, one behind the other */
    size_t at;        /* an iterator: the part that comes next */
    mp_object *items; /* an iterator: what is left of the part before, in reverse; NULL */
    size_t count;     /* of parts */
    mp_async_result *parts[];
};

struct mp__referent *mp__result_new(struct mp__invocation *call, const struct mp__class *class_,
                                    size_t count, bool is_map) {
    struct result *result =
        mp__referent_new(call->server, class_, sizeof *result + count * sizeof result->parts[0]);
    if (!result)
        return NULL;
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
    (void)server;
    for (size_t i = 0; i < result->count; i++)
        mp_async_result_free(result->parts[i]);
    mp_object_free(result->items);
    free(result);
}

/* Without the mutex, in slices as mp__call_wait. 0; MP_ETIMEDOUT; MP_EEOF: the call is over. */
static int await_part(struct mp__invocation *call, mp_async_result *part, mp__time deadline) {
    unsigned slice = FIRST_SLICE_MS;
    while (!mp_async_result_ready(part)) {
        mp__time now = mp__now();
        if (now >= deadline)
            return MP_ETIMEDOUT;
        double seconds = slice / 1000.0;
        if (deadline != MP__NEVER && (double)(deadline - now) / (double)MP__SECOND < seconds)
            seconds = (double)(deadline - now) / (double)MP__SECOND;
        mp__server_unlock(call->server);
        (void)mp_async_result_wait(part, seconds);
        mp__server_lock(call->server);
        if (mp__call_is_over(call))
            return MP_EEOF;
        slice = slice < LAST_SLICE_MS ? 2 * slice : slice;
    }
    return 0;
}

static int await_all(struct mp__invocation *call, const struct result *result, mp__time deadline) {
    int code = 0;
    for (size_t i = 0; code == 0 && i < result->count; i++)
        code = await_part(call, result->parts[i], deadline);
    return code;
}

/* The bytes of an answer as an object. 0, or what the task failed with. */
static int read_answer(mp_async_result *part, mp_object **out) {
    size_t size = 0;
    int code = mp_async_result_get(part, NULL, 0, &size, MP_NOWAIT);
    if (code != MP_ETOOSHORT)
        return code < 0 ? code : mp__fail(MP_EPROTO, "a task without an answer");
    void *data = malloc(size);
    if (!data)
        return mp__fail(-ENOMEM, "an answer of %zu bytes", size);
    code = mp_async_result_get(part, data, size, &size, MP_NOWAIT);
    if (code == 0)
        code = mp_object_loads(out, data, size);
    free(data);
    return code;
}

/* What a task gave; NULL: what it raised is raised. */
static mp_object *take_part(struct mp__invocation *call, mp_async_result *part) {
    mp_object *answer;
    const mp_object *payload;
    enum mp__reply_kind kind;
    int code = read_answer(part, &answer);
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
    const struct result *result = (const struct result *)referent;
    int code = await_all(call, result, deadline);
    if (code == MP_ETIMEDOUT)
        return mp__raise_object(call, "multiprocessing.context", "TimeoutError", NULL);
    if (code < 0)
        return NULL;
    return result->is_map ? take_map(call, result) : take_part(call, result->parts[0]);
}

static bool take_timeout(struct mp__invocation *call, mp__time *deadline) {
    const mp_object *timeout;
    return mp__call_bind(call, "timeout=", &timeout) && mp__call_deadline(call, timeout, deadline);
}

static mp_object *get(struct mp__invocation *call) {
    mp__time deadline;
    return take_timeout(call, &deadline) ? mp__result_get(call, call->referent, deadline) : NULL;
}

static mp_object *wait(struct mp__invocation *call) {
    mp__time deadline;
    if (!take_timeout(call, &deadline))
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
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
    .destroy = destroy,
    .repr = repr,
};

/* The items of the next part, in reverse; false: there is none yet, or it failed. */
static bool fetch_items(struct mp__invocation *call, struct result *result, mp__time deadline) {
    int code = await_part(call, result->parts[result->at], deadline);
    if (code == MP_ETIMEDOUT)
        return mp__raise_object(call, "multiprocessing.context", "TimeoutError", NULL);
    if (code < 0)
        return false;
    mp_object *items = take_part(call, result->parts[result->at]);
    result->at++;
    if (items)
        (void)mp_list_reverse(items);
    mp_object_free(result->items);
    result->items = items;
    return items != NULL;
}

static mp_object *next(struct mp__invocation *call) {
    struct result *result = result_of(call);
    mp__time deadline;
    mp_object *item;
    if (!take_timeout(call, &deadline))
        return NULL;
    while (mp_object_length(result->items) == 0) {
        if (result->at == result->count)
            return mp__raise_object(call, "builtins", "StopIteration", NULL);
        if (!fetch_items(call, result, deadline))
            return NULL;
    }
    (void)mp_list_pop(&item, result->items, -1);
    return item;
}

static const struct mp__method iterator_methods[] = {{"__next__", next}, {"next", next}};

const struct mp__class mp__result_iterator_class = {
    .name = "Iterator",
    .proxy_name = "IteratorProxy",
    .exposed = "__next__ send throw close",
    .methods = iterator_methods,
    .method_count = sizeof iterator_methods / sizeof iterator_methods[0],
    .destroy = destroy,
    .repr = repr,
};

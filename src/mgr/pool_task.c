/* Running a registered function in a worker process.
 * SPDX-License-Identifier: MIT */
#include "mgr/pool_task.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/pickle.h"
#include "mgr/exception.h"
#include "mgr/protocol.h"
#include "mp/collection.h"
#include "shm/function.h"

int mp__task_new(void **out, size_t *size, mp_method_fn function, enum mp__task_kind kind,
                 const mp_object *args, const mp_object *kwds) {
    struct mp__function packed;
    struct mp__buffer buffer = {0};
    int code = mp__function_pack((mp__any_fn)function, &packed);
    if (code < 0)
        return code;
    mp_object *content = mp_object_build("(iOO)", (int)kind, args, kwds);
    code = content ? mp__buffer_put(&buffer, &packed, sizeof packed) : -ENOMEM;
    if (code == 0)
        code = mp__pickle_write(&buffer, content, MP_PICKLE_DEFAULT);
    mp_object_free(content);
    if (code < 0) {
        mp__buffer_fini(&buffer);
        return code;
    }
    *out = buffer.data;
    *size = buffer.size;
    return 0;
}

size_t mp__tasks_count(const struct mp__tasks *tasks) {
    return (mp_object_length(tasks->items) + tasks->chunk - 1) / tasks->chunk;
}

int mp__tasks_next(struct mp__tasks *tasks, void **out, size_t *size) {
    if (tasks->at >= mp_object_length(tasks->items))
        return 0;
    mp_slice slice = {(ptrdiff_t)tasks->at, (ptrdiff_t)(tasks->at + tasks->chunk), 1};
    mp_object *items = mp_list_slice(tasks->items, slice), *none = mp_dict_new();
    int code = items && none ? mp__task_new(out, size, tasks->function, tasks->kind, items, none)
                             : -ENOMEM;
    mp_object_free(items);
    mp_object_free(none);
    tasks->at += tasks->chunk;
    return code < 0 ? code : 1;
}

/* The value; NULL: *exception is what was raised. Args are taken over. */
static mp_object *call_once(mp_method_fn function, mp_object *args, const mp_object *kwds,
                            mp_object **exception) {
    mp_method_call call = {.args = args, .kwds = kwds};
    int code = args ? function(&call) : -ENOMEM;
    mp_object_free(args);
    if (code >= 0 && !call.exception)
        return call.result ? call.result : mp_none_new();
    mp_object_free(call.result);
    *exception = call.exception ? call.exception : mp__exception_from_code(code, mp_error_detail());
    return NULL;
}

static mp_object *args_of(enum mp__task_kind kind, const mp_object *item) {
    if (kind == MP__TASK_MAP)
        return mp_object_build("(O)", item);
    return mp_tuple_copy(item);
}

static mp_object *call_each(mp_method_fn function, enum mp__task_kind kind, const mp_object *items,
                            const mp_object *kwds, mp_object **exception) {
    mp_object *results = mp_list_new();
    for (size_t i = 0; results && i < mp_object_length(items); i++) {
        mp_object *args = args_of(kind, mp_list_get(items, (ptrdiff_t)i));
        mp_object *value = call_once(function, args, kwds, exception);
        if (!value || mp_list_append(results, value) < 0) {
            mp_object_free(results);
            return NULL;
        }
    }
    return results;
}

static mp_object *run(const void *task, size_t size, mp_object **exception) {
    struct mp__function packed;
    mp__any_fn function;
    mp_object *content = NULL, *args, *kwds, *value = NULL;
    int kind;
    memcpy(&packed, task, sizeof packed);
    int code = mp__function_find(&packed, &function);
    if (code == 0)
        code =
            mp_object_loads(&content, (const uint8_t *)task + sizeof packed, size - sizeof packed);
    if (code == 0)
        code = mp_object_parse(content, "(iOO)", &kind, &args, &kwds);
    if (code < 0)
        *exception = mp__exception_from_code(code, mp_error_detail());
    else if (kind == MP__TASK_CALL)
        value = call_once((mp_method_fn)function, mp_object_ref(args), kwds, exception);
    else
        value = call_each((mp_method_fn)function, (enum mp__task_kind)kind, args, kwds, exception);
    mp_object_free(content);
    return value;
}

int mp__task_run(const void *task, size_t size, mp_reply *reply, void *state) {
    mp_object *exception = NULL;
    struct mp__buffer buffer = {0};
    (void)state;
    mp_object *value = run(task, size, &exception);
    if (!value && !exception)
        exception = mp__exception_from_code(-ENOMEM, NULL);
    mp_object *answer =
        mp__reply_new(value ? MP__REPLY_RETURN : MP__REPLY_ERROR, value ? value : exception);
    int code = answer ? mp__pickle_write(&buffer, answer, MP_PICKLE_DEFAULT) : -ENOMEM;
    if (code == 0)
        code = mp_reply_set(reply, buffer.data, buffer.size);
    mp_object_free(answer);
    mp__buffer_fini(&buffer);
    return code < 0 ? mp_reply_fail(reply, code, "the result cannot travel: %s", mp_error_detail())
                    : 0;
}

int mp__task_initialize(void *task, size_t size, void **state) {
    mp_object *exception = NULL;
    *state = NULL;
    mp_object *value = run(task, size, &exception);
    int code = value ? 0 : exception ? mp__exception_code(exception) : -ENOMEM;
    mp_object_free(value);
    mp_object_free(exception);
    return code;
}

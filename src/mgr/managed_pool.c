/* Pool, for clients of a manager: processes that run registered functions.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/managed_result.h"
#include "mp/pickle.h"
#include "mp/pool_stats.h"

#define JOIN_SLICE_SECONDS 0.2 /* between looks whether the client lives */

struct managed_pool {
    struct mp__referent referent;
    mp_pool *pool;
    size_t workers;
};

static struct managed_pool *pool_of(const struct mp__invocation *call) {
    return (struct managed_pool *)call->referent;
}

static bool is_none(const mp_object *object) {
    return !object || mp_object_get_kind(object) == MP_OBJECT_NONE;
}

/* The registered function of a name; NULL: raised. */
static mp_method_fn find_function(struct mp__invocation *call, const mp_object *object) {
    const char *module, *name;
    if (mp_object_get_kind(object) != MP_OBJECT_GLOBAL || mp_global_get(object, &module, &name) < 0)
        return mp__raise(call, "builtins", "TypeError",
                         "a pool of this manager, which is no Python, calls registered functions "
                         "only");
    mp_method_fn function = mp__registry_find_function(call->server->registry, module, name);
    if (!function)
        mp__raise(call, "builtins", "AttributeError",
                  "no function '%.80s.%.80s' is registered with the manager", module, name);
    return function;
}

static bool take_count(struct mp__invocation *call, const mp_object *object, const char *text,
                       ptrdiff_t *out) {
    *out = 0;
    if (is_none(object))
        return true;
    if (!mp__call_index(call, object, out))
        return false;
    return *out >= 1 || mp__raise(call, "builtins", "ValueError", "%s", text);
}

/* The initializer as a task for each worker; false: raised. */
static bool take_initializer(struct mp__invocation *call, const mp_object *function,
                             const mp_object *args, void **task, size_t *size) {
    mp_method_fn found = find_function(call, function);
    mp_object *list = !found ? NULL : args ? mp__list_from(call, args) : mp_list_new();
    mp_object *tuple = list ? mp_tuple_copy(list) : NULL, *none = mp_dict_new();
    int code =
        tuple && none ? mp__task_new(task, size, found, MP__TASK_CALL, tuple, none) : -ENOMEM;
    mp_object_free(none);
    mp_object_free(tuple);
    mp_object_free(list);
    return code == 0 || call->exception || mp__raise_code(call, code);
}

static struct mp__referent *adopt(struct mp__invocation *call, const mp_pool_options *options) {
    struct managed_pool *managed = mp__referent_new(call->server, &mp__pool_class, sizeof *managed);
    if (!managed)
        return NULL;
    mp__server_unlock(call->server);
    int code = mp_pool_new(&managed->pool, NULL, options);
    mp__server_lock(call->server);
    if (code < 0) {
        mp__raise_code(call, code);
        mp__referent_unhold(call->server, &managed->referent);
        return NULL;
    }
    managed->workers = (size_t)mp_pool_stats(managed->pool, NULL, 0);
    return &managed->referent;
}

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *arguments[4];
    ptrdiff_t processes, max_tasks;
    void *task = NULL;
    mp_pool_options options = {0};
    if (!mp__call_bind(call, "processes= initializer= initargs= maxtasksperchild=", arguments) ||
        !take_count(call, arguments[0], "Number of processes must be at least 1", &processes) ||
        !take_count(call, arguments[3], "maxtasksperchild must be a positive int or None",
                    &max_tasks))
        return NULL;
    options.processes = (int)processes;
    options.max_tasks_per_child = (unsigned)max_tasks;
    if (!is_none(arguments[1])) {
        if (!take_initializer(call, arguments[1], arguments[2], &task, &options.init_arg_size))
            return NULL;
        options.initializer = mp__task_initialize;
        options.init_arg = task;
    }
    struct mp__referent *made = call->exception ? NULL : adopt(call, &options);
    free(task);
    return made;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    (void)server;
    mp_pool_free(((struct managed_pool *)referent)->pool);
    free(referent);
}

/* A task on its way; NULL: raised. */
static mp_async_result *submit(struct mp__invocation *call, mp_method_fn function,
                               enum mp__task_kind kind, const mp_object *args,
                               const mp_object *kwds) {
    void *task;
    size_t size;
    mp_async_result *result = NULL;
    int code = mp__task_new(&task, &size, function, kind, args, kwds);
    if (code == 0) {
        code = mp_pool_apply_async(&result, pool_of(call)->pool, mp__task_run, task, size, NULL);
        free(task);
    }
    if (code == MP_EINVAL)
        return mp__raise(call, "builtins", "ValueError", "Pool not running");
    return code < 0 ? mp__raise_code(call, code) : result;
}

/* func, args=(), kwds={}: a result on its way. */
static struct mp__referent *submit_call(struct mp__invocation *call, const mp_object *function,
                                        const mp_object *args, const mp_object *kwds) {
    mp_method_fn found = find_function(call, function);
    mp_object *list = !found ? NULL : args ? mp__list_from(call, args) : mp_list_new();
    mp_object *tuple = list ? mp_tuple_copy(list) : NULL;
    mp_object *names = is_none(kwds) ? mp_dict_new() : mp_object_ref(kwds);
    struct mp__referent *referent =
        tuple && names ? mp__result_new(call, &mp__result_class, 1, false) : NULL;
    mp_async_result *part = referent ? submit(call, found, MP__TASK_CALL, tuple, names) : NULL;
    if (part)
        mp__result_add(referent, part);
    else if (referent)
        mp__referent_unhold(call->server, referent);
    mp_object_free(names);
    mp_object_free(tuple);
    mp_object_free(list);
    return part ? referent : NULL;
}

/* Parts of `chunk` items each. */
static bool submit_parts(struct mp__invocation *call, struct mp__referent *referent,
                         mp_method_fn function, enum mp__task_kind kind, const mp_object *items,
                         size_t chunk) {
    size_t count = mp_object_length(items);
    mp_object *none = mp_dict_new();
    bool is_right = none != NULL;
    for (size_t i = 0; is_right && i < count; i += chunk) {
        ptrdiff_t stop = (ptrdiff_t)(i + chunk);
        mp_object *some = mp_list_slice(items, (mp_slice){(ptrdiff_t)i, stop, 1});
        mp_async_result *part = some ? submit(call, function, kind, some, none) : NULL;
        mp_object_free(some);
        is_right = part != NULL;
        if (part)
            mp__result_add(referent, part);
    }
    mp_object_free(none);
    return is_right;
}

/* starmap's items are what can be arguments. */
static mp_object *take_items(struct mp__invocation *call, const mp_object *iterable,
                             enum mp__task_kind kind) {
    mp_object *items = mp__list_from(call, iterable);
    for (size_t i = 0; items && kind == MP__TASK_STARMAP && i < mp_object_length(items); i++) {
        mp_object *args = mp__list_from(call, mp_list_get(items, (ptrdiff_t)i));
        if (!args || mp_list_set(items, (ptrdiff_t)i, args) < 0) {
            mp_object_free(items);
            return NULL;
        }
    }
    return items;
}

/* chunksize 0: chosen as CPython does. */
static struct mp__referent *submit_map(struct mp__invocation *call, const struct mp__class *class_,
                                       enum mp__task_kind kind, const mp_object *const *arguments,
                                       size_t default_chunk) {
    ptrdiff_t chunk;
    mp_method_fn function = find_function(call, arguments[0]);
    if (!function || !take_count(call, arguments[2], "Chunksize must be 1+", &chunk))
        return NULL;
    mp_object *items = take_items(call, arguments[1], kind);
    if (!items)
        return NULL;
    size_t count = mp_object_length(items), shares = pool_of(call)->workers * 4;
    if (chunk == 0)
        chunk = (ptrdiff_t)(default_chunk ? default_chunk : (count + shares - 1) / shares);
    if (chunk == 0)
        chunk = 1;
    size_t parts = (count + (size_t)chunk - 1) / (size_t)chunk;
    struct mp__referent *referent = mp__result_new(call, class_, parts, true);
    bool is_right = referent && submit_parts(call, referent, function, kind, items, (size_t)chunk);
    mp_object_free(items);
    if (referent && !is_right)
        mp__referent_unhold(call->server, referent);
    return is_right ? referent : NULL;
}

static mp_object *get_and_end(struct mp__invocation *call, struct mp__referent *referent) {
    mp_object *value = referent ? mp__result_get(call, referent, MP__NEVER) : NULL;
    if (referent)
        mp__referent_unhold(call->server, referent);
    return value;
}

static mp_object *apply(struct mp__invocation *call) {
    const mp_object *arguments[3];
    if (!mp__call_bind(call, "func args= kwds=", arguments))
        return NULL;
    return get_and_end(call, submit_call(call, arguments[0], arguments[1], arguments[2]));
}

static mp_object *refuse_callbacks(struct mp__invocation *call) {
    return mp__raise(call, "builtins", "TypeError",
                     "a pool of this manager, which is no Python, calls no callbacks");
}

static mp_object *apply_async(struct mp__invocation *call) {
    const mp_object *arguments[5];
    if (!mp__call_bind(call, "func args= kwds= callback= error_callback=", arguments))
        return NULL;
    if (!is_none(arguments[3]) || !is_none(arguments[4]))
        return refuse_callbacks(call);
    return mp__call_made(call, submit_call(call, arguments[0], arguments[1], arguments[2]));
}

static mp_object *map_now(struct mp__invocation *call, enum mp__task_kind kind) {
    const mp_object *arguments[3];
    if (!mp__call_bind(call, "func iterable chunksize=", arguments))
        return NULL;
    return get_and_end(call, submit_map(call, &mp__result_class, kind, arguments, 0));
}

static mp_object *map_later(struct mp__invocation *call, enum mp__task_kind kind) {
    const mp_object *arguments[5];
    if (!mp__call_bind(call, "func iterable chunksize= callback= error_callback=", arguments))
        return NULL;
    if (!is_none(arguments[3]) || !is_none(arguments[4]))
        return refuse_callbacks(call);
    return mp__call_made(call, submit_map(call, &mp__result_class, kind, arguments, 0));
}

static mp_object *map(struct mp__invocation *call) {
    return map_now(call, MP__TASK_MAP);
}

static mp_object *starmap(struct mp__invocation *call) {
    return map_now(call, MP__TASK_STARMAP);
}

static mp_object *map_async(struct mp__invocation *call) {
    return map_later(call, MP__TASK_MAP);
}

static mp_object *starmap_async(struct mp__invocation *call) {
    return map_later(call, MP__TASK_STARMAP);
}

static mp_object *imap(struct mp__invocation *call) {
    const mp_object *arguments[3];
    if (!mp__call_bind(call, "func iterable chunksize=", arguments))
        return NULL;
    return mp__call_made(call,
                         submit_map(call, &mp__result_iterator_class, MP__TASK_MAP, arguments, 1));
}

static mp_object *close_pool(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp__call_done(call, mp_pool_close(pool_of(call)->pool))
                                    : NULL;
}

static mp_object *terminate(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    mp__server_unlock(call->server);
    int code = mp_pool_terminate(pool_of(call)->pool);
    mp__server_lock(call->server);
    return mp__call_done(call, code);
}

static mp_object *join(struct mp__invocation *call) {
    int code;
    if (!mp__call_bind_none(call))
        return NULL;
    do {
        mp__server_unlock(call->server);
        code = mp_pool_join(pool_of(call)->pool, JOIN_SLICE_SECONDS);
        mp__server_lock(call->server);
    } while (code == MP_ETIMEDOUT && !mp__call_is_over(call));
    if (code == MP_EINVAL)
        return mp__raise(call, "builtins", "ValueError", "Pool is still running");
    return call->is_over ? NULL : mp__call_done(call, code);
}

static mp_object *repr(struct mp__invocation *call) {
    return mp__str_format("<multiprocessing.pool.Pool pool_size=%zu>", pool_of(call)->workers);
}

static const struct mp__method methods[] = {
    {"apply", apply},     {"apply_async", apply_async}, {"map", map},
    {"starmap", starmap}, {"map_async", map_async},     {"starmap_async", starmap_async},
    {"imap", imap},       {"imap_unordered", imap},     {"close", close_pool},
    {"join", join},       {"terminate", terminate},
};

const struct mp__class mp__pool_class = {
    .name = "Pool",
    .proxy_name = "PoolProxy",
    .exposed = "apply apply_async close imap imap_unordered join map map_async starmap "
               "starmap_async terminate apply_async map_async starmap_async imap imap_unordered",
    .methods = methods,
    .method_count = sizeof methods / sizeof methods[0],
    .create = create,
    .destroy = destroy,
    .ends_unlocked = true,
    .repr = repr,
};

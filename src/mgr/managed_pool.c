/* Pool, for clients of a manager: processes that run registered functions.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/managed_result.h"
#include "mp/pickle.h"
#include "mp/pool_stats.h"

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

/* Ending the workers takes its time; what is left is short, and beside it nobody may free a result
 * of the pool. */
static void destroy(struct mp__server *server, struct mp__referent *referent) {
    mp_pool *pool = ((struct managed_pool *)referent)->pool;
    mp_pool_terminate(pool);
    (void)mp_pool_join(pool, MP_FOREVER);
    mp__server_lock(server);
    mp_pool_free(pool);
    mp__server_unlock(server);
    free(referent);
}

void *mp__raise_pool(struct mp__invocation *call, int code) {
    return code == MP_EINVAL ? mp__raise(call, "builtins", "ValueError", "Pool not running")
                             : mp__raise_code(call, code);
}

/* A task, from malloc, on its way; it is freed. false: raised. */
static bool submit(struct mp__invocation *call, struct mp__referent *result, void *task,
                   size_t size) {
    mp_async_result *part;
    int code = mp_pool_apply_async(&part, pool_of(call)->pool, mp__task_run, task, size, NULL);
    free(task);
    if (code < 0)
        return mp__raise_pool(call, code);
    mp__result_add(result, part);
    return true;
}

static struct mp__referent *keep_if(struct mp__invocation *call, struct mp__referent *referent,
                                    bool is_right) {
    if (referent && !is_right)
        mp__referent_unhold(call->server, referent);
    return is_right ? referent : NULL;
}

/* func, args=(), kwds={}: a result on its way. */
static struct mp__referent *submit_call(struct mp__invocation *call, const mp_object *function,
                                        const mp_object *args, const mp_object *kwds) {
    void *task;
    size_t size;
    mp_method_fn found = find_function(call, function);
    mp_object *list = !found ? NULL : args ? mp__list_from(call, args) : mp_list_new();
    mp_object *tuple = list ? mp_tuple_copy(list) : NULL;
    mp_object *names = is_none(kwds) ? mp_dict_new() : mp_object_ref(kwds);
    struct mp__referent *result = tuple && names ? mp__result_new(call, 1, false) : NULL;
    int code = result ? mp__task_new(&task, &size, found, MP__TASK_CALL, tuple, names) : -ENOMEM;
    if (result && code < 0)
        mp__raise_code(call, code);
    mp_object_free(names);
    mp_object_free(tuple);
    mp_object_free(list);
    return keep_if(call, result, code == 0 && submit(call, result, task, size));
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

/* func, iterable, chunksize, of which none is chosen as CPython does for a map. The items are the
 * caller's. false: raised. */
static bool take_tasks(struct mp__invocation *call, struct mp__tasks *tasks,
                       const mp_object *const *arguments, size_t default_chunk) {
    ptrdiff_t chunk;
    tasks->function = find_function(call, arguments[0]);
    if (!tasks->function || !take_count(call, arguments[2], "Chunksize must be 1+", &chunk))
        return false;
    tasks->items = take_items(call, arguments[1], tasks->kind);
    size_t count = mp_object_length(tasks->items), shares = pool_of(call)->workers * 4;
    if (default_chunk == 0)
        default_chunk = count > 0 ? (count + shares - 1) / shares : 1;
    tasks->chunk = chunk > 0 ? (size_t)chunk : default_chunk;
    return tasks->items != NULL;
}

static struct mp__referent *submit_map(struct mp__invocation *call, enum mp__task_kind kind,
                                       const mp_object *const *arguments) {
    struct mp__tasks tasks = {.kind = kind};
    void *task;
    size_t size;
    if (!take_tasks(call, &tasks, arguments, 0))
        return NULL;
    struct mp__referent *result = mp__result_new(call, mp__tasks_count(&tasks), true);
    bool is_right = result != NULL;
    int code = 0;
    while (is_right && (code = mp__tasks_next(&tasks, &task, &size)) > 0)
        is_right = submit(call, result, task, size);
    mp_object_free(tasks.items);
    if (code < 0)
        mp__raise_code(call, code);
    return keep_if(call, result, is_right && code == 0);
}

static mp_object *get_and_end(struct mp__invocation *call, struct mp__referent *referent) {
    mp_object *value = referent ? mp__result_get(call, referent, MP__NEVER) : NULL;
    mp__referent_leave(call->server, &referent);
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
    return get_and_end(call, submit_map(call, kind, arguments));
}

static mp_object *map_later(struct mp__invocation *call, enum mp__task_kind kind) {
    const mp_object *arguments[5];
    if (!mp__call_bind(call, "func iterable chunksize= callback= error_callback=", arguments))
        return NULL;
    if (!is_none(arguments[3]) || !is_none(arguments[4]))
        return refuse_callbacks(call);
    return mp__call_made(call, submit_map(call, kind, arguments));
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

static mp_object *imap_in(struct mp__invocation *call, bool is_unordered) {
    const mp_object *arguments[3];
    struct mp__tasks tasks = {.kind = MP__TASK_MAP};
    if (!mp__call_bind(call, "func iterable chunksize=", arguments) ||
        !take_tasks(call, &tasks, arguments, 1))
        return NULL;
    struct mp__referent *made = mp__imap_new(call, pool_of(call)->pool, &tasks, is_unordered);
    mp_object_free(tasks.items);
    return mp__call_made(call, made);
}

static mp_object *imap(struct mp__invocation *call) {
    return imap_in(call, false);
}

static mp_object *imap_unordered(struct mp__invocation *call) {
    return imap_in(call, true);
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

static int wait_for_end(void *pool, double timeout) {
    return mp_pool_join(pool, timeout);
}

static mp_object *join(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    int code = mp__call_wait_outside(call, wait_for_end, pool_of(call)->pool, MP__NEVER);
    if (code == MP_EINVAL)
        return mp__raise(call, "builtins", "ValueError", "Pool is still running");
    return call->is_over ? NULL : mp__call_done(call, code);
}

static mp_object *repr(struct mp__invocation *call) {
    return mp__str_format("<multiprocessing.pool.Pool pool_size=%zu>", pool_of(call)->workers);
}

static const struct mp__method methods[] = {
    {"apply", apply},     {"apply_async", apply_async},       {"map", map},
    {"starmap", starmap}, {"map_async", map_async},           {"starmap_async", starmap_async},
    {"imap", imap},       {"imap_unordered", imap_unordered}, {"close", close_pool},
    {"join", join},       {"terminate", terminate},
};

const struct mp__class mp__pool_class = {
    .name = "Pool",
    .proxy_name = "PoolProxy",
    .exposed = "apply apply_async close imap imap_unordered join map map_async starmap "
               "starmap_async terminate apply_async map_async starmap_async imap imap_unordered",
    MP__METHODS(methods),
    .create = create,
    .destroy = destroy,
    .ends_unlocked = true,
    .repr = repr,
};

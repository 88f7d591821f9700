/* Contexts, the choice of the default start method, and what is executed.
 * SPDX-License-Identifier: MIT */
#include "proc/context.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "os/cpu.h"

static mp_context contexts[] = {
    [MP_DEFAULT] = {MP_DEFAULT, ""},     [MP_FORK] = {MP_FORK, "Fork"},
    [MP_SPAWN] = {MP_SPAWN, "Spawn"},    [MP_FORKSERVER] = {MP_FORKSERVER, "ForkServer"},
    [MP_THREAD] = {MP_THREAD, "Thread"},
};

static const char *const names[] = {
    [MP_DEFAULT] = "default",       [MP_FORK] = "fork",     [MP_SPAWN] = "spawn",
    [MP_FORKSERVER] = "forkserver", [MP_THREAD] = "thread",
};

static const mp_start_method methods[] = {MP_FORK, MP_SPAWN, MP_FORKSERVER};
#define METHOD_COUNT (int)(sizeof methods / sizeof methods[0])

static struct {
    pthread_mutex_t mutex;       /* guards the rest */
    mp_start_method method;      /* of the default context; MP_DEFAULT: not chosen */
    char *executable;            /* malloc'd; NULL: our own program */
    struct mp__preload *preload; /* malloc'd; NULL: none */
} chosen = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void lock(void) {
    pthread_mutex_lock(&chosen.mutex);
}
static void unlock(void) {
    pthread_mutex_unlock(&chosen.mutex);
}
__attribute__((constructor)) static void guard_fork(void) {
    pthread_atfork(lock, unlock, unlock);
}

static bool is_known(mp_start_method method) {
    return (unsigned)method <= MP_THREAD;
}

mp_context *mp_get_context(mp_start_method method) {
    return is_known(method) ? &contexts[method] : NULL;
}

int mp_set_start_method(mp_start_method method, bool force) {
    if (!is_known(method) || method == MP_THREAD || (method == MP_DEFAULT && !force))
        return mp__fail(MP_EINVAL,
                        "mp_set_start_method: %d is no method for processes (MP_FORK, MP_SPAWN, "
                        "MP_FORKSERVER)",
                        (int)method);
    int code = 0;
    lock();
    if (chosen.method != MP_DEFAULT && !force)
        code =
            mp__fail(MP_ESTATE,
                     "mp_set_start_method: the method is '%s' already; call it once and early, or "
                     "with force",
                     names[chosen.method]);
    else
        chosen.method = method;
    unlock();
    return code;
}

mp_start_method mp_get_start_method(bool allow_none) {
    lock();
    if (chosen.method == MP_DEFAULT && !allow_none)
        chosen.method = methods[0];
    mp_start_method method = chosen.method;
    unlock();
    return method;
}

int mp__context_check(const mp_context *context, const char *function) {
    for (int method = MP_DEFAULT; method <= MP_THREAD; method++)
        if (!context || context == &contexts[method])
            return 0;
    return mp__fail(MP_EINVAL, "%s: %p is no context; mp_get_context gives them, or take NULL",
                    function, (const void *)context);
}

mp_start_method mp__context_method(const mp_context *context) {
    return context && context->method != MP_DEFAULT ? context->method : mp_get_start_method(false);
}

const char *mp__context_prefix(const mp_context *context) {
    return context ? context->prefix : "";
}

int mp_get_all_start_methods(mp_start_method *out, int capacity) {
    if (capacity < 0 || (capacity > 0 && !out))
        return mp__fail(MP_EINVAL, "mp_get_all_start_methods: room for %d at %p", capacity,
                        (void *)out);
    for (int i = 0; i < capacity && i < METHOD_COUNT; i++)
        out[i] = methods[i];
    return METHOD_COUNT;
}

const char *mp_start_method_name(mp_start_method method) {
    return is_known(method) ? names[method] : NULL;
}

mp_start_method mp_start_method_from_name(const char *name) {
    for (int method = MP_FORK; name && method <= MP_THREAD; method++)
        if (strcmp(names[method], name) == 0)
            return (mp_start_method)method;
    return MP_DEFAULT;
}

int mp_set_executable(const char *path) {
    if (path && !*path)
        return mp__fail(MP_EINVAL, "mp_set_executable: the path is empty");
    char *copy = path ? strdup(path) : NULL;
    if (path && !copy)
        return mp__fail(-ENOMEM, "mp_set_executable");
    lock();
    char *old = chosen.executable;
    chosen.executable = copy;
    unlock();
    free(old);
    return 0;
}

char *mp__context_executable(void) {
    lock();
    char *copy = chosen.executable ? strdup(chosen.executable) : NULL;
    unlock();
    return copy;
}

static struct mp__preload *make_preload(size_t arg_size) {
    struct mp__preload *preload =
        arg_size <= PTRDIFF_MAX ? calloc(1, sizeof *preload + arg_size) : NULL;
    if (preload)
        preload->arg_size = arg_size;
    return preload;
}

int mp_set_forkserver_preload(int (*preload)(void *arg), const void *arg, size_t arg_size) {
    if (arg_size > 0 && !arg)
        return mp__fail(MP_EINVAL, "mp_set_forkserver_preload: the argument of %zu bytes is NULL",
                        arg_size);
    struct mp__preload *next = make_preload(arg_size);
    if (!next)
        return mp__fail(-ENOMEM, "mp_set_forkserver_preload: argument of %zu bytes", arg_size);
    if (arg_size > 0)
        memcpy(next->arg, arg, arg_size);
    int code = preload ? mp__function_pack((mp__any_fn)preload, &next->function) : 0;
    if (code < 0) {
        free(next);
        return code;
    }
    lock();
    struct mp__preload *old = chosen.preload;
    chosen.preload = next;
    unlock();
    free(old);
    return 0;
}

struct mp__preload *mp__context_preload(void) {
    lock();
    struct mp__preload *copy = make_preload(chosen.preload ? chosen.preload->arg_size : 0);
    if (copy && chosen.preload)
        memcpy(copy, chosen.preload, sizeof *copy + copy->arg_size);
    unlock();
    return copy;
}

int mp_cpu_count(void) {
    return mp__cpu_count();
}

int mp_usable_cpu_count(void) {
    return mp__cpu_usable_count();
}

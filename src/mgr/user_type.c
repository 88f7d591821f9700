/* Registered types: the program's own functions as methods.
 * SPDX-License-Identifier: MIT
 *
 * They run without the server's mutex: they may take their time. What they get and give is only
 * theirs; a mutex of each object keeps its calls apart, unless the type says that they may run at
 * once, until the result is written down. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/call.h"
#include "mgr/exception.h"
#include "mgr/session.h"
#include "mp/collection.h"

struct user_object {
    struct mp__referent referent;
    const struct mp__registered *registered;
    pthread_mutex_t mutex; /* of the calls to it */
    void *object;          /* the program's */
};

static struct user_object *user_of(struct mp__referent *referent) {
    return (struct user_object *)referent;
}

/* Take what a function gave: 0, or -1: raised. */
static int take_outcome(struct mp__invocation *call, mp_method_call *given, int code) {
    if (code >= 0 && !given->exception)
        return 0;
    mp_object_free(given->result);
    given->result = NULL;
    if (given->exception) {
        mp_object_free(call->exception);
        call->exception = given->exception;
    } else {
        mp__raise_code(call, code);
    }
    return -1;
}

static int run(struct mp__invocation *call, const struct mp__registered *registered,
               mp_method_fn function, mp_method_call *given) {
    given->type_arg = registered->type.arg;
    given->args = call->args;
    given->kwds = call->kwds;
    mp__server_unlock(call->server);
    int code = function(given);
    mp__server_lock(call->server);
    return take_outcome(call, given, code);
}

static struct mp__referent *adopt(struct mp__invocation *call,
                                  const struct mp__registered *registered, void *object) {
    struct user_object *user = mp__referent_new(call->server, &mp__user_class, sizeof *user);
    if (!user)
        return NULL;
    (void)pthread_mutex_init(&user->mutex, NULL);
    user->registered = registered;
    user->referent.type_id = registered->name;
    user->object = object;
    return &user->referent;
}

struct mp__referent *mp__user_create(struct mp__invocation *call) {
    const struct mp__registered *registered = call->registered;
    mp_method_call given = {0};
    if (run(call, registered, registered->type.create, &given) < 0)
        return NULL;
    mp_object_free(given.result);
    struct mp__referent *made = adopt(call, registered, given.made);
    if (!made && registered->type.destroy)
        registered->type.destroy(given.made);
    return made;
}

static void destroy_user(struct mp__server *server, struct mp__referent *referent) {
    (void)server;
    struct user_object *user = user_of(referent);
    if (user->registered->type.destroy)
        user->registered->type.destroy(user->object);
    pthread_mutex_destroy(&user->mutex);
    free(user);
}

mp_object *mp__user_exposed(const struct mp__referent *referent) {
    const mp_manager_type *type = &((const struct user_object *)referent)->registered->type;
    mp_object *list = mp_list_new();
    int code = list ? 0 : -ENOMEM;
    for (size_t i = 0; code == 0 && i < type->method_count; i++)
        code = mp_list_append(list, mp_str_new(type->methods[i].name));
    for (size_t i = 0; code == 0 && i < type->method_count; i++)
        if (type->methods[i].result_type)
            code = mp_list_append(list, mp_str_new(type->methods[i].name));
    mp_object *tuple = code == 0 ? mp_tuple_copy(list) : NULL;
    mp_object_free(list);
    return tuple;
}

/* The result stays here: as an object of a registered type that the method has made, or as one of a
 * built-in type made from the result. */
static mp_object *keep_result(struct mp__invocation *call, const char *type_id,
                              mp_method_call *given) {
    mp_object *result = given->result ? given->result : mp_none_new();
    const struct mp__registered *registered = mp__registry_find(call->server->registry, type_id);
    if (registered && !registered->type.like) {
        call->made = adopt(call, registered, given->made);
    } else {
        const mp_object *args = call->args, *kwds = call->kwds;
        mp_object *only = mp_tuple_new(&result, 1), *none = mp_dict_new();
        call->args = only;
        call->kwds = none;
        call->made = only && none ? mp__create(call, type_id) : NULL;
        call->args = args;
        call->kwds = kwds;
        mp_object_free(only);
        mp_object_free(none);
        result = NULL;
    }
    mp_object_free(result);
    return call->made ? mp_none_new() : NULL;
}

static const mp_manager_method *find_method(const mp_manager_type *type, const char *name) {
    for (size_t i = 0; i < type->method_count; i++)
        if (strcmp(type->methods[i].name, name) == 0)
            return &type->methods[i];
    return NULL;
}

/* Which function a name stands for, with what every object has: NULL: none. */
static mp_method_fn find_function(const mp_manager_type *type, const mp_manager_method *method,
                                  const char *name) {
    if (method)
        return method->function;
    if (strcmp(name, "#GETVALUE") == 0)
        return type->value;
    return strcmp(name, "__str__") == 0 || strcmp(name, "__repr__") == 0 ? type->repr : NULL;
}

static mp_object *refuse(struct mp__invocation *call) {
    if (strcmp(call->name, "__str__") == 0 || strcmp(call->name, "__repr__") == 0)
        return mp__user_class.repr(call);
    call->is_rejected = true;
    return mp__raise(call, "builtins", "AttributeError",
                     "method '%.80s' of '%s' object is not exposed", call->name,
                     call->referent->type_id);
}

/* Whoever waits for the object must not have the server's mutex. */
static void enter(struct mp__invocation *call, struct user_object *user) {
    if (user->registered->type.is_concurrent)
        return;
    mp__server_unlock(call->server);
    pthread_mutex_lock(&user->mutex);
    call->guard = &user->mutex;
    mp__server_lock(call->server);
}

mp_object *mp__user_method(struct mp__invocation *call) {
    struct user_object *user = user_of(call->referent);
    const mp_manager_type *type = &user->registered->type;
    const mp_manager_method *method = find_method(type, call->name);
    mp_method_fn function = find_function(type, method, call->name);
    if (!function)
        return refuse(call);
    enter(call, user);
    mp_method_call given = {.object = user->object};
    if (run(call, user->registered, function, &given) < 0)
        return NULL;
    if (method && method->result_type)
        return keep_result(call, method->result_type, &given);
    return given.result ? given.result : mp_none_new();
}

static mp_object *repr_user(struct mp__invocation *call) {
    char text[160];
    snprintf(text, sizeof text, "<%.80s object at %p>", call->referent->type_id,
             user_of(call->referent)->object);
    return mp_str_new(text);
}

const struct mp__class mp__user_class = {
    .name = "object",
    .proxy_name = "AutoProxy",
    .create = mp__user_create,
    .destroy = destroy_user,
    .ends_unlocked = true,
    .repr = repr_user,
};

int mp_method_raise(mp_method_call *call, const char *module, const char *name, const char *format,
                    ...) {
    char text[400];
    va_list arguments;
    if (!call || !module || !name || !format)
        return mp__fail(MP_EINVAL, "mp_method_raise: an argument is NULL");
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mp_object_free(call->exception);
    call->exception = mp__exception_text(module, name, text);
    return mp__fail(MP_EREMOTE, "%s: %s", name, text);
}

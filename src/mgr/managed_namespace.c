/* Namespace: attributes for clients of a manager.
 * SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/fail.h"
#include "mgr/managed.h"
#include "mp/pickle.h"

static struct mp__referent *create(struct mp__invocation *call) {
    if (mp_object_length(call->args) > 0)
        return mp__raise(call, "builtins", "TypeError",
                         "Namespace.__init__() takes 1 positional argument but %zu were given",
                         mp_object_length(call->args) + 1);
    mp_object *attributes = mp_dict_new();
    if (attributes && !mp__dict_update(call, attributes, call->kwds)) {
        mp_object_free(attributes);
        return NULL;
    }
    return mp__managed_new(call, attributes);
}

static bool check_name(struct mp__invocation *call, const mp_object *name) {
    if (mp_object_get_kind(name) == MP_OBJECT_STR)
        return true;
    return mp__raise(call, "builtins", "TypeError", "attribute name must be string, not '%s'",
                     mp_object_kind_name(mp_object_get_kind(name)));
}

/* 'Namespace' object has no attribute 'zz' */
static mp_object *fail_name(struct mp__invocation *call, const mp_object *name) {
    return mp__raise_object(call, "builtins", "AttributeError",
                            mp__str_around("'Namespace' object has no attribute ", name, ""));
}

static mp_object *get(struct mp__invocation *call) {
    const mp_object *name;
    if (!mp__call_bind(call, "name", &name) || !check_name(call, name))
        return NULL;
    mp_object *value = mp_dict_get(mp__managed_object(call), name);
    return value ? mp_object_ref(value) : fail_name(call, name);
}

static mp_object *set(struct mp__invocation *call) {
    const mp_object *arguments[2];
    if (!mp__call_bind(call, "name value", arguments) || !check_name(call, arguments[0]))
        return NULL;
    return mp__call_done(call, mp_dict_set(mp__managed_object(call), mp_object_ref(arguments[0]),
                                           mp_object_ref(arguments[1])));
}

static mp_object *delete_name(struct mp__invocation *call) {
    const mp_object *name;
    if (!mp__call_bind(call, "name", &name) || !check_name(call, name))
        return NULL;
    int code = mp_dict_delete(mp__managed_object(call), name);
    return code == MP_EKEY ? fail_name(call, name) : mp__call_done(call, code);
}

/* Namespace.__new__(Namespace), with its attributes as state. */
static mp_object *value(struct mp__invocation *call) {
    mp_object *object =
        mp_call_new(MP_CALL_NEWOBJ, mp_global_new("multiprocessing.managers", "Namespace"),
                    mp_tuple_new(NULL, 0), NULL);
    if (object &&
        mp_call_add(object, MP_CALL_BUILD, NULL, mp_object_ref(mp__managed_object(call))) < 0) {
        mp_object_free(object);
        object = NULL;
    }
    return object;
}

/* Namespace(x=1, y=[1]): sorted, without names that begin with _ */
static int print(struct mp__buffer *text, const mp_object *attributes, const mp_object *names) {
    int code = mp__buffer_put_text(text, "Namespace(");
    bool is_first = true;
    for (size_t i = 0; code == 0 && i < mp_object_length(names); i++) {
        const mp_object *key = mp_list_get(names, (ptrdiff_t)i);
        const char *name = "_";
        size_t size;
        (void)mp_str_get(key, &name, &size);
        if (name[0] == '_')
            continue;
        if (!is_first)
            code = mp__buffer_put_text(text, ", ");
        is_first = false;
        if (code == 0)
            code = mp__buffer_put(text, name, size);
        if (code == 0)
            code = mp__buffer_put_text(text, "=");
        if (code == 0)
            code = mp__proxies_print(text, mp_dict_get(attributes, key), (size_t)1 << 30);
    }
    return code < 0 ? code : mp__buffer_put_text(text, ")");
}

static mp_object *repr(struct mp__invocation *call) {
    struct mp__buffer text = {0};
    mp_object *names = mp__list_from(call, mp__managed_object(call));
    int code = names ? mp_list_sort(names, false) : -ENOMEM;
    if (code == 0)
        code = print(&text, mp__managed_object(call), names);
    mp_object *result = code == 0 ? mp_str_new_sized((const char *)text.data, text.size) : NULL;
    mp_object_free(names);
    mp__buffer_fini(&text);
    return result;
}

static const struct mp__method methods[] = {
    {"__getattribute__", get}, {"__setattr__", set}, {"__delattr__", delete_name}};

const struct mp__class mp__namespace_class = {
    .name = "Namespace",
    .proxy_name = "NamespaceProxy",
    .exposed = "__getattribute__ __setattr__ __delattr__",
    MP__METHODS(methods),
    .create = create,
    .destroy = mp__managed_destroy,
    .value = value,
    .repr = repr,
    .next_root = mp__managed_root,
};

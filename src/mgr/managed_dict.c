/* dict, as Python's, for clients of a manager.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "codec/object.h"
#include "mgr/managed.h"

/* dict(source, **pairs) */
static bool update_all(struct mp__invocation *call, mp_object *dict) {
    size_t given = mp_object_length(call->args);
    if (given > 1)
        return mp__raise(call, "builtins", "TypeError", "%s expected at most 1 argument, got %zu",
                         call->name, given);
    return (given == 0 || mp__dict_update(call, dict, mp_tuple_get(call->args, 0))) &&
           mp__dict_update(call, dict, call->kwds);
}

static struct mp__referent *create(struct mp__invocation *call) {
    mp_object *dict = mp_dict_new();
    if (dict && !update_all(call, dict)) {
        mp_object_free(dict);
        return NULL;
    }
    return mp__managed_new(call, dict);
}

/* Of a key that was not found: is it one at all? */
static mp_object *fail_key(struct mp__invocation *call, const mp_object *key) {
    int code = mp_object_contains(mp__managed_object(call), key);
    if (code < 0)
        return mp__raise_code(call, code);
    return mp__raise_object(call, "builtins", "KeyError", mp_object_ref(key));
}

static mp_object *get_item(struct mp__invocation *call) {
    const mp_object *key;
    if (!mp__call_bind(call, "key", &key))
        return NULL;
    mp_object *value = mp_dict_get(mp__managed_object(call), key);
    return value ? mp_object_ref(value) : fail_key(call, key);
}

static mp_object *set_item(struct mp__invocation *call) {
    const mp_object *arguments[2];
    if (!mp__call_bind(call, "key value", arguments))
        return NULL;
    return mp__call_done(call, mp_dict_set(mp__managed_object(call), mp_object_ref(arguments[0]),
                                           mp_object_ref(arguments[1])));
}

static mp_object *delete_item(struct mp__invocation *call) {
    const mp_object *key;
    if (!mp__call_bind(call, "key", &key))
        return NULL;
    int code = mp_dict_delete(mp__managed_object(call), key);
    return code == MP_EKEY ? fail_key(call, key) : mp__call_done(call, code);
}

/* The key's value, or NULL: raised when it is no key, else not there. */
static const mp_object *look_up(struct mp__invocation *call, const mp_object *key) {
    const mp_object *value = mp_dict_get(mp__managed_object(call), key);
    if (!value) {
        int code = mp_object_contains(mp__managed_object(call), key);
        if (code < 0)
            mp__raise_code(call, code);
    }
    return value;
}

static mp_object *value_or(const mp_object *value) {
    return value ? mp_object_ref(value) : mp_none_new();
}

static mp_object *get(struct mp__invocation *call) {
    const mp_object *arguments[2];
    if (!mp__call_bind(call, "key default=", arguments))
        return NULL;
    const mp_object *value = look_up(call, arguments[0]);
    if (value)
        return mp_object_ref(value);
    return call->exception ? NULL : value_or(arguments[1]);
}

static mp_object *set_default(struct mp__invocation *call) {
    const mp_object *arguments[2];
    if (!mp__call_bind(call, "key default=", arguments))
        return NULL;
    const mp_object *value = look_up(call, arguments[0]);
    if (value || call->exception)
        return mp_object_ref(value);
    mp_object *added = value_or(arguments[1]);
    int code =
        mp_dict_set(mp__managed_object(call), mp_object_ref(arguments[0]), mp_object_ref(added));
    if (code == 0)
        return added;
    mp_object_free(added);
    return mp__raise_code(call, code);
}

static mp_object *pop(struct mp__invocation *call) {
    const mp_object *arguments[2];
    mp_object *value;
    if (!mp__call_bind(call, "key default=", arguments))
        return NULL;
    int code = mp_dict_pop(&value, mp__managed_object(call), arguments[0]);
    if (code == MP_EKEY)
        return arguments[1] ? mp_object_ref(arguments[1]) : fail_key(call, arguments[0]);
    return code < 0 ? mp__raise_code(call, code) : value;
}

/* The pair that came last. */
static mp_object *pop_item(struct mp__invocation *call) {
    mp_object *dict = mp__managed_object(call);
    const struct mp__table *table = &((const struct mp__dict *)dict)->table;
    if (!mp__call_bind_none(call))
        return NULL;
    if (table->live == 0)
        return mp__raise_object(call, "builtins", "KeyError",
                                mp_str_new("popitem(): dictionary is empty"));
    size_t last = table->used - 1;
    while (!table->entries[last].key)
        last--;
    mp_object *pair = mp_object_build("(OO)", table->entries[last].key, table->entries[last].value);
    if (pair)
        (void)mp_dict_delete(dict, mp_tuple_get(pair, 0));
    return pair;
}

static mp_object *update(struct mp__invocation *call) {
    return update_all(call, mp__managed_object(call)) ? mp_none_new() : NULL;
}

static mp_object *copy_of(struct mp__invocation *call, const mp_object *dict) {
    mp_object *copy = mp_dict_new();
    if (copy && !mp__dict_update(call, copy, dict)) {
        mp_object_free(copy);
        copy = NULL;
    }
    return copy;
}

static mp_object *copy(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? copy_of(call, mp__managed_object(call)) : NULL;
}

/* Views travel as list(...), which is how CPython's managers pickle them. */
static mp_object *view(struct mp__invocation *call, const char *format, bool has_key,
                       bool has_value) {
    mp_object *key, *value, *list = mp__call_bind_none(call) ? mp_list_new() : NULL;
    int code = list ? 0 : -ENOMEM;
    for (size_t cursor = 0;
         code == 0 && mp_dict_next(mp__managed_object(call), &cursor, &key, &value);)
        code = mp_list_append(list, has_key && has_value ? mp_object_build(format, key, value)
                                                         : mp_object_ref(has_key ? key : value));
    if (code == 0)
        return mp_call_new(MP_CALL_REDUCE, mp_global_new("builtins", "list"),
                           mp_tuple_new(&list, 1), NULL);
    mp_object_free(list);
    return NULL;
}

static mp_object *keys(struct mp__invocation *call) {
    return view(call, "", true, false);
}

static mp_object *values(struct mp__invocation *call) {
    return view(call, "", false, true);
}

static mp_object *items(struct mp__invocation *call) {
    return view(call, "(OO)", true, true);
}

static mp_object *iterate(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    return mp__call_made(call, mp__iterator_over(call, call->referent));
}

/* self | other, other | self, self |= other */
static mp_object *merge(struct mp__invocation *call, bool is_reverse) {
    const mp_object *other;
    if (!mp__call_bind(call, "value", &other))
        return NULL;
    if (mp_object_get_kind(other) != MP_OBJECT_DICT)
        return mp__raise(call, "builtins", "TypeError",
                         "unsupported operand type(s) for |: 'dict' and '%s'",
                         mp_object_kind_name(mp_object_get_kind(other)));
    mp_object *sum = copy_of(call, is_reverse ? other : mp__managed_object(call));
    if (sum && !mp__dict_update(call, sum, is_reverse ? mp__managed_object(call) : other)) {
        mp_object_free(sum);
        sum = NULL;
    }
    return sum;
}

static mp_object *or_other(struct mp__invocation *call) {
    return merge(call, false);
}

static mp_object *or_reverse(struct mp__invocation *call) {
    return merge(call, true);
}

static mp_object *or_in_place(struct mp__invocation *call) {
    return update_all(call, mp__managed_object(call)) ? mp__managed_value(call) : NULL;
}

static const struct mp__method methods[] = {
    {"__getitem__", get_item},
    {"__setitem__", set_item},
    {"__delitem__", delete_item},
    {"__contains__", mp__managed_contains},
    {"__len__", mp__managed_length},
    {"get", get},
    {"setdefault", set_default},
    {"pop", pop},
    {"popitem", pop_item},
    {"update", update},
    {"clear", mp__managed_clear},
    {"copy", copy},
    {"keys", keys},
    {"values", values},
    {"items", items},
    {"__iter__", iterate},
    {"__or__", or_other},
    {"__ror__", or_reverse},
    {"__ior__", or_in_place},
};

const struct mp__class mp__dict_class = {
    .name = "dict",
    .proxy_name = "DictProxy",
    .exposed = "__contains__ __delitem__ __getitem__ __iter__ __len__ __setitem__ clear copy get "
               "items keys pop popitem setdefault update values __iter__",
    MP__METHODS(methods),
    .create = create,
    .destroy = mp__managed_destroy,
    .value = mp__managed_value,
    .repr = mp__managed_repr,
    .next_root = mp__managed_root,
};

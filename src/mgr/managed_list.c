/* list, as Python's, for clients of a manager.
 * SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/fail.h"
#include "mgr/managed.h"
#include "mp/pickle.h"

#define COPIES_MAX ((size_t)1 << 24) /* items that a multiplied list may have */

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *iterable;
    if (!mp__call_bind(call, "iterable=", &iterable))
        return NULL;
    return mp__managed_new(call, iterable ? mp__list_from(call, iterable) : mp_list_new());
}

static size_t length_of(const struct mp__invocation *call) {
    return mp_object_length(mp__managed_object(call));
}

static mp_object *fail_index(struct mp__invocation *call, const char *text) {
    return mp__raise(call, "builtins", "IndexError", "%s", text);
}

static mp_object *get_item(struct mp__invocation *call) {
    const mp_object *key;
    ptrdiff_t index;
    mp_slice slice;
    int is_slice = mp__place_bind(call, "key", &key, "list", &index, &slice);
    if (is_slice < 0)
        return NULL;
    if (is_slice)
        return mp_list_slice(mp__managed_object(call), slice);
    mp_object *item = mp_list_get(mp__managed_object(call), index);
    return item ? mp_object_ref(item) : fail_index(call, "list index out of range");
}

static mp_object *set_slice(struct mp__invocation *call, mp_slice slice, const mp_object *value) {
    mp_object *items = mp__list_from(call, value);
    if (!items)
        return call->exception
                   ? mp__raise(call, "builtins", "TypeError", "can only assign an iterable")
                   : NULL;
    int code = mp_list_set_slice(mp__managed_object(call), slice, items);
    mp_object_free(items);
    return mp__call_done(call, code);
}

static mp_object *done_index(struct mp__invocation *call, int code, const char *text) {
    return code == MP_EINDEX ? fail_index(call, text) : mp__call_done(call, code);
}

static mp_object *set_item(struct mp__invocation *call) {
    const mp_object *arguments[2];
    ptrdiff_t index;
    mp_slice slice;
    int is_slice = mp__place_bind(call, "key value", arguments, "list", &index, &slice);
    if (is_slice != 0)
        return is_slice < 0 ? NULL : set_slice(call, slice, arguments[1]);
    int code = mp_list_set(mp__managed_object(call), index, mp_object_ref(arguments[1]));
    return done_index(call, code, "list assignment index out of range");
}

static mp_object *delete_item(struct mp__invocation *call) {
    const mp_object *key;
    ptrdiff_t index;
    mp_slice slice;
    int is_slice = mp__place_bind(call, "key", &key, "list", &index, &slice);
    if (is_slice != 0)
        return is_slice < 0
                   ? NULL
                   : mp__call_done(call, mp_list_delete_slice(mp__managed_object(call), slice));
    return done_index(call, mp_list_delete(mp__managed_object(call), index),
                      "list assignment index out of range");
}

static mp_object *append(struct mp__invocation *call) {
    const mp_object *item;
    if (!mp__call_bind(call, "object", &item))
        return NULL;
    return mp__call_done(call, mp_list_append(mp__managed_object(call), mp_object_ref(item)));
}

static mp_object *extend(struct mp__invocation *call) {
    const mp_object *iterable;
    mp_object *items =
        mp__call_bind(call, "iterable", &iterable) ? mp__list_from(call, iterable) : NULL;
    if (!items)
        return NULL;
    int code = mp_list_extend(mp__managed_object(call), items);
    mp_object_free(items);
    return mp__call_done(call, code);
}

static mp_object *insert(struct mp__invocation *call) {
    const mp_object *arguments[2];
    ptrdiff_t index;
    if (!mp__call_bind(call, "index object", arguments) ||
        !mp__call_index(call, arguments[0], &index))
        return NULL;
    return mp__call_done(
        call, mp_list_insert(mp__managed_object(call), index, mp_object_ref(arguments[1])));
}

static mp_object *pop(struct mp__invocation *call) {
    const mp_object *argument;
    ptrdiff_t index = -1;
    mp_object *item;
    if (!mp__call_bind(call, "index=", &argument) ||
        (argument && !mp__call_index(call, argument, &index)))
        return NULL;
    if (length_of(call) == 0)
        return fail_index(call, "pop from empty list");
    if (mp_list_pop(&item, mp__managed_object(call), index) < 0)
        return fail_index(call, "pop index out of range");
    return item;
}

static mp_object *remove_item(struct mp__invocation *call) {
    const mp_object *value;
    size_t index;
    if (!mp__call_bind(call, "value", &value))
        return NULL;
    int code = mp_list_find(mp__managed_object(call), value, &index);
    if (code == MP_EINDEX)
        return mp__raise(call, "builtins", "ValueError", "list.remove(x): x not in list");
    if (code == 0)
        code = mp_list_delete(mp__managed_object(call), (ptrdiff_t)index);
    return mp__call_done(call, code);
}

static mp_object *reverse(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    return mp__call_done(call, mp_list_reverse(mp__managed_object(call)));
}

/* Both arguments only by keyword; a key function would have to run here. */
static mp_object *sort(struct mp__invocation *call) {
    const mp_object *arguments[2];
    if (mp_object_length(call->args) > 0)
        return mp__raise(call, "builtins", "TypeError", "sort() takes no positional arguments");
    if (!mp__call_bind(call, "key= reverse=", arguments))
        return NULL;
    if (arguments[0] && mp_object_get_kind(arguments[0]) != MP_OBJECT_NONE)
        return mp__raise(call, "builtins", "TypeError",
                         "sort() of this manager, which is no Python, calls no key function");
    return mp__call_done(call,
                         mp_list_sort(mp__managed_object(call), mp_object_is_true(arguments[1])));
}

/* The part of the list between two indexes, as index() takes it. */
static bool take_bounds(struct mp__invocation *call, const mp_object *const bounds[2],
                        size_t *first, size_t *last) {
    mp_slice slice = {0, PTRDIFF_MAX, 1};
    ptrdiff_t step;
    size_t count;
    if ((bounds[0] && !mp__call_index(call, bounds[0], &slice.start)) ||
        (bounds[1] && !mp__call_index(call, bounds[1], &slice.stop)))
        return false;
    (void)mp_slice_indices(slice, length_of(call), first, &step, &count);
    *last = *first + count;
    return true;
}

static mp_object *find_index(struct mp__invocation *call) {
    const mp_object *arguments[3];
    size_t first, last;
    if (!mp__call_bind(call, "value start= stop=", arguments) ||
        !take_bounds(call, arguments + 1, &first, &last))
        return NULL;
    for (size_t i = first; i < last; i++) {
        const mp_object *item = mp_list_get(mp__managed_object(call), (ptrdiff_t)i);
        int is_equal = item == arguments[0] ? 1 : mp_object_equal(item, arguments[0]);
        if (is_equal != 0)
            return is_equal < 0 ? mp__raise_code(call, is_equal) : mp_integer_new_unsigned(i);
    }
    return mp__raise_object(call, "builtins", "ValueError",
                            mp__str_around("", arguments[0], " is not in list"));
}

static mp_object *count(struct mp__invocation *call) {
    const mp_object *value;
    size_t found = 0;
    if (!mp__call_bind(call, "value", &value))
        return NULL;
    for (size_t i = 0; i < length_of(call); i++) {
        const mp_object *item = mp_list_get(mp__managed_object(call), (ptrdiff_t)i);
        found += item == value || mp_object_equal(item, value) == 1;
    }
    return mp_integer_new_unsigned(found);
}

static mp_object *add(struct mp__invocation *call) {
    const mp_object *other;
    if (!mp__call_bind(call, "value", &other))
        return NULL;
    if (mp_object_get_kind(other) != MP_OBJECT_LIST)
        return mp__raise(call, "builtins", "TypeError",
                         "can only concatenate list (not \"%s\") to list",
                         mp_object_kind_name(mp_object_get_kind(other)));
    mp_object *sum = mp_list_copy(mp__managed_object(call));
    if (sum && mp_list_extend(sum, other) < 0) {
        mp_object_free(sum);
        sum = NULL;
    }
    return sum;
}

/* The list so often, new: by doubling, since a client may ask for millions of copies. */
static mp_object *repeat(const mp_object *list, size_t times) {
    mp_object *product = mp_list_new(), *power = mp_list_copy(list);
    int code = product && power ? 0 : -ENOMEM;
    for (; code == 0 && times > 0; times >>= 1) {
        if (times & 1)
            code = mp_list_extend(product, power);
        if (code == 0 && times > 1)
            code = mp_list_extend(power, power);
    }
    mp_object_free(power);
    if (code == 0)
        return product;
    mp_object_free(product);
    return NULL;
}

static mp_object *multiply(struct mp__invocation *call) {
    const mp_object *argument;
    ptrdiff_t times;
    if (!mp__call_bind(call, "value", &argument) || !mp__call_index(call, argument, &times))
        return NULL;
    size_t length = length_of(call);
    if (length == 0 || times < 0)
        times = 0;
    if (length > 0 && (size_t)times > COPIES_MAX / length)
        return NULL;
    return repeat(mp__managed_object(call), (size_t)times);
}

static mp_object *multiply_in_place(struct mp__invocation *call) {
    mp_object *product = multiply(call);
    if (!product)
        return NULL;
    struct mp__managed *managed = (struct mp__managed *)call->referent;
    mp_object_free(managed->object);
    managed->object = product;
    return mp_object_ref(product);
}

/* An iterator travels as Python pickles it: reversed(list), at its last item. */
static mp_object *reversed(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    mp_object *args = mp_object_build("(O)", mp__managed_object(call));
    mp_object *iterator =
        mp_call_new(MP_CALL_REDUCE, mp_global_new("builtins", "reversed"), args, NULL);
    mp_object *last = mp_integer_new((int64_t)length_of(call) - 1);
    if (!iterator || mp_call_add(iterator, MP_CALL_BUILD, NULL, last) < 0) {
        mp_object_free(iterator ? iterator : last);
        return NULL;
    }
    return iterator;
}

static mp_object *copy(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_list_copy(mp__managed_object(call)) : NULL;
}

static const struct mp__method methods[] = {
    {"__getitem__", get_item},
    {"__setitem__", set_item},
    {"__delitem__", delete_item},
    {"__len__", mp__managed_length},
    {"append", append},
    {"extend", extend},
    {"insert", insert},
    {"pop", pop},
    {"remove", remove_item},
    {"reverse", reverse},
    {"sort", sort},
    {"index", find_index},
    {"count", count},
    {"__contains__", mp__managed_contains},
    {"__add__", add},
    {"__mul__", multiply},
    {"__rmul__", multiply},
    {"__imul__", multiply_in_place},
    {"__reversed__", reversed},
    {"clear", mp__managed_clear},
    {"copy", copy},
};

const struct mp__class mp__list_class = {
    .name = "list",
    .proxy_name = "ListProxy",
    .exposed = "__add__ __contains__ __delitem__ __getitem__ __len__ __mul__ __reversed__ "
               "__rmul__ __setitem__ append count extend index insert pop remove reverse sort "
               "__imul__",
    MP__METHODS(methods),
    .create = create,
    .destroy = mp__managed_destroy,
    .value = mp__managed_value,
    .repr = mp__managed_repr,
    .next_root = mp__managed_root,
};

/* Values that methods get, by what can be done with them: gone through, cut, looked up.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "codec/text.h"
#include "mgr/managed.h"
#include "mp/pickle.h"

enum { RANGE_MAX = 1 << 26 };

static bool call_of(const mp_object *object, const char *name, mp_object **args) {
    mp_object *callable;
    return mp_object_get_kind(object) == MP_OBJECT_CALL &&
           mp_call_get(object, NULL, &callable, args, NULL) == 0 &&
           mp_global_is(callable, "builtins", name);
}

static mp_object *list_of_set(const mp_object *set) {
    mp_object *list = mp_list_new(), *item;
    int code = list ? 0 : -ENOMEM;
    for (size_t cursor = 0; code == 0 && mp_set_next(set, &cursor, &item);)
        code = mp_list_append(list, mp_object_ref(item));
    if (code < 0)
        mp_object_free(list);
    return code < 0 ? NULL : list;
}

static mp_object *list_of_keys(const mp_object *dict) {
    mp_object *list = mp_list_new(), *key;
    int code = list ? 0 : -ENOMEM;
    for (size_t cursor = 0; code == 0 && mp_dict_next(dict, &cursor, &key, NULL);)
        code = mp_list_append(list, mp_object_ref(key));
    if (code < 0)
        mp_object_free(list);
    return code < 0 ? NULL : list;
}

static mp_object *list_of_text(const mp_object *str) {
    const char *text = "";
    size_t size = 0;
    mp_object *list = mp_list_new();
    int code = list ? mp_str_get(str, &text, &size) : -ENOMEM;
    for (const uint8_t *at = (const uint8_t *)text, *end = at + size; code == 0 && at < end;) {
        const uint8_t *begin = at;
        (void)mp__utf8_next(&at);
        code = mp_list_append(list, mp_str_new_sized((const char *)begin, (size_t)(at - begin)));
    }
    if (code < 0)
        mp_object_free(list);
    return code < 0 ? NULL : list;
}

static mp_object *list_of_bytes(const mp_object *bytes) {
    const void *data;
    size_t size;
    mp_object *list = mp_list_new();
    int code = list ? mp_bytes_get(bytes, &data, &size) : -ENOMEM;
    for (size_t i = 0; code == 0 && i < size; i++)
        code = mp_list_append(list, mp_integer_new(((const uint8_t *)data)[i]));
    if (code < 0)
        mp_object_free(list);
    return code < 0 ? NULL : list;
}

static mp_object *list_of_range(struct mp__invocation *call, const mp_object *args) {
    int64_t start = 0, stop = 0, step = 1;
    bool is_one = mp_object_length(args) == 1;
    int code = is_one ? mp_object_parse(args, "(l)", &stop)
                      : mp_object_parse(args, "(ll|l)", &start, &stop, &step);
    __int128 span = step > 0 ? (__int128)stop - start : (__int128)start - stop;
    if (code < 0 || step == 0 ||
        (span > 0 && span / (step > 0 ? step : -(__int128)step) > RANGE_MAX))
        return mp__raise(call, "builtins", "ValueError", "a range that is none or too long");
    mp_object *list = mp_list_new();
    for (__int128 i = start; list && (step > 0 ? i < stop : i > stop); i += step)
        if (mp_list_append(list, mp_integer_new((int64_t)i)) < 0) {
            mp_object_free(list);
            return NULL;
        }
    return list;
}

/* A managed list, dict or set of ours is gone through as if it were here, which it is. */
static const mp_object *own_object(struct mp__invocation *call, const mp_object *object) {
    struct mp__proxy_form form;
    if (mp__proxy_form_take(&form, object) <= 0)
        return NULL;
    const struct mp__referent *referent = mp__server_own(call->server, &form.token);
    bool is_one =
        referent && (referent->class_ == &mp__list_class || referent->class_ == &mp__dict_class ||
                     referent->class_ == &mp__set_class);
    return is_one ? ((const struct mp__managed *)referent)->object : NULL;
}

static mp_object *list_of_call(struct mp__invocation *call, const mp_object *object) {
    mp_object *args, *list;
    const mp_object *own = own_object(call, object);
    if (own)
        return mp__list_from(call, own);
    if (call_of(object, "range", &args))
        return list_of_range(call, args);
    bool is_turned = call_of(object, "reversed", &args);
    bool is_copy = call_of(object, "list", &args) || call_of(object, "tuple", &args) ||
                   call_of(object, "iter", &args);
    if (mp_object_length(args) != 1 || (!is_turned && !is_copy))
        return mp__raise(call, "builtins", "TypeError", "object is not iterable here");
    list = mp__list_from(call, mp_tuple_get(args, 0));
    if (list && is_turned)
        (void)mp_list_reverse(list);
    return list;
}

mp_object *mp__list_from(struct mp__invocation *call, const mp_object *iterable) {
    switch (mp_object_get_kind(iterable)) {
    case MP_OBJECT_LIST:
    case MP_OBJECT_TUPLE:
        return mp_list_copy(iterable);
    case MP_OBJECT_SET:
    case MP_OBJECT_FROZENSET:
        return list_of_set(iterable);
    case MP_OBJECT_DICT:
        return list_of_keys(iterable);
    case MP_OBJECT_STR:
        return list_of_text(iterable);
    case MP_OBJECT_BYTES:
    case MP_OBJECT_BYTEARRAY:
        return list_of_bytes(iterable);
    case MP_OBJECT_CALL:
        return list_of_call(call, iterable);
    default:
        return mp__raise(call, "builtins", "TypeError", "'%s' object is not iterable",
                         mp_object_kind_name(mp_object_get_kind(iterable)));
    }
}

static bool update_by_dict(struct mp__invocation *call, mp_object *dict, const mp_object *source) {
    mp_object *key, *value;
    int code = 0;
    for (size_t cursor = 0; code == 0 && mp_dict_next(source, &cursor, &key, &value);)
        code = mp_dict_set(dict, mp_object_ref(key), mp_object_ref(value));
    return code == 0 || mp__raise_code(call, code);
}

static bool put_pair(struct mp__invocation *call, mp_object *dict, const mp_object *item,
                     size_t number) {
    mp_object *pair = mp__list_from(call, item);
    size_t length = mp_object_length(pair);
    int code = length == 2 ? mp_dict_set(dict, mp_object_ref(mp_list_get(pair, 0)),
                                         mp_object_ref(mp_list_get(pair, 1)))
                           : 0;
    mp_object_free(pair);
    if (!pair && mp_object_get_kind(item) != MP_OBJECT_CALL)
        return mp__raise(call, "builtins", "TypeError",
                         "cannot convert dictionary update sequence element #%zu to a sequence",
                         number);
    if (length != 2)
        return mp__raise(call, "builtins", "ValueError",
                         "dictionary update sequence element #%zu has length %zu; 2 is required",
                         number, length);
    return code == 0 || mp__raise_code(call, code);
}

bool mp__dict_update(struct mp__invocation *call, mp_object *dict, const mp_object *source) {
    const mp_object *own = own_object(call, source);
    source = own ? own : source;
    if (mp_object_get_kind(source) == MP_OBJECT_DICT)
        return update_by_dict(call, dict, source);
    mp_object *pairs = mp__list_from(call, source);
    bool is_right = pairs != NULL;
    for (size_t i = 0; is_right && i < mp_object_length(pairs); i++)
        is_right = put_pair(call, dict, mp_list_get(pairs, (ptrdiff_t)i), i);
    mp_object_free(pairs);
    return is_right;
}

static bool slice_part(struct mp__invocation *call, const mp_object *object, ptrdiff_t *out) {
    int64_t value;
    struct mp_object *zero;
    *out = MP_SLICE_NONE;
    if (mp_object_get_kind(object) == MP_OBJECT_NONE)
        return true;
    int code = mp_integer_get(object, &value);
    if (code == MP_ETYPE)
        return mp__raise(call, "builtins", "TypeError",
                         "slice indices must be integers or None or have an __index__ method");
    zero = mp_integer_new(0);
    bool is_negative = mp_object_less(object, zero) == 1;
    mp_object_free(zero);
    if (code < 0 || value == MP_SLICE_NONE)
        value = is_negative ? -PTRDIFF_MAX : PTRDIFF_MAX;
    *out = (ptrdiff_t)value;
    return true;
}

/* A slice object? Its parts. 1; 0: it is none; -1: raised. */
static int slice_from(struct mp__invocation *call, const mp_object *object, mp_slice *out) {
    mp_object *args;
    if (!call_of(object, "slice", &args) || mp_object_length(args) != 3)
        return 0;
    bool is_right = slice_part(call, mp_tuple_get(args, 0), &out->start) &&
                    slice_part(call, mp_tuple_get(args, 1), &out->stop) &&
                    slice_part(call, mp_tuple_get(args, 2), &out->step);
    if (is_right && out->step == 0)
        is_right = mp__raise(call, "builtins", "ValueError", "slice step cannot be zero");
    return is_right ? 1 : -1;
}

int mp__place_bind(struct mp__invocation *call, const char *names, const mp_object **out,
                   const char *what, ptrdiff_t *index, mp_slice *slice) {
    int is_slice = mp__call_bind(call, names, out) ? slice_from(call, out[0], slice) : -1;
    if (is_slice != 0)
        return is_slice;
    mp_object_kind kind = mp_object_get_kind(out[0]);
    if (kind == MP_OBJECT_INT || kind == MP_OBJECT_BOOL)
        return mp__call_index(call, out[0], index) ? 0 : -1;
    mp__raise(call, "builtins", "TypeError", "%s indices must be integers or slices, not %s", what,
              mp_object_kind_name(kind));
    return -1;
}

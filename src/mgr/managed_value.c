/* Value and Array, as those of Python's managers: an object under a type code, and array.array.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/managed.h"
#include "mp/pickle.h"
#include "share/typecode.h"

/* The object is (typecode, value) in a Value, a list in an Array. */
struct array {
    struct mp__managed managed;
    char typecode;
};

static mp_object *value_parts(struct mp__invocation *call) {
    return mp__managed_object(call);
}

static struct mp__referent *create_value(struct mp__invocation *call) {
    const mp_object *arguments[3];
    if (!mp__call_bind(call, "typecode value lock=", arguments))
        return NULL;
    return mp__managed_new(call, mp_object_build("[OO]", arguments[0], arguments[1]));
}

static mp_object *get_value(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_object_ref(mp_list_get(value_parts(call), 1)) : NULL;
}

static mp_object *set_value(struct mp__invocation *call) {
    const mp_object *value;
    if (!mp__call_bind(call, "value", &value))
        return NULL;
    return mp__call_done(call, mp_list_set(value_parts(call), 1, mp_object_ref(value)));
}

static mp_object *value_itself(struct mp__invocation *call) {
    mp_object *state = mp_object_build("{s:O,s:O}", "_typecode", mp_list_get(value_parts(call), 0),
                                       "_value", mp_list_get(value_parts(call), 1));
    mp_object *object =
        mp_call_new(MP_CALL_NEWOBJ, mp_global_new("multiprocessing.managers", "Value"),
                    mp_tuple_new(NULL, 0), NULL);
    if (!object || mp_call_add(object, MP_CALL_BUILD, NULL, mp_object_ref(state)) < 0) {
        mp_object_free(object);
        object = NULL;
    }
    mp_object_free(state);
    return object;
}

/* Value('i', 8) */
static mp_object *repr_value(struct mp__invocation *call) {
    mp_object *parts = mp_tuple_copy(value_parts(call));
    mp_object *text = parts ? mp__str_around("Value", parts, "") : NULL;
    mp_object_free(parts);
    return text;
}

static const struct mp__method value_methods[] = {{"get", get_value}, {"set", set_value}};

const struct mp__class mp__value_class = {
    .name = "Value",
    .proxy_name = "ValueProxy",
    .exposed = "get set",
    MP__METHODS(value_methods),
    .create = create_value,
    .destroy = mp__managed_destroy,
    .value = value_itself,
    .repr = repr_value,
    .next_root = mp__managed_root,
};

static char typecode_of(const struct mp__invocation *call) {
    return ((const struct array *)call->referent)->typecode;
}

static bool is_float_code(char typecode) {
    return typecode == 'f' || typecode == 'd';
}

static bool is_text_code(char typecode) {
    return typecode == 'u' || typecode == 'w';
}

/* Ints of any type code lie between these. */
static bool fits(const mp_object *object, char typecode) {
    size_t bits = 8 * mp__typecode_size(typecode);
    int64_t number;
    uint64_t large;
    bool is_unsigned = strchr("BHILQ", typecode) != NULL;
    if (is_unsigned)
        return mp_integer_get_unsigned(object, &large) == 0 && (bits == 64 || large >> bits == 0);
    return mp_integer_get(object, &number) == 0 &&
           (bits == 64 ||
            (number >= -(INT64_C(1) << (bits - 1)) && number < INT64_C(1) << (bits - 1)));
}

static mp_object *take_float(struct mp__invocation *call, const mp_object *object, char typecode) {
    double number;
    if (mp_float_get(object, &number) < 0)
        return mp__raise(call, "builtins", "TypeError", "must be real number, not %s",
                         mp_object_kind_name(mp_object_get_kind(object)));
    return mp_float_new(typecode == 'f' ? (double)(float)number : number);
}

/* The object as an item of such an array; NULL: raised. */
static mp_object *take_item(struct mp__invocation *call, const mp_object *object, char typecode) {
    mp_object_kind kind = mp_object_get_kind(object);
    int64_t number = 0;
    if (is_float_code(typecode))
        return take_float(call, object, typecode);
    if (is_text_code(typecode))
        return kind == MP_OBJECT_STR && mp_object_length(object) == 1
                   ? mp_object_ref(object)
                   : mp__raise(call, "builtins", "TypeError",
                               "array item must be a unicode character, not %s",
                               mp_object_kind_name(kind));
    if (kind != MP_OBJECT_INT && kind != MP_OBJECT_BOOL)
        return mp__raise(call, "builtins", "TypeError",
                         "'%s' object cannot be interpreted as an integer",
                         mp_object_kind_name(kind));
    if (!fits(object, typecode))
        return mp__raise(call, "builtins", "OverflowError",
                         "int is out of the range of an array of type '%c'", typecode);
    return kind == MP_OBJECT_INT
               ? mp_object_ref(object)
               : mp_integer_new(mp_integer_get(object, &number) == 0 ? number : 0);
}

static mp_object *take_items(struct mp__invocation *call, const mp_object *source, char typecode) {
    mp_object *given = mp__list_from(call, source), *list = given ? mp_list_new() : NULL;
    int code = list ? 0 : -ENOMEM;
    for (size_t i = 0; code == 0 && i < mp_object_length(given); i++)
        code = mp_list_append(list, take_item(call, mp_list_get(given, (ptrdiff_t)i), typecode));
    mp_object_free(given);
    if (code == 0)
        return list;
    mp_object_free(list);
    return NULL;
}

/* A number from its bytes as this machine has them. */
static mp_object *item_from_bytes(const uint8_t *bytes, char typecode, size_t size) {
    float narrow;
    double wide;
    if (typecode == 'd') {
        memcpy(&wide, bytes, sizeof wide);
        return mp_float_new(wide);
    }
    if (typecode == 'f') {
        memcpy(&narrow, bytes, sizeof narrow);
        return mp_float_new((double)narrow);
    }
    uint8_t extended[9] = {0};
    memcpy(extended, bytes, size);
    bool is_unsigned = strchr("BHILQ", typecode) != NULL;
    return mp_integer_new_bytes(extended, is_unsigned ? size + 1 : size);
}

/* array.array(typecode, bytes) takes them as they lie in memory. */
static mp_object *items_from_bytes(struct mp__invocation *call, const mp_object *source,
                                   char typecode) {
    const void *data;
    size_t size, item = mp__typecode_size(typecode);
    mp_object *list = mp_list_new();
    (void)mp_bytes_get(source, &data, &size);
    if (size % item != 0) {
        mp_object_free(list);
        return mp__raise(call, "builtins", "ValueError",
                         "bytes length not a multiple of item size");
    }
    for (size_t i = 0; list && i < size; i += item)
        if (mp_list_append(list, item_from_bytes((const uint8_t *)data + i, typecode, item)) < 0) {
            mp_object_free(list);
            return NULL;
        }
    return list;
}

/* The items of another array, as it was pickled: array.array(typecode, bytes); NULL: it is none. */
static const mp_object *array_bytes(const mp_object *object, char *typecode) {
    mp_object *callable, *args;
    const char *code;
    if (mp_object_get_kind(object) != MP_OBJECT_CALL ||
        mp_call_get(object, NULL, &callable, &args, NULL) < 0 ||
        !mp_global_is(callable, "array", "array") || mp_object_length(args) != 2 ||
        mp_str_get(mp_tuple_get(args, 0), &code, NULL) < 0 || !code[0])
        return NULL;
    *typecode = code[0];
    const mp_object *bytes = mp_tuple_get(args, 1);
    return mp_object_get_kind(bytes) == MP_OBJECT_BYTES ? bytes : NULL;
}

static mp_object *read_source(struct mp__invocation *call, const mp_object *source, char typecode) {
    char other = 0;
    const mp_object *bytes = array_bytes(source, &other);
    bool is_bytes = !is_text_code(typecode) && mp_object_get_kind(source) == MP_OBJECT_BYTES;
    if (bytes && other == typecode && !is_text_code(typecode))
        return items_from_bytes(call, bytes, typecode);
    return is_bytes ? items_from_bytes(call, source, typecode) : take_items(call, source, typecode);
}

static struct mp__referent *create_array(struct mp__invocation *call) {
    const mp_object *arguments[3];
    const char *text;
    if (!mp__call_bind(call, "typecode sequence lock=", arguments))
        return NULL;
    if (mp_str_get(arguments[0], &text, NULL) < 0 || !text[0] || text[1])
        return mp__raise(call, "builtins", "TypeError",
                         "array() argument 1 must be a unicode character");
    if (!strchr("bBuwhHiIlLqQfd", text[0]))
        return mp__raise(call, "builtins", "ValueError",
                         "bad typecode (must be b, B, u, w, h, H, i, I, l, L, q, Q, f or d)");
    mp_object *items = read_source(call, arguments[1], text[0]);
    struct array *array =
        items ? mp__referent_new(call->server, call->class_, sizeof *array) : NULL;
    if (!array) {
        mp_object_free(items);
        return NULL;
    }
    array->managed.object = items;
    array->typecode = text[0];
    return &array->managed.referent;
}

static void item_to_bytes(uint8_t *bytes, const mp_object *item, char typecode, size_t size) {
    double wide = 0;
    float narrow;
    int64_t number = 0;
    uint64_t large = 0;
    if (is_float_code(typecode)) {
        (void)mp_float_get(item, &wide);
        narrow = (float)wide;
        memcpy(bytes, typecode == 'd' ? (const void *)&wide : (const void *)&narrow, size);
        return;
    }
    if (mp_integer_get(item, &number) == 0)
        large = (uint64_t)number;
    else
        (void)mp_integer_get_unsigned(item, &large);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(large >> 8 * i);
}

static mp_object *bytes_of(const mp_object *items, char typecode) {
    size_t size = mp__typecode_size(typecode), count = mp_object_length(items);
    uint8_t *bytes = malloc(size * count + 1);
    if (!bytes)
        return NULL;
    for (size_t i = 0; i < count; i++)
        item_to_bytes(bytes + i * size, mp_list_get(items, (ptrdiff_t)i), typecode, size);
    mp_object *object = mp_bytes_new(bytes, size * count);
    free(bytes);
    return object;
}

/* array.array(typecode, bytes); of characters a list of them will do. */
static mp_object *array_object(const mp_object *items, char typecode) {
    const char code[] = {typecode, '\0'};
    mp_object *content = is_text_code(typecode) ? mp_object_ref(items) : bytes_of(items, typecode);
    return mp_call_new(MP_CALL_REDUCE, mp_global_new("array", "array"),
                       mp_object_build("(sN)", code, content), NULL);
}

static mp_object *array_itself(struct mp__invocation *call) {
    return array_object(mp__managed_object(call), typecode_of(call));
}

static mp_object *get_item(struct mp__invocation *call) {
    const mp_object *key;
    ptrdiff_t index;
    mp_slice slice;
    int is_slice = mp__place_bind(call, "key", &key, "array", &index, &slice);
    if (is_slice < 0)
        return NULL;
    if (!is_slice) {
        mp_object *item = mp_list_get(mp__managed_object(call), index);
        return item ? mp_object_ref(item)
                    : mp__raise(call, "builtins", "IndexError", "array index out of range");
    }
    mp_object *items = mp_list_slice(mp__managed_object(call), slice);
    mp_object *array = items ? array_object(items, typecode_of(call)) : NULL;
    mp_object_free(items);
    return array;
}

static mp_object *set_slice(struct mp__invocation *call, mp_slice slice, const mp_object *value) {
    char typecode = 0;
    if (!array_bytes(value, &typecode))
        return mp__raise(call, "builtins", "TypeError",
                         "can only assign array (not \"%s\") to array slice",
                         mp_object_kind_name(mp_object_get_kind(value)));
    if (typecode != typecode_of(call))
        return mp__raise(call, "builtins", "TypeError", "bad argument type for built-in operation");
    mp_object *items = read_source(call, value, typecode);
    if (!items)
        return NULL;
    int code = mp_list_set_slice(mp__managed_object(call), slice, items);
    mp_object_free(items);
    return mp__call_done(call, code);
}

static mp_object *set_item(struct mp__invocation *call) {
    const mp_object *arguments[2];
    ptrdiff_t index;
    mp_slice slice;
    int is_slice = mp__place_bind(call, "key value", arguments, "array", &index, &slice);
    if (is_slice != 0)
        return is_slice < 0 ? NULL : set_slice(call, slice, arguments[1]);
    if (!mp_list_get(mp__managed_object(call), index))
        return mp__raise(call, "builtins", "IndexError", "array assignment index out of range");
    mp_object *item = take_item(call, arguments[1], typecode_of(call));
    return item ? mp__call_done(call, mp_list_set(mp__managed_object(call), index, item)) : NULL;
}

/* array('i', [1, 2, 3]) */
static mp_object *repr_array(struct mp__invocation *call) {
    char prefix[] = "array('?', ";
    prefix[7] = typecode_of(call);
    if (mp_object_length(mp__managed_object(call)) == 0)
        return mp__str_format("array('%c')", typecode_of(call));
    return mp__str_around(prefix, mp__managed_object(call), ")");
}

static const struct mp__method array_methods[] = {
    {"__len__", mp__managed_length}, {"__getitem__", get_item}, {"__setitem__", set_item}};

const struct mp__class mp__array_class = {
    .name = "Array",
    .proxy_name = "ArrayProxy",
    .exposed = "__len__ __getitem__ __setitem__",
    MP__METHODS(array_methods),
    .create = create_array,
    .destroy = mp__managed_destroy,
    .value = array_itself,
    .repr = repr_array,
};

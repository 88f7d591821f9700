/* Texts and bytes, kinds, truth and length.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "codec/buffer.h"
#include "codec/object.h"
#include "codec/text.h"

static const char *const kind_names[] = {
    [MP_OBJECT_NONE] = "NoneType",
    [MP_OBJECT_BOOL] = "bool",
    [MP_OBJECT_INT] = "int",
    [MP_OBJECT_FLOAT] = "float",
    [MP_OBJECT_STR] = "str",
    [MP_OBJECT_BYTES] = "bytes",
    [MP_OBJECT_BYTEARRAY] = "bytearray",
    [MP_OBJECT_EXTENSION] = "extension",
    [MP_OBJECT_LIST] = "list",
    [MP_OBJECT_TUPLE] = "tuple",
    [MP_OBJECT_DICT] = "dict",
    [MP_OBJECT_SET] = "set",
    [MP_OBJECT_FROZENSET] = "frozenset",
    [MP_OBJECT_GLOBAL] = "global",
    [MP_OBJECT_CALL] = "call",
    [MP_OBJECT_PERSISTENT] = "persistent",
};

mp_object_kind mp_object_get_kind(const mp_object *object) {
    return object ? mp__kind_of(object) : MP_OBJECT_INVALID;
}

const char *mp_object_kind_name(mp_object_kind kind) {
    bool is_known = kind >= MP_OBJECT_NONE && kind <= MP_OBJECT_PERSISTENT;
    return is_known ? kind_names[kind] : "?";
}

int mp__expect_kind(const mp_object *object, mp_object_kind kind, const char *function) {
    if (!object)
        return mp__fail(MP_EINVAL, "%s: the object is NULL", function);
    if (mp__kind_of(object) != kind)
        return mp__fail(MP_ETYPE, "%s: expected %s, got %s", function, mp_object_kind_name(kind),
                        mp_object_kind_name(mp__kind_of(object)));
    return 0;
}

mp_object *mp__text_new(mp_object_kind kind, const void *data, size_t size) {
    struct mp__text *text = NULL;
    if (size < PTRDIFF_MAX - sizeof *text)
        text = mp__object_alloc(kind, sizeof *text + size + 1);
    else
        mp__fail(-ENOMEM, "a %s of %zu bytes", mp_object_kind_name(kind), size);
    if (!text)
        return NULL;
    text->size = size;
    atomic_init(&text->hash, 0);
    if (size > 0)
        memcpy(text->data, data, size);
    text->data[size] = 0;
    return &text->head;
}

mp_object *mp_str_new_sized(const char *text, size_t size) {
    if (!text && size > 0)
        mp__fail(MP_EINVAL, "mp_str_new_sized: text is NULL, but size is %zu", size);
    else if (!mp__utf8_is_right(text, size))
        mp__fail(MP_EINVAL, "mp_str_new_sized: the %zu bytes are not UTF-8", size);
    else
        return mp__text_new(MP_OBJECT_STR, text, size);
    return NULL;
}

mp_object *mp_str_new(const char *text) {
    if (!text) {
        mp__fail(MP_EINVAL, "mp_str_new: text is NULL");
        return NULL;
    }
    return mp_str_new_sized(text, strlen(text));
}

mp_object *mp_bytes_new(const void *data, size_t size) {
    if (!data && size > 0) {
        mp__fail(MP_EINVAL, "mp_bytes_new: data is NULL, but size is %zu", size);
        return NULL;
    }
    return mp__text_new(MP_OBJECT_BYTES, data, size);
}

static uint8_t *copy_bytes(const void *data, size_t size) {
    uint8_t *copy = mp__block_alloc(size > 0 ? size : 1);
    if (!copy)
        mp__fail(-ENOMEM, "a bytearray of %zu bytes", size);
    else if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

mp_object *mp_bytearray_new(const void *data, size_t size) {
    if (!data && size > 0) {
        mp__fail(MP_EINVAL, "mp_bytearray_new: data is NULL, but size is %zu", size);
        return NULL;
    }
    struct mp__bytearray *array = mp__object_alloc(MP_OBJECT_BYTEARRAY, sizeof *array);
    if (!array)
        return NULL;
    array->size = size;
    array->data = copy_bytes(data, size);
    if (array->data)
        return &array->head;
    mp_object_free(&array->head);
    return NULL;
}

int mp_bytearray_set(mp_object *object, const void *data, size_t size) {
    int code = mp__expect_kind(object, MP_OBJECT_BYTEARRAY, "mp_bytearray_set");
    if (code < 0)
        return code;
    if (!data && size > 0)
        return mp__fail(MP_EINVAL, "mp_bytearray_set: data is NULL, but size is %zu", size);
    uint8_t *copy = copy_bytes(data, size);
    if (!copy)
        return -ENOMEM;
    struct mp__bytearray *array = (struct mp__bytearray *)object;
    free(array->data);
    array->data = copy;
    array->size = size;
    return 0;
}

int mp_str_get(const mp_object *object, const char **text, size_t *size) {
    int code = mp__expect_kind(object, MP_OBJECT_STR, "mp_str_get");
    if (code < 0)
        return code;
    const struct mp__text *str = (const struct mp__text *)object;
    if (!text)
        return mp__fail(MP_EINVAL, "mp_str_get: text is NULL");
    if (!size && memchr(str->data, 0, str->size))
        return mp__fail(MP_EINVAL, "mp_str_get: the str holds a NUL, but size is NULL");
    *text = str->data;
    if (size)
        *size = str->size;
    return 0;
}

int mp_bytes_get(const mp_object *object, const void **data, size_t *size) {
    if (!object || !data || !size)
        return mp__fail(MP_EINVAL, "mp_bytes_get: an argument is NULL");
    if (mp__kind_of(object) == MP_OBJECT_BYTES) {
        *data = ((const struct mp__text *)object)->data;
        *size = ((const struct mp__text *)object)->size;
    } else if (mp__kind_of(object) == MP_OBJECT_BYTEARRAY) {
        *data = ((const struct mp__bytearray *)object)->data;
        *size = ((const struct mp__bytearray *)object)->size;
    } else {
        return mp__fail(MP_ETYPE, "mp_bytes_get: expected bytes, got %s",
                        mp_object_kind_name(mp__kind_of(object)));
    }
    return 0;
}

size_t mp_object_length(const mp_object *object) {
    switch (mp_object_get_kind(object)) {
    case MP_OBJECT_STR:
        return mp__utf8_length(((const struct mp__text *)object)->data,
                               ((const struct mp__text *)object)->size);
    case MP_OBJECT_BYTES:
        return ((const struct mp__text *)object)->size;
    case MP_OBJECT_BYTEARRAY:
        return ((const struct mp__bytearray *)object)->size;
    case MP_OBJECT_LIST:
    case MP_OBJECT_TUPLE:
        return mp__node_slots(object);
    case MP_OBJECT_DICT:
    case MP_OBJECT_SET:
    case MP_OBJECT_FROZENSET:
        return ((const struct mp__dict *)object)->table.live;
    default:
        return 0;
    }
}

bool mp_object_is_true(const mp_object *object) {
    bool value;
    switch (mp_object_get_kind(object)) {
    case MP_OBJECT_INVALID:
    case MP_OBJECT_NONE:
        return false;
    case MP_OBJECT_BOOL:
        return mp_bool_get(object, &value) == 0 && value;
    case MP_OBJECT_INT:
        return object != mp__small(0);
    case MP_OBJECT_FLOAT:
        return ((const struct mp__float *)object)->value != 0;
    case MP_OBJECT_EXTENSION:
    case MP_OBJECT_GLOBAL:
    case MP_OBJECT_CALL:
    case MP_OBJECT_PERSISTENT:
        return true;
    default:
        return mp_object_length(object) > 0;
    }
}

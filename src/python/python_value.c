/* Python's shared ctypes objects: their type, and where they lie.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mp/pickle.h"
#include "python/python_memory.h"
#include "python/semlock.h"
#include "python/shape.h"

struct mp_python_value {
    struct python_memory memory;
    size_t length;        /* items */
    char typecode;        /* 0: a structure */
    mp_python_lock *lock; /* its own; NULL: raw */
};

/* ctypes has several names for one type; where long has 8 bytes a longlong is a long. */
static char typecode_of(const mp_object *type) {
    static const struct {
        const char *name;
        char typecode;
    } types[] = {{"c_char", 'c'},  {"c_byte", 'b'},   {"c_ubyte", 'B'},    {"c_wchar", 'u'},
                 {"c_short", 'h'}, {"c_ushort", 'H'}, {"c_int", 'i'},      {"c_uint", 'I'},
                 {"c_long", 'l'},  {"c_ulong", 'L'},  {"c_longlong", 'q'}, {"c_ulonglong", 'Q'},
                 {"c_float", 'f'}, {"c_double", 'd'}, {"c_bool", '?'}};
    const char *module, *name;
    if (mp_global_get(type, &module, &name) < 0 || strcmp(module, "ctypes") != 0)
        return 0;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(types[i].name, name) == 0)
            return types[i].typecode;
    return 0;
}

static int open_raw(mp_python_value *value, const mp_object *object) {
    mp_object *type, *wrapper, *length;
    int64_t count = 1;
    if (mp_object_parse(mp__shape_args(object), "(OOO)", &type, &wrapper, &length) < 0 ||
        (mp_object_get_kind(length) != MP_OBJECT_NONE && mp_integer_get(length, &count) < 0) ||
        count < 0)
        return mp__shape_broken("value", "mp_python_value_open");
    value->length = (size_t)count;
    value->typecode = typecode_of(type);
    return mp__python_memory_map(&value->memory, wrapper, "value", "mp_python_value_open");
}

static int open_value(mp_python_value *value, const mp_object *object) {
    static const char module[] = "multiprocessing.sharedctypes";
    mp_object *raw, *lock;
    if (mp__shape_is(object, module, "rebuild_ctype"))
        return open_raw(value, object);
    if (!mp__shape_is(object, module, "synchronized"))
        return mp__shape_refuse(object, "value or array", "mp_python_value_open");
    if (mp_object_parse(mp__shape_args(object), "(OO)", &raw, &lock) < 0 ||
        !mp__shape_is(raw, module, "rebuild_ctype"))
        return mp__shape_broken("value", "mp_python_value_open");
    int code = open_raw(value, raw);
    return code < 0 ? code : mp_python_lock_open(&value->lock, lock);
}

int mp_python_value_open(mp_python_value **out, const mp_object *object) {
    int code = mp__shape_check(out, object, "mp_python_value_open");
    if (code < 0)
        return code;
    mp_python_value *value = calloc(1, sizeof *value);
    if (!value)
        return mp__fail(-ENOMEM, "mp_python_value_open");
    code = open_value(value, object);
    if (code < 0)
        mp_python_value_free(value);
    else
        *out = value;
    return code;
}

void *mp_python_value_data(mp_python_value *value) {
    return value ? mp__python_memory_data(&value->memory) : NULL;
}

size_t mp_python_value_size(const mp_python_value *value) {
    return value ? value->memory.size : 0;
}

size_t mp_python_value_length(const mp_python_value *value) {
    return value ? value->length : 0;
}

char mp_python_value_typecode(const mp_python_value *value) {
    return value ? value->typecode : 0;
}

mp_python_lock *mp_python_value_get_lock(mp_python_value *value) {
    return value ? value->lock : NULL;
}

void mp_python_value_free(mp_python_value *value) {
    if (!value)
        return;
    mp__python_memory_unmap(&value->memory);
    mp_python_lock_free(value->lock);
    free(value);
}

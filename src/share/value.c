/* Value: an item in shared memory with the lock that goes with it.
 * SPDX-License-Identifier: MIT */
#include "mp/shared.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "shm/heap.h"
#include "share/value.h"
#include "share/typecode.h"

/* `data`: another value's, NULL: of its own, `size` bytes like `initial`. */
static int make_value(mp_value **out, const struct value_shared *model, const void *initial,
                      mp_lock *lock) {
    size_t offset = mp__data_offset(sizeof(struct value_shared), model->size);
    size_t bytes = model->data ? sizeof(struct value_shared) : offset + model->size;
    if (bytes < model->size && !model->data)
        return mp__fail(MP_EINVAL, "mp_value_new_struct: a value of %zu bytes", model->size);
    struct value_shared *value = mp__self() ? mp__heap_zalloc(bytes) : NULL;
    if (!value)
        return -ENOMEM;
    value->typecode = model->typecode;
    value->size = model->size;
    value->data = model->data ? model->data : (char *)value + offset;
    if (initial)
        memcpy(value->data, initial, model->size);
    value->lock = mp__owned_lock_init(&value->own, lock);
    atomic_store(&value->kind, MP__KIND_VALUE);
    MP__POINT("value.new.filled");
    mp__heap_publish(value);
    *out = value;
    return 0;
}

static int make_sized(mp_value **out, char typecode, size_t size, const void *initial,
                      mp_lock *lock, const char *function) {
    if (!out)
        return mp__fail(MP_EINVAL, "%s: out is NULL", function);
    int code = mp__owned_lock_check(lock, function);
    if (code < 0)
        return code;
    struct value_shared model = {.typecode = typecode, .size = size};
    return make_value(out, &model, initial, lock);
}

int mp_value_new(mp_value **out, mp_context *context, char typecode, const void *initial,
                 mp_lock *lock) {
    size_t size;
    (void)context;
    int code = mp__typecode_check(typecode, __func__, &size);
    return code < 0 ? code : make_sized(out, typecode, size, initial, lock, __func__);
}

int mp_value_new_struct(mp_value **out, mp_context *context, size_t size, const void *initial,
                        mp_lock *lock) {
    (void)context;
    if (size == 0)
        return mp__fail(MP_EINVAL, "mp_value_new_struct: size is 0");
    return make_sized(out, 0, size, initial, lock, __func__);
}

int mp_raw_value_new(mp_value **out, mp_context *context, char typecode, const void *initial) {
    size_t size;
    (void)context;
    int code = mp__typecode_check(typecode, __func__, &size);
    return code < 0 ? code : make_sized(out, typecode, size, initial, MP_NO_LOCK, __func__);
}

static bool is_value(const mp_value *value, const char *function) {
    return mp__kind_check(value, MP__KIND_VALUE, function, "value") == 0;
}

void *mp_value_data(mp_value *value) {
    return is_value(value, __func__) ? value->data : NULL;
}

size_t mp_value_size(const mp_value *value) {
    return is_value(value, __func__) ? value->size : 0;
}

char mp_value_typecode(const mp_value *value) {
    return is_value(value, __func__) ? value->typecode : 0;
}

mp_lock *mp_value_get_lock(mp_value *value) {
    return is_value(value, __func__) ? value->lock : NULL;
}

int mp_value_copy(mp_value **out, const mp_value *value) {
    int code = mp__kind_check(value, MP__KIND_VALUE, __func__, "value");
    if (code < 0)
        return code;
    return make_sized(out, value->typecode, value->size, value->data, MP_NO_LOCK, __func__);
}

int mp_value_synchronized(mp_value **out, mp_value *raw, mp_lock *lock) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_value_synchronized: out is NULL");
    if (lock == MP_NO_LOCK)
        return mp__fail(MP_EINVAL, "mp_value_synchronized: MP_NO_LOCK, but a lock is what it adds");
    int code = mp__kind_check(raw, MP__KIND_VALUE, __func__, "value");
    if (code == 0)
        code = mp__owned_lock_check(lock, __func__);
    return code < 0 ? code : make_value(out, raw, NULL, lock);
}

void mp_value_free(mp_value *value) {
    if (!value || !is_value(value, __func__) || !mp__self())
        return;
    mp__owned_lock_fini(&value->own);
    mp__object_free(value);
}

int mp__value_check(const mp_value *value) {
    if (!mp__kind_is(value, MP__KIND_VALUE))
        return mp__fail(MP_ESTATE, "value %p: not a value", (const void *)value);
    if (!mp__arena_contains(value->data, value->size))
        return mp__fail(MP_ESTATE, "value %p: its data lie outside the shared heap at %p",
                        (const void *)value, (const void *)value->data);
    if (value->typecode && mp__typecode_size(value->typecode) != value->size)
        return mp__fail(MP_ESTATE, "value %p: items of %zu bytes, typecode %d", (const void *)value,
                        value->size, value->typecode);
    return value->lock ? mp__lock_check(value->lock) : 0;
}

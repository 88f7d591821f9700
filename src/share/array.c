/* Array: items side by side in shared memory with the lock that goes with them.
 * SPDX-License-Identifier: MIT */
#include "mp/shared.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "shm/heap.h"
#include "share/array.h"
#include "share/typecode.h"

static int make_array(mp_array **out, const struct array_shared *model, const void *initial,
                      mp_lock *lock, const char *function) {
    size_t bytes, total;
    if (!out)
        return mp__fail(MP_EINVAL, "%s: out is NULL", function);
    int code = mp__owned_lock_check(lock, function);
    if (code < 0)
        return code;
    if (__builtin_mul_overflow(model->length, model->item_size, &bytes) ||
        __builtin_add_overflow(bytes, mp__data_offset(sizeof *model, bytes), &total) ||
        total > PTRDIFF_MAX)
        return mp__fail(MP_EINVAL, "%s: %zu items of %zu bytes are more than memory can have",
                        function, model->length, model->item_size);
    struct array_shared *array = mp__self() ? mp__heap_zalloc(total) : NULL;
    if (!array)
        return -ENOMEM;
    array->typecode = model->typecode;
    array->item_size = model->item_size;
    array->length = model->length;
    array->data = (char *)array + mp__data_offset(sizeof *array, bytes);
    if (initial && bytes > 0)
        memcpy(array->data, initial, bytes);
    array->lock = mp__owned_lock_init(&array->own, lock);
    atomic_store(&array->kind, MP__KIND_ARRAY);
    MP__POINT("array.new.filled");
    mp__heap_publish(array);
    *out = array;
    return 0;
}

static int make_typed(mp_array **out, char typecode, size_t length, const void *initial,
                      mp_lock *lock, const char *function) {
    struct array_shared model = {.typecode = typecode, .length = length};
    int code = mp__typecode_check(typecode, function, &model.item_size);
    return code < 0 ? code : make_array(out, &model, initial, lock, function);
}

int mp_array_new(mp_array **out, mp_context *context, char typecode, size_t length,
                 const void *initial, mp_lock *lock) {
    (void)context;
    return make_typed(out, typecode, length, initial, lock, __func__);
}

int mp_raw_array_new(mp_array **out, mp_context *context, char typecode, size_t length,
                     const void *initial) {
    (void)context;
    return make_typed(out, typecode, length, initial, MP_NO_LOCK, __func__);
}

int mp_array_new_struct(mp_array **out, mp_context *context, size_t item_size, size_t length,
                        const void *initial, mp_lock *lock) {
    (void)context;
    if (item_size == 0)
        return mp__fail(MP_EINVAL, "mp_array_new_struct: item_size is 0");
    struct array_shared model = {.item_size = item_size, .length = length};
    return make_array(out, &model, initial, lock, __func__);
}

static bool is_array(const mp_array *array, const char *function) {
    return mp__kind_check(array, MP__KIND_ARRAY, function, "array") == 0;
}

void *mp_array_data(mp_array *array) {
    return is_array(array, __func__) ? array->data : NULL;
}

size_t mp_array_length(const mp_array *array) {
    return is_array(array, __func__) ? array->length : 0;
}

size_t mp_array_item_size(const mp_array *array) {
    return is_array(array, __func__) ? array->item_size : 0;
}

char mp_array_typecode(const mp_array *array) {
    return is_array(array, __func__) ? array->typecode : 0;
}

mp_lock *mp_array_get_lock(mp_array *array) {
    return is_array(array, __func__) ? array->lock : NULL;
}

/* Check and find the item: its address goes to *out. */
static int find_item(mp_array *array, ptrdiff_t index, const void *buffer, char **out,
                     const char *function) {
    int code = mp__kind_check(array, MP__KIND_ARRAY, function, "array");
    if (code < 0)
        return code;
    if (!buffer)
        return mp__fail(MP_EINVAL, "%s: the item's address is NULL", function);
    size_t position = index < 0 ? array->length + (size_t)index : (size_t)index;
    if (position >= array->length)
        return mp__fail(MP_EINDEX, "%s: index %td of an array of %zu", function, index,
                        array->length);
    *out = array->data + position * array->item_size;
    return 0;
}

/* One item under the lock. That the last owner died is for whoever looks at the whole to hear. */
static int move_item(mp_array *array, void *to, const void *from) {
    struct lock_shared *lock = array->lock;
    int code = lock ? mp_lock_acquire(lock, MP_FOREVER) : 0;
    if (code < 0 && code != MP_EOWNERDEAD)
        return code;
    memcpy(to, from, array->item_size);
    MP__POINT("array.item.moved");
    if (code == MP_EOWNERDEAD)
        mp__lock_release_dead(lock);
    else if (lock)
        mp_lock_release(lock);
    return 0;
}

int mp_array_get(mp_array *array, ptrdiff_t index, void *out) {
    char *item = NULL;
    int code = find_item(array, index, out, &item, __func__);
    return code < 0 ? code : move_item(array, out, item);
}

int mp_array_set(mp_array *array, ptrdiff_t index, const void *item) {
    char *place = NULL;
    int code = find_item(array, index, item, &place, __func__);
    return code < 0 ? code : move_item(array, place, item);
}

int mp_array_copy(mp_array **out, const mp_array *array) {
    int code = mp__kind_check(array, MP__KIND_ARRAY, __func__, "array");
    return code < 0 ? code : make_array(out, array, array->data, MP_NO_LOCK, __func__);
}

void mp_array_free(mp_array *array) {
    if (!array || !is_array(array, __func__) || !mp__self())
        return;
    mp__owned_lock_fini(&array->own);
    mp__object_free(array);
}

int mp__array_check(const mp_array *array) {
    if (!mp__kind_is(array, MP__KIND_ARRAY))
        return mp__fail(MP_ESTATE, "array %p: not an array", (const void *)array);
    if (!mp__arena_contains(array->data, array->length * array->item_size))
        return mp__fail(MP_ESTATE, "array %p: its data lie outside the shared heap at %p",
                        (const void *)array, (const void *)array->data);
    if (array->typecode && mp__typecode_size(array->typecode) != array->item_size)
        return mp__fail(MP_ESTATE, "array %p: items of %zu bytes, typecode %d", (const void *)array,
                        array->item_size, array->typecode);
    return array->lock ? mp__lock_check(array->lock) : 0;
}

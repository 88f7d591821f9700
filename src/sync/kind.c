/* Saying what is wrong with a pointer that is not what it should be.
 * SPDX-License-Identifier: MIT */
#include "sync/kind.h"

#include "base/fail.h"
#include "base/point.h"
#include "shm/heap.h"

int mp__kind_refuse(const void *object, enum mp__kind kind, const char *function,
                    const char *noun) {
    (void)kind;
    if (!object)
        return mp__fail(MP_EINVAL, "%s: the %s is NULL", function, noun);
    if (!mp__arena_contains(object, sizeof(mp__kind_word)))
        return mp__fail(MP_EINVAL, "%s: %p is not a %s: it lies outside the shared heap", function,
                        object, noun);
    if ((uintptr_t)object & 15)
        return mp__fail(MP_EINVAL, "%s: %p is not a %s: no object starts there", function, object,
                        noun);
    uint32_t word = atomic_load_explicit((const mp__kind_word *)object, memory_order_relaxed);
    if (word >= MP__KIND_LOCK && word <= MP__KIND_PROXY)
        return mp__fail(MP_EINVAL, "%s: %p is another kind of object, not a %s", function, object,
                        noun);
    return mp__fail(MP_EINVAL, "%s: %p is no %s, or was freed", function, object, noun);
}

void mp__object_free(void *object) {
    mp__heap_take(object);
    MP__POINT("object.free.taken");
    atomic_store_explicit((mp__kind_word *)object, 0, memory_order_release);
    MP__POINT("object.free.cleared");
    mp__heap_free(object);
}

/* The family's heap for users: what is taken is the family's at once.
 * SPDX-License-Identifier: MIT */
#include "mp/shared.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "reg/thread.h"
#include "shm/heap.h"

static void *publish(void *block) {
    MP__POINT("shared.alloc.taken");
    if (block)
        mp__heap_publish(block);
    return block;
}

void *mp_shared_alloc(size_t size) {
    return mp__self() ? publish(mp__heap_alloc(size)) : NULL;
}

void *mp_shared_calloc(size_t n, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        mp__fail(MP_EINVAL,
                 "mp_shared_calloc: %zu items of %zu bytes are more than memory can have", n, size);
        return NULL;
    }
    return mp__self() ? publish(mp__heap_zalloc(bytes)) : NULL;
}

/* Any pointer may be asked. */
static bool check_block(const void *block, const char *function) {
    if (mp__self() && mp__heap_is_block(block))
        return true;
    mp__fail(MP_EINVAL, "%s: %p is no block of the shared heap, or was freed", function, block);
    return false;
}

/* Stay where it is unless more than half of it would be wasted. */
void *mp_shared_realloc(void *block, size_t size) {
    if (!block)
        return mp_shared_alloc(size);
    if (!check_block(block, __func__))
        return NULL;
    size_t old_size = mp__heap_size(block);
    if (size <= old_size && size >= old_size / 2)
        return block;
    void *moved = mp_shared_alloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, block, size < old_size ? size : old_size);
    mp__heap_free(block);
    return moved;
}

void mp_shared_free(void *block) {
    if (block && check_block(block, __func__))
        mp__heap_free(block);
}

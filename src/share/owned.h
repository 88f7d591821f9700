/* The lock of a value or an array: its own, the user's, or none.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SHARE_OWNED_H
#define MP__SHARE_OWNED_H

#include "mp/shared.h"

#include "sync/lock.h"

/* Is `lock` MP_NEW_LOCK, MP_NO_LOCK or a lock? 0 or MP_EINVAL. */
int mp__owned_lock_check(const mp_lock *lock, const char *function);

/* Make `own` an RLock, and tell which lock the object has: `own`, the user's, or NULL. */
struct lock_shared *mp__owned_lock_init(struct lock_shared *own, mp_lock *lock);
void mp__owned_lock_fini(struct lock_shared *own); /* it is no lock any more */

/* Items of `size` bytes lie this far behind the start of a block whose header has `header` bytes.
 */
static inline size_t mp__data_offset(size_t header, size_t size) {
    size_t alignment = size >= 64 ? 64 : 16;
    return (header + alignment - 1) / alignment * alignment;
}

#endif

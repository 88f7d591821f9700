/* Choosing the lock of a value or an array.
 * SPDX-License-Identifier: MIT */
#include "share/owned.h"

int mp__owned_lock_check(const mp_lock *lock, const char *function) {
    if (lock == MP_NEW_LOCK || lock == MP_NO_LOCK)
        return 0;
    return mp__kind_check(lock, MP__KIND_LOCK, function, "lock");
}

void mp__owned_lock_init(struct owned_lock_shared *owned, mp_lock *lock) {
    mp__lock_init(&owned->own, true);
    owned->lock = lock == MP_NEW_LOCK ? &owned->own : lock == MP_NO_LOCK ? NULL : lock;
}

void mp__owned_lock_fini(struct owned_lock_shared *owned) {
    atomic_store(&owned->own.kind, 0);
}

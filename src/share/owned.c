/* Choosing the lock of a value or an array.
 * SPDX-License-Identifier: MIT */
#include "share/owned.h"

int mp__owned_lock_check(const mp_lock *lock, const char *function) {
    if (lock == MP_NEW_LOCK || lock == MP_NO_LOCK)
        return 0;
    return mp__kind_check(lock, MP__KIND_LOCK, function, "lock");
}

struct lock_shared *mp__owned_lock_init(struct lock_shared *own, mp_lock *lock) {
    mp__lock_init(own, true);
    return lock == MP_NEW_LOCK ? own : lock == MP_NO_LOCK ? NULL : lock;
}

void mp__owned_lock_fini(struct lock_shared *own) {
    atomic_store(&own->kind, 0);
}

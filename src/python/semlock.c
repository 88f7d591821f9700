/* Locks and semaphores of Python's: a named semaphore, and who has it in this process.
 * SPDX-License-Identifier: MIT */
#include "python/semlock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "mp/pickle.h"
#include "python/shape.h"

enum { KIND_RECURSIVE, KIND_SEMAPHORE }; /* as _multiprocessing.SemLock has them */

static uintptr_t this_thread(void) {
    static _Thread_local char place;
    return (uintptr_t)&place;
}

static bool is_semlock(const mp_object *object) {
    static const char *const classes[] = {"Lock", "RLock", "Semaphore", "BoundedSemaphore"};
    const char *name = mp__shape_name(object, "multiprocessing.synchronize");
    for (size_t i = 0; name && i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(name, classes[i]) == 0)
            return true;
    return false;
}

int mp__semlock_open(mp_python_lock **out, const mp_object *object) {
    long long handle; /* an address in the process that made it */
    int kind, maximum;
    const char *name;
    if (!is_semlock(object))
        return MP_ETYPE;
    if (mp_object_parse(mp_call_get_state(object), "(Liis)", &handle, &kind, &maximum, &name) < 0 ||
        (kind != KIND_RECURSIVE && kind != KIND_SEMAPHORE))
        return mp__shape_broken("lock", "mp_python_lock_open");
    mp_python_lock *lock = calloc(1, sizeof *lock);
    if (!lock)
        return mp__fail(-ENOMEM, "mp_python_lock_open");
    int code = mp__named_semaphore_open(&lock->semaphore, name);
    if (code < 0) {
        free(lock);
        return mp__fail(code, "mp_python_lock_open: the semaphore '%s'", name);
    }
    lock->is_recursive = kind == KIND_RECURSIVE;
    lock->maximum = maximum;
    mp__log(MP_LOG_DEBUG, "recreated blocker with handle %lld", handle);
    *out = lock;
    return 0;
}

bool mp__semlock_is_mine(const mp_python_lock *lock) {
    return atomic_load(&lock->count) > 0 && atomic_load(&lock->owner) == this_thread();
}

int mp__semlock_acquire(mp_python_lock *lock, mp__time deadline) {
    if (lock->is_recursive && mp__semlock_is_mine(lock)) {
        atomic_fetch_add(&lock->count, 1);
        return 0;
    }
    int code = mp__named_semaphore_acquire(lock->semaphore, deadline);
    if (code < 0)
        return code;
    atomic_store(&lock->owner, this_thread());
    atomic_fetch_add(&lock->count, 1);
    return 0;
}

/* The count first: from the post on somebody else may have it. Semaphores are also released by who
 * never acquired them. */
int mp__semlock_release(mp_python_lock *lock) {
    if (lock->is_recursive && !mp__semlock_is_mine(lock))
        return mp__fail(MP_EOWNER, "mp_python_lock_release: this thread has not got the RLock");
    if (!lock->is_recursive && mp__named_semaphore_value(lock->semaphore) >= lock->maximum)
        return mp__fail(MP_EINVAL, "mp_python_lock_release: released too many times");
    int before = atomic_fetch_sub(&lock->count, 1);
    if (lock->is_recursive && before > 1)
        return 0;
    int code = mp__named_semaphore_release(lock->semaphore);
    return code < 0 ? mp__fail(code, "mp_python_lock_release") : 0;
}

bool mp__semlock_is_zero(mp_python_lock *lock) {
    return mp__named_semaphore_value(lock->semaphore) == 0;
}

int mp_python_lock_open(mp_python_lock **out, const mp_object *object) {
    int code = mp__shape_check(out, object, "mp_python_lock_open");
    if (code == 0)
        code = mp__semlock_open(out, object);
    return code == MP_ETYPE ? mp__shape_refuse(object, "lock", "mp_python_lock_open") : code;
}

int mp_python_lock_acquire(mp_python_lock *lock, double timeout) {
    mp__time deadline;
    if (!lock)
        return mp__fail(MP_EINVAL, "mp_python_lock_acquire: lock is NULL");
    int code = mp__deadline(&deadline, timeout);
    if (code == 0)
        code = mp__semlock_acquire(lock, deadline);
    return code == MP_ETIMEDOUT
               ? mp__fail(code, "mp_python_lock_acquire: others had it for %g seconds", timeout)
               : code;
}

int mp_python_lock_release(mp_python_lock *lock) {
    return lock ? mp__semlock_release(lock)
                : mp__fail(MP_EINVAL, "mp_python_lock_release: lock is NULL");
}

int mp_python_lock_value(const mp_python_lock *lock) {
    if (!lock)
        return mp__fail(MP_EINVAL, "mp_python_lock_value: lock is NULL");
    int value = mp__named_semaphore_value(lock->semaphore);
    return value < 0 ? mp__fail(value, "mp_python_lock_value") : value;
}

void mp_python_lock_free(mp_python_lock *lock) {
    if (lock)
        mp__named_semaphore_close(lock->semaphore);
    free(lock);
}

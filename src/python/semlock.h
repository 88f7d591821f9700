/* Python's SemLock and Condition: what its locks, events, barriers and queues are built of.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PYTHON_SEMLOCK_H
#define MP__PYTHON_SEMLOCK_H

#include <stdatomic.h>

#include "mp/python.h"
#include "os/clock.h"
#include "os/named_semaphore.h"

struct mp_python_lock {
    mp__named_semaphore *semaphore; /* shared with everybody */
    bool is_recursive;              /* an RLock */
    int maximum;                    /* beyond that value nobody releases */
    _Atomic int count;              /* how often this process has it */
    _Atomic uintptr_t owner;        /* the thread of this process that took it last */
};

/* Open it if the object is one: 0; MP_ETYPE without detail; else with. */
int mp__semlock_open(mp_python_lock **out, const mp_object *object);
bool mp__semlock_is_mine(const mp_python_lock *lock);             /* this thread's? */
int mp__semlock_acquire(mp_python_lock *lock, mp__time deadline); /* 0; MP_ETIMEDOUT; -errno */
int mp__semlock_release(mp_python_lock *lock);
bool mp__semlock_is_zero(mp_python_lock *lock);

struct mp_python_condition {
    mp_python_lock *lock;     /* to be held around the others; its own */
    mp_python_lock *sleeping; /* counts who waits, or has waited and is still counted */
    mp_python_lock *woken;    /* counts who has stopped waiting since */
    mp_python_lock *wake;     /* what they wait for */
};

/* From the recipe of a Condition, into zeros. fini ends it, also after a failure. */
int mp__python_condition_init(struct mp_python_condition *out, const mp_object *object);
void mp__python_condition_fini(struct mp_python_condition *condition);
int mp__python_condition_wait(struct mp_python_condition *condition, mp__time deadline);
int mp__python_condition_notify(struct mp_python_condition *condition, unsigned count);

#endif

/* Python's Barrier: a state and a count in shared memory, under a Condition.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mp/pickle.h"
#include "python/python_memory.h"
#include "python/semlock.h"
#include "python/shape.h"

/* As threading.Barrier numbers its states. */
enum { FILLING = 0, DRAINING = 1, RESETTING = -1, BROKEN = -2 };

struct cells {
    _Atomic int state; /* both change under the lock */
    _Atomic int count; /* who is in it */
};

struct mp_python_barrier {
    int parties;
    double timeout; /* of a wait that names none */
    struct mp_python_condition condition;
    struct python_memory memory;
};

static struct cells *cells_of(const mp_python_barrier *barrier) {
    return mp__python_memory_data(&barrier->memory);
}

static int fill_barrier(mp_python_barrier *barrier, const mp_object *object) {
    static const char function[] = "mp_python_barrier_open";
    mp_object *action, *timeout, *condition, *wrapper;
    if (mp_object_parse(mp_call_get_state(object), "(iOOOO)", &barrier->parties, &action, &timeout,
                        &condition, &wrapper) < 0)
        return mp__shape_broken("barrier", function);
    if (mp_object_get_kind(action) != MP_OBJECT_NONE)
        return mp__fail(MP_ETYPE, "%s: the barrier has an action, which only Python can call",
                        function);
    barrier->timeout = MP_FOREVER;
    if (mp_object_get_kind(timeout) != MP_OBJECT_NONE &&
        mp_float_get(timeout, &barrier->timeout) < 0)
        return mp__shape_broken("barrier", function);
    int code = mp__python_condition_init(&barrier->condition, condition);
    if (code == 0)
        code = mp__python_memory_map(&barrier->memory, wrapper, "barrier", function);
    if (code == 0 && barrier->memory.size < sizeof(struct cells))
        code = mp__shape_broken("barrier", function);
    return code;
}

int mp_python_barrier_open(mp_python_barrier **out, const mp_object *object) {
    int code = mp__shape_check(out, object, "mp_python_barrier_open");
    if (code < 0)
        return code;
    if (!mp__shape_is(object, "multiprocessing.synchronize", "Barrier"))
        return mp__shape_refuse(object, "barrier", "mp_python_barrier_open");
    mp_python_barrier *barrier = calloc(1, sizeof *barrier);
    if (!barrier)
        return mp__fail(-ENOMEM, "mp_python_barrier_open");
    code = fill_barrier(barrier, object);
    if (code < 0)
        mp_python_barrier_free(barrier);
    else
        *out = barrier;
    return code;
}

static int lock_barrier(mp_python_barrier *barrier, const char *function) {
    return barrier ? mp__semlock_acquire(barrier->condition.lock, MP__NEVER)
                   : mp__fail(MP_EINVAL, "%s: barrier is NULL", function);
}

static int unlock_barrier(mp_python_barrier *barrier, int code) {
    int released = mp__semlock_release(barrier->condition.lock);
    return code < 0 || released == 0 ? code : released;
}

static int change_state(mp_python_barrier *barrier, int state) {
    atomic_store(&cells_of(barrier)->state, state);
    return mp__python_condition_notify(&barrier->condition, UINT_MAX);
}

static int fail_broken(void) {
    return mp__fail(MP_EBROKEN, "mp_python_barrier_wait: the barrier is broken, or was reset");
}

/* Until those of the last time are out. */
static int enter(mp_python_barrier *barrier) {
    struct cells *cells = cells_of(barrier);
    int code = 0, state;
    while ((state = atomic_load(&cells->state)) == DRAINING || state == RESETTING)
        code = mp__python_condition_wait(&barrier->condition, MP__NEVER);
    return state == BROKEN ? fail_broken() : code;
}

static int await_others(mp_python_barrier *barrier, mp__time deadline) {
    struct cells *cells = cells_of(barrier);
    int code = 0;
    while (code == 0 && atomic_load(&cells->state) == FILLING)
        code = mp__python_condition_wait(&barrier->condition, deadline);
    if (atomic_load(&cells->state) == DRAINING)
        return 0;
    if (atomic_load(&cells->state) == FILLING) /* too late, for all of them */
        (void)change_state(barrier, BROKEN);
    return code < 0 && code != MP_ETIMEDOUT ? code : fail_broken();
}

/* The last one lets the next come in. */
static int leave(mp_python_barrier *barrier) {
    struct cells *cells = cells_of(barrier);
    int count = atomic_fetch_sub(&cells->count, 1) - 1, state = atomic_load(&cells->state);
    return count == 0 && (state == DRAINING || state == RESETTING) ? change_state(barrier, FILLING)
                                                                   : 0;
}

static int wait_locked(mp_python_barrier *barrier, mp__time deadline) {
    int code = enter(barrier);
    if (code < 0)
        return code;
    int index = atomic_fetch_add(&cells_of(barrier)->count, 1);
    code = index + 1 == barrier->parties ? change_state(barrier, DRAINING)
                                         : await_others(barrier, deadline);
    int left = leave(barrier);
    return code < 0 ? code : left < 0 ? left : index;
}

int mp_python_barrier_wait(mp_python_barrier *barrier, double timeout) {
    mp__time deadline;
    if (!barrier)
        return mp__fail(MP_EINVAL, "mp_python_barrier_wait: barrier is NULL");
    int code = mp__deadline(&deadline, timeout == MP_FOREVER ? barrier->timeout : timeout);
    if (code == 0)
        code = lock_barrier(barrier, "mp_python_barrier_wait");
    return code < 0 ? code : unlock_barrier(barrier, wait_locked(barrier, deadline));
}

int mp_python_barrier_reset(mp_python_barrier *barrier) {
    int code = lock_barrier(barrier, "mp_python_barrier_reset");
    if (code < 0)
        return code;
    bool is_empty = atomic_load(&cells_of(barrier)->count) == 0;
    bool is_draining = atomic_load(&cells_of(barrier)->state) == DRAINING;
    code = is_empty      ? change_state(barrier, FILLING)
           : is_draining ? 0
                         : change_state(barrier, RESETTING);
    return unlock_barrier(barrier, code);
}

int mp_python_barrier_abort(mp_python_barrier *barrier) {
    int code = lock_barrier(barrier, "mp_python_barrier_abort");
    return code < 0 ? code : unlock_barrier(barrier, change_state(barrier, BROKEN));
}

int mp_python_barrier_parties(const mp_python_barrier *barrier) {
    return barrier ? barrier->parties : 0;
}

int mp_python_barrier_n_waiting(const mp_python_barrier *barrier) {
    bool is_filling = barrier && atomic_load(&cells_of(barrier)->state) == FILLING;
    return is_filling ? atomic_load(&cells_of(barrier)->count) : 0;
}

bool mp_python_barrier_broken(const mp_python_barrier *barrier) {
    return barrier && atomic_load(&cells_of(barrier)->state) == BROKEN;
}

void mp_python_barrier_free(mp_python_barrier *barrier) {
    if (!barrier)
        return;
    mp__python_condition_fini(&barrier->condition);
    mp__python_memory_unmap(&barrier->memory);
    free(barrier);
}

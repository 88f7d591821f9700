/* Barrier: a guard, a phase, and the threads whose records say that they wait in it.
 * SPDX-License-Identifier: MIT
 *
 *                     all have come                       every waiter told its number
 *         FILLING ------------------> ACTING, RELEASING -------------------------------> FILLING
 *            | abort, a timeout, a failed or dead action        every waiter told
 *            +----------------------> BREAKING ----------------------------------------> BROKEN
 *            | reset (also from BROKEN)                         every waiter told
 *            +----------------------> RESETTING ---------------------------------------> FILLING
 *
 * Entering a phase in capitals is one store; what belongs to it can be repeated by anyone, so
 * recovery finishes it. */
#include "mp/sync.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "shm/function.h"
#include "shm/heap.h"
#include "sync/barrier.h"
#include "sync/guard.h"
#include "sync/kind.h"
#include "sync/waiters.h"

enum phase { FILLING, ACTING, RELEASING, BREAKING, BROKEN, RESETTING, PHASE_COUNT };

#define FIRST_TICKET \
    (UINT64_C(1) << 32) /* arrivals; below it the numbers that waiters are told \
                         */

static const uint64_t broken_ticket = UINT64_MAX; /* instead of a number */

struct barrier_shared {
    _Alignas(16) mp__kind_word kind; /* MP__KIND_BARRIER */
    uint32_t parties;                /* how many have to come; never changes, as all not marked */
    struct mp__guard guard;          /* guards phase and next_ticket */
    _Atomic uint32_t phase;          /* enum phase */
    uint64_t next_ticket;            /* of the next to come, from FIRST_TICKET; guarded */
    double timeout;                  /* seconds, for waits without one; 0 none */
    struct mp__function action;      /* none, or what one of the threads runs */
    size_t arg_size;                 /* bytes at arg */
    _Alignas(16) char arg[];         /* the action's argument */
};

static int check_options(unsigned parties, const mp_barrier_options *options) {
    if (parties == 0 || parties >= MP__THREAD_MAX)
        return mp__fail(MP_EINVAL, "mp_barrier_new: %u parties, not 1 to %d", parties,
                        MP__THREAD_MAX - 1);
    if (isnan(options->timeout) || options->timeout < 0)
        return mp__fail(MP_EINVAL, "mp_barrier_new: the timeout is %g", options->timeout);
    if (options->arg_size > 0 && !options->arg)
        return mp__fail(MP_EINVAL, "mp_barrier_new: arg is NULL, arg_size is not 0");
    if (options->arg_size > PTRDIFF_MAX - sizeof(struct barrier_shared))
        return mp__fail(MP_EINVAL, "mp_barrier_new: arg_size is %zu", options->arg_size);
    return 0;
}

int mp_barrier_new(mp_barrier **out, mp_context *context, unsigned parties,
                   const mp_barrier_options *options) {
    static const mp_barrier_options defaults;
    struct mp__function action;
    (void)context;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_barrier_new: out is NULL");
    options = options ? options : &defaults;
    int code = check_options(parties, options);
    if (code == 0 && !mp__self())
        code = -ENOMEM;
    if (code == 0)
        code = mp__function_pack((mp__any_fn)options->action, &action);
    if (code < 0)
        return code;
    struct barrier_shared *barrier = mp__heap_zalloc(sizeof *barrier + options->arg_size);
    if (!barrier)
        return -ENOMEM;
    barrier->parties = parties;
    barrier->next_ticket = FIRST_TICKET;
    barrier->timeout = options->timeout;
    barrier->action = action;
    barrier->arg_size = options->arg_size;
    if (options->arg_size > 0)
        memcpy(barrier->arg, options->arg, options->arg_size);
    atomic_store(&barrier->kind, MP__KIND_BARRIER);
    MP__POINT("barrier.new.filled");
    mp__heap_publish(barrier);
    *out = barrier;
    return 0;
}

static enum phase phase_of(const mp_barrier *barrier) {
    return (enum phase)atomic_load(&barrier->phase);
}

static void set_phase(mp_barrier *barrier, enum phase phase) {
    atomic_store(&barrier->phase, phase);
}

/* Do what is left to do in this phase. The guard is ours, or its dead owner's. */
static void finish_phase(mp_barrier *barrier) {
    enum phase phase = phase_of(barrier);
    if (phase != RELEASING && phase != BREAKING && phase != RESETTING)
        return;
    MP__POINT("barrier.phase.entered");
    mp__waiter_notify_all(barrier, phase == RELEASING ? NULL : &broken_ticket);
    MP__POINT("barrier.phase.told");
    set_phase(barrier, phase == BREAKING ? BROKEN : FILLING);
}

static void enter_phase(mp_barrier *barrier, enum phase phase) {
    set_phase(barrier, phase);
    finish_phase(barrier);
}

static int lock_barrier(mp_barrier *barrier, struct thread_shared *self) {
    int code = mp__guard_acquire(&barrier->guard, self, MP__HOLDING_BARRIER, barrier, MP__NEVER);
    return code == MP_EOWNERDEAD ? 0 : code; /* recovery has repaired it */
}

static void unlock_barrier(mp_barrier *barrier, struct thread_shared *self) {
    mp__guard_release(&barrier->guard, self, MP__HOLDING_BARRIER, barrier);
}

static int run_action(mp_barrier *barrier) {
    mp__any_fn found;
    if (barrier->action.image == 0)
        return 0;
    if (mp__function_find(&barrier->action, &found) < 0)
        return MP_EBROKEN;
    int result = ((int (*)(void *, size_t))found)(barrier->arg, barrier->arg_size);
    if (result != 0)
        return mp__fail(MP_EBROKEN, "mp_barrier_wait: the action returned %d", result);
    return 0;
}

/* 0, 1, 2... in order of arrival. Repeated from any point it keeps that order, for a number is
 * never above the ticket it replaces. */
static void number_waiters(mp_barrier *barrier) {
    struct thread_shared *waiter;
    for (uint64_t number = 0; (waiter = mp__waiter_first(barrier, number)); number++)
        atomic_store(&waiter->wait_ticket, number);
    MP__POINT("barrier.phase.numbered");
}

/* The last to come does not wait. Dying in ACTING breaks the barrier, in RELEASING does not. */
static int come_last(mp_barrier *barrier, struct thread_shared *self) {
    if (barrier->action.image != 0)
        set_phase(barrier, ACTING);
    MP__POINT("barrier.wait.acting");
    int code = run_action(barrier);
    if (code == 0)
        number_waiters(barrier);
    MP__POINT("barrier.wait.numbered");
    enter_phase(barrier, code < 0 ? BREAKING : RELEASING);
    unlock_barrier(barrier, self);
    return code < 0 ? code : (int)barrier->parties - 1;
}

/* Time is up: that breaks the barrier, unless we were told to go on meanwhile. */
static void stop_waiting(mp_barrier *barrier, struct thread_shared *self) {
    if (lock_barrier(barrier, self) < 0)
        return;
    if (mp__waiter_give_up(self)) {
        atomic_store(&self->wait_ticket, broken_ticket);
        MP__POINT("barrier.stop.told");
        enter_phase(barrier, BREAKING);
    }
    unlock_barrier(barrier, self);
}

static int come_and_wait(mp_barrier *barrier, struct thread_shared *self, mp__time deadline) {
    int code = mp__waiter_enlist(self, MP__HOLDING_BARRIER, barrier, barrier->next_ticket++);
    unlock_barrier(barrier, self);
    if (code < 0)
        return code;
    MP__POINT("barrier.wait.enlisted");
    if (mp__waiter_sleep(self, &barrier->guard, false, deadline) < 0)
        stop_waiting(barrier, self);
    uint64_t number = atomic_load(&self->wait_ticket);
    mp__waiter_leave(self, MP__HOLDING_BARRIER, barrier);
    if (number == broken_ticket)
        return mp__fail(MP_EBROKEN, "mp_barrier_wait: broken while this thread waited");
    return (int)number;
}

static int come(mp_barrier *barrier, struct thread_shared *self, mp__time deadline) {
    int code = lock_barrier(barrier, self);
    if (code < 0)
        return code;
    MP__POINT("barrier.wait.locked");
    if (phase_of(barrier) == BROKEN) {
        unlock_barrier(barrier, self);
        return mp__fail(MP_EBROKEN, "mp_barrier_wait: the barrier is broken until it is reset");
    }
    if (mp__waiter_count(barrier) + 1 >= barrier->parties)
        return come_last(barrier, self);
    return come_and_wait(barrier, self, deadline);
}

/* The object is right and this thread in the family. */
static int check_barrier(const mp_barrier *barrier, const char *function,
                         struct thread_shared **self) {
    int code = mp__kind_check(barrier, MP__KIND_BARRIER, function, "barrier");
    if (code < 0)
        return code;
    *self = mp__self();
    return *self ? 0 : -ENOMEM;
}

int mp_barrier_wait(mp_barrier *barrier, double timeout) {
    struct thread_shared *self;
    mp__time deadline;
    int code = check_barrier(barrier, __func__, &self);
    if (code == 0 && timeout == MP_FOREVER && barrier->timeout > 0)
        timeout = barrier->timeout;
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    return code < 0 ? code : come(barrier, self, deadline);
}

static int end_wait(mp_barrier *barrier, const char *function, enum phase phase) {
    struct thread_shared *self;
    int code = check_barrier(barrier, function, &self);
    if (code == 0)
        code = lock_barrier(barrier, self);
    if (code < 0)
        return code;
    enter_phase(barrier, phase);
    unlock_barrier(barrier, self);
    return 0;
}

int mp_barrier_reset(mp_barrier *barrier) {
    return end_wait(barrier, __func__, RESETTING);
}

int mp_barrier_abort(mp_barrier *barrier) {
    return end_wait(barrier, __func__, BREAKING);
}

unsigned mp_barrier_parties(const mp_barrier *barrier) {
    return mp__kind_check(barrier, MP__KIND_BARRIER, __func__, "barrier") < 0 ? 0
                                                                              : barrier->parties;
}

unsigned mp_barrier_n_waiting(const mp_barrier *barrier) {
    return mp__kind_check(barrier, MP__KIND_BARRIER, __func__, "barrier") < 0
               ? 0
               : mp__waiter_count(barrier);
}

bool mp_barrier_broken(const mp_barrier *barrier) {
    if (mp__kind_check(barrier, MP__KIND_BARRIER, __func__, "barrier") < 0)
        return false;
    return phase_of(barrier) == BROKEN || phase_of(barrier) == BREAKING;
}

void mp_barrier_free(mp_barrier *barrier) {
    if (barrier && mp__kind_check(barrier, MP__KIND_BARRIER, __func__, "barrier") == 0 &&
        mp__self())
        mp__object_free(barrier);
}

int mp__barrier_check(const mp_barrier *barrier) {
    if (!mp__kind_is(barrier, MP__KIND_BARRIER))
        return mp__fail(MP_ESTATE, "barrier %p: not a barrier", (const void *)barrier);
    if (phase_of(barrier) >= PHASE_COUNT)
        return mp__fail(MP_ESTATE, "barrier %p: in phase %u", (const void *)barrier,
                        (unsigned)phase_of(barrier));
    if (mp__waiter_count(barrier) >= barrier->parties)
        return mp__fail(MP_ESTATE, "barrier %p: %u wait for %u", (const void *)barrier,
                        mp__waiter_count(barrier), barrier->parties);
    return 0;
}

static void recover_barrier(void *object, uint32_t dead_thread) {
    struct barrier_shared *barrier = object;
    mp__waiter_erase(dead_thread, barrier);
    if (!mp__kind_is(barrier, MP__KIND_BARRIER))
        return;
    if (mp__guard_owner(&barrier->guard) == dead_thread) {
        if (phase_of(barrier) == ACTING)
            set_phase(barrier, BREAKING);
        finish_phase(barrier);
    }
    mp__guard_recover(&barrier->guard, dead_thread, false);
}
MP__RECOVER(MP__HOLDING_BARRIER, recover_barrier)

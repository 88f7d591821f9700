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
#include <inttypes.h>
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

#define FIRST_TICKET \
    (UINT64_C(1) << 32) /* arrivals; below it the numbers that waiters are told \
                         */

#define BROKEN_TICKET (UINT64_C(1) << 63) /* instead of a number; | pid whose death broke it */

static int check_options(unsigned parties, const mp_barrier_options *options) {
    if (parties == 0 || parties >= MP__THREAD_MAX)
        return mp__fail(MP_EINVAL, "mp_barrier_new: %u parties, not 1 to %d", parties,
                        MP__THREAD_MAX - 1);
    if (isnan(options->timeout) || options->timeout < 0)
        return mp__fail(MP_EINVAL, "mp_barrier_new: the timeout is %g", options->timeout);
    if (options->arg_size > 0 && !options->arg)
        return mp__fail(MP_EINVAL, "mp_barrier_new: arg is NULL, arg_size is not 0");
    if (options->arg_size > PTRDIFF_MAX / 2)
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
    size_t table = sizeof(struct barrier_shared) + (options->arg_size + 15) / 16 * 16;
    size_t entries = options->break_on_death ? parties : 0;
    struct barrier_shared *barrier = mp__heap_zalloc(table + entries * sizeof(struct party_shared));
    if (!barrier)
        return -ENOMEM;
    if (entries > 0)
        barrier->known = (struct party_shared *)(void *)((char *)barrier + table);
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

static enum mp__barrier_phase phase_of(const mp_barrier *barrier) {
    return (enum mp__barrier_phase)atomic_load(&barrier->phase);
}

static void set_phase(mp_barrier *barrier, enum mp__barrier_phase phase) {
    atomic_store(&barrier->phase, phase);
}

/* Do what is left to do in this phase. The guard is ours, or its dead owner's. */
static void finish_phase(mp_barrier *barrier) {
    enum mp__barrier_phase phase = phase_of(barrier);
    if (phase != MP__BARRIER_RELEASING && phase != MP__BARRIER_BREAKING &&
        phase != MP__BARRIER_RESETTING)
        return;
    MP__POINT("barrier.phase.entered");
    uint32_t killer = phase == MP__BARRIER_BREAKING ? atomic_load(&barrier->killer) : 0;
    uint64_t ticket = BROKEN_TICKET | killer;
    mp__waiter_notify_all(barrier, phase == MP__BARRIER_RELEASING ? NULL : &ticket);
    MP__POINT("barrier.phase.told");
    set_phase(barrier, phase == MP__BARRIER_BREAKING ? MP__BARRIER_BROKEN : MP__BARRIER_FILLING);
}

static void enter_phase(mp_barrier *barrier, enum mp__barrier_phase phase) {
    set_phase(barrier, phase);
    finish_phase(barrier);
}

/* Whose death is the reason that it breaks, 0 another one. */
static void set_killer(mp_barrier *barrier, uint32_t killer) {
    atomic_store(&barrier->killer, killer);
    MP__POINT("barrier.break.reasoned");
}

static void break_barrier(mp_barrier *barrier, uint32_t killer) {
    set_killer(barrier, killer);
    enter_phase(barrier, MP__BARRIER_BREAKING);
}

static int fail_broken(uint32_t killer, const char *text) {
    if (killer == 0)
        return mp__fail(MP_EBROKEN, "mp_barrier_wait: %s", text);
    return mp__fail(MP_EBROKEN, "mp_barrier_wait: %s: process %" PRIu32 ", a party, has died", text,
                    killer);
}

static struct party_shared *find_dead(const mp_barrier *barrier) {
    for (uint32_t i = 0; barrier->known && i < barrier->parties; i++) {
        mp__member_ref member = atomic_load(&barrier->known[i].member);
        if (member != 0 && !mp__member_is_alive(member))
            return &barrier->known[i];
    }
    return NULL;
}

/* With the guard: break it if a party has died. */
static bool break_if_dead(mp_barrier *barrier) {
    struct party_shared *dead = find_dead(barrier);
    if (dead && phase_of(barrier) == MP__BARRIER_FILLING)
        break_barrier(barrier, (uint32_t)dead->pid);
    return dead;
}

/* The entry of a process, else a free one, else the one to be replaced. */
static struct party_shared *entry_for(mp_barrier *barrier, mp__member_ref self) {
    struct party_shared *entry = NULL;
    for (uint32_t i = 0; i < barrier->parties; i++) {
        mp__member_ref member = atomic_load(&barrier->known[i].member);
        if (member == self)
            return &barrier->known[i];
        if (member == 0 && !entry)
            entry = &barrier->known[i];
    }
    return entry ? entry : &barrier->known[barrier->next_known++ % barrier->parties];
}

/* With the guard: this process is one whose death matters from now on. */
static void note_party(mp_barrier *barrier, mp__member_ref self) {
    struct party_shared *entry = barrier->known ? entry_for(barrier, self) : NULL;
    if (!entry || atomic_load(&entry->member) == self)
        return;
    atomic_store(&entry->member, 0);
    entry->pid = (uint64_t)mp__member_pid(self);
    MP__POINT("barrier.party.pid");
    atomic_store(&entry->member, self);
    MP__POINT("barrier.party.noted");
}

static void forget_parties(mp_barrier *barrier) {
    for (uint32_t i = 0; barrier->known && i < barrier->parties; i++)
        atomic_store(&barrier->known[i].member, 0);
    MP__POINT("barrier.party.forgotten");
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
    struct mp__waiters waiters;
    uint64_t number = 0;
    while (mp__waiter_lowest(&waiters, barrier, number, MP__WAITERS_MAX) > 0)
        for (uint32_t i = 0; i < waiters.count; i++)
            atomic_store(&waiters.list[i]->wait_ticket, number++);
    MP__POINT("barrier.phase.numbered");
}

/* The last to come does not wait. Dying in ACTING breaks the barrier, in RELEASING does not. */
static int come_last(mp_barrier *barrier, struct thread_shared *self) {
    if (barrier->action.image != 0)
        set_phase(barrier, MP__BARRIER_ACTING);
    MP__POINT("barrier.wait.acting");
    int code = run_action(barrier);
    if (code == 0)
        number_waiters(barrier);
    MP__POINT("barrier.wait.numbered");
    if (code < 0)
        break_barrier(barrier, 0);
    else
        enter_phase(barrier, MP__BARRIER_RELEASING);
    unlock_barrier(barrier, self);
    return code < 0 ? code : (int)barrier->parties - 1;
}

/* Time is up: that breaks the barrier, unless we were told to go on meanwhile. */
static void stop_waiting(mp_barrier *barrier, struct thread_shared *self) {
    if (lock_barrier(barrier, self) < 0)
        return;
    if (mp__waiter_give_up(self)) {
        atomic_store(&self->wait_ticket, BROKEN_TICKET);
        MP__POINT("barrier.stop.told");
        break_barrier(barrier, 0);
    }
    unlock_barrier(barrier, self);
}

/* A party that died breaks it, which ends our wait too. */
static void look_for_dead(mp_barrier *barrier, struct thread_shared *self) {
    if (!mp__waiter_waits(self) || !find_dead(barrier) || lock_barrier(barrier, self) < 0)
        return;
    if (mp__waiter_waits(self)) /* one that ended after all had come breaks nothing */
        (void)break_if_dead(barrier);
    unlock_barrier(barrier, self);
}

static int sleep_until_told(mp_barrier *barrier, struct thread_shared *self, mp__time deadline) {
    int code;
    do {
        look_for_dead(barrier, self);
        code = mp__waiter_sleep_slice(self, &barrier->guard, deadline);
    } while (code == -EAGAIN || code == MP_EOWNERDEAD);
    return code;
}

static int come_and_wait(mp_barrier *barrier, struct thread_shared *self, mp__time deadline) {
    int code = mp__waiter_enlist(self, MP__HOLDING_BARRIER, barrier, barrier->next_ticket++);
    unlock_barrier(barrier, self);
    if (code < 0)
        return code;
    MP__POINT("barrier.wait.enlisted");
    if (sleep_until_told(barrier, self, deadline) < 0)
        stop_waiting(barrier, self);
    uint64_t number = atomic_load(&self->wait_ticket);
    mp__waiter_leave(self, MP__HOLDING_BARRIER, barrier);
    if (number & BROKEN_TICKET)
        return fail_broken((uint32_t)number, "broken while this thread waited");
    return (int)number;
}

static int come(mp_barrier *barrier, struct thread_shared *self, mp__time deadline) {
    int code = lock_barrier(barrier, self);
    if (code < 0)
        return code;
    MP__POINT("barrier.wait.locked");
    if (phase_of(barrier) == MP__BARRIER_BROKEN || break_if_dead(barrier)) {
        uint32_t killer = atomic_load(&barrier->killer);
        unlock_barrier(barrier, self);
        return fail_broken(killer, "the barrier is broken until it is reset");
    }
    note_party(barrier, atomic_load(&self->member));
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

static int end_wait(mp_barrier *barrier, const char *function, enum mp__barrier_phase phase) {
    struct thread_shared *self;
    int code = check_barrier(barrier, function, &self);
    if (code == 0)
        code = lock_barrier(barrier, self);
    if (code < 0)
        return code;
    if (phase == MP__BARRIER_BREAKING) {
        break_barrier(barrier, 0);
    } else {
        forget_parties(barrier);
        enter_phase(barrier, phase);
    }
    unlock_barrier(barrier, self);
    return 0;
}

int mp_barrier_reset(mp_barrier *barrier) {
    return end_wait(barrier, __func__, MP__BARRIER_RESETTING);
}

int mp_barrier_abort(mp_barrier *barrier) {
    return end_wait(barrier, __func__, MP__BARRIER_BREAKING);
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
    return phase_of(barrier) == MP__BARRIER_BROKEN || phase_of(barrier) == MP__BARRIER_BREAKING;
}

void mp_barrier_free(mp_barrier *barrier) {
    if (barrier && mp__kind_check(barrier, MP__KIND_BARRIER, __func__, "barrier") == 0 &&
        mp__self())
        mp__object_free(barrier);
}

int mp__barrier_check(const mp_barrier *barrier) {
    if (!mp__kind_is(barrier, MP__KIND_BARRIER))
        return mp__fail(MP_ESTATE, "barrier %p: not a barrier", (const void *)barrier);
    if (phase_of(barrier) >= MP__BARRIER_PHASE_COUNT)
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
        if (phase_of(barrier) == MP__BARRIER_ACTING) {
            mp__member_ref member = atomic_load(&mp__thread_at(dead_thread)->member);
            set_killer(barrier, (uint32_t)mp__member_pid(member));
            set_phase(barrier, MP__BARRIER_BREAKING);
        }
        finish_phase(barrier);
    }
    mp__guard_recover(&barrier->guard, dead_thread, false);
}
MP__RECOVER(MP__HOLDING_BARRIER, recover_barrier)

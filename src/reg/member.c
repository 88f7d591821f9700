/* Who is in the family and who of them is alive.
 * SPDX-License-Identifier: MIT
 *
 * Every change of a slot is a compare-and-swap of its status word, epoch included. A STARTING slot
 * names its parent's index; the parent's own slot is not freed before its STARTING ones are given
 * up or made orphans, so that the index never means somebody else. */
#include "reg/member.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "os/barrier.h"
#include "os/child.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "reg/sleep.h"
#include "shm/heap.h"

#define PARENT_SHIFT 8
#define PARENT_MASK UINT32_C(0xfff)
#define TIME_SHIFT 14 /* boot time in units of 16 us: 48 bits are enough for 140 years */
#define TIME_MASK (UINT64_MAX >> 16)

_Static_assert(MP__MEMBER_MAX == PARENT_MASK + 1, "a parent's index fits into the status word");

static struct {
    pthread_mutex_t
        mutex; /* guards the rest, and the opening of arena and registry in this process */
    _Atomic mp__member_ref self; /* our slot; 0 none yet */
    pthread_t life_thread;       /* who holds our life mutex; valid while self != 0 */
} here = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t life_key_once = PTHREAD_ONCE_INIT;
static pthread_key_t life_key; /* its destructor runs at the end of the thread that entered */
static int life_key_code;      /* of making the key: 0 or -errno */

static uint32_t epoch_of(uint64_t word) {
    return (uint32_t)(word >> 32);
}

static uint64_t make_status(uint32_t epoch, uint32_t parent, enum mp__member_state state) {
    return (uint64_t)epoch << 32 | (uint64_t)parent << PARENT_SHIFT | (uint64_t)state;
}

static uint32_t parent_of(uint64_t status) {
    return (uint32_t)(status >> PARENT_SHIFT) & PARENT_MASK;
}

struct member_shared *mp__member_at(uint32_t index) {
    return &mp__registry->members[index];
}

/* Does the slot still lead this life? `*status` is what it says now. */
static bool is_current(mp__member_ref ref, uint64_t *status) {
    uint32_t index = mp__member_index(ref);
    if (index == 0 || index >= MP__MEMBER_MAX || !mp__registry)
        return false;
    *status = atomic_load_explicit(&mp__registry->members[index].status, memory_order_acquire);
    return epoch_of(*status) == epoch_of(ref) && mp__status_state(*status) != MP__MEMBER_FREE;
}

static void prepare_slot(struct member_shared *slot, uint32_t epoch, mp__member_ref parent) {
    MP__POINT("member.claim.taken");
    atomic_store(&slot->pid, (uint64_t)epoch << 32);
    atomic_store(&slot->registered, (uint64_t)epoch << 48);
    atomic_store(&slot->parent, parent);
    atomic_store(&slot->life_is_lost, epoch); /* nobody has it yet */
    MP__POINT("member.claim.cleared");
    mp__robust_init(
        &slot->life); /* its last holder let go or is gone; it may be beyond further use */
    MP__POINT("member.claim.life");
}

/* Take a free slot for a child of `parent`: STARTING. 0: there is none. The slot is ours while
 * `parent` lives, or while we hold the recover mutex. */
static mp__member_ref claim_slot(mp__member_ref parent) {
    for (uint32_t i = 1; i < MP__MEMBER_MAX; i++) {
        struct member_shared *slot = mp__member_at(i);
        uint64_t status = atomic_load(&slot->status);
        if (mp__status_state(status) != MP__MEMBER_FREE)
            continue;
        uint32_t epoch = epoch_of(status) + 1;
        epoch += epoch == 0;
        uint64_t next = make_status(epoch, mp__member_index(parent), MP__MEMBER_STARTING);
        mp__registry_raise(&mp__registry->member_high, i);
        if (!atomic_compare_exchange_strong(&slot->status, &status, next))
            continue;
        prepare_slot(slot, epoch, parent);
        return mp__status_ref(next, i);
    }
    return 0;
}

/* Write down who leads this life, unless that is known, or another life has begun. */
static void register_pid(mp__member_ref ref, pid_t pid) {
    struct member_shared *slot = mp__member_at(mp__member_index(ref));
    uint64_t epoch = epoch_of(ref);
    uint64_t unknown = epoch << 48;
    uint64_t time = (mp__boot_time() >> TIME_SHIFT) + 1;
    atomic_compare_exchange_strong(&slot->registered, &unknown, epoch << 48 | (time & TIME_MASK));
    MP__POINT("member.register.time");
    unknown = epoch << 32;
    atomic_compare_exchange_strong(&slot->pid, &unknown, epoch << 32 | (uint32_t)pid);
    MP__POINT("member.register.pid");
}

pid_t mp__member_pid(mp__member_ref ref) {
    uint64_t status;
    if (!is_current(ref, &status))
        return 0;
    uint64_t pid = atomic_load(&mp__member_at(mp__member_index(ref))->pid);
    return epoch_of(pid) == epoch_of(ref) ? (pid_t)(uint32_t)pid : 0;
}

static bool kernel_knows(mp__member_ref ref, pid_t pid) {
    uint64_t word = atomic_load(&mp__member_at(mp__member_index(ref))->registered);
    return mp__child_exists(pid, (word & TIME_MASK) << TIME_SHIFT);
}

/* Once its pid is known, a starting child speaks for itself; until then its parent does. */
static bool is_starting_alive(mp__member_ref ref, uint64_t status) {
    pid_t pid = mp__member_pid(ref);
    if (pid != 0)
        return kernel_knows(ref, pid);
    uint32_t parent = parent_of(status);
    if (parent == 0)
        return false;
    uint64_t parent_status = atomic_load(&mp__member_at(parent)->status);
    return mp__status_state(parent_status) == MP__MEMBER_RUNNING &&
           mp__member_is_alive(mp__status_ref(parent_status, parent));
}

/* A thread that ends says so. A life lock that was lost without a word belongs to a process that is
 * dead, or whose last threads are just being ended: to be sure of those we ask the kernel. */
static bool is_running_alive(mp__member_ref ref) {
    struct member_shared *slot = mp__member_at(mp__member_index(ref));
    bool is_lost = atomic_load(&slot->life_is_lost) == epoch_of(ref);
    if (!is_lost && mp__robust_is_held(&slot->life))
        return true;
    return (is_lost || mp__child_sees_zombies()) && kernel_knows(ref, mp__member_pid(ref));
}

bool mp__member_is_alive(mp__member_ref ref) {
    uint64_t status;
    if (!is_current(ref, &status))
        return false;
    bool is_alive = mp__status_state(status) == MP__MEMBER_RUNNING ? is_running_alive(ref)
                                                                   : is_starting_alive(ref, status);
    uint64_t again; /* what was asked may have been the slot's next life */
    if (!is_current(ref, &again))
        return false;
    return is_alive || (again != status && mp__member_is_alive(ref));
}

/* The end of a thread that may be the one whose life lock speaks for this process. Its place in a
 * forked child is taken by the child's own, or by nobody. */
static void lose_life(void *unused) {
    (void)unused;
    mp__member_ref self = atomic_load(&here.self);
    if (self != 0 && pthread_equal(here.life_thread, pthread_self()))
        atomic_store(&mp__member_at(mp__member_index(self))->life_is_lost, epoch_of(self));
    MP__POINT("member.life.lost");
}

static void make_life_key(void) {
    life_key_code = -pthread_key_create(&life_key, lose_life);
}

/* Without a key for the end of this thread the kernel has to answer for ever. */
static void begin_life(struct member_shared *slot) {
    pthread_once(&life_key_once, make_life_key);
    mp__robust_mark(&slot->life);
    MP__POINT("member.life.marked");
    here.life_thread = pthread_self();
    if (life_key_code == 0 && pthread_setspecific(life_key, slot) == 0)
        atomic_store(&slot->life_is_lost, 0);
}

/* STARTING -> RUNNING, for the child itself. Until the life mutex is held the kernel answers for
 * us. */
static int enter_slot(mp__member_ref ref) {
    mp__barrier_join_early();
    struct member_shared *slot = mp__member_at(mp__member_index(ref));
    register_pid(ref, getpid());
    uint64_t status, next;
    do {
        if (!is_current(ref, &status) || mp__status_state(status) != MP__MEMBER_STARTING ||
            mp__member_pid(ref) != getpid())
            return mp__fail(
                MP_ESTATE,
                "process %d comes too late: its place in the family (slot %u) was given up "
                "when its parent died, or is another one's",
                (int)getpid(), mp__member_index(ref));
        next = make_status(epoch_of(ref), parent_of(status), MP__MEMBER_RUNNING);
    } while (!atomic_compare_exchange_strong(&slot->status, &status, next));
    MP__POINT("member.enter.running");
    begin_life(slot);
    MP__POINT("member.enter.alive");
    atomic_store(&here.self, ref);
    mp__sleep_tell_newcomer();
    return 0;
}

/* Nobody speaks for a slot that a process takes for itself until its pid is in it: the recover
 * mutex keeps others from giving it up. */
static mp__member_ref enter_by_oneself(void) {
    (void)mp__robust_lock(
        &mp__registry->recover); /* a half-done recovery is done again by whoever needs it */
    mp__member_ref ref = claim_slot(0);
    if (ref != 0 && enter_slot(ref) < 0)
        ref = 0;
    mp__robust_unlock(&mp__registry->recover);
    return ref;
}

static mp__member_ref fail_full(void) {
    mp__fail(
        -EAGAIN,
        "%d processes are in the family, which is its limit: let some of them end, and join them",
        MP__MEMBER_MAX - 1);
    return 0;
}

static mp__member_ref join_family(void) {
    if (mp__registry_open() < 0)
        return 0;
    mp__member_ref ref = enter_by_oneself();
    if (ref != 0)
        return ref;
    mp__recover_all();
    ref = enter_by_oneself();
    return ref != 0 ? ref : fail_full();
}

static void log_entrance(mp__member_ref ref) {
    mp__log_held(MP_LOG_SUBDEBUG, "process %d is member %u of its family", (int)getpid(),
                 mp__member_index(ref));
}

mp__member_ref mp__member_self(void) {
    mp__member_ref ref = atomic_load_explicit(&here.self, memory_order_acquire);
    if (ref != 0)
        return ref;
    if (mp__recover_is_running()) {
        mp__fail(MP_ESTATE, "a recovery runs in a process that is not in the family yet");
        return 0;
    }
    pthread_mutex_lock(&here.mutex);
    ref = atomic_load(&here.self);
    bool is_new = ref == 0;
    if (is_new)
        ref = join_family();
    pthread_mutex_unlock(&here.mutex);
    if (is_new && ref != 0)
        log_entrance(ref);
    return ref;
}

int mp__member_reserve(mp__member_ref *out) {
    mp__member_ref self = mp__member_self();
    if (self == 0)
        return -EAGAIN;
    mp__member_ref ref = claim_slot(self);
    if (ref == 0) {
        mp__recover_all();
        ref = claim_slot(self);
    }
    if (ref == 0) {
        fail_full();
        return -EAGAIN;
    }
    MP__POINT("member.reserve.done");
    *out = ref;
    return 0;
}

void mp__member_born(mp__member_ref child, pid_t pid) {
    register_pid(child, pid);
}

int mp__member_enter(mp__member_ref reserved) {
    pthread_mutex_lock(&here.mutex);
    int code = mp__registry_open();
    uint32_t index = mp__member_index(reserved);
    if (code == 0 && atomic_load(&here.self) != 0)
        code = mp__fail(MP_ESTATE, "process %d is in the family already", (int)getpid());
    if (code == 0 && (index == 0 || index >= MP__MEMBER_MAX))
        code = mp__fail(MP_EINVAL, "there is no place number %u in the family", index);
    if (code == 0)
        code = enter_slot(reserved);
    pthread_mutex_unlock(&here.mutex);
    if (code == 0)
        log_entrance(reserved);
    return code;
}

/* Reading maps neighbouring pages, too; writing only one. */
void mp__member_rehearse(void) {
    if (mp__registry_open() < 0)
        return;
    (void)atomic_load(&mp__registry->members[1].status);
    struct mp__robust life;
    mp__robust_init(&life);
    mp__robust_mark(&life);
    mp__robust_unlock(&life);
}

bool mp__member_give_up(mp__member_ref ref) {
    struct member_shared *slot = mp__member_at(mp__member_index(ref));
    uint64_t status;
    while (is_current(ref, &status) && mp__status_state(status) == MP__MEMBER_STARTING)
        if (atomic_compare_exchange_strong(&slot->status, &status,
                                           make_status(epoch_of(ref), 0, MP__MEMBER_FREE)))
            return true;
    return false;
}

void mp__member_cancel(mp__member_ref child) {
    if (!mp__member_give_up(child))
        mp__recover_member(child);
}

/* A child whose pid is known goes on as an orphan; one that nobody can find any more comes too
 * late. */
static bool give_up_child(uint32_t index, uint64_t status) {
    struct member_shared *slot = mp__member_at(index);
    mp__member_ref ref = mp__status_ref(status, index);
    if (!is_starting_alive(ref, make_status(epoch_of(status), 0, MP__MEMBER_STARTING)))
        return mp__member_give_up(ref);
    uint64_t orphan = make_status(epoch_of(status), 0, MP__MEMBER_STARTING);
    return atomic_compare_exchange_strong(&slot->status, &status, orphan);
}

uint32_t mp__member_give_up_children(uint32_t parent_index) {
    uint32_t count = 0;
    uint32_t high = atomic_load(&mp__registry->member_high);
    for (uint32_t i = 1; i <= high; i++) {
        uint64_t status = atomic_load(&mp__member_at(i)->status);
        if (mp__status_state(status) == MP__MEMBER_STARTING && parent_of(status) == parent_index) {
            give_up_child(i, status);
            count++;
        }
    }
    return count;
}

void mp__member_free(mp__member_ref ref) {
    uint64_t status;
    if (is_current(ref, &status))
        atomic_compare_exchange_strong(&mp__member_at(mp__member_index(ref))->status, &status,
                                       make_status(epoch_of(ref), 0, MP__MEMBER_FREE));
    MP__POINT("member.free.freed");
}

/* Anything that only a recovery gives back: holdings, records of other threads, children on their
 * way. */
static bool needs_recovery(mp__member_ref self) {
    uint32_t high = mp__thread_has_joined() ? atomic_load(&mp__registry->thread_high) : 0;
    for (uint32_t i = 1; i <= high; i++) {
        struct thread_shared *record = &mp__registry->threads[i];
        if (atomic_load(&record->member) == self &&
            (record != mp__self_cached || !mp__holdings_are_empty(record)))
            return true;
    }
    high = atomic_load(&mp__registry->member_high);
    for (uint32_t i = 1; i <= high; i++) {
        uint64_t status = atomic_load(&mp__member_at(i)->status);
        if (mp__status_state(status) == MP__MEMBER_STARTING &&
            parent_of(status) == mp__member_index(self))
            return true;
    }
    return false;
}

static bool is_no_thread(uint32_t thread) {
    (void)thread;
    return false;
}

static void free_own_slot(mp__member_ref self) {
    struct member_shared *slot = mp__member_at(mp__member_index(self));
    atomic_store(&slot->life_is_lost, epoch_of(self));
    mp__robust_unlock(&slot->life);
    MP__POINT("member.leave.life");
    atomic_store(&here.self, 0);
    mp__member_free(self);
    mp__sleep_tell_change();
}

/* A process that never took a block or a record has nothing that somebody could recover meanwhile.
 */
void mp__member_leave(void) {
    mp__member_ref self = atomic_load(&here.self);
    if (mp__self_cached)
        mp__kept_end(mp__self_cached);
    if (self == 0 || !pthread_equal(here.life_thread, pthread_self()) || needs_recovery(self))
        return;
    if (!mp__thread_has_joined()) {
        free_own_slot(self);
        return;
    }
    struct thread_shared *record = mp__self_cached;
    if (record) {
        mp__self_cached = NULL;
        mp__holdings_drop_chunks(record);
    }
    mp__heap_leave();
    (void)mp__robust_lock(&mp__registry->recover);
    mp__heap_recover(mp__member_index(self),
                     is_no_thread); /* blocks that we took and never gave to anybody */
    MP__POINT("member.leave.heap");
    if (record)
        mp__thread_free(record);
    MP__POINT("member.leave.record");
    free_own_slot(self);
    mp__robust_unlock(&mp__registry->recover);
    mp__log_held(MP_LOG_SUBDEBUG, "process %d has left its family", (int)getpid());
}

/* The child's one thread is not the parent's: it forgets who it was and joins by itself when it has
 * to. */
static void forget_parent(void) {
    here.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    atomic_store(&here.self, 0);
    mp__recover_forked();
    mp__thread_forked();
    mp__heap_forked();
}

__attribute__((constructor)) static void watch_forks(void) {
    pthread_atfork(NULL, NULL, forget_parent);
}

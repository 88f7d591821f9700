/* Gives back what the dead held.
 * SPDX-License-Identifier: MIT
 *
 * Order of a recovery: holdings of all threads, starting children, blocks of the heap, thread
 * records, slot. Each step leaves what the next one needs to find; killed anywhere, the whole is
 * simply done again. */
#include "reg/recover.h"

#include <errno.h>

#include "base/log.h"
#include "base/point.h"
#include "mp/base.h"
#include "reg/holding.h"
#include "reg/registry.h"
#include "reg/sleep.h"
#include "shm/heap.h"

#define NOTES_MAX 8

struct note {
    const char *what;   /* "lock" */
    const void *object; /* which */
    const char *fate;   /* what was done with it */
};

static _Thread_local mp__member_ref dying;         /* whom this thread is recovering; 0 nobody */
static _Thread_local struct note notes[NOTES_MAX]; /* what it has given back */
static _Thread_local unsigned note_count;          /* maybe more than there is room for */

bool mp__recover_is_running(void) {
    return dying != 0;
}

void mp__recover_forked(void) {
    dying = 0;
}

void mp__recover_note(const char *what, const void *object, const char *fate) {
    if (note_count < NOTES_MAX)
        notes[note_count] = (struct note){what, object, fate};
    note_count++;
}

/* Nobody waits any more. */
static void log_recovery(pid_t pid) {
    mp__log_held(MP_LOG_DEBUG, "process %d has died: what it held was given back", (int)pid);
    for (unsigned i = 0; i < note_count && i < NOTES_MAX; i++)
        mp__log_held(MP_LOG_DEBUG, "... %s %p: %s", notes[i].what, notes[i].object, notes[i].fate);
    if (note_count > NOTES_MAX)
        mp__log_held(MP_LOG_DEBUG, "... and %u more", note_count - NOTES_MAX);
}

static bool is_dead_thread(uint32_t thread) {
    return thread > 0 && thread < MP__THREAD_MAX &&
           atomic_load(&mp__thread_at(thread)->member) == dying;
}

static void recover_threads(mp__member_ref ref) {
    for (uint32_t i = mp__thread_high(); i > 0; i--)
        if (atomic_load(&mp__thread_at(i)->member) == ref)
            mp__holdings_recover(mp__thread_at(i), i);
}

static void free_threads(mp__member_ref ref) {
    for (uint32_t i = mp__thread_high(); i > 0; i--)
        if (atomic_load(&mp__thread_at(i)->member) == ref)
            mp__thread_free(mp__thread_at(i));
}

static void recover_running(mp__member_ref ref) {
    recover_threads(ref);
    MP__POINT("recover.member.threads");
    mp__sleep_end_turns(ref);
    mp__member_give_up_children(mp__member_index(ref));
    MP__POINT("recover.member.children");
    mp__heap_recover(mp__member_index(ref), is_dead_thread);
    MP__POINT("recover.member.heap");
    free_threads(ref);
    MP__POINT("recover.member.records");
    mp__member_free(ref);
}

static bool is_gone(mp__member_ref ref) {
    uint32_t index = mp__member_index(ref);
    uint64_t status = index < MP__MEMBER_MAX ? atomic_load(&mp__member_at(index)->status) : 0;
    return mp__status_ref(status, index) != ref || mp__status_state(status) == MP__MEMBER_FREE;
}

/* The recover mutex is ours. If its last holder died in it: done again, when it is asked for. */
static bool recover_locked(mp__member_ref ref) {
    bool is_dead = !mp__member_is_alive(ref);
    bool is_ours = is_dead && !is_gone(ref) && !mp__member_give_up(ref);
    pid_t pid = mp__member_pid(ref);
    dying = ref;
    note_count = 0;
    if (is_ours)
        recover_running(ref);
    dying = 0;
    MP__POINT("recover.member.done");
    mp__robust_unlock(&mp__registry->recover);
    if (is_ours) {
        mp__sleep_tell_death();
        log_recovery(pid);
    }
    return is_dead;
}

/* A recovery that needs another one first cannot have it: the outer one holds the mutex. */
bool mp__recover_member_until(mp__member_ref ref, mp__time deadline) {
    if (!mp__registry || ref == 0 || is_gone(ref))
        return true;
    if (dying != 0 || mp__member_is_alive(ref) ||
        mp__robust_lock_until(&mp__registry->recover, deadline) == -EBUSY)
        return false;
    return recover_locked(ref);
}

bool mp__recover_member(mp__member_ref ref) {
    return mp__recover_member_until(ref, MP__NEVER);
}

static bool recover_if_free(mp__member_ref ref) {
    return mp__recover_member_until(ref, 0);
}

bool mp__recover_thread_owner(uint32_t thread) {
    if (thread == 0 || thread >= MP__THREAD_MAX)
        return true;
    return recover_if_free(atomic_load(&mp__thread_at(thread)->member));
}

static void recover_each(bool (*recover)(mp__member_ref ref)) {
    uint32_t high = mp__registry ? atomic_load(&mp__registry->member_high) : 0;
    for (uint32_t i = 1; i <= high; i++) {
        uint64_t status = atomic_load(&mp__member_at(i)->status);
        if (mp__status_state(status) != MP__MEMBER_FREE)
            (void)recover(mp__status_ref(status, i));
    }
}

void mp__recover_all(void) {
    recover_each(mp__recover_member);
}

/* Between two looks round: with the slice of sleepers that nobody tells less than 0.1 s. */
#define LOOK_PAUSE (MP__SECOND / 40)

void mp__recover_look_round(void) {
    if (!mp__registry)
        return;
    mp__time now = mp__now();
    mp__time last = atomic_load(&mp__registry->looked_round);
    if (now - last >= LOOK_PAUSE &&
        atomic_compare_exchange_strong(&mp__registry->looked_round, &last, now)) {
        MP__POINT("recover.look.taken");
        recover_each(recover_if_free);
    }
}

bool mp__recover_shut_out(mp__member_ref ref, void (*enter)(void *arg), void *arg) {
    (void)mp__robust_lock(&mp__registry->recover);
    bool is_alive = mp__member_is_alive(ref);
    if (is_alive)
        enter(arg);
    mp__robust_unlock(&mp__registry->recover);
    return is_alive;
}

/* Gives back what the dead held; sleeps so that a death is noticed.
 * SPDX-License-Identifier: MIT
 *
 * Order of a recovery: holdings of all threads, starting children, blocks of the heap, thread
 * records, slot. Each step leaves what the next one needs to find; killed anywhere, the whole is
 * simply done again. */
#include "reg/recover.h"

#include <errno.h>

#include "base/point.h"
#include "mp/base.h"
#include "os/futex.h"
#include "reg/holding.h"
#include "reg/registry.h"
#include "shm/heap.h"

static _Thread_local mp__member_ref dying; /* whom this thread is recovering; 0 nobody */

bool mp__recover_is_running(void) {
    return dying != 0;
}

void mp__recover_forked(void) {
    dying = 0;
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
    dying = ref;
    if (is_dead && !is_gone(ref) && !mp__member_give_up(ref))
        recover_running(ref);
    dying = 0;
    MP__POINT("recover.member.done");
    mp__robust_unlock(&mp__registry->recover);
    return is_dead;
}

/* A recovery that needs another one first cannot have it: the outer one holds the mutex. */
bool mp__recover_member(mp__member_ref ref) {
    if (!mp__registry || ref == 0 || is_gone(ref))
        return true;
    if (dying != 0 || mp__member_is_alive(ref))
        return false;
    (void)mp__robust_lock(&mp__registry->recover);
    return recover_locked(ref);
}

/* Whoever has a deadline must not wait for a recovery that is stopped. */
static bool recover_if_free(mp__member_ref ref) {
    if (dying != 0 || is_gone(ref) || mp__member_is_alive(ref) ||
        mp__robust_try(&mp__registry->recover) == -EBUSY)
        return false;
    return recover_locked(ref);
}

bool mp__recover_thread_owner(uint32_t thread) {
    if (thread == 0 || thread >= MP__THREAD_MAX)
        return true;
    return mp__recover_member(atomic_load(&mp__thread_at(thread)->member));
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

/* Between two looks round: with the longest slice of a sleep less than a second. */
#define LOOK_PAUSE (MP__SECOND / 10)

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

/* How long a sleep may last before we look round by ourselves: at first, and at most. */
struct pace {
    mp__time first; /* ns */
    mp__time last;  /* ns, reached by doubling */
};

/* Nobody's death matters, or the kernel tells of it: only lost wake-ups are to be found. */
static const struct pace calm = {MP__SECOND / 20, MP__SECOND / 10 * 8};
/* The owner's death is seen by nothing but our looking. */
static const struct pace alert = {MP__SECOND / 1000, MP__SECOND / 20};

/* Slices grow while a thread comes back for the same thing in vain. */
static _Thread_local struct {
    const struct pace *pace;      /* of the last sleep */
    const _Atomic uint32_t *word; /* slept on */
    uint32_t expected;            /* its value then */
    mp__time slice;               /* how long it was, when it passed without a wake; 0 it did not */
} last_sleep;

static mp__time next_slice(const struct pace *pace, const _Atomic uint32_t *word,
                           uint32_t expected) {
    if (last_sleep.slice == 0 || last_sleep.pace != pace || last_sleep.word != word ||
        last_sleep.expected != expected)
        return pace->first;
    mp__time slice = last_sleep.slice * 2;
    return slice < pace->last ? slice : pace->last;
}

/* Can the kernel tell us of the death of that thread's process? Not when the thread that entered
 * has ended before. */
static bool watch_owner(uint32_t owner, struct mp__wait_word *out) {
    mp__member_ref ref = atomic_load(&mp__thread_at(owner)->member);
    struct member_shared *slot = mp__member_at(mp__member_index(ref));
    return ref != 0 && atomic_load(&slot->life_is_lost) != ref >> 32 &&
           mp__robust_watch(&slot->life, out);
}

/* The kernel wakes one: of those who wait for other things of the same process it knows nothing. */
static int wait_watching(const struct mp__wait_word words[2], mp__time until) {
    int code = mp__futex_wait_any(words, 2, until);
    if (mp__robust_has_changed(&words[1]))
        mp__futex_wake(words[1].word, MP__WAKE_ALL);
    return code;
}

static int sleep_slice(_Atomic uint32_t *word, uint32_t expected, uint32_t owner,
                       mp__time deadline) {
    struct mp__wait_word words[2] = {{word, expected}};
    bool is_watched = owner != 0 && watch_owner(owner, &words[1]);
    const struct pace *pace = owner == 0 || is_watched ? &calm : &alert;
    mp__time now = mp__now();
    if (now >= deadline)
        return MP_ETIMEDOUT;
    mp__time slice = next_slice(pace, word, expected);
    mp__time until = deadline - now < slice ? deadline : now + slice;
    int code = is_watched ? wait_watching(words, until) : mp__futex_wait(word, expected, until);
    last_sleep.pace = pace;
    last_sleep.word = word;
    last_sleep.expected = expected;
    last_sleep.slice = code == MP_ETIMEDOUT ? slice : 0;
    if (code == MP_ETIMEDOUT)
        mp__recover_look_round();
    return code == MP_ETIMEDOUT && until == deadline ? MP_ETIMEDOUT : 0;
}

/* One slice. The caller looks again and comes back: what it waits for may have come without the
 * word changing, when the one who was to change it died. */
int mp__sleep(_Atomic uint32_t *word, uint32_t expected, uint32_t owner, mp__time deadline) {
    if (atomic_load(word) != expected)
        return 0;
    if (owner >= MP__THREAD_MAX)
        owner = 0;
    if (owner != 0 && !mp__thread_is_alive(owner) && mp__recover_thread_owner(owner) &&
        atomic_load(word) != expected)
        return 0;
    return sleep_slice(word, expected, owner, deadline);
}

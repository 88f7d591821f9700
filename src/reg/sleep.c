/* Sleeps so that deaths are noticed.
 * SPDX-License-Identifier: MIT */
#include "reg/sleep.h"

#include <assert.h>
#include <stdbool.h>

#include "base/point.h"
#include "mp/base.h"
#include "os/child.h"
#include "reg/recover.h"
#include "reg/registry.h"

#define GLANCE (MP__SECOND / 1000)             /* the first sleep, in which we watch nobody */
#define FIRST_SLICE (MP__SECOND / 20)          /* the second one */
#define LONGEST_SLICE (MP__SECOND / 10 * 8)    /* when the kernel tells of every death */
#define LONGEST_UNTOLD_SLICE (MP__SECOND / 10) /* when only our looking finds one */
#define LONGEST_DYING (MP__SECOND / 50)        /* that we wait for a dying process at a time */

/* The word in the registry, `news`: number of the last news << 1 | somebody watches. */
#define WATCHED UINT32_C(1)
#define ONE_NEWS UINT32_C(2)

static uint32_t prepare_news(void) {
    uint32_t word = atomic_load(&mp__registry->news);
    if (!(word & WATCHED))
        word = atomic_fetch_or(&mp__registry->news, WATCHED) | WATCHED;
    MP__POINT("sleep.watch.announced");
    return word;
}

static void tell(uint32_t taken_away, int count) {
    uint32_t word = atomic_load(&mp__registry->news);
    do {
        if (!(word & WATCHED))
            return;
    } while (
        !atomic_compare_exchange_weak(&mp__registry->news, &word, (word + ONE_NEWS) & ~taken_away));
    MP__POINT("sleep.tell.counted");
    mp__futex_wake(&mp__registry->news, count);
}

void mp__sleep_tell_death(void) {
    tell(WATCHED, MP__WAKE_ALL);
}

void mp__sleep_tell_newcomer(void) {
    tell(0, 1);
}

/* What one sleep is about. */
struct sleep {
    struct mp__wait_word words[MP__WAIT_ANY_MAX]; /* the caller's, the news, others' lives */
    mp__member_ref lives[MP__WAIT_ANY_MAX];       /* whose life a word is; 0: it is no life */
    size_t count;                                 /* of words */
    bool is_blind; /* there is somebody whose death the kernel would not tell */
};

static void add_word(struct sleep *sleep, struct mp__wait_word word, mp__member_ref life) {
    sleep->lives[sleep->count] = life;
    sleep->words[sleep->count++] = word;
}

/* A process whose first thread has ended before it. */
static bool has_lost_life(mp__member_ref ref) {
    return atomic_load(&mp__member_at(mp__member_index(ref))->life_is_lost) == ref >> 32;
}

/* Who cannot be watched is dead, which only asking tells, or dying, or goes on without its first
 * thread. */
static void watch_life(struct sleep *sleep, mp__member_ref ref) {
    struct mp__wait_word word;
    if (sleep->count == MP__WAIT_ANY_MAX)
        return;
    if (!has_lost_life(ref) && mp__robust_watch(&mp__member_at(mp__member_index(ref))->life, &word))
        add_word(sleep, word, ref);
    else if (!mp__recover_member_until(ref, 0))
        sleep->is_blind = true;
}

static mp__member_ref member_of(uint32_t thread) {
    return thread ? atomic_load(&mp__thread_at(thread)->member) : 0;
}

/* Each process begins with its neighbour, so that in a large family everybody is watched by many.
 */
static void watch_family(struct sleep *sleep, mp__member_ref owner) {
    mp__member_ref self = mp__self_cached ? atomic_load(&mp__self_cached->member) : 0;
    uint32_t high = atomic_load(&mp__registry->member_high);
    add_word(sleep, (struct mp__wait_word){&mp__registry->news, prepare_news()}, 0);
    if (owner != 0)
        watch_life(sleep, owner);
    for (uint32_t i = 1; i <= high; i++) {
        uint32_t index = (mp__member_index(self) + i - 1) % high + 1;
        uint64_t status = atomic_load(&mp__member_at(index)->status);
        mp__member_ref ref = mp__status_ref(status, index);
        if (mp__status_state(status) == MP__MEMBER_RUNNING && ref != self && ref != owner)
            watch_life(sleep, ref);
    }
}

/* The kernel tells of a death before the process is quite gone. */
static void attend_death(mp__member_ref ref, mp__time until) {
    mp__time latest = mp__now() + LONGEST_DYING;
    if (mp__member_is_alive(ref) && !has_lost_life(ref))
        mp__child_await_end(mp__member_pid(ref), until < latest ? until : latest);
    (void)mp__recover_member_until(ref, until);
}

static void attend_deaths(const struct sleep *sleep, mp__time until) {
    for (size_t i = 0; i < sleep->count; i++)
        if (sleep->lives[i] != 0 && mp__robust_has_changed(&sleep->words[i]))
            attend_death(sleep->lives[i], until);
}

/* Slices grow while a thread comes back for the same thing in vain. */
static _Thread_local struct {
    const _Atomic uint32_t *word; /* slept on */
    uint32_t expected;            /* its value then */
    mp__time slice;               /* how long it was, when it passed without a wake; 0 it did not */
} last_sleep;

static mp__time next_slice(const struct mp__wait_word *word) {
    if (last_sleep.slice == 0 || last_sleep.word != word->word ||
        last_sleep.expected != word->expected)
        return GLANCE;
    return last_sleep.slice * 2;
}

static mp__time between(mp__time least, mp__time slice, mp__time most) {
    return slice < least ? least : slice < most ? slice : most;
}

static void note_slice(const struct mp__wait_word *word, mp__time slice) {
    last_sleep.word = word->word;
    last_sleep.expected = word->expected;
    last_sleep.slice = slice;
}

/* One slice. The caller looks again and comes back: what it waits for may have come without the
 * word changing, when the one who was to change it died. */
static int sleep_slice(struct sleep *sleep, mp__member_ref owner, mp__time deadline) {
    mp__time now = mp__now();
    if (now >= deadline)
        return MP_ETIMEDOUT;
    struct mp__wait_word first = sleep->words[0];
    mp__time slice = next_slice(&first);
    bool can_watch = mp__registry && mp__futex_can_wait_any();
    if (!can_watch)
        slice = between(GLANCE, slice, LONGEST_UNTOLD_SLICE);
    if (can_watch && slice == GLANCE && owner != 0)
        watch_life(sleep, owner);
    if (can_watch && slice > GLANCE) {
        watch_family(sleep, owner);
        slice = sleep->is_blind ? between(GLANCE, slice, LONGEST_UNTOLD_SLICE)
                                : between(FIRST_SLICE, slice, LONGEST_SLICE);
    }
    mp__time until = deadline - now < slice ? deadline : now + slice;
    int code = mp__futex_wait_any(sleep->words, sleep->count, until);
    note_slice(&first, code == MP_ETIMEDOUT ? slice : 0);
    attend_deaths(sleep, deadline);
    if (code == MP_ETIMEDOUT && slice > GLANCE)
        mp__recover_look_round();
    return code == MP_ETIMEDOUT && until == deadline ? MP_ETIMEDOUT : 0;
}

static int sleep_on(const struct mp__wait_word *list, size_t count, mp__member_ref owner,
                    mp__time deadline) {
    struct sleep sleep; /* large: only what is used is written */
    sleep.count = 0;
    sleep.is_blind = false;
    for (size_t i = 0; i < count; i++)
        add_word(&sleep, list[i], 0);
    return sleep_slice(&sleep, owner, deadline);
}

int mp__sleep_any(const struct mp__wait_word *list, size_t count, mp__time deadline) {
    assert(count >= 1 && count <= MP__SLEEP_WORDS_MAX);
    return sleep_on(list, count, 0, deadline);
}

int mp__sleep(_Atomic uint32_t *word, uint32_t expected, uint32_t owner, mp__time deadline) {
    if (atomic_load(word) != expected)
        return 0;
    if (owner >= MP__THREAD_MAX)
        owner = 0;
    if (owner != 0 && !mp__thread_is_alive(owner) && mp__recover_thread_owner(owner, deadline) &&
        atomic_load(word) != expected)
        return 0;
    return sleep_on(&(struct mp__wait_word){word, expected}, 1, member_of(owner), deadline);
}

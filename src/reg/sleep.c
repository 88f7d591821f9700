/* Sleeps so that deaths are noticed.
 * SPDX-License-Identifier: MIT */
#include "reg/sleep.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#include "base/point.h"
#include "mp/base.h"
#include "os/child.h"
#include "reg/recover.h"
#include "reg/registry.h"

#define GLANCE (MP__SECOND / 1000)             /* the first sleep, in which we watch nobody */
#define FIRST_SLICE (MP__SECOND / 20)          /* the second one */
#define LONGEST_SLICE (MP__SECOND / 10 * 8)    /* when the kernel tells of every death */
#define LONGEST_UNTOLD_SLICE (MP__SECOND / 20) /* when only our looking finds one */
#define LONGEST_DYING (MP__SECOND / 50)        /* that we wait for a dying process at a time */

#define NEIGHBOURS 8 /* processes that a sleeper watches */

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
    mp__time deadline;                            /* the caller's */
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

/* It has executed another program, or takes long to die: from now on the kernel is asked. */
static void note_lost_life(mp__member_ref ref) {
    uint32_t none = 0;
    (void)atomic_compare_exchange_strong(&mp__member_at(mp__member_index(ref))->life_is_lost, &none,
                                         (uint32_t)(ref >> 32));
    MP__POINT("sleep.life.noted");
}

/* The kernel tells of a death before the process is quite gone: a moment for that, during which
 * nothing else wakes us. Another recovery is not waited for, since it may be stopped: it will tell
 * us. */
static bool attend_death(mp__member_ref ref, mp__time deadline) {
    mp__time latest = mp__now() + LONGEST_DYING;
    if (mp__recover_member_until(ref, 0))
        return true;
    if (has_lost_life(ref) || !mp__member_is_alive(ref))
        return false;
    mp__child_await_end(mp__member_pid(ref), deadline < latest ? deadline : latest);
    if (mp__recover_member_until(ref, 0))
        return true;
    if (mp__now() >= latest && mp__member_is_alive(ref))
        note_lost_life(ref);
    return false;
}

/* Who cannot be watched is dead, or dying, or goes on without its first thread. */
static void watch_life(struct sleep *sleep, mp__member_ref ref) {
    struct mp__wait_word word;
    if (sleep->count == MP__WAIT_ANY_MAX)
        return;
    if (!has_lost_life(ref) && mp__robust_watch(&mp__member_at(mp__member_index(ref))->life, &word))
        add_word(sleep, word, ref);
    else if (!attend_death(ref, sleep->deadline))
        sleep->is_blind = true;
}

static mp__member_ref member_of(uint32_t thread) {
    return thread ? atomic_load(&mp__thread_at(thread)->member) : 0;
}

/* Each process watches some of its neighbours, so that everybody is watched by some; watching all
 * would cost each sleeper much whenever its slice is over. A death that none of those who watch it
 * sleeps through is found by the next sleeper whose slice is over, when it looks round. */
static void watch_family(struct sleep *sleep, mp__member_ref owner) {
    mp__member_ref self = mp__self_cached ? atomic_load(&mp__self_cached->member) : 0;
    uint32_t high = atomic_load(&mp__registry->member_high);
    add_word(sleep, (struct mp__wait_word){&mp__registry->news, prepare_news()}, 0);
    if (owner != 0)
        watch_life(sleep, owner);
    size_t most = sleep->count + NEIGHBOURS;
    for (uint32_t i = 1; i <= high && sleep->count < most; i++) {
        uint32_t index = (mp__member_index(self) + i - 1) % high + 1;
        uint64_t status = atomic_load(&mp__member_at(index)->status);
        mp__member_ref ref = mp__status_ref(status, index);
        if (mp__status_state(status) == MP__MEMBER_RUNNING && ref != self && ref != owner)
            watch_life(sleep, ref);
    }
}

static void attend_deaths(const struct sleep *sleep) {
    for (size_t i = 0; i < sleep->count; i++)
        if (sleep->lives[i] != 0 && mp__robust_has_changed(&sleep->words[i]))
            (void)attend_death(sleep->lives[i], sleep->deadline);
}

/* On all that was added: 0; -EAGAIN: a whole slice has passed; MP_ETIMEDOUT. */
static int sleep_for(const struct sleep *sleep, mp__time slice) {
    mp__time now = mp__now();
    if (now >= sleep->deadline)
        return MP_ETIMEDOUT;
    bool is_last = sleep->deadline - now <= slice;
    int code =
        mp__futex_wait_any(sleep->words, sleep->count, is_last ? sleep->deadline : now + slice);
    attend_deaths(sleep);
    return code == 0 || is_last ? code : -EAGAIN;
}

static bool can_watch(void) {
    return mp__registry && mp__futex_can_wait_any();
}

static mp__time between(mp__time least, mp__time slice, mp__time most) {
    return slice < least ? least : slice < most ? slice : most;
}

/* The same for about that slice; afterwards it says how long it was. */
static int sleep_watching(struct sleep *sleep, mp__member_ref owner, mp__time *slice) {
    if (can_watch())
        watch_family(sleep, owner);
    else
        sleep->is_blind = true;
    *slice = sleep->is_blind ? between(GLANCE, *slice, LONGEST_UNTOLD_SLICE)
                             : between(FIRST_SLICE, *slice, LONGEST_SLICE);
    int code = sleep_for(sleep, *slice);
    if (code == -EAGAIN)
        mp__recover_look_round();
    return code;
}

static void init_sleep(struct sleep *sleep, const struct mp__wait_word *list, size_t count,
                       mp__time deadline) {
    sleep->count = 0; /* it is large: only what is used is written */
    sleep->is_blind = false;
    sleep->deadline = deadline;
    for (size_t i = 0; i < count; i++)
        add_word(sleep, list[i], 0);
}

int mp__sleep_any(const struct mp__wait_word *list, size_t count, mp__time deadline) {
    assert(count >= 1 && count <= MP__SLEEP_WORDS_MAX);
    struct sleep sleep;
    init_sleep(&sleep, list, count, deadline);
    mp__time slice = LONGEST_SLICE;
    int code = sleep_watching(&sleep, 0, &slice);
    return code == -EAGAIN ? 0 : code;
}

/* Slices grow while a thread comes back for the same thing in vain. */
static _Thread_local struct {
    const _Atomic uint32_t *word; /* slept on */
    uint32_t expected;            /* its value then */
    mp__time slice;               /* how long it was, when it passed without a wake; 0 it did not */
} last_sleep;

static bool is_glance(const _Atomic uint32_t *word, uint32_t expected) {
    return last_sleep.slice == 0 || last_sleep.word != word || last_sleep.expected != expected;
}

/* One slice. The caller looks again and comes back: what it waits for may have come without the
 * word changing, when the one who was to change it died. */
static int sleep_slice(_Atomic uint32_t *word, uint32_t expected, mp__member_ref owner,
                       mp__time deadline) {
    struct sleep sleep;
    init_sleep(&sleep, &(struct mp__wait_word){word, expected}, 1, deadline);
    mp__time slice = last_sleep.slice * 2;
    int code;
    if (is_glance(word, expected)) {
        slice = GLANCE;
        if (owner != 0 && can_watch())
            watch_life(&sleep, owner);
        code = sleep_for(&sleep, GLANCE);
    } else {
        code = sleep_watching(&sleep, owner, &slice);
    }
    last_sleep.word = word;
    last_sleep.expected = expected;
    last_sleep.slice = code == -EAGAIN ? slice : 0;
    return code == -EAGAIN ? 0 : code;
}

int mp__sleep(_Atomic uint32_t *word, uint32_t expected, uint32_t owner, mp__time deadline) {
    if (atomic_load(word) != expected)
        return 0;
    if (owner >= MP__THREAD_MAX)
        owner = 0;
    if (owner != 0 && mp__recover_thread_owner(owner) && atomic_load(word) != expected)
        return 0;
    return sleep_slice(word, expected, member_of(owner), deadline);
}

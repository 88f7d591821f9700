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

/* A sleep in which nobody is watched. Not before the processor's own tick, as a rule: a timer
 * that is set earlier costs as much as the sleep. */
#define GLANCE (MP__SECOND / 250)
#define MOMENT (MP__SECOND / 1000)             /* too short for watching anybody */
#define FIRST_SLICE (MP__SECOND / 20)          /* when the kernel tells of every death */
#define TURN_SLICE (MP__SECOND / 10 * 8)       /* of who looks round for those who rest */
#define REST_SLICE (MP__SECOND * 10)           /* while others look round */
#define FIRST_UNTOLD_SLICE (MP__SECOND / 1000) /* when only our looking finds a death */
#define LONGEST_UNTOLD_SLICE (MP__SECOND / 20)
#define GROWTH 8                        /* from slice to slice in vain */
#define LATE (MP__SECOND / 10)          /* a turn that is late by this is somebody else's */
#define LONGEST_DYING (MP__SECOND / 50) /* that we wait for a dying process at a time */

#define NEIGHBOURS 8 /* processes that a sleeper watches */

/* The words in the registry, `news` and `rest`: number << 2 | somebody came or went of whom those
 * who rest know nothing << 1 | somebody sleeps on it. */
#define WATCHED UINT32_C(1)
#define CHANGED UINT32_C(2)
#define STEP UINT32_C(4)

static uint32_t announce(_Atomic uint32_t *word) {
    uint32_t value = atomic_load(word);
    if (!(value & WATCHED))
        value = atomic_fetch_or(word, WATCHED) | WATCHED;
    MP__POINT("sleep.watch.announced");
    return value;
}

static void tell(_Atomic uint32_t *word, uint32_t taken_away, int count) {
    uint32_t value = atomic_load(word);
    do {
        if (!(value & WATCHED))
            return;
    } while (!atomic_compare_exchange_weak(word, &value, (value + STEP) & ~taken_away));
    MP__POINT("sleep.tell.counted");
    mp__futex_wake(word, count);
}

void mp__sleep_tell_death(void) {
    tell(&mp__registry->news, WATCHED, MP__WAKE_ALL);
}

void mp__sleep_tell_change(void) {
    if (atomic_load(&mp__registry->rest) & WATCHED)
        atomic_fetch_or(&mp__registry->rest, CHANGED);
    MP__POINT("sleep.change.noted");
}

void mp__sleep_tell_newcomer(void) {
    mp__sleep_tell_change();
    tell(&mp__registry->news, 0, 1);
}

/* What one sleep is about. */
struct sleep {
    struct mp__wait_word words[MP__WAIT_ANY_MAX]; /* the caller's, the news, others' lives */
    mp__member_ref lives[MP__WAIT_ANY_MAX];       /* whose life a word is; 0: it is no life */
    size_t count;                                 /* of words */
    mp__time deadline;                            /* the caller's */
    _Atomic mp__time *turn; /* in which we look round for others; NULL: none */
    bool is_blind;          /* there is somebody whose death the kernel would not tell */
};

static void add_word(struct sleep *sleep, struct mp__wait_word word, mp__member_ref life) {
    sleep->lives[sleep->count] = life;
    sleep->words[sleep->count++] = word;
}

static void add_news(struct sleep *sleep, _Atomic uint32_t *word) {
    add_word(sleep, (struct mp__wait_word){word, announce(word)}, 0);
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
    if (has_lost_life(ref))
        return false;
    if (mp__member_is_alive(ref)) /* else it has gone meanwhile, or another one recovers it */
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

static mp__member_ref self_ref(void) {
    return mp__self_cached ? atomic_load(&mp__self_cached->member) : 0;
}

/* Unless it is us. */
static void watch_member(struct sleep *sleep, uint32_t index, mp__member_ref self) {
    uint64_t status = atomic_load(&mp__member_at(index)->status);
    mp__member_ref ref = mp__status_ref(status, index);
    if (mp__status_state(status) == MP__MEMBER_RUNNING && ref != self)
        watch_life(sleep, ref);
}

/* Each process watches some of its neighbours, so that everybody is watched by some; watching all
 * would cost each sleeper much. A death that none of those who watch it sleeps through is found by
 * the next sleeper whose slice is over, when it looks round. */
static void watch_family(struct sleep *sleep, mp__member_ref owner) {
    mp__member_ref self = self_ref();
    uint32_t high = atomic_load(&mp__registry->member_high);
    add_news(sleep, &mp__registry->news);
    if (owner != 0)
        watch_life(sleep, owner);
    size_t most = sleep->count + NEIGHBOURS;
    for (uint32_t i = 1; i <= high && sleep->count < most; i++)
        watch_member(sleep, (mp__member_index(self) + i - 1) % high + 1, self);
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

/* A promise to look round soon, if one is wanted: when it ends, and in the lowest bits who made it.
 * A stopped one is replaced when that is over, a killed one when it is recovered. */
#define PROMISER UINT32_C(0xfff)
_Static_assert(MP__MEMBER_MAX == PROMISER + 1, "a member's index is in a promise");

static _Atomic mp__time *take_turn(mp__member_ref self) {
    mp__time now = mp__now();
    mp__time promise = ((now + TURN_SLICE + LATE) & ~(mp__time)PROMISER) | mp__member_index(self);
    for (int i = 0; i < MP__SLEEP_TURNS; i++) {
        _Atomic mp__time *turn = &mp__registry->turns[i];
        mp__time until = atomic_load(turn);
        if (until <= now && atomic_compare_exchange_strong(turn, &until, promise)) {
            MP__POINT("sleep.turn.taken");
            return turn;
        }
    }
    return NULL;
}

void mp__sleep_end_turns(mp__member_ref dead) {
    for (int i = 0; i < MP__SLEEP_TURNS; i++) {
        mp__time promise = atomic_load(&mp__registry->turns[i]);
        if ((promise & PROMISER) == mp__member_index(dead))
            atomic_compare_exchange_strong(&mp__registry->turns[i], &promise, 0);
    }
    MP__POINT("sleep.turn.taken_away");
}

/* The longest slice. Who has slept for long only takes turns with others in looking round, however
 * many they are, and rests in between; then it also watches those who look. */
static mp__time begin_turn(struct sleep *sleep) {
    mp__member_ref self = self_ref();
    if (self == 0)
        return TURN_SLICE;
    add_news(sleep, &mp__registry->rest);
    sleep->turn = take_turn(self);
    if (sleep->turn) {
        sleep->count--;
        return TURN_SLICE;
    }
    for (int i = 0; i < MP__SLEEP_TURNS; i++)
        watch_member(sleep, atomic_load(&mp__registry->turns[i]) & PROMISER, self);
    return sleep->is_blind ? LONGEST_UNTOLD_SLICE : REST_SLICE;
}

/* We may not come back: when few are left, one of those who rest has to look round. */
static void end_turn(_Atomic mp__time *turn) {
    int left = 0;
    mp__time now = mp__now();
    atomic_store(turn, 0);
    MP__POINT("sleep.turn.ended");
    for (int i = 0; i < MP__SLEEP_TURNS; i++)
        left += atomic_load(&mp__registry->turns[i]) > now;
    if (left < MP__SLEEP_TURNS / 2)
        tell(&mp__registry->rest, 0, 1);
}

/* A slice is over. What those who rest do not know is told to them by who has a turn. */
static void look_round(const struct sleep *sleep) {
    mp__recover_look_round();
    if (sleep->turn && (atomic_load(&mp__registry->rest) & CHANGED))
        tell(&mp__registry->rest, WATCHED | CHANGED, MP__WAKE_ALL);
}

static bool can_watch(void) {
    return mp__registry && mp__futex_can_wait_any();
}

static mp__time between(mp__time least, mp__time slice, mp__time most) {
    return slice < least ? least : slice < most ? slice : most;
}

static mp__time fit_slice(struct sleep *sleep, mp__time slice) {
    if (sleep->is_blind)
        return between(FIRST_UNTOLD_SLICE, slice, LONGEST_UNTOLD_SLICE);
    return between(FIRST_SLICE, slice, slice > TURN_SLICE ? begin_turn(sleep) : TURN_SLICE);
}

/* The same for about that slice; afterwards it says how long it was. */
static int sleep_watching(struct sleep *sleep, mp__member_ref owner, mp__time *slice) {
    if (can_watch())
        watch_family(sleep, owner);
    else
        sleep->is_blind = true;
    *slice = fit_slice(sleep, *slice);
    int code = sleep_for(sleep, *slice);
    if (code != 0)
        look_round(sleep);
    if (sleep->turn)
        end_turn(sleep->turn);
    return code;
}

static void init_sleep(struct sleep *sleep, const struct mp__wait_word *list, size_t count,
                       mp__time deadline) {
    sleep->count = 0; /* it is large: only what is used is written */
    sleep->is_blind = false;
    sleep->turn = NULL;
    sleep->deadline = deadline;
    for (size_t i = 0; i < count; i++)
        add_word(sleep, list[i], 0);
}

int mp__sleep_any(const struct mp__wait_word *list, size_t count, mp__time deadline) {
    assert(count >= 1 && count <= MP__SLEEP_WORDS_MAX);
    struct sleep sleep;
    init_sleep(&sleep, list, count, deadline);
    mp__time slice = TURN_SLICE;
    int code = sleep_watching(&sleep, 0, &slice);
    return code == -EAGAIN ? 0 : code;
}

/* Slices grow while a thread comes back for the same thing in vain. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    const _Atomic uint32_t *word; /* slept on */
    uint32_t expected;            /* its value then */
    bool is_brisk;                /* it was woken at once: watching would cost as much as that */
    mp__time slice;               /* for the next sleep */
} last_sleep;

/* Then nobody's life is watched but the owner's. */
static bool expects_short_sleep(mp__time deadline) {
    return last_sleep.is_brisk || (deadline != MP__NEVER && deadline - mp__now() <= MOMENT);
}

static int sleep_briefly(struct sleep *sleep, mp__member_ref owner) {
    if (owner != 0 && can_watch())
        watch_life(sleep, owner);
    int code = sleep_for(sleep, GLANCE);
    last_sleep.is_brisk = code == 0;
    return code;
}

/* Woken for nothing, it sleeps on as before. */
static int sleep_long(struct sleep *sleep, mp__member_ref owner) {
    mp__time begin = mp__now();
    int code = sleep_watching(sleep, owner, &last_sleep.slice);
    bool has_changed = atomic_load(sleep->words[0].word) != sleep->words[0].expected;
    last_sleep.is_brisk = has_changed && mp__now() - begin < GLANCE;
    if (code == -EAGAIN)
        last_sleep.slice *= GROWTH;
    return code;
}

/* One slice. The caller looks again and comes back: what it waits for may have come without the
 * word changing, when the one who was to change it died. */
static int sleep_slice(_Atomic uint32_t *word, uint32_t expected, mp__member_ref owner,
                       mp__time deadline) {
    struct sleep sleep;
    init_sleep(&sleep, &(struct mp__wait_word){word, expected}, 1, deadline);
    if (last_sleep.word != word || last_sleep.expected != expected)
        last_sleep.slice = 0;
    last_sleep.word = word;
    last_sleep.expected = expected;
    int code =
        expects_short_sleep(deadline) ? sleep_briefly(&sleep, owner) : sleep_long(&sleep, owner);
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

/* Semaphore: a word of units, and whether somebody sleeps for one.
 * SPDX-License-Identifier: MIT
 *
 *      31 ............ 1      0
 *    +------------------+----------+
 *    | units            | sleepers |
 *    +------------------+----------+
 *
 * Nothing is written down about who has a unit: it is given back by anyone, or never. */
#define MP__IN_LIBRARY
#include "mp/inline.h"

#include <errno.h>
#include <stddef.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "os/futex.h"
#include "reg/blocked.h"
#include "reg/sleep.h"
#include "shm/heap.h"
#include "sync/kind.h"
#include "sync/semaphore.h"
#include "sync/spin.h"

#define SLEEPERS UINT32_C(1)
#define UNIT UINT32_C(2)

static int make_semaphore(mp_semaphore **out, unsigned value, uint32_t most, const char *function) {
    if (!out)
        return mp__fail(MP_EINVAL, "%s: out is NULL", function);
    if (value > MP_SEMAPHORE_MAX)
        return mp__fail(MP_EINVAL, "%s: value %u is more than %u", function, value,
                        MP_SEMAPHORE_MAX);
    struct semaphore_shared *semaphore = mp__self() ? mp__heap_alloc(sizeof *semaphore) : NULL;
    if (!semaphore)
        return -ENOMEM;
    semaphore->most = most;
    atomic_init(&semaphore->word, value * UNIT);
    atomic_store(&semaphore->kind, MP__KIND_SEMAPHORE);
    MP__POINT("semaphore.new.filled");
    mp__heap_publish(semaphore);
    mp__log_held(MP_LOG_DEBUG, "created semlock with handle %p", (void *)semaphore);
    *out = semaphore;
    return 0;
}

int mp_semaphore_new(mp_semaphore **out, mp_context *context, unsigned value) {
    (void)context;
    return make_semaphore(out, value, MP_SEMAPHORE_MAX, __func__);
}

int mp_bounded_semaphore_new(mp_semaphore **out, mp_context *context, unsigned value) {
    (void)context;
    return make_semaphore(out, value, value, __func__);
}

/* Take a unit of those in *word, setting `mark`; false: there is none, *word is what was seen. */
static bool take_unit(mp_semaphore *semaphore, uint32_t *word, uint32_t mark) {
    while (*word >= UNIT)
        if (atomic_compare_exchange_weak_explicit(&semaphore->word, word, (*word - UNIT) | mark,
                                                  memory_order_acquire, memory_order_relaxed))
            return true;
    return false;
}

static uint32_t spin_while_empty(mp_semaphore *semaphore) {
    uint32_t word = atomic_load_explicit(&semaphore->word, memory_order_relaxed);
    struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
    while (word < UNIT && mp__spin_once(&spin))
        word = atomic_load_explicit(&semaphore->word, memory_order_relaxed);
    mp__spin_end(&spin, word >= UNIT);
    return word;
}

/* One wake-up may serve for several units, and a release takes the mark away for all: so a sleeper
 * that got its unit leaves the mark behind it and wakes the next one while units remain. */
static int wait_for_unit(mp_semaphore *semaphore, mp__time deadline) {
    uint32_t mark = 0;
    for (;;) {
        uint32_t word = spin_while_empty(semaphore);
        if (take_unit(semaphore, &word, mark)) {
            MP__POINT("semaphore.acquire.taken");
            if (mark && word >= 2 * UNIT) /* word: before we took ours */
                mp__futex_wake(&semaphore->word, 1);
            return 0;
        }
        if (word == 0 &&
            !atomic_compare_exchange_strong_explicit(&semaphore->word, &word, SLEEPERS,
                                                     memory_order_relaxed, memory_order_relaxed))
            continue;
        MP__POINT("semaphore.acquire.announced");
        int code = mp__sleep(&semaphore->word, SLEEPERS, 0, deadline);
        MP__POINT("semaphore.acquire.awake");
        if (code != MP_ETIMEDOUT)
            mark = SLEEPERS;
        else if (mp_semaphore_value(semaphore) <= 0)
            return code;
    }
}

static int wait_on_record(mp_semaphore *semaphore, mp__time deadline) {
    struct thread_shared *self = mp__self();
    uint64_t before = mp__blocked_begin(self, semaphore, 0);
    int code = wait_for_unit(semaphore, deadline);
    mp__blocked_end(self, before);
    return code;
}

/* There is no unit at first sight, or something to refuse. */
__attribute__((noinline)) static int acquire_slowly(mp_semaphore *semaphore, double timeout) {
    int code = mp__kind_check(semaphore, MP__KIND_SEMAPHORE, "mp_semaphore_acquire", "semaphore");
    mp__time deadline;
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    uint32_t word = atomic_load_explicit(&semaphore->word, memory_order_relaxed);
    if (deadline > 0)
        code = wait_on_record(semaphore, deadline);
    else
        code = take_unit(semaphore, &word, 0) ? 0 : MP_ETIMEDOUT;
    if (code == MP_ETIMEDOUT)
        mp__fail(code, "mp_semaphore_acquire: no unit within %g seconds", timeout);
    return code;
}

int mp_semaphore_acquire(mp_semaphore *semaphore, double timeout) {
    if (timeout >= 0 && mp__kind_is(semaphore, MP__KIND_SEMAPHORE)) {
        uint32_t word = atomic_load_explicit(&semaphore->word, memory_order_relaxed);
        if (take_unit(semaphore, &word, 0))
            return 0;
    }
    return acquire_slowly(semaphore, timeout);
}

_Static_assert((int)MP__KIND_SEMAPHORE == (int)MP__INLINE_SEMAPHORE && UNIT == 2 * SLEEPERS &&
                   offsetof(struct semaphore_shared, most) == 4 &&
                   offsetof(struct semaphore_shared, word) == 8,
               "semaphores are as mp/inline.h has them");

static int refuse_units(const mp_semaphore *semaphore, uint32_t units, unsigned n) {
    return mp__fail(MP_EINVAL, "mp_semaphore_release: %u units and %u more exceed %u", units, n,
                    semaphore->most);
}

/* Several, or with a bound: the word has to be looked at first. */
__attribute__((noinline)) static int release_slowly(mp_semaphore *semaphore, unsigned n) {
    int code = mp__kind_check(semaphore, MP__KIND_SEMAPHORE, "mp_semaphore_release", "semaphore");
    if (code < 0)
        return code;
    if (n == 0)
        return mp__fail(MP_EINVAL, "mp_semaphore_release: n is 0");
    uint32_t word = atomic_load_explicit(&semaphore->word, memory_order_relaxed);
    do {
        if (word / UNIT > semaphore->most || n > semaphore->most - word / UNIT)
            return refuse_units(semaphore, word / UNIT, n);
    } while (!atomic_compare_exchange_weak_explicit(&semaphore->word, &word,
                                                    (word & ~SLEEPERS) + n * UNIT,
                                                    memory_order_release, memory_order_relaxed));
    MP__POINT("semaphore.release.added");
    if (word & SLEEPERS)
        mp__futex_wake(&semaphore->word, (int)n);
    return 0;
}

/* One unit was added to a word that was not looked at. One too many is taken back, unless somebody
 * has taken one meanwhile. */
int mp_inline_release_end(mp_semaphore *semaphore, uint32_t word) {
    if (word & SLEEPERS) {
        atomic_fetch_and(&semaphore->word, ~SLEEPERS);
        MP__POINT("semaphore.release.unmarked");
        mp__futex_wake(&semaphore->word, 1);
    }
    for (word += UNIT; word / UNIT > semaphore->most;)
        if (atomic_compare_exchange_weak(&semaphore->word, &word, word - UNIT))
            return refuse_units(semaphore, word / UNIT - 1, 1);
    return 0;
}

/* Where there is no bound to keep, it is one addition: to look at the word, which was locked a
 * moment ago, takes nearly as long again. */
int mp_semaphore_release(mp_semaphore *semaphore, unsigned n) {
    if (n != 1 || !mp__kind_is(semaphore, MP__KIND_SEMAPHORE) ||
        semaphore->most != MP_SEMAPHORE_MAX)
        return release_slowly(semaphore, n);
    uint32_t word = atomic_fetch_add_explicit(&semaphore->word, UNIT, memory_order_release);
    MP__POINT("semaphore.release.added");
    if (__builtin_expect((word & SLEEPERS) || word / UNIT >= MP_SEMAPHORE_MAX, 0))
        return mp_inline_release_end(semaphore, word);
    return 0;
}

int mp_semaphore_value(const mp_semaphore *semaphore) {
    int code = mp__kind_check(semaphore, MP__KIND_SEMAPHORE, __func__, "semaphore");
    return code < 0 ? code
                    : (int)(atomic_load_explicit(&semaphore->word, memory_order_acquire) / UNIT);
}

void mp_semaphore_free(mp_semaphore *semaphore) {
    if (semaphore && mp__kind_check(semaphore, MP__KIND_SEMAPHORE, __func__, "semaphore") == 0 &&
        mp__self())
        mp__object_free(semaphore);
}

int mp__semaphore_check(const mp_semaphore *semaphore) {
    if (!mp__kind_is(semaphore, MP__KIND_SEMAPHORE))
        return mp__fail(MP_ESTATE, "semaphore %p: not a semaphore", (const void *)semaphore);
    uint32_t units = atomic_load(&semaphore->word) / UNIT;
    if (units > semaphore->most)
        return mp__fail(MP_ESTATE, "semaphore %p: %u units of at most %u", (const void *)semaphore,
                        units, semaphore->most);
    return 0;
}

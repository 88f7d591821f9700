/* mp/inline.h: semaphores and events without a call, for programs that count every nanosecond.
 * SPDX-License-Identifier: MIT
 *
 *     #include <mp/mp.h>
 *     #include <mp/inline.h>         // the same functions from here on, inlined
 *
 * A locked instruction waits for every store before it, also for the return address of the call it
 * stands in: an eighth of what a semaphore costs, a quarter of an event. With this header
 * mp_semaphore_acquire, mp_semaphore_release, mp_event_set, mp_event_clear, mp_event_is_set and
 * mp_event_wait are macros that do the common case on the spot and call the library for all others:
 * to sleep, to wake somebody, to refuse. They do what the functions do, as safe from deaths.
 * Locks are not here: their quick way needs what only the library knows of this thread, and costs
 * with its calls what a raw futex costs without.
 *
 * Two things are different. A program that includes this header knows what a semaphore and an event
 * look like inside: it has to be compiled again for a libmp of another MP_VERSION_MINOR. And a
 * pointer that is neither NULL nor points to readable memory ends the program instead of being
 * refused. The functions themselves are still there: (mp_event_set)(event), or a pointer to it. */
#ifndef MP_INLINE_H
#define MP_INLINE_H

#include "mp/sync.h"

typedef uint32_t __attribute__((may_alias)) mp__inline_word;

enum mp__inline_layout {
    MP__INLINE_SEMAPHORE = 0x6d700002, /* word 0; word 1 its bound, word 2 units << 1 | sleepers */
    MP__INLINE_EVENT = 0x6d700004      /* word 0; word 1 is 1 when set, has bit 1 for sleepers */
};

MP_BEGIN_DECLS

/* For the macros below alone. A unit was added to a semaphore whose word was `word`: somebody
 * sleeps, or it is one too many. returns: 0; MP_EINVAL: taken back, as mp_semaphore_release. */
int mp_inline_release_end(mp_semaphore *semaphore, uint32_t word);
void mp_inline_set_end(mp_event *event); /* an event was set that somebody sleeps for */

static inline bool mp__inline_is(const void *object, uint32_t kind) {
    return __builtin_expect(
        object && __atomic_load_n((const mp__inline_word *)object, __ATOMIC_RELAXED) == kind, 1);
}

static inline int mp__inline_semaphore_acquire(mp_semaphore *semaphore, double timeout) {
    mp__inline_word *words = (mp__inline_word *)semaphore;
    if (mp__inline_is(semaphore, MP__INLINE_SEMAPHORE) && timeout >= 0) {
        uint32_t word = __atomic_load_n(&words[2], __ATOMIC_RELAXED);
        if (__builtin_expect(word >= 2 &&
                                 __atomic_compare_exchange_n(&words[2], &word, word - 2, false,
                                                             __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
                             1))
            return 0;
    }
    return mp_semaphore_acquire(semaphore, timeout);
}

static inline int mp__inline_semaphore_release(mp_semaphore *semaphore, unsigned n) {
    mp__inline_word *words = (mp__inline_word *)semaphore;
    if (__builtin_expect(!mp__inline_is(semaphore, MP__INLINE_SEMAPHORE) || n != 1 ||
                             words[1] != MP_SEMAPHORE_MAX,
                         0))
        return mp_semaphore_release(semaphore, n);
    uint32_t word = __atomic_fetch_add(&words[2], 2, __ATOMIC_RELEASE);
    if (__builtin_expect(word & (2 * MP_SEMAPHORE_MAX | 1), 0))
        return mp_inline_release_end(semaphore, word);
    return 0;
}

static inline int mp__inline_event_set(mp_event *event) {
    if (!mp__inline_is(event, MP__INLINE_EVENT))
        return mp_event_set(event);
    uint32_t word = __atomic_exchange_n((mp__inline_word *)event + 1, 1, __ATOMIC_SEQ_CST);
    if (__builtin_expect(word & 2, 0))
        mp_inline_set_end(event);
    return 0;
}

static inline int mp__inline_event_clear(mp_event *event) {
    uint32_t word = 1;
    if (!mp__inline_is(event, MP__INLINE_EVENT))
        return mp_event_clear(event);
    (void)__atomic_compare_exchange_n((mp__inline_word *)event + 1, &word, 0, false,
                                      __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return 0;
}

static inline bool mp__inline_event_is_set(const mp_event *event) {
    if (!mp__inline_is(event, MP__INLINE_EVENT))
        return mp_event_is_set(event);
    return __atomic_load_n((const mp__inline_word *)event + 1, __ATOMIC_ACQUIRE) == 1;
}

static inline int mp__inline_event_wait(mp_event *event, double timeout) {
    return timeout >= 0 && mp__inline_event_is_set(event) ? 0 : mp_event_wait(event, timeout);
}

MP_END_DECLS

#ifndef MP__IN_LIBRARY /* which defines them */
#define mp_semaphore_acquire(semaphore, timeout) mp__inline_semaphore_acquire(semaphore, timeout)
#define mp_semaphore_release(semaphore, n) mp__inline_semaphore_release(semaphore, n)
#define mp_event_set(event) mp__inline_event_set(event)
#define mp_event_clear(event) mp__inline_event_clear(event)
#define mp_event_is_set(event) mp__inline_event_is_set(event)
#define mp_event_wait(event, timeout) mp__inline_event_wait(event, timeout)
#endif

#endif

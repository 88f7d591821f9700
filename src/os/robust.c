/* The lowest lock: a robust, process-shared pthread mutex.
 * SPDX-License-Identifier: MIT */
#include "os/robust.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "mp/base.h"
#include "os/cpu.h"
#include "os/sanitizer.h"

enum { MOST_LOOKS = 12, PAUSES = 8 };

#ifdef MP__UNDER_TSAN

/* Two threads may make a mutex one after the other, in the same place; that its user between them,
 * another process, gave it back, ThreadSanitizer cannot know. */
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define BEGIN_INIT() AnnotateIgnoreWritesBegin(__FILE__, __LINE__)
#define END_INIT() AnnotateIgnoreWritesEnd(__FILE__, __LINE__)

#else

#define BEGIN_INIT() (void)0
#define END_INIT() (void)0

#endif

void mp__robust_init(struct mp__robust *mutex) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    BEGIN_INIT();
    pthread_mutex_init(&mutex->mutex, &attributes);
    END_INIT();
    pthread_mutexattr_destroy(&attributes);
}

/* Made consistent at once: should we die before we have repaired, the next one is told again. */
static int end_lock(struct mp__robust *mutex, int error) {
    if (error != EOWNERDEAD)
        return -error;
    pthread_mutex_consistent(&mutex->mutex);
    return MP_EOWNERDEAD;
}

#define SLICE (MP__SECOND / 10)

#ifdef MP__UNDER_TSAN

/* It does not know that a lock with a time limit can tell of a death. */
static int sleep_for(pthread_mutex_t *mutex, mp__time deadline) {
    if (deadline == MP__NEVER)
        return pthread_mutex_lock(mutex);
    int error;
    while ((error = pthread_mutex_trylock(mutex)) == EBUSY && mp__now() < deadline)
        nanosleep(&(struct timespec){.tv_nsec = SLICE / 1000}, NULL);
    return error;
}

#else

/* On the clock that nobody sets, where libc can. */
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 30)
#define CLOCK CLOCK_MONOTONIC
#define LOCK_UNTIL(mutex, until) pthread_mutex_clocklock(mutex, CLOCK, until)
#else
#define CLOCK CLOCK_REALTIME
#define LOCK_UNTIL(mutex, until) pthread_mutex_timedlock(mutex, until)
#endif

/* Who is killed when it has just been woken takes the wake-up with it, unless the mutex is still
 * free by then: whoever has taken it meanwhile does not know of the other sleepers and wakes none
 * of them. So nobody sleeps for long without looking. */
static int sleep_for(pthread_mutex_t *mutex, mp__time deadline) {
    for (;;) {
        struct timespec until;
        mp__time left = deadline == MP__NEVER ? SLICE : deadline - mp__now();
        if (left <= 0)
            return EBUSY;
        clock_gettime(CLOCK, &until);
        mp__time end = until.tv_nsec + (left < SLICE ? left : SLICE);
        until.tv_sec += (time_t)(end / MP__SECOND);
        until.tv_nsec = (long)(end % MP__SECOND);
        int error = LOCK_UNTIL(mutex, &until);
        if (error != ETIMEDOUT)
            return error;
    }
}

#endif

/* Held for moments: a sleep would take longer. */
int mp__robust_lock_until(struct mp__robust *mutex, mp__time deadline) {
    int error = pthread_mutex_trylock(&mutex->mutex);
    for (int i = mp__cpu_is_alone() ? MOST_LOOKS : 0; error == EBUSY && i < MOST_LOOKS; i++) {
        for (int pauses = 0; pauses < PAUSES; pauses++)
            mp__cpu_pause();
        error = pthread_mutex_trylock(&mutex->mutex);
    }
    if (error == EBUSY && deadline > 0)
        error = sleep_for(&mutex->mutex, deadline);
    assert(error == 0 || error == EOWNERDEAD || (error == EBUSY && deadline != MP__NEVER));
    return end_lock(mutex, error);
}

int mp__robust_lock(struct mp__robust *mutex) {
    return mp__robust_lock_until(mutex, MP__NEVER);
}

int mp__robust_try(struct mp__robust *mutex) {
    int error = pthread_mutex_trylock(&mutex->mutex);
    assert(error == 0 || error == EOWNERDEAD || error == EBUSY);
    return end_lock(mutex, error);
}

void mp__robust_unlock(struct mp__robust *mutex) {
    int error = pthread_mutex_unlock(&mutex->mutex);
    assert(error == 0);
    (void)error;
}

/* Trying, not locking: held for life it would look like half of a deadlock to those who check the
 * order of locks. */
void mp__robust_mark(struct mp__robust *mutex) {
    int error;
    while ((error = pthread_mutex_trylock(&mutex->mutex)) == EBUSY)
        mp__cpu_pause();
    assert(error == 0 || error == EOWNERDEAD);
    if (error == EOWNERDEAD)
        pthread_mutex_consistent(&mutex->mutex);
}

#if defined(__GLIBC__) && !defined(MP__PORTABLE)

#define OWNER_MASK \
    0x3fffffff /* FUTEX_TID_MASK: the holder's thread id; the kernel clears it when that dies */

/* A slot of the registry is asked after while somebody makes it anew: the asker then finds that the
 * slot leads another life. ThreadSanitizer cannot know, and takes pthread_mutex_init for a plain
 * write. */
#define RACES_WITH_INIT __attribute__((no_sanitize("thread")))

/* One load. The place and the meaning of the word are fixed: by the kernel's robust list and by
 * glibc's ABI. */
RACES_WITH_INIT bool mp__robust_is_held(struct mp__robust *mutex) {
    return (__atomic_load_n(&mutex->mutex.__data.__lock, __ATOMIC_ACQUIRE) & OWNER_MASK) != 0;
}

#define WAITERS \
    0x80000000 /* FUTEX_WAITERS: the kernel wakes at the holder's end, libc at unlock \
                            */

/* What libc does before it sleeps for the lock. */
RACES_WITH_INIT bool mp__robust_watch(struct mp__robust *mutex, struct mp__wait_word *out) {
    uint32_t *word = (uint32_t *)&mutex->mutex.__data.__lock;
    uint32_t value = __atomic_load_n(word, __ATOMIC_ACQUIRE);
    while ((value & OWNER_MASK) && !(value & WAITERS))
        if (__atomic_compare_exchange_n(word, &value, value | WAITERS, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            value |= WAITERS;
    *out = (struct mp__wait_word){(_Atomic uint32_t *)word, value};
    return value & OWNER_MASK;
}

RACES_WITH_INIT bool mp__robust_has_changed(const struct mp__wait_word *watched) {
    return __atomic_load_n((uint32_t *)watched->word, __ATOMIC_ACQUIRE) != watched->expected;
}

#else

/* POSIX can only try to take it. What the dead left is made consistent and let go, so that all
 * later calls say false (were it left inconsistent, glibc's trylock would fail the first time and
 * keep the lock). Whoever asks in that same moment is told true, and false the next time; that errs
 * on the safe side. */
bool mp__robust_is_held(struct mp__robust *mutex) {
    int error = pthread_mutex_trylock(&mutex->mutex);
    if (error == EOWNERDEAD)
        pthread_mutex_consistent(&mutex->mutex);
    if (error == 0 || error == EOWNERDEAD)
        pthread_mutex_unlock(&mutex->mutex);
    return error == EBUSY;
}

bool mp__robust_watch(struct mp__robust *mutex, struct mp__wait_word *out) {
    (void)mutex;
    (void)out;
    return false;
}

bool mp__robust_has_changed(const struct mp__wait_word *watched) {
    (void)watched;
    return false;
}

#endif

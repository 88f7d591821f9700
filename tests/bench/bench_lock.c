/* Acquire and release, set and clear: nobody else there; two processes fighting with 100 ns of
 * work inside. SPDX-License-Identifier: MIT */
#include "bench.h"

#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mp/context.h"
#include "mp/inline.h"
#include "mp/sync.h"

#define FIGHT_NANOSECONDS \
    3000000 /* of one sample: virtual machines take a cpu away from those who are busy for longer \
             */

static struct {
    _Alignas(128) pthread_mutex_t plain;     /* PROCESS_SHARED */
    _Alignas(128) pthread_mutex_t robust;    /* and robust */
    _Alignas(128) pthread_mutex_t recursive; /* and recursive, not robust */
    _Alignas(128) sem_t semaphore;           /* of value 1 */
    _Alignas(128) _Atomic uint32_t futex;    /* 0 free, 1 held, 2 held and somebody sleeps */
    _Alignas(128) _Atomic uint32_t count;    /* of a semaphore; the highest bit: somebody sleeps */
    _Alignas(128) _Atomic uint32_t flag;     /* of an event: 0 clear, 1 set, 2 somebody sleeps */
} * locks;                                   /* in shared memory */
static mp_lock *lock, *rlock;
static mp_semaphore *semaphore;
static mp_event *event;
static long steps_of_100ns; /* of do_work */

static void init_mutex(pthread_mutex_t *mutex, int type, int robustness) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_settype(&attributes, type);
    pthread_mutexattr_setrobust(&attributes, robustness);
    BENCH_CHECK(pthread_mutex_init(mutex, &attributes) == 0);
}

static inline void acquire_plain(void) {
    pthread_mutex_lock(&locks->plain);
}

static inline void release_plain(void) {
    pthread_mutex_unlock(&locks->plain);
}

static inline void acquire_robust(void) {
    pthread_mutex_lock(&locks->robust);
}

static inline void release_robust(void) {
    pthread_mutex_unlock(&locks->robust);
}

static inline void acquire_recursive(void) {
    pthread_mutex_lock(&locks->recursive);
}

static inline void release_recursive(void) {
    pthread_mutex_unlock(&locks->recursive);
}

/* The limit of a fight: three states, 100 pauses before sleeping, no owner and no recovery. */
static void acquire_futex(void) {
    uint32_t free_word = 0;
    for (int i = 0; i < 100; i++, free_word = 0) {
        if (atomic_compare_exchange_weak(&locks->futex, &free_word, 1))
            return;
        if (free_word == 2)
            break;
        __builtin_ia32_pause();
    }
    while (atomic_exchange(&locks->futex, 2) != 0)
        syscall(SYS_futex, &locks->futex, FUTEX_WAIT, 2, NULL, NULL, 0);
}

static inline void release_futex(void) {
    if (atomic_exchange(&locks->futex, 0) == 2)
        syscall(SYS_futex, &locks->futex, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void acquire_count(void) {
    uint32_t count = atomic_load_explicit(&locks->count, memory_order_relaxed);
    while (count == 0 || !atomic_compare_exchange_weak(&locks->count, &count, count - 1))
        ;
}

static inline void release_count(void) {
    if (atomic_fetch_add(&locks->count, 1) >> 31)
        syscall(SYS_futex, &locks->count, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void acquire_sem(void) {
    sem_wait(&locks->semaphore);
}

static inline void release_sem(void) {
    sem_post(&locks->semaphore);
}

static inline void acquire_semaphore(void) { /* in parentheses: the function, not the macro */
    BENCH_CHECK((mp_semaphore_acquire)(semaphore, MP_FOREVER) == 0);
}

static inline void release_semaphore(void) {
    (mp_semaphore_release)(semaphore, 1);
}

static inline void acquire_inlined_semaphore(void) {
    BENCH_CHECK(mp_semaphore_acquire(semaphore, MP_FOREVER) == 0);
}

static inline void release_inlined_semaphore(void) {
    mp_semaphore_release(semaphore, 1);
}

static inline void acquire_flag(void) {
    if (atomic_exchange(&locks->flag, 1) == 2)
        syscall(SYS_futex, &locks->flag, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void release_flag(void) {
    atomic_exchange(&locks->flag, 0);
}

static inline void acquire_event(void) {
    (mp_event_set)(event);
}

static inline void release_event(void) {
    (mp_event_clear)(event);
}

static inline void acquire_inlined_event(void) {
    mp_event_set(event);
}

static inline void release_inlined_event(void) {
    mp_event_clear(event);
}

static inline void acquire_lock(void) {
    BENCH_CHECK(mp_lock_acquire(lock, MP_FOREVER) == 0);
}

static inline void release_lock(void) {
    mp_lock_release(lock);
}

static inline void acquire_rlock(void) {
    BENCH_CHECK(mp_lock_acquire(rlock, MP_FOREVER) == 0);
}

static inline void release_rlock(void) {
    mp_lock_release(rlock);
}

static inline uint64_t do_work(uint64_t seed, long steps) {
    for (long i = 0; i < steps; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        __asm__ volatile("" : "+r"(seed)); /* one after the other, all of them */
    }
    return seed;
}

static void calibrate_work(void) {
    int64_t best = INT64_MAX;
    for (int i = 0; i < 20; i++) {
        int64_t begin = bench_now();
        do_work(1, 20000);
        int64_t elapsed = bench_now() - begin;
        best = elapsed < best ? elapsed : best;
    }
    steps_of_100ns = 100 * 20000 / (best ? best : 1);
}

/* Inlined with constant functions: no call is measured but the one the lock needs. */
static inline __attribute__((always_inline)) double measure_alone(void (*acquire)(void),
                                                                  void (*release)(void)) {
    long count = 20000;
    acquire();
    release();
    int64_t begin = bench_now();
    for (long i = 0; i < count; i++) {
        acquire();
        __asm__ volatile("" ::: "memory");
        release();
    }
    return (double)(bench_now() - begin) / (double)count;
}

static struct {
    _Alignas(128) _Atomic int ready; /* fighters at the line */
    _Alignas(128) uint64_t total;    /* counted under the lock */
    _Alignas(128) uint64_t count[2]; /* by each fighter */
    int64_t begin[2], end[2];        /* of each fighter, who may be kept waiting for a cpu */
} * fight;

static inline __attribute__((always_inline)) void fight_on(int me, void (*acquire)(void),
                                                           void (*release)(void)) {
    uint64_t count = 0, seed = 1;
    acquire();
    release();
    atomic_fetch_add(&fight->ready, 1);
    while (atomic_load(&fight->ready) < 2)
        __builtin_ia32_pause();
    int64_t begin = bench_now(), now;
    do {
        acquire();
        fight->total++;
        seed = do_work(seed, steps_of_100ns);
        release();
    } while (++count % 16 || (now = bench_now()) - begin < FIGHT_NANOSECONDS);
    fight->count[me] = count;
    fight->begin[me] = begin;
    fight->end[me] = now;
}

static inline __attribute__((always_inline)) double measure_fight(void (*body)(void *arg)) {
    int numbers[2] = {0, 1};
    pid_t pids[2];
    atomic_store(&fight->ready, 0);
    fight->total = 0;
    for (int i = 0; i < 2; i++)
        pids[i] = bench_fork(body, &numbers[i]);
    for (int i = 0; i < 2; i++)
        bench_reap(pids[i]);
    BENCH_CHECK(fight->total == fight->count[0] + fight->count[1]);
    int64_t begin = fight->begin[fight->begin[1] < fight->begin[0]];
    int64_t end = fight->end[fight->end[1] > fight->end[0]];
    return (double)fight->total * 1e3 / (double)(end - begin);
}

#define DEFINE_ALONE(name)                                    \
    static double alone_##name(const void *subject) {         \
        (void)subject;                                        \
        return measure_alone(acquire_##name, release_##name); \
    }
/* What the raw one costs behind a call, as that of any library is: the return address is one more
 * store that each locked instruction has to wait for. */
#define DEFINE_CALLED(name)                                             \
    static __attribute__((noinline)) void acquire_called_##name(void) { \
        acquire_##name();                                               \
    }                                                                   \
    static __attribute__((noinline)) void release_called_##name(void) { \
        release_##name();                                               \
    }                                                                   \
    DEFINE_ALONE(called_##name)
#define DEFINE_CONTENDER(name)                                 \
    DEFINE_ALONE(name)                                         \
    static void fighter_##name(void *arg) {                    \
        fight_on(*(int *)arg, acquire_##name, release_##name); \
    }                                                          \
    static double fight_##name(const void *subject) {          \
        (void)subject;                                         \
        return measure_fight(fighter_##name);                  \
    }
DEFINE_CONTENDER(plain)
DEFINE_CONTENDER(robust)
DEFINE_CONTENDER(recursive)
DEFINE_CONTENDER(futex)
DEFINE_CONTENDER(lock)
DEFINE_CONTENDER(rlock)
DEFINE_ALONE(count)
DEFINE_ALONE(sem)
DEFINE_ALONE(semaphore)
DEFINE_ALONE(inlined_semaphore)
DEFINE_ALONE(flag)
DEFINE_ALONE(event)
DEFINE_ALONE(inlined_event)
DEFINE_CALLED(futex)
DEFINE_CALLED(count)
DEFINE_CALLED(flag)

static void init_locks(void) {
    locks = bench_shared(sizeof *locks);
    fight = bench_shared(sizeof *fight);
    init_mutex(&locks->plain, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_STALLED);
    init_mutex(&locks->robust, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
    init_mutex(&locks->recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
    BENCH_CHECK(mp_lock_new(&lock, NULL) == 0 && mp_rlock_new(&rlock, NULL) == 0);
    BENCH_CHECK(sem_init(&locks->semaphore, 1, 1) == 0);
    locks->count = 1;
    BENCH_CHECK(mp_semaphore_new(&semaphore, NULL, 1) == 0 && mp_event_new(&event, NULL) == 0);
    calibrate_work();
}

static const struct bench_contender alone[] = {
    {"futex", alone_futex, NULL},       {"futex, called", alone_called_futex, NULL},
    {"pthread", alone_plain, NULL},     {"pthread robust", alone_robust, NULL},
    {"libmp Lock", alone_lock, NULL},   {"pthread recursive", alone_recursive, NULL},
    {"libmp RLock", alone_rlock, NULL},
};
static const struct bench_contender semaphores[] = {
    {"futex", alone_count, NULL},
    {"futex, called", alone_called_count, NULL},
    {"sem_t", alone_sem, NULL},
    {"pthread robust", alone_robust, NULL},
    {"libmp Semaphore", alone_semaphore, NULL},
    {"libmp Semaphore, inlined", alone_inlined_semaphore, NULL},
};
static const struct bench_contender events[] = {
    {"futex", alone_flag, NULL},
    {"futex, called", alone_called_flag, NULL},
    {"pthread robust", alone_robust, NULL},
    {"libmp Event", alone_event, NULL},
    {"libmp Event, inlined", alone_inlined_event, NULL},
};
static const struct bench_contender fights[] = {
    {"futex+spin", fight_futex, NULL},
    {"pthread", fight_plain, NULL},
    {"pthread robust", fight_robust, NULL},
    {"libmp Lock", fight_lock, NULL},
    {"pthread recursive", fight_recursive, NULL},
    {"libmp RLock", fight_rlock, NULL},
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    init_locks();
    bench_run("lock, alone", "ns", alone, BENCH_COUNT(alone), 20);
    bench_run("semaphore, alone", "ns", semaphores, BENCH_COUNT(semaphores), 20);
    bench_run("event, set and clear", "ns", events, BENCH_COUNT(events), 20);
    bench_run("lock, 2 processes, 100 ns inside", "M/s", fights, BENCH_COUNT(fights), 20);
    mp_lock_free(lock);
    mp_lock_free(rlock);
    mp_semaphore_free(semaphore);
    mp_event_free(event);
    return 0;
}

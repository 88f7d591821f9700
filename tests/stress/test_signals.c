/* A rain of signals: nothing ends early, nothing is lost, time limits stay what they are.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "mp/connection.h"
#include "mp/pool.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"
#include "os/clock.h"
#include "process.h"

enum { MESSAGES = 3000, ITEMS = 300, STARTS = 10, PERIOD_MICROSECONDS = 150 };
#define LIMIT 0.15 /* seconds: of calls that are to time out */
#define LATE 1.0   /* seconds: what such a call must not take, on a busy machine */

struct scene { /* in the arena */
    mp_queue *there, *back;
    mp_connection *ends[2];
    mp_lock *lock;
    mp_semaphore *semaphore;
    mp_event *event;
    mp_barrier *barrier;
    mp_condition *condition;
    uint64_t guarded; /* by lock */
};

static volatile sig_atomic_t drops;

static void count_drop(int signal) {
    (void)signal;
    drops = drops + 1;
}

static void *rain(void *thread) {
    for (;;) {
        pthread_kill(*(pthread_t *)thread, SIGUSR1);
        usleep(PERIOD_MICROSECONDS);
    }
    return NULL;
}

/* ThreadSanitizer allows no thread after a fork of several. */
#ifdef __SANITIZE_THREAD__
#define HAS_CLOUDS false
#else
#define HAS_CLOUDS true
#endif

static void catch_drops(int signal, int flags) {
    struct sigaction action = {.sa_handler = count_drop, .sa_flags = flags};
    MPT_CHECK(sigaction(signal, &action, NULL) == 0);
}

/* SIGALRM restarts system calls; SIGUSR1, which always hits this thread, does not. */
static void begin_rain(void) {
    static pthread_t target, clouds;
    struct itimerval timer = {{0, PERIOD_MICROSECONDS}, {0, PERIOD_MICROSECONDS}};
    sigset_t all, old;
    catch_drops(SIGALRM, HAS_CLOUDS ? SA_RESTART : 0);
    catch_drops(SIGUSR1, 0);
    MPT_CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
    if (!HAS_CLOUDS)
        return;
    target = pthread_self();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    MPT_CHECK(pthread_create(&clouds, NULL, rain, &target) == 0);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    MPT_CHECK(pthread_detach(clouds) == 0);
}

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    MPT_CHECK(scene);
    MPT_OK(mp_queue_new(&scene->there, NULL, 10));
    MPT_OK(mp_queue_new(&scene->back, NULL, 0));
    MPT_OK(mp_pipe_new(&scene->ends[0], &scene->ends[1], NULL, true));
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    MPT_OK(mp_semaphore_new(&scene->semaphore, NULL, 0));
    MPT_OK(mp_event_new(&scene->event, NULL));
    MPT_OK(mp_barrier_new(&scene->barrier, NULL, 2, NULL));
    MPT_OK(mp_condition_new(&scene->condition, NULL, NULL));
    return scene;
}

static void close_scene(struct scene *scene) {
    mp_queue_free(scene->there);
    mp_queue_free(scene->back);
    mp_connection_free(scene->ends[0]);
    mp_connection_free(scene->ends[1]);
    mp_lock_free(scene->lock);
    mp_semaphore_free(scene->semaphore);
    mp_event_free(scene->event);
    mp_barrier_free(scene->barrier);
    mp_condition_free(scene->condition);
    mp_shared_free(scene);
}

static void count_locked(struct scene *scene) {
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    scene->guarded++;
    MPT_OK(mp_lock_release(scene->lock));
}

/* Sends everything back, by the other way. */
static int answer(void *argument, size_t size) {
    struct scene *scene;
    uint64_t number;
    MPT_CHECK(size == sizeof scene);
    memcpy(&scene, argument, size);
    begin_rain();
    for (unsigned i = 0; i < MESSAGES; i++) {
        MPT_OK(mp_queue_get(scene->there, &number, sizeof number, NULL, MP_FOREVER));
        count_locked(scene);
        MPT_OK(mp_connection_send_bytes(scene->ends[1], &number, sizeof number, MP_FOREVER));
        if (i % 100 == 0)
            MPT_CHECK(mp_barrier_wait(scene->barrier, MP_FOREVER) >= 0);
    }
    return 7;
}

static void exchange(struct scene *scene) {
    uint64_t got;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        MPT_OK(mp_queue_put(scene->there, &i, sizeof i, MP_FOREVER));
        count_locked(scene);
        if (i % 100 == 0)
            MPT_CHECK(mp_barrier_wait(scene->barrier, MP_FOREVER) >= 0);
        MPT_OK(mp_connection_recv_bytes_into(scene->ends[0], &got, sizeof got, NULL, MP_FOREVER));
        MPT_CHECK(got == i);
    }
    MPT_CHECK(scene->guarded == 2 * MESSAGES);
}

static mp_process *start(mp_target_fn target, struct scene *scene) {
    mp_connection *passed[] = {scene->ends[1], NULL};
    mp_process_options options = {
        .target = target, .arg = &scene, .arg_size = sizeof scene, .connections = passed};
    return mpt_start_with(mpt_context(), &options);
}

static void test_messages_come_through(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    begin_rain();
    mp_process *other = start(answer, scene);
    exchange(scene);
    MPT_CHECK(mpt_end(other) == 7);
    MPT_CHECK(drops > 10);
    close_scene(scene);
}

static int return_seven(void *argument, size_t size) {
    (void)argument, (void)size;
    return 7;
}

static void test_starts_and_joins_are_not_cut_short(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    begin_rain();
    for (unsigned i = 0; i < STARTS; i++)
        MPT_CHECK(mpt_end(start(return_seven, scene)) == 7);
    close_scene(scene);
}

static int rain_and_square(const void *item, void *result, void *state) {
    static bool rains;
    (void)state;
    if (!rains)
        begin_rain();
    rains = true;
    *(uint64_t *)result = *(const uint64_t *)item * *(const uint64_t *)item;
    return 0;
}

static void test_pools_work_on(void **state) {
    (void)state;
    mp_pool *pool;
    uint64_t items[ITEMS], results[ITEMS];
    for (unsigned i = 0; i < ITEMS; i++)
        items[i] = i;
    begin_rain();
    MPT_OK(mp_pool_new(&pool, mpt_context(), &(mp_pool_options){.processes = 2}));
    for (unsigned round = 0; round < 3; round++) {
        memset(results, 0, sizeof results);
        MPT_OK(mp_pool_map(pool, rain_and_square, items, ITEMS, sizeof items[0], results,
                           sizeof results[0], NULL));
        for (unsigned i = 0; i < ITEMS; i++)
            MPT_CHECK(results[i] == (uint64_t)i * i);
    }
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
}

/* Not before its time, and not long after. */
#define TIMES_OUT(call, code)                                                   \
    do {                                                                        \
        mp__time mpt_begin = mp__now();                                         \
        MPT_CODE(call, code);                                                   \
        double mpt_took = (double)(mp__now() - mpt_begin) / (double)MP__SECOND; \
        MPT_CHECK(mpt_took >= LIMIT * 0.99 && mpt_took < LATE);                 \
    } while (0)

static int hold_lock(void *argument, size_t size) {
    struct scene *scene;
    memcpy(&scene, argument, size);
    MPT_OK(mp_lock_acquire(scene->lock, MP_FOREVER));
    MPT_OK(mp_event_set(scene->event));
    MPT_OK(mp_semaphore_acquire(scene->semaphore, MP_FOREVER));
    MPT_OK(mp_lock_release(scene->lock));
    return 7;
}

static void test_time_limits_are_kept(void **state) {
    (void)state;
    uint64_t bytes;
    struct scene *scene = open_scene();
    mp_process *holder = start(hold_lock, scene);
    mp_waitable list[] = {MP_WAIT_QUEUE(scene->back), MP_WAIT_CONNECTION(scene->ends[0])};
    begin_rain();
    MPT_OK(mp_event_wait(scene->event, MP_FOREVER));
    MPT_OK(mp_event_clear(scene->event));
    TIMES_OUT(mp_lock_acquire(scene->lock, LIMIT), MP_ETIMEDOUT);
    TIMES_OUT(mp_event_wait(scene->event, LIMIT), MP_ETIMEDOUT);
    TIMES_OUT(mp_queue_get(scene->back, &bytes, sizeof bytes, NULL, LIMIT), MP_EEMPTY);
    TIMES_OUT(mp_connection_recv_bytes_into(scene->ends[0], &bytes, sizeof bytes, NULL, LIMIT),
              MP_ETIMEDOUT);
    TIMES_OUT(mp_connection_poll(scene->ends[0], LIMIT), 0);
    TIMES_OUT(mp_wait(list, 2, LIMIT), 0);
    TIMES_OUT(mp_process_join(holder, LIMIT), MP_ETIMEDOUT);
    MPT_OK(mp_condition_acquire(scene->condition, MP_FOREVER));
    TIMES_OUT(mp_condition_wait(scene->condition, LIMIT), MP_ETIMEDOUT);
    MPT_OK(mp_condition_release(scene->condition));
    TIMES_OUT(mp_barrier_wait(scene->barrier, LIMIT), MP_EBROKEN);
    MPT_OK(mp_semaphore_release(scene->semaphore, 1));
    MPT_CHECK(mpt_end(holder) == 7);
    TIMES_OUT(mp_semaphore_acquire(scene->semaphore, LIMIT), MP_ETIMEDOUT);
    close_scene(scene);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_messages_come_through),
                 MPT_EACH_METHOD(test_starts_and_joins_are_not_cut_short),
                 MPT_EACH_METHOD(test_pools_work_on), MPT_EACH_METHOD(test_time_limits_are_kept))

/* The listing of a family: what it says, and that nothing can stop it.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/mp.h"
#include "os/clock.h"
#include "process.h"
#include "reg/blocked.h"
#include "reg/recover.h"
#include "reg/thread.h"
#include "shm/heap.h"
#include "sync/kind.h"

#define LIMIT 20.0 /* seconds until a test is lost */

struct scene {
    mp_lock *lock;          /* the objects of the case */
    mp_event *event, *done; /* done: the children may end */
    mp_barrier *barrier;
    mp_condition *condition;
    mp_semaphore *semaphore;
    mp_queue *queue;
    _Atomic unsigned thread; /* of the child */
    _Atomic unsigned ready;  /* how far they are */
    const char *point;       /* where the child stops */
};

static struct scene *open_scene(void) {
    struct scene *scene = mp_shared_calloc(1, sizeof *scene);
    assert_non_null(scene);
    MPT_OK(mp_event_new(&scene->done, NULL));
    return scene;
}

static void close_scene(struct scene *scene) {
    mp_event_free(scene->done);
    mp_shared_free(scene);
}

/* All that it says, to be freed. */
__attribute__((noinline)) static char *dump(void) {
    char *text;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    MPT_CHECK(stream);
    MPT_OK(mp_family_dump(stream));
    MPT_CHECK(fclose(stream) == 0);
    return text;
}

/* Does it say so, a whole line or its beginning? */
__attribute__((format(printf, 1, 2))) static bool says(const char *format, ...) {
    char wanted[400] = "\n";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wanted + 1, sizeof wanted - 1, format, arguments);
    va_end(arguments);
    char *text = dump();
    bool found = strncmp(text, wanted + 1, strlen(wanted) - 1) == 0 || strstr(text, wanted);
    if (!found)
        fprintf(stderr, "not said: %s\nbut:\n%s", wanted + 1, text);
    free(text);
    return found;
}

static mp_process *start(mp_target_fn target, struct scene *scene, const char *name) {
    mp_process_options options = {.target = target,
                                  .name = name,
                                  .arg = &scene,
                                  .arg_size = sizeof scene,
                                  .daemon = MP_DAEMON};
    return mpt_start_with(mpt_context(), &options);
}

static void test_bad_streams_are_refused(void **state) {
    (void)state;
    MPT_CODE(mp_family_dump(NULL), MP_EINVAL);
    FILE *full = fopen("/dev/full", "w");
    assert_non_null(full);
    struct scene *scene = open_scene();
    MPT_CODE(mp_family_dump(full), -EIO);
    fclose(full);
    close_scene(scene);
}

static void test_nothing_is_said_before_the_family_is_used(void **state) {
    (void)state;
    char *text = dump();
    assert_string_equal(text, "");
    free(text);
}

static int wait_until_done(void *arg, size_t size) {
    (void)size;
    struct scene *scene = *(struct scene **)arg;
    atomic_fetch_add(&scene->ready, 1);
    MPT_OK(mp_event_wait(scene->done, LIMIT));
    return 0;
}

static void test_processes_are_listed(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_process *child = start(wait_until_done, scene, "the child");
    MPT_UNTIL(scene->ready == 1);
    assert_true(says("process %d 'MainProcess' running\n", (int)getpid()));
    assert_true(says("process %d 'the child' running, parent ", (int)mp_process_pid(child)));
    assert_true(says("process %d 'the child' running, parent %d, daemon\n",
                     (int)mp_process_pid(child), (int)getpid()));
    MPT_OK(mp_event_set(scene->done));
    assert_int_equal(mpt_end(child), 0);
    close_scene(scene);
}

static int hold_lock(void *arg, size_t size) {
    (void)size;
    struct scene *scene = *(struct scene **)arg;
    MPT_OK(mp_lock_acquire(scene->lock, LIMIT));
    MPT_OK(mp_lock_acquire(scene->lock, LIMIT));
    atomic_store(&scene->thread, mp__self()->index);
    return wait_until_done(arg, size);
}

static int want_lock(void *arg, size_t size) {
    (void)size;
    struct scene *scene = *(struct scene **)arg;
    atomic_store(&scene->thread, mp__self()->index);
    int code = mp_lock_acquire(scene->lock, LIMIT);
    return code != 0 && code != MP_EOWNERDEAD;
}

static bool is_blocked(unsigned thread) {
    return thread != 0 && atomic_load(&mp__thread_at(thread)->blocked_on) != 0;
}

static void test_lock_shows_holder_and_waiter(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    mp_lock_options options = {.recursive = true, .name = "accounts"};
    MPT_OK(mp_lock_new_with(&scene->lock, NULL, &options));
    assert_true(says("rlock %p 'accounts' free\n", (void *)scene->lock));
    mp_process *holder = start(hold_lock, scene, "holder");
    MPT_UNTIL(scene->ready == 1);
    unsigned owner = atomic_exchange(&scene->thread, 0);
    mp_process *waiter = start(want_lock, scene, "waiter");
    MPT_UNTIL(is_blocked(scene->thread));
    assert_true(says("rlock %p 'accounts' held by 'holder' (pid %d, thread %u), 2 deep\n"
                     "    waits: 'waiter' (pid %d, thread %u)\n",
                     (void *)scene->lock, (int)mp_process_pid(holder), owner,
                     (int)mp_process_pid(waiter), scene->thread));
    MPT_OK(mp_event_set(scene->done));
    assert_int_equal(mpt_end(holder), 0);
    assert_int_equal(mpt_end(waiter), 0);
    mp_lock_free(scene->lock);
    close_scene(scene);
}

static void hold_and_die(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_lock_acquire(scene->lock, LIMIT));
    kill(getpid(), SIGKILL);
}

static void test_dead_holder_is_shown_as_dead(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    pid_t pid = mpt_fork(hold_and_die, scene);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    char *text = dump();
    assert_non_null(strstr(text, ", dead)\n"));
    assert_non_null(strstr(text, "' dead\n"));
    free(text);
    mp__recover_all();
    assert_true(says("lock %p free, its last owner died\n", (void *)scene->lock));
    MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    mp_lock_free(scene->lock);
    close_scene(scene);
}

static void test_quiet_objects_say_what_they_are(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_bounded_semaphore_new(&scene->semaphore, NULL, 5));
    MPT_OK(mp_semaphore_acquire(scene->semaphore, MP_NOWAIT));
    assert_true(says("semaphore %p value 4, at most 5\n", (void *)scene->semaphore));
    assert_true(says("event %p not set\n", (void *)scene->done));
    MPT_OK(mp_event_set(scene->done));
    assert_true(says("event %p set\n", (void *)scene->done));
    MPT_OK(mp_barrier_new(&scene->barrier, NULL, 3, NULL));
    assert_true(says("barrier %p 0 of 3 have come\n", (void *)scene->barrier));
    MPT_OK(mp_barrier_abort(scene->barrier));
    assert_true(says("barrier %p broken\n", (void *)scene->barrier));
    MPT_OK(mp_condition_new(&scene->condition, NULL, NULL));
    MPT_OK(mp_condition_acquire(scene->condition, MP_NOWAIT));
    assert_true(says("condition %p lock 0x", (void *)scene->condition));
    MPT_OK(mp_condition_release(scene->condition));
    mp_semaphore_free(scene->semaphore);
    mp_barrier_free(scene->barrier);
    mp_condition_free(scene->condition);
    close_scene(scene);
}

static void test_values_and_arrays_show_their_locks(void **state) {
    (void)state;
    mp_lock *lock;
    mp_value *value, *raw;
    mp_array *array;
    double number = 1;
    MPT_OK(mp_lock_new(&lock, NULL));
    MPT_OK(mp_value_new(&value, NULL, 'd', &number, lock));
    MPT_OK(mp_raw_value_new(&raw, NULL, 'i', NULL));
    MPT_OK(mp_array_new(&array, NULL, 'h', 7, NULL, MP_NEW_LOCK));
    MPT_OK(mp_lock_acquire(lock, MP_NOWAIT));
    assert_true(says("value %p 'd', 8 bytes, lock held by 'MainProcess' (pid %d, thread %u)\n",
                     (void *)value, (int)getpid(), mp__self()->index));
    assert_true(says("value %p 'i', 4 bytes\n", (void *)raw));
    assert_true(says("array %p 'h', 7 items of 2 bytes, lock free\n", (void *)array));
    MPT_OK(mp_lock_release(lock));
    mp_value_free(value);
    mp_value_free(raw);
    mp_array_free(array);
    mp_lock_free(lock);
}

static int wait_for_many_things(void *arg, size_t size) {
    (void)size;
    struct scene *scene = *(struct scene **)arg;
    char byte;
    atomic_store(&scene->thread, mp__self()->index);
    switch (atomic_load(&scene->ready)) {
    case 0:
        return mp_semaphore_acquire(scene->semaphore, LIMIT);
    case 1:
        return mp_event_wait(scene->event, LIMIT);
    case 2:
        return mp_barrier_wait(scene->barrier, LIMIT) < 0;
    case 3:
        MPT_OK(mp_condition_acquire(scene->condition, LIMIT));
        MPT_OK(mp_condition_wait(scene->condition, LIMIT));
        return mp_condition_release(scene->condition);
    default:
        return mp_queue_get(scene->queue, &byte, 1, NULL, LIMIT);
    }
}

static bool is_waiting(unsigned thread) {
    return is_blocked(thread) || (thread != 0 && mp__thread_at(thread)->wait_on != 0);
}

/* One child waits; it is shown below the object's line; then it gets what it waits for. */
static void check_waiter(struct scene *scene, const char *line, const void *object) {
    char *text;
    char wanted[200];
    atomic_store(&scene->thread, 0);
    mp_process *child = start(wait_for_many_things, scene, "who waits");
    MPT_UNTIL(is_waiting(scene->thread));
    snprintf(wanted, sizeof wanted, "\n    waits: 'who waits' (pid %d, thread %u)\n",
             (int)mp_process_pid(child), scene->thread);
    while (!strstr(text = dump(), wanted)) /* between two slices of its sleep it does not wait */
        free(text);
    char begin[100];
    snprintf(begin, sizeof begin, "\n%s %p ", line, object);
    assert_non_null(strstr(text, begin));
    char *end = strchr(strstr(text, begin) + 1, '\n');
    assert_ptr_equal(end, strstr(text, wanted));
    free(text);
    switch (atomic_fetch_add(&scene->ready, 1)) {
    case 0:
        MPT_OK(mp_semaphore_release(scene->semaphore, 1));
        break;
    case 1:
        MPT_OK(mp_event_set(scene->event));
        break;
    case 2:
        assert_int_equal(mp_barrier_wait(scene->barrier, LIMIT), 1);
        break;
    case 3:
        MPT_OK(mp_condition_acquire(scene->condition, LIMIT));
        MPT_OK(mp_condition_notify(scene->condition, 1));
        MPT_OK(mp_condition_release(scene->condition));
        break;
    default:
        MPT_OK(mp_queue_put(scene->queue, "x", 1, LIMIT));
    }
    assert_int_equal(mpt_end(child), 0);
}

static void test_waiters_are_shown_with_every_object(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_semaphore_new(&scene->semaphore, NULL, 0));
    MPT_OK(mp_event_new(&scene->event, NULL));
    MPT_OK(mp_barrier_new(&scene->barrier, NULL, 2, NULL));
    MPT_OK(mp_condition_new(&scene->condition, NULL, NULL));
    MPT_OK(mp_queue_new(&scene->queue, NULL, 0));
    check_waiter(scene, "semaphore", scene->semaphore);
    check_waiter(scene, "event", scene->event);
    check_waiter(scene, "barrier", scene->barrier);
    check_waiter(scene, "condition", scene->condition);
    check_waiter(scene, "queue", scene->queue);
    mp_semaphore_free(scene->semaphore);
    mp_event_free(scene->event);
    mp_barrier_free(scene->barrier);
    mp_condition_free(scene->condition);
    mp_queue_free(scene->queue);
    close_scene(scene);
}

static void test_queues_show_length_limit_and_close(void **state) {
    (void)state;
    mp_queue *queue, *joinable;
    MPT_OK(mp_queue_new(&queue, NULL, 10));
    MPT_OK(mp_joinable_queue_new(&joinable, NULL, 0));
    for (int i = 0; i < 3; i++)
        MPT_OK(mp_queue_put(queue, "abc", 3, MP_NOWAIT));
    MPT_OK(mp_queue_put(joinable, "abc", 3, MP_NOWAIT));
    assert_true(says("queue %p length 3, limit 10\n", (void *)queue));
    assert_true(says("queue %p length 1, unfinished 1\n", (void *)joinable));
    MPT_OK(mp_queue_close(queue));
    assert_true(says("queue %p length 3, limit 10, closed here\n", (void *)queue));
    mp_queue_free(queue);
    mp_queue_free(joinable);
}

static void test_pipes_show_what_lies_in_them(void **state) {
    (void)state;
    mp_connection *first, *second, *reader, *writer;
    MPT_OK(mp_pipe_new(&first, &second, NULL, true));
    MPT_OK(mp_pipe_new(&reader, &writer, NULL, false));
    MPT_OK(mp_connection_send_bytes(second, "12345678", 8, LIMIT));
    assert_true(says("pipe %p ends 2, ", (void *)first));
    char *text = dump();
    char connection[60];
    snprintf(connection, sizeof connection, " for connection %p, 0 for %p\n", (void *)first,
             (void *)second);
    assert_non_null(strstr(text, connection));
    free(text);
    mp_connection_free(first);
    mp_connection_free(second);
    mp_connection_free(reader);
    mp_connection_free(writer);
}

static int run_until_done(const void *item, void *result, void *state) {
    (void)result;
    (void)state;
    struct scene *scene = *(struct scene *const *)item;
    atomic_fetch_add(&scene->ready, 1);
    MPT_OK(mp_event_wait(scene->done, LIMIT));
    return 0;
}

static void test_pools_show_what_each_worker_runs(void **state) {
    (void)state;
    mp_pool *pool;
    mp_async_result *result;
    struct scene *scene = open_scene(), *items[2] = {scene, scene};
    mp_pool_options options = {.processes = 3};
    MPT_OK(mp_pool_new(&pool, mpt_context(), &options));
    MPT_OK(
        mp_pool_map_async(&result, pool, run_until_done, items, 2, sizeof items[0], NULL, 0, NULL));
    MPT_UNTIL(scene->ready == 2);
    assert_true(says("pool %p open, 3 workers of 'MainProcess' (pid %d)\n    worker 0 ",
                     (void *)pool, (int)getpid()));
    char *text = dump(), map[60];
    snprintf(map, sizeof map, "runs item 0 of map %p of 2\n", (void *)result);
    assert_non_null(strstr(text, map));
    assert_non_null(strstr(text, ") runs item 1 of map"));
    assert_non_null(strstr(text, "PoolWorker-"));
    free(text);
    MPT_OK(mp_event_set(scene->done));
    MPT_OK(mp_async_result_get(result, NULL, 0, NULL, LIMIT));
    mp_async_result_free(result);
    MPT_UNTIL(!strstr(text = dump(), "runs item") || (free(text), false));
    free(text);
    mp_pool_free(pool);
    close_scene(scene);
}

static void stop_at_point(void *arg) {
    struct scene *scene = arg;
    mp_lock *lock;
    atomic_store(&scene->thread, mp__self()->index);
    mpt_stop_at(scene->point, 1);
    MPT_OK(mp_lock_acquire(scene->lock, LIMIT));
    mp_shared_free(mp_shared_alloc(100000));
    MPT_OK(mp_queue_put(scene->queue, "x", 1, LIMIT));
    MPT_OK(mp_lock_new(&lock, NULL));
    mp_lock_free(lock);
    MPT_OK(mp_lock_release(scene->lock));
    mp__recover_all();
}

static void check_with_stopped(struct scene *scene, const char *point) {
    int status;
    scene->point = point;
    pid_t pid = mpt_fork(stop_at_point, scene);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    mp__time before = mp__now();
    char *text = dump();
    assert_true(mp__now() - before < MP__SECOND);
    assert_non_null(strstr(text, "lock 0x"));
    if (strcmp(point, "channel.put.published") == 0)
        assert_non_null(strstr(text, ", put by 'MainProcess' (pid"));
    free(text);
    kill(pid, SIGCONT);
    assert_int_equal(mpt_join(pid), 0);
}

static void test_stopped_processes_stop_nobody_who_looks(void **state) {
    (void)state;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    MPT_OK(mp_queue_new(&scene->queue, NULL, 0));
    check_with_stopped(scene, "guard.acquire.taken");
    check_with_stopped(scene, "heap.alloc.marked");
    check_with_stopped(scene, "channel.put.published");
    check_with_stopped(scene, "lock.new.filled");
    assert_int_equal(mpt_join(mpt_fork(hold_and_die, scene)), -SIGKILL);
    (void)mp_lock_acquire(scene->lock, LIMIT);
    MPT_OK(mp_lock_release(scene->lock));
    mp_queue_free(scene->queue);
    mp_lock_free(scene->lock);
    close_scene(scene);
}

/* Whoever recovers is stopped in it: it has the recover mutex. */
static void recover_and_stop(void *arg) {
    (void)arg;
    mpt_stop_at("recover.member.threads", 1);
    mp__recover_all();
}

static void test_a_stopped_recovery_stops_nobody_who_looks_or_sleeps(void **state) {
    (void)state;
    int status;
    struct scene *scene = open_scene();
    MPT_OK(mp_lock_new(&scene->lock, NULL));
    assert_int_equal(mpt_join(mpt_fork(hold_and_die, scene)), -SIGKILL);
    pid_t pid = mpt_fork(recover_and_stop, scene);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    mp__time before = mp__now();
    free(dump());
    MPT_CODE(mp_event_wait(scene->done, 0.3), MP_ETIMEDOUT);
    assert_true(mp__now() - before < MP__SECOND);
    kill(pid, SIGCONT);
    assert_int_equal(mpt_join(pid), 0);
    MPT_CODE(mp_lock_acquire(scene->lock, LIMIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(scene->lock));
    mp_lock_free(scene->lock);
    close_scene(scene);
}

static void make_and_free(void *arg) {
    struct scene *scene = arg;
    unsigned seed = (unsigned)getpid();
    while (!mp_event_is_set(scene->done)) {
        mp_queue *queue;
        mp_lock *lock;
        mp_barrier *barrier;
        seed = seed * 1103515245u + 12345u;
        MPT_OK(mp_queue_new(&queue, NULL, seed % 5));
        MPT_OK(mp_lock_new(&lock, NULL));
        MPT_OK(mp_barrier_new(&barrier, NULL, 1 + seed % 500, NULL));
        void *block = mp_shared_alloc((seed >> 8) % 300000);
        MPT_CHECK(block);
        memset(block, (int)seed, (seed >> 8) % 300000);
        mp_queue_free(queue);
        mp_shared_free(block);
        mp_lock_free(lock);
        mp_barrier_free(barrier);
        atomic_fetch_add(&scene->ready, 1);
    }
}

static void test_family_at_work_can_be_looked_at(void **state) {
    (void)state;
    pid_t pids[3];
    struct scene *scene = open_scene();
    mpt_fork_all(pids, 3, make_and_free, scene);
    for (int i = 0; i < 300 || atomic_load(&scene->ready) < 3000; i++) {
        char *text = dump();
        MPT_CHECK(strncmp(text, "process ", 8) == 0);
        free(text);
    }
    MPT_OK(mp_event_set(scene->done));
    MPT_JOIN_ALL(pids, 3);
    close_scene(scene);
}

/* A user's bytes are any bytes, also those that look like ours. */
static void test_bytes_that_look_like_objects_do_no_harm(void **state) {
    (void)state;
    enum { SIZE = 20000 };
    static const unsigned char fills[] = {0, 0xff, 0x20, 0x01, 0x7f};
    uint32_t *block = mp_shared_alloc(SIZE);
    assert_non_null(block);
    for (size_t i = 0; i < sizeof fills; i++)
        for (uint32_t kind = MP__KIND_LOCK; kind <= MP__KIND_ASYNC_RESULT; kind++) {
            memset(block, fills[i], SIZE);
            *block = kind;
            free(dump());
        }
    unsigned seed = 1;
    for (uint32_t turn = 0; turn < 3000; turn++) {
        for (size_t i = 0; i < SIZE / 4; i += 1 + seed % 7)
            block[i] = (seed = seed * 1103515245u + 12345u);
        *block = MP__KIND_LOCK + turn % (MP__KIND_ASYNC_RESULT - MP__KIND_LOCK + 1);
        free(dump());
    }
    mp_shared_free(block);
}

static void count_block(const void *block, size_t size, void *arg) {
    struct mp__heap_figures *sums = arg;
    MPT_CHECK(mp__heap_is_block(block) && mp__heap_size(block) == size);
    sums->blocks++;
    sums->block_bytes += size;
}

static void test_each_block_is_seen_once(void **state) {
    (void)state;
    enum { COUNT = 500 };
    void *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        MPT_CHECK((blocks[i] = mp_shared_alloc(1 + i * i % 70000)) != NULL);
    for (size_t i = 0; i < COUNT; i += 3)
        mp_shared_free(blocks[i]);
    struct mp__heap_figures sums = {0}, figures;
    mp__heap_each(count_block, &sums);
    mp__heap_figures(&figures);
    assert_int_equal(sums.blocks, figures.blocks);
    assert_int_equal(sums.block_bytes, figures.block_bytes);
    for (size_t i = 0; i < COUNT; i++)
        if (i % 3 != 0)
            mp_shared_free(blocks[i]);
}

MPT_PROCESS_MAIN(MPT_CASE(test_bad_streams_are_refused),
                 MPT_CASE(test_nothing_is_said_before_the_family_is_used),
                 MPT_EACH_METHOD(test_processes_are_listed),
                 MPT_EACH_METHOD(test_lock_shows_holder_and_waiter),
                 MPT_CASE(test_dead_holder_is_shown_as_dead),
                 MPT_CASE(test_quiet_objects_say_what_they_are),
                 MPT_CASE(test_values_and_arrays_show_their_locks),
                 MPT_EACH_METHOD(test_waiters_are_shown_with_every_object),
                 MPT_CASE(test_queues_show_length_limit_and_close),
                 MPT_CASE(test_pipes_show_what_lies_in_them),
                 MPT_EACH_METHOD(test_pools_show_what_each_worker_runs),
                 MPT_CASE(test_stopped_processes_stop_nobody_who_looks),
                 MPT_CASE(test_a_stopped_recovery_stops_nobody_who_looks_or_sleeps),
                 MPT_CASE(test_family_at_work_can_be_looked_at),
                 MPT_CASE(test_bytes_that_look_like_objects_do_no_harm),
                 MPT_CASE(test_each_block_is_seen_once))

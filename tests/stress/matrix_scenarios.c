/* What the matrix's victims do: together it comes to every kill point.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "matrix.h"
#include "mpt.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "reg/thread.h"
#include "shm/heap.h"
#include "sync/waiters.h"

static unsigned char bytes[MATRIX_LARGE];

static void make_and_free(struct stage *stage) {
    mp_lock *lock;
    mp_semaphore *semaphore;
    mp_condition *condition;
    mp_event *event;
    mp_barrier *barrier;
    mp_value *value;
    mp_array *array;
    (void)stage;
    if (mp_lock_new(&lock, NULL) == 0)
        mp_lock_free(lock);
    if (mp_semaphore_new(&semaphore, NULL, 2) == 0)
        mp_semaphore_free(semaphore);
    if (mp_condition_new(&condition, NULL, NULL) == 0)
        mp_condition_free(condition);
    if (mp_event_new(&event, NULL) == 0)
        mp_event_free(event);
    mp_barrier_options options = {.action = (int (*)(void *, size_t))(void (*)(void))getpid};
    if (mp_barrier_new(&barrier, NULL, 2, &options) == 0) /* a function of another object */
        mp_barrier_free(barrier);
    if (mp_value_new(&value, NULL, 'd', NULL, MP_NEW_LOCK) == 0)
        mp_value_free(value);
    if (mp_array_new(&array, NULL, 'd', 100, NULL, MP_NEW_LOCK) == 0)
        mp_array_free(array);
}

static void make_channels(struct stage *stage) {
    mp_queue *queue;
    mp_queue_options options = {.joinable = true, .redeliver = true};
    mp_connection *first, *second;
    (void)stage;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    for (int i = 0; i < 40; i++)
        MPT_OK(mp_queue_put(queue, bytes, MATRIX_MIDDLE, 5));
    MPT_OK(mp_queue_put(queue, bytes, MATRIX_LARGE, 5));
    mp_queue_free(queue);
    MPT_OK(mp_queue_new_with(&queue, NULL, &options));
    MPT_OK(mp_queue_put(queue, bytes, MATRIX_MIDDLE, 5));
    MPT_OK(mp_queue_get(queue, bytes, sizeof bytes, NULL, 5));
    mp_queue_free(queue);
    MPT_OK(mp_pipe_new(&first, &second, NULL, true));
    MPT_OK(mp_connection_send_bytes(first, bytes, 100, 5));
    mp_connection_close(second);
    (void)mp_connection_send_bytes(first, bytes, 100, 5);
    mp_connection_free(first);
    mp_connection_free(second);
}

static void use_locks(struct stage *stage) {
    enum { COUNT = sizeof stage->many / sizeof stage->many[0] };
    for (int i = 0; i < 200; i++) {
        (void)mp_lock_acquire(stage->lock, 5);
        mp_lock_release(stage->lock);
        (void)mp_lock_acquire(stage->rlock, 5);
        (void)mp_lock_acquire(stage->rlock, 5);
        mp_lock_release(stage->rlock);
        mp_lock_release(stage->rlock);
        (void)mp_array_get(stage->array, 0, bytes);
    }
    for (unsigned i = 1; i < COUNT; i++) /* more than a thread's record has room for */
        (void)mp_lock_acquire(stage->many[i], 5);
    for (unsigned i = 1; i < COUNT; i++)
        mp_lock_release(stage->many[i]);
    (void)mp_lock_acquire(stage->many[1], 5);
    mp_lock_release(stage->many[1]);
}

static void *take_lock(void *lock) {
    (void)mp_lock_acquire(lock, 5);
    return NULL;
}

static void release_others_lock(struct stage *stage) {
    pthread_t thread;
    for (int i = 0; i < 3; i++) {
        MPT_CHECK(pthread_create(&thread, NULL, take_lock, stage->many[2]) == 0);
        pthread_join(thread, NULL);
        mp_lock_release(stage->many[2]);
    }
}

static void *await_notice(void *argument) {
    struct stage *stage = argument;
    (void)mp_condition_acquire(stage->condition, 5);
    (void)mp_condition_wait(stage->condition, 0.05);
    (void)mp_condition_release(stage->condition);
    return NULL;
}

/* Until the bystander waits just then. */
static void notify_others(struct stage *stage) {
    bool has_told = false;
    while (!has_told && !atomic_load(&stage->stop)) {
        (void)mp_condition_acquire(stage->condition, 5);
        has_told = mp__waiter_count(stage->condition) > 0;
        (void)mp_condition_notify(stage->condition, 1);
        mp_condition_release(stage->condition);
    }
}

static void use_sync(struct stage *stage) {
    pthread_t thread;
    notify_others(stage);
    for (int i = 0; i < 10; i++) {
        MPT_CHECK(pthread_create(&thread, NULL, await_notice, stage) == 0);
        for (int j = 0; j < 3; j++)
            (void)mp_semaphore_acquire(stage->semaphore, 0.005);
        mp_semaphore_release(stage->semaphore, 1);
        (void)mp_event_wait(stage->event, 0.005);
        mp_event_set(stage->event);
        mp_event_clear(stage->event);
        (void)mp_condition_acquire(stage->condition, 5);
        (void)mp_condition_wait(stage->condition, 0.01);
        (void)mp_condition_notify(stage->condition, 1);
        (void)mp_condition_notify_all(stage->condition);
        mp_condition_release(stage->condition);
        pthread_join(thread, NULL);
    }
}

static void meet_others(struct stage *stage) {
    for (int i = 0; i < 30; i++) {
        mp_barrier *barrier = i % 2 ? stage->barrier : stage->acting_barrier;
        if (mp_barrier_wait(barrier, i % 3 ? 1.0 : 0.001) == MP_EBROKEN)
            mp_barrier_reset(barrier);
        if (i % 7 == 0)
            mp_barrier_abort(barrier);
    }
}

static void meet_nobody(struct stage *stage) {
    if (mp_barrier_wait(stage->lonely_barrier, 1) == MP_EBROKEN)
        mp_barrier_reset(stage->lonely_barrier);
}

static void put_and_get(mp_queue *queue, size_t size, int count) {
    for (int i = 0; i < count; i++)
        (void)mp_queue_put(queue, bytes, size, 0.01);
    for (int i = 0; i < count; i++)
        (void)mp_queue_get(queue, bytes, sizeof bytes, NULL, 0.01);
}

static void use_queues(struct stage *stage) {
    put_and_get(stage->queue, 20, 30);
    put_and_get(stage->queue, MATRIX_MIDDLE, 60);
    put_and_get(stage->queue, MATRIX_LARGE, 3);
    put_and_get(stage->small_queue, MATRIX_MIDDLE, 8);
    put_and_get(stage->queue, 20, 300);
    (void)mp_queue_put(stage->joinable, bytes, 3, 5);
    if (mp_queue_get(stage->joinable, bytes, sizeof bytes, NULL, 5) == 0)
        (void)mp_queue_task_done(stage->joinable);
}

static void put_tasks(struct stage *stage) {
    static const size_t sizes[] = {10, MATRIX_MIDDLE, MATRIX_LARGE, 200};
    for (int i = 0; i < 12; i++)
        MPT_OK(mp_queue_put(stage->leasing, bytes, sizes[i % 4], 5));
}

/* Got in three ways, some held together, ended one by one. */
static void use_leases(struct stage *stage) {
    mp_message *messages[4];
    size_t got;
    int count = 0;
    put_tasks(stage);
    for (int i = 0; i < 3; i++)
        count += mp_queue_get(stage->leasing, bytes, sizeof bytes, NULL, 0.01) == 0;
    if (mp_queue_get_many(stage->leasing, messages, 4, &got, 0.01) == 0)
        for (size_t i = 0; i < got; i++, count++)
            mp_message_free(messages[i]);
    if (mp_queue_get_message(stage->leasing, &messages[0], 0.01) == 0) {
        mp_message_free(messages[0]);
        count++;
    }
    for (; count > 0; count--)
        MPT_OK(mp_queue_task_done(stage->leasing));
}

static void *take_task(void *queue) {
    (void)mp_queue_get(queue, bytes, sizeof bytes, NULL, 0.1);
    return NULL;
}

/* Leases of a thread that has ended, then of a process that ends in order, and of one that dies. */
static void leave_leases(struct stage *stage) {
    pthread_t thread;
    put_tasks(stage);
    MPT_CHECK(pthread_create(&thread, NULL, take_task, stage->leasing) == 0);
    pthread_join(thread, NULL);
    (void)mp_queue_task_done(stage->leasing);
    (void)mp_queue_get(stage->leasing, bytes, sizeof bytes, NULL, 0.01);
    (void)mp_queue_get(stage->leasing, bytes, sizeof bytes, NULL, 0.01);
    kill(getpid(), SIGKILL);
}

static int leave_task(void *arg, size_t size) {
    (void)size;
    (void)mp_queue_get((*(struct stage **)arg)->leasing, bytes, sizeof bytes, NULL, 0.1);
    return 0;
}

static void use_messages(struct stage *stage) {
    mp_bytes list[40];
    mp_message *messages[40];
    size_t got;
    for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 40; i++)
            list[i] = (mp_bytes){bytes, round % 2 ? MATRIX_MIDDLE : 200};
        MPT_OK(mp_queue_put_many(stage->queue, list, 40, NULL, 5));
        for (int i = 0; i < 6; i++) {
            if (mp_queue_get_many(stage->queue, messages, 40, &got, 0.01) < 0)
                break;
            for (size_t j = 0; j < got; j++)
                mp_message_free(messages[j]);
        }
        MPT_OK(mp_message_new(&messages[0], MATRIX_MIDDLE));
        MPT_OK(mp_queue_put_message(stage->queue, messages[0], 5));
        if (mp_queue_get_message(stage->queue, &messages[0], 0.01) == 0)
            mp_message_free(messages[0]);
        MPT_OK(mp_message_new(&messages[0], MATRIX_LARGE));
        mp_message_free(messages[0]);
    }
}

static void use_pipes(struct stage *stage) {
    int handle;
    for (int i = 0; i < 20; i++) {
        size_t size = i % 5 ? MATRIX_MIDDLE : MATRIX_LARGE;
        (void)mp_connection_send_bytes(stage->ends[0], bytes, size, 0.01);
        (void)mp_connection_recv_bytes_into(stage->ends[1], bytes, sizeof bytes, NULL, 0.01);
        (void)mp_connection_poll(stage->own_ends[1], 0);
        (void)mp_connection_send_bytes(stage->own_ends[0], bytes, size, 0.01);
        (void)mp_connection_recv_bytes_into(stage->own_ends[1], bytes, sizeof bytes, NULL, 0.01);
        (void)mp_connection_recv_bytes_into(stage->own_ends[1], bytes, sizeof bytes, NULL, 0);
        if (mp_connection_send_handle(stage->own_ends[0], STDIN_FILENO, 0.01) == 0 &&
            mp_connection_recv_handle(stage->own_ends[1], &handle, 0.01) == 0)
            close(handle);
        (void)mp_connection_fileno(stage->own_ends[1]);
    }
}

/* Filled by one thread, emptied by another: the one sleeps on the other's socket. */
static void *send_slowly(void *end) {
    for (int i = 0; i < 20; i++)
        (void)mp_connection_send_bytes(end, bytes, MATRIX_LARGE, 1);
    return NULL;
}

static void use_pipe_by_threads(struct stage *stage) {
    pthread_t thread;
    MPT_CHECK(pthread_create(&thread, NULL, send_slowly, stage->own_ends[0]) == 0);
    for (int i = 0; i < 20; i++)
        (void)mp_connection_recv_bytes_into(stage->own_ends[1], bytes, sizeof bytes, NULL, 1);
    pthread_join(thread, NULL);
}

/* Held by this process: nothing of it may stay. */
static void use_heap(struct stage *stage) {
    static const size_t sizes[] = {24, 64, 64, 700, 3000, 20000, 40000, 300000, 1 << 20};
    static void *blocks[400];
    (void)stage;
    MPT_CHECK(mp__self());
    for (int i = 0; i < 400; i++)
        MPT_CHECK((blocks[i] = mp__heap_alloc(i == 7 ? (size_t)40 << 20 : sizes[i % 9])) != NULL);
    for (int i = 0; i < 400; i++)
        mp__heap_free(blocks[(i * 37) % 400]);
}

static void *leave_half(void *blocks) {
    for (int i = 0; i < 400; i++)
        MPT_CHECK((((void **)blocks)[i] = mp_shared_alloc(500)) != NULL);
    for (int i = 0; i < 400; i += 2)
        mp_shared_free(((void **)blocks)[i]);
    return NULL;
}

/* The family's: what was just taken or given back may stay. A slab passes from thread to thread. */
static void use_shared_heap(struct stage *stage) {
    static void *blocks[400];
    pthread_t thread;
    (void)stage;
    for (int round = 0; round < 2; round++) {
        MPT_CHECK(pthread_create(&thread, NULL, leave_half, blocks) == 0);
        pthread_join(thread, NULL);
        for (int i = 0; i < 400; i += 2)
            MPT_CHECK((blocks[i] = mp_shared_alloc(500)) != NULL);
        for (int i = 0; i < 400; i++)
            mp_shared_free(blocks[i]);
    }
}

static int do_little(void *arg, size_t size) {
    (void)size;
    put_and_get((*(struct stage **)arg)->queue, 20, 2);
    return 3;
}

static int do_nothing_for_long(void *arg, size_t size) {
    (void)arg, (void)size;
    for (;;)
        pause();
    return 0;
}

static void start_one(struct stage *stage, mp_start_method method, mp_target_fn target) {
    mp_process *process;
    mp_connection *connections[] = {stage->own_ends[0], NULL};
    mp_process_options options = {.target = target,
                                  .arg = &stage,
                                  .arg_size = sizeof stage,
                                  .daemon = MP_DAEMON,
                                  .connections = connections};
    if (mp_process_new(&process, mp_get_context(method), &options) < 0)
        return;
    (void)mp_process_set_name(process, "somebody");
    if (mp_process_start(process) == 0) {
        if (target == do_nothing_for_long)
            (void)mp_process_kill(process);
        (void)mp_process_join(process, 10);
    }
    (void)mp_process_close(process);
}

static void start_by_fork(struct stage *stage) {
    start_one(stage, MP_FORK, do_little);
    start_one(stage, MP_FORK, do_nothing_for_long);
}
static void start_by_spawn(struct stage *stage) {
    start_one(stage, MP_SPAWN, do_little);
    start_one(stage, MP_SPAWN, do_nothing_for_long);
}
static void start_in_vain(struct stage *stage) {
    (void)mp_set_executable("/nonexistent");
    start_one(stage, MP_SPAWN, do_little);
    (void)mp_set_executable(NULL);
}
static void start_by_server(struct stage *stage) {
    start_one(stage, MP_FORKSERVER, do_little);
    start_one(stage, MP_FORKSERVER, do_nothing_for_long);
    mp__forkserver_stop();
}

static int double_it(const void *item, void *result, void *state) {
    (void)state;
    *(int *)result = 2 * *(const int *)item;
    return *(const int *)item == 5 ? -5 : 0;
}

static int answer(const void *arg, size_t size, mp_reply *reply, void *state) {
    (void)state;
    if (size == 3)
        kill(getpid(), SIGKILL);
    if (size == 5)
        return mp_reply_fail(reply, -5, "as asked");
    memset(mp_reply_alloc(reply, *(const size_t *)arg), 1, *(const size_t *)arg);
    return 0;
}

static void called_back(void *user, int code) {
    (void)user, (void)code;
}

static void use_pool(struct stage *stage) {
    mp_pool *pool;
    int items[64] = {0}, results[64];
    size_t sizes[] = {20, 60000};
    mp_pool_options options = {.processes = 2, .max_tasks_per_child = 50};
    mp_map_options how = {.callback = called_back};
    (void)stage;
    items[9] = 5;
    if (mp_pool_new(&pool, mp_get_context(MP_FORK), &options) < 0)
        return;
    (void)mp_pool_map(pool, double_it, items, 64, sizeof(int), results, sizeof(int), &how);
    for (int i = 0; i < 2; i++)
        (void)mp_pool_apply(pool, answer, &sizes[i], sizeof sizes[i], bytes, sizeof bytes, NULL);
    (void)mp_pool_apply(pool, answer, bytes, 3, bytes, sizeof bytes, NULL);
    (void)mp_pool_apply(pool, answer, bytes, 5, bytes, sizeof bytes, NULL);
    (void)mp_pool_map(pool, double_it, items, 64, sizeof(int), results, sizeof(int), NULL);
    (void)mp_pool_close(pool);
    (void)mp_pool_join(pool, 10);
    mp_pool_free(pool);
}

static int refuse(void *arg, size_t size, void **state) {
    (void)arg, (void)size, (void)state;
    return -5;
}

static void use_broken_pool(struct stage *stage) {
    mp_pool *pool;
    int item = 1, result;
    mp_pool_options options = {.processes = 1, .initializer = refuse};
    (void)stage;
    if (mp_pool_new(&pool, mp_get_context(MP_FORK), &options) < 0)
        return;
    (void)mp_pool_map(pool, double_it, &item, 1, sizeof(int), &result, sizeof(int), NULL);
    mp_pool_free(pool);
}

/* Its own children, that die in this and that, are recovered by the victim. */
static void recover_one(struct stage *stage, const char *point, void (*work)(struct stage *)) {
    static char file[64];
    snprintf(file, sizeof file, "/tmp/matrix.second.%d", (int)getpid());
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        matrix_set_second_trap(point, file);
        alarm(10);
        work(stage);
        _exit(0);
    }
    mpt_join(pid);
    unlink(file);
    mp__recover_all();
}

static void hold_and_die(struct stage *stage) {
    (void)mp_lock_acquire(stage->many[3], 5);
    mp_message *message;
    (void)mp_message_new(&message, MATRIX_LARGE);
    (void)mp_message_new(&message, 100);
    kill(getpid(), SIGKILL);
}

static void recover_holders(struct stage *stage) {
    recover_one(stage, "none", hold_and_die);
    recover_one(stage, "guard.acquire.taken", use_locks);
    recover_one(stage, "heap.split.rest", use_heap);
    recover_one(stage, "heap.bin.unlinked", use_heap);
    recover_one(stage, "waiter.enlist.done", use_sync);
    recover_one(stage, "barrier.wait.enlisted", meet_others);
    recover_one(stage, "barrier.wait.acting", meet_nobody);
    recover_one(stage, "thread.join.taken", use_locks);
}

static void recover_putters(struct stage *stage) {
    static const char *const points[] = {"channel.put.intended",      "channel.put.published",
                                         "channel.publish.block",     "channel.extend.allocated",
                                         "channel.extend.linked",     "channel.put.load_intended",
                                         "channel.extend.spare_taken"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        recover_one(stage, points[i], use_queues);
}

static void recover_getters(struct stage *stage) {
    static const char *const points[] = {
        "channel.get.position_intended", "channel.get.block_taken", "channel.get.load_intended",
        "channel.get.intended",          "channel.get.passed",      "channel.leave.taken",
        "channel.leave.moved",           "channel.leave.offered"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        recover_one(stage, points[i], use_queues);
}

static void kill_pool_parent(struct stage *stage) {
    mp_pool *pool;
    size_t size = 20;
    (void)stage;
    if (mp_pool_new(&pool, mp_get_context(MP_FORK), &(mp_pool_options){.processes = 2}) < 0)
        return;
    (void)mp_pool_apply(pool, answer, &size, sizeof size, bytes, sizeof bytes, NULL);
    kill(getpid(), SIGKILL);
}

static void recover_pools(struct stage *stage) {
    for (int i = 0; i < 5; i++) /* the bystander often comes first */
        recover_one(stage, "none", kill_pool_parent);
    recover_one(stage, "pool.reply.linked", use_pool);
    recover_one(stage, "pool.take.entered", use_pool);
    recover_one(stage, "process.confirm.done", use_pool);
}

/* One dies with leases, the next one while it puts those back or ends its own. */
static void recover_leases(struct stage *stage) {
    static const char *const points[] = {"none",
                                         "lease.get.linked",
                                         "none",
                                         "lease.end.intended",
                                         "lease.end.begun",
                                         "lease.end.unlinked",
                                         "lease.return.begun",
                                         "none",
                                         "lease.return.intended",
                                         "lease.get.last"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        recover_one(stage, points[i], strcmp(points[i], "none") == 0 ? leave_leases : use_leases);
        if (i + 1 < sizeof points / sizeof points[0] && !strstr(points[i + 1], "return"))
            use_leases(stage);
    }
    put_tasks(stage);
    start_one(stage, MP_FORK, leave_task);
    use_leases(stage);
    for (int i = 0; i < 300 && mp_queue_qsize(stage->leasing) > 0; i++)
        if (mp_queue_get(stage->leasing, bytes, sizeof bytes, NULL, 0.001) == 0)
            (void)mp_queue_task_done(stage->leasing);
}

static void recover_notified(struct stage *stage) {
    mp__time until = mp__now() + MP__SECOND / 4;
    while (mp__now() < until) /* before the bystander does, once */
        mp__recover_look_round();
    recover_one(stage, "condition.wait.awake", use_sync);
    recover_one(stage, "condition.wait.awake", use_sync);
    recover_one(stage, "start.child.claimed", start_by_fork);
}

const struct scenario matrix_scenarios[] = {
    {"locks", use_locks},
    {"sync", use_sync},
    {"barrier", meet_others},
    {"queues", use_queues},
    {"messages", use_messages},
    {"pipes", use_pipes},
    {"pipe by threads", use_pipe_by_threads},
    {"heap", use_heap},
    {"objects", make_and_free},
    {"channels", make_channels},
    {"others' lock", release_others_lock},
    {"fork", start_by_fork},
    {"spawn", start_by_spawn},
    {"forkserver", start_by_server},
    {"pool", use_pool},
    {"broken pool", use_broken_pool},
    {"recover holders", recover_holders},
    {"recover putters", recover_putters},
    {"recover getters", recover_getters},
    {"recover notified", recover_notified},
    {"recover pools", recover_pools},
    {"leases", use_leases},
    {"recover leases", recover_leases},
    {"start in vain", start_in_vain},
    {"shared heap", use_shared_heap},
};
const size_t matrix_scenario_count = sizeof matrix_scenarios / sizeof matrix_scenarios[0];

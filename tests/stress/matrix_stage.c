/* What the matrix's processes work on, the bystander's work, and that all is right in the end.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "chan/pipe.h"
#include "chan/queue.h"
#include "matrix.h"
#include "mpt.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/heap.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/lock.h"
#include "sync/semaphore.h"

static int act(void *arg, size_t size) {
    (void)arg, (void)size;
    return 0;
}

static void make_sync(struct stage *stage) {
    mp_barrier_options options = {.action = act, .break_on_death = true};
    MPT_OK(mp_lock_new(&stage->lock, NULL));
    MPT_OK(mp_rlock_new(&stage->rlock, NULL));
    for (size_t i = 0; i < sizeof stage->many / sizeof stage->many[0]; i++)
        MPT_OK(mp_lock_new(&stage->many[i], NULL));
    MPT_OK(mp_semaphore_new(&stage->semaphore, NULL, 1));
    MPT_OK(mp_condition_new(&stage->condition, NULL, NULL));
    MPT_OK(mp_event_new(&stage->event, NULL));
    MPT_OK(mp_barrier_new(&stage->barrier, NULL, 2, NULL));
    MPT_OK(mp_barrier_new(&stage->acting_barrier, NULL, 2, &options));
    MPT_OK(mp_barrier_new(&stage->lonely_barrier, NULL, 1, &options));
}

struct stage *matrix_make_stage(void) {
    struct stage *stage = mp_shared_calloc(1, sizeof *stage);
    MPT_CHECK(stage);
    make_sync(stage);
    MPT_OK(mp_queue_new(&stage->queue, NULL, 0));
    MPT_OK(mp_queue_new(&stage->small_queue, NULL, 2));
    MPT_OK(mp_joinable_queue_new(&stage->joinable, NULL, 0));
    mp_queue_options options = {.joinable = true, .redeliver = true};
    MPT_OK(mp_queue_new_with(&stage->leasing, NULL, &options));
    MPT_OK(mp_pipe_new(&stage->ends[0], &stage->ends[1], NULL, true));
    MPT_OK(mp_pipe_new(&stage->own_ends[0], &stage->own_ends[1], NULL, true));
    MPT_OK(mp_value_new(&stage->value, NULL, 'q', NULL, MP_NEW_LOCK));
    MPT_OK(mp_array_new(&stage->array, NULL, 'q', 8, NULL, MP_NEW_LOCK));
    return stage;
}

static void take_and_give(mp_lock *lock) {
    int code = mp_lock_acquire(lock, 5);
    MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(lock));
}

static void meet(mp_barrier *barrier) {
    if (mp_barrier_wait(barrier, 0.002) == MP_EBROKEN)
        MPT_OK(mp_barrier_reset(barrier));
}

static void use_sync(struct stage *stage) {
    take_and_give(stage->lock);
    take_and_give(stage->rlock);
    take_and_give(stage->many[0]);
    if (mp_semaphore_acquire(stage->semaphore, 0.001) == 0)
        MPT_OK(mp_semaphore_release(stage->semaphore, 1));
    else /* a dead one's */
        MPT_OK(mp_semaphore_release(stage->semaphore, 1));
    int code = mp_condition_acquire(stage->condition, 5);
    MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
    (void)mp_condition_wait(stage->condition, 0.001);
    MPT_OK(mp_condition_notify_all(stage->condition));
    MPT_OK(mp_condition_release(stage->condition));
    MPT_OK(mp_event_set(stage->event));
    (void)mp_event_wait(stage->event, 0.001); /* another one may clear it and die */
    MPT_OK(mp_event_clear(stage->event));
    meet(stage->barrier);
    meet(stage->acting_barrier);
}

static void use_queue(mp_queue *queue) {
    static unsigned char bytes[MATRIX_LARGE];
    static const size_t sizes[] = {1, MATRIX_MIDDLE, MATRIX_LARGE, 40};
    for (int i = 0; i < 4; i++) {
        int code = mp_queue_put(queue, bytes, sizes[i], 0.01);
        MPT_CHECK(code == 0 || code == MP_EFULL);
        code = mp_queue_get(queue, bytes, sizeof bytes, NULL, 0.001);
        MPT_CHECK(code == 0 || code == MP_EEMPTY);
    }
}

static void use_tasks(mp_queue *queue) {
    static unsigned char bytes[MATRIX_LARGE];
    MPT_OK(mp_queue_put(queue, bytes, 50, 5));
    int code = mp_queue_get(queue, bytes, sizeof bytes, NULL, 0.001);
    MPT_CHECK(code == 0 || code == MP_EEMPTY);
    if (code == 0)
        MPT_OK(mp_queue_task_done(queue));
}

static void use_pipe(struct stage *stage) {
    static unsigned char bytes[MATRIX_LARGE];
    for (int i = 0; i < 2; i++) {
        int code = mp_connection_send_bytes(stage->ends[i], bytes, MATRIX_MIDDLE, 0.01);
        MPT_CHECK(code == 0 || code == MP_ETIMEDOUT);
        code = mp_connection_recv_bytes_into(stage->ends[!i], bytes, sizeof bytes, NULL, 0.001);
        MPT_CHECK(code == 0 || code == MP_ETIMEDOUT);
    }
}

static void use_heap(void) {
    void *blocks[12];
    for (size_t i = 0; i < 12; i++)
        MPT_CHECK((blocks[i] = mp_shared_alloc((size_t)40 << i)) != NULL);
    for (size_t i = 0; i < 12; i++)
        mp_shared_free(blocks[i]);
}

void matrix_work_beside(struct stage *stage) {
    int64_t number = 7;
    while (!atomic_load(&stage->stop)) {
        use_sync(stage);
        use_queue(stage->queue);
        use_queue(stage->small_queue);
        use_tasks(stage->leasing);
        use_pipe(stage);
        use_heap();
        take_and_give(mp_value_get_lock(stage->value));
        MPT_OK(mp_array_set(stage->array, 1, &number));
        atomic_fetch_add(&stage->cycles, 1);
    }
}

static void check_channel(struct channel_shared *channel) {
    MPT_OK(mp__channel_check(channel));
}

void matrix_check_stage(struct stage *stage) {
    MPT_OK(mp__lock_check((struct lock_shared *)(void *)stage->lock));
    MPT_OK(mp__lock_check((struct lock_shared *)(void *)stage->rlock));
    for (size_t i = 0; i < sizeof stage->many / sizeof stage->many[0]; i++) {
        take_and_give(stage->many[i]);
        MPT_OK(mp__lock_check((struct lock_shared *)(void *)stage->many[i]));
    }
    MPT_OK(mp__semaphore_check(stage->semaphore));
    MPT_OK(mp__condition_check(stage->condition));
    MPT_OK(mp__barrier_check(stage->barrier));
    MPT_OK(mp__barrier_check(stage->acting_barrier));
    check_channel(&((struct queue_shared *)(void *)stage->queue)->channel);
    check_channel(&((struct queue_shared *)(void *)stage->small_queue)->channel);
    check_channel(&((struct queue_shared *)(void *)stage->joinable)->channel);
    for (int i = 0; i < 2; i++) {
        check_channel(((struct connection_shared *)(void *)stage->ends[i])->in);
        check_channel(((struct connection_shared *)(void *)stage->own_ends[i])->in);
    }
    MPT_OK(mp__heap_check());
    MPT_OK(mp__registry_check());
}

static void free_sync(struct stage *stage) {
    mp_lock_free(stage->lock);
    mp_lock_free(stage->rlock);
    for (size_t i = 0; i < sizeof stage->many / sizeof stage->many[0]; i++)
        mp_lock_free(stage->many[i]);
    mp_semaphore_free(stage->semaphore);
    mp_condition_free(stage->condition);
    mp_event_free(stage->event);
    mp_barrier_free(stage->barrier);
    mp_barrier_free(stage->acting_barrier);
    mp_barrier_free(stage->lonely_barrier);
}

void matrix_free_stage(struct stage *stage) {
    free_sync(stage);
    mp_queue_free(stage->queue);
    mp_queue_free(stage->small_queue);
    mp_queue_free(stage->joinable);
    mp_queue_free(stage->leasing);
    for (int i = 0; i < 2; i++) {
        mp_connection_free(stage->ends[i]);
        mp_connection_free(stage->own_ends[i]);
    }
    mp_value_free(stage->value);
    mp_array_free(stage->array);
    for (int i = 0; i < 8; i++)
        mp_shared_free(atomic_load(&stage->kept[i]));
    mp_shared_free(stage);
}

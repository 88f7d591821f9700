/* The storm's beginning and end: what it works on, and that all of it is right and gone.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "chan/queue.h"
#include "chan/pipe.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/heap.h"
#include "storm.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/lock.h"
#include "sync/semaphore.h"

enum { UNITS = 3, OBJECT_LEAKS = 40, POOL_LEAKS = 0 };

struct storm *storm_make(void) {
    struct storm *storm = mp_shared_calloc(1, sizeof *storm);
    STORM_CHECK(storm);
    for (unsigned i = 0; i < PAIR_COUNT; i++)
        STORM_CHECK((i % 2 ? mp_rlock_new : mp_lock_new)(&storm->pairs[i].lock, NULL) == 0);
    STORM_CHECK(mp_semaphore_new(&storm->semaphore, NULL, UNITS) == 0);
    STORM_CHECK(mp_condition_new(&storm->condition, NULL, NULL) == 0);
    STORM_CHECK(mp_event_new(&storm->event, NULL) == 0);
    STORM_CHECK(mp_barrier_new(&storm->barrier, NULL, 2, NULL) == 0);
    STORM_CHECK(mp_queue_new(&storm->queues[0], NULL, 0) == 0);
    STORM_CHECK(mp_queue_new(&storm->queues[1], NULL, 8) == 0);
    STORM_CHECK(mp_joinable_queue_new(&storm->queues[2], NULL, 100) == 0);
    mp_queue_options options = {.maxsize = 100, .joinable = true, .redeliver = true};
    STORM_CHECK(mp_queue_new_with(&storm->queues[REDELIVER_LANE], NULL, &options) == 0);
    STORM_CHECK(mp_pipe_new(&storm->ends[0], &storm->ends[1], NULL, true) == 0);
    STORM_CHECK(mp_value_new(&storm->value, NULL, 'q', NULL, MP_NEW_LOCK) == 0);
    STORM_CHECK(mp_array_new(&storm->array, NULL, 'q', 16, NULL, MP_NEW_LOCK) == 0);
    return storm;
}

static uint64_t deaths_in(struct storm *storm, enum storm_operation operation, unsigned lane) {
    return atomic_load(&storm->deaths[operation][lane]);
}

static uint64_t deaths(struct storm *storm, enum storm_operation operation) {
    uint64_t sum = 0;
    for (unsigned lane = 0; lane < LANE_COUNT; lane++)
        sum += deaths_in(storm, operation, lane);
    return sum;
}

/* How many may have been lost by, or put uncounted by, the dead. */
static uint64_t lost_by_getters(struct storm *storm, unsigned lane) {
    if (lane == REDELIVER_LANE)
        return 0;
    return deaths_in(storm, OP_GET, lane) + deaths_in(storm, OP_RECEIVE, lane) +
           deaths_in(storm, OP_TASK_DONE, lane) + BATCH * deaths_in(storm, OP_GET_MANY, lane);
}
static uint64_t put_by_dying(struct storm *storm, unsigned lane) {
    return deaths_in(storm, OP_PUT, lane) + deaths_in(storm, OP_SEND, lane) +
           BATCH * deaths_in(storm, OP_PUT_MANY, lane);
}

static void check_lane(struct storm *storm, unsigned lane) {
    uint64_t put = 0, got = 0;
    for (unsigned i = 0; i < SEAT_MAX; i++) {
        put += atomic_load(&storm->seats[i].lanes[lane].put);
        got += atomic_load(&storm->seats[i].lanes[lane].got);
    }
    printf("  lane %u: %" PRIu64 " put, %" PRIu64 " got; %" PRIu64 " may be lost, %" PRIu64
           " uncounted\n",
           lane, put, got, lost_by_getters(storm, lane), put_by_dying(storm, lane));
    STORM_CHECK(got + lost_by_getters(storm, lane) >= put);
    STORM_CHECK(got <= put + put_by_dying(storm, lane));
}

static void check_semaphore(struct storm *storm) {
    int64_t value = mp_semaphore_value(storm->semaphore);
    int64_t expected = UNITS + (int64_t)atomic_load(&storm->semaphore_released) -
                       (int64_t)atomic_load(&storm->semaphore_acquired);
    printf("  semaphore: value %" PRId64 ", %" PRId64 " expected but for the dead\n", value,
           expected);
    STORM_CHECK(value >= expected - (int64_t)deaths(storm, OP_SEMAPHORE_ACQUIRE));
    STORM_CHECK(value <= expected + (int64_t)deaths(storm, OP_SEMAPHORE_RELEASE));
}

/* Tasks whose takers died are never done: exactly those. */
static void check_tasks(struct storm *storm) {
    mp_queue *queue = storm->queues[TASK_LANE];
    uint64_t extra = 0;
    while (mp_queue_join(queue, MP_NOWAIT) == MP_ETIMEDOUT && extra < UINT32_MAX) {
        STORM_CHECK(mp_queue_task_done(queue) == 0);
        extra++;
    }
    printf("  tasks never done: %" PRIu64 "; %ld put back, %" PRIu64 " of them done twice\n", extra,
           mp_queue_redelivered(storm->queues[REDELIVER_LANE]), atomic_load(&storm->repeated));
    STORM_CHECK(mp_queue_join(storm->queues[REDELIVER_LANE], 2.0) == 0);
    STORM_CHECK((long)atomic_load(&storm->repeated) <=
                mp_queue_redelivered(storm->queues[REDELIVER_LANE]));
    STORM_CHECK(extra <= lost_by_getters(storm, TASK_LANE));
}

static void check_structures(struct storm *storm) {
    for (unsigned i = 0; i < PAIR_COUNT; i++)
        STORM_CHECK(mp__lock_check((struct lock_shared *)(void *)storm->pairs[i].lock) == 0);
    STORM_CHECK(mp__semaphore_check(storm->semaphore) == 0);
    STORM_CHECK(mp__condition_check(storm->condition) == 0);
    STORM_CHECK(mp__barrier_check(storm->barrier) == 0);
    for (unsigned i = 0; i < QUEUE_COUNT; i++)
        STORM_CHECK(
            mp__channel_check(&((struct queue_shared *)(void *)storm->queues[i])->channel) == 0);
    for (unsigned i = 0; i < 2; i++)
        STORM_CHECK(mp__channel_check(((struct connection_shared *)(void *)storm->ends[i])->in) ==
                    0);
    STORM_CHECK(mp__heap_check() == 0);
    STORM_CHECK(mp__registry_check() == 0);
}

void storm_check(struct storm_self *self) {
    struct storm *storm = self->storm;
    mp__recover_all();
    storm_drain(self);
    for (unsigned lane = 0; lane < LANE_COUNT; lane++)
        check_lane(storm, lane);
    check_semaphore(storm);
    check_tasks(storm);
    for (unsigned i = 0; i < PAIR_COUNT; i++) {
        storm_locked(self, mp_lock_acquire(storm->pairs[i].lock, MP_NOWAIT), &storm->pairs[i].first,
                     &storm->pairs[i].second);
        STORM_CHECK(mp_lock_release(storm->pairs[i].lock) == 0);
    }
    check_structures(storm);
}

void storm_free(struct storm *storm) {
    for (unsigned i = 0; i < PAIR_COUNT; i++)
        mp_lock_free(storm->pairs[i].lock);
    mp_semaphore_free(storm->semaphore);
    mp_condition_free(storm->condition);
    mp_event_free(storm->event);
    mp_barrier_free(storm->barrier);
    for (unsigned i = 0; i < QUEUE_COUNT; i++)
        mp_queue_free(storm->queues[i]);
    for (unsigned i = 0; i < 2; i++)
        mp_connection_free(storm->ends[i]);
    mp_value_free(storm->value);
    mp_array_free(storm->array);
    for (unsigned i = 0; i < MAILBOX_COUNT; i++)
        mp_shared_free(atomic_load(&storm->mailboxes[i]));
    for (unsigned i = 0; i < SEAT_MAX; i++)
        for (unsigned j = 0; j < OWN_BLOCKS; j++)
            mp_shared_free(atomic_load(&storm->seats[i].blocks[j]));
    mp_shared_free(storm);
}

/* A block of mp_shared_alloc, and what a _new made, belong to the family: who dies between having
 * one and writing down where it is has lost it. */
uint64_t storm_leak_limit(struct storm *storm) {
    printf("  deaths in heap %" PRIu64 ", objects %" PRIu64 ", pools %" PRIu64 "\n",
           deaths(storm, OP_HEAP), deaths(storm, OP_OBJECT), deaths(storm, OP_POOL));
    return 2 * deaths(storm, OP_HEAP) + OBJECT_LEAKS * deaths(storm, OP_OBJECT) +
           POOL_LEAKS * deaths(storm, OP_POOL);
}

void storm_check_leaks(uint64_t leak_limit) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    printf("  heap: %" PRIu64 " blocks left (limit %" PRIu64 "), %" PRIu64
           " kB in use, peak %" PRIu64 " kB\n",
           figures.blocks, leak_limit, figures.used_bytes / 1024, figures.peak_bytes / 1024);
    STORM_CHECK(figures.blocks <= leak_limit);
    STORM_CHECK(mp__heap_check() == 0);
}

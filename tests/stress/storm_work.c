/* The storm's operations on locks and their kin, on values and on the shared heap.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storm.h"

static void use_pair(struct storm_self *self, volatile uint64_t *first, volatile uint64_t *second) {
    *first = *first + 1;
    uint64_t turns = storm_random(self, 30) ? 200 : 2000000;
    for (uint64_t i = storm_random(self, turns); i > 0; i--)
        __asm__ volatile("");
    *second = *second + 1;
    STORM_CHECK(*first == *second);
}

/* What holding a lock means: two twins are equal, or the last owner died. */
void storm_locked(struct storm_self *self, int code, volatile uint64_t *first,
                  volatile uint64_t *second) {
    STORM_CHECK(code == 0 || code == MP_EOWNERDEAD);
    if (code == MP_EOWNERDEAD) {
        *second = *first;
        atomic_fetch_add(&self->storm->repairs, 1);
    }
    STORM_CHECK(*first == *second);
}

static void work_lock(struct storm_self *self) {
    unsigned which = (unsigned)storm_random(self, PAIR_COUNT);
    struct storm_pair *pair = &self->storm->pairs[which];
    unsigned depth = which % 2 ? 1 + (unsigned)storm_random(self, 3) : 1; /* odd ones are RLocks */
    double timeout = storm_random(self, 4) ? MP_FOREVER : 0.01;
    storm_begin(self, OP_LOCK);
    int code = mp_lock_acquire(pair->lock, timeout);
    if (code != MP_ETIMEDOUT || timeout > 1) {
        storm_locked(self, code, &pair->first, &pair->second);
        for (unsigned i = 1; i < depth; i++)
            STORM_CHECK(mp_lock_acquire(pair->lock, MP_FOREVER) == 0);
        use_pair(self, &pair->first, &pair->second);
        for (unsigned i = 0; i < depth; i++)
            STORM_CHECK(mp_lock_release(pair->lock) == 0);
    }
    storm_end(self);
}

/* Units of the dead are gone, as in Python; the root puts new ones in. */
static void work_semaphore(struct storm_self *self) {
    storm_begin(self, OP_SEMAPHORE_ACQUIRE);
    STORM_CHECK(mp_semaphore_acquire(self->storm->semaphore, MP_FOREVER) == 0);
    atomic_fetch_add(&self->storm->semaphore_acquired, 1);
    storm_end(self);
    storm_begin(self, OP_SEMAPHORE_RELEASE);
    STORM_CHECK(mp_semaphore_release(self->storm->semaphore, 1) == 0);
    atomic_fetch_add(&self->storm->semaphore_released, 1);
    storm_end(self);
}

static bool has_item(void *argument) {
    struct storm *storm = argument;
    return storm->items > 0 || storm->stop;
}

static void take_item(struct storm_self *self) {
    struct storm *storm = self->storm;
    storm_begin(self, OP_CONDITION_WAIT);
    int code = mp_condition_acquire(storm->condition, MP_FOREVER);
    storm_locked(self, code, &storm->items, &storm->items_twin);
    while ((code = mp_condition_wait_for(storm->condition, has_item, storm, MP_FOREVER)) ==
           MP_EOWNERDEAD)
        storm_locked(self, code, &storm->items, &storm->items_twin);
    storm_locked(self, code, &storm->items, &storm->items_twin);
    if (storm->items > 0) {
        storm->items = storm->items - 1;
        storm->items_twin = storm->items_twin - 1;
    }
    STORM_CHECK(mp_condition_release(storm->condition) == 0);
    storm_end(self);
}

static void add_item(struct storm_self *self) {
    struct storm *storm = self->storm;
    storm_begin(self, OP_CONDITION_NOTIFY);
    int code = mp_condition_acquire(storm->condition, MP_FOREVER);
    storm_locked(self, code, &storm->items, &storm->items_twin);
    unsigned count = 1 + (unsigned)storm_random(self, 2);
    for (unsigned i = 0; i < count; i++)
        use_pair(self, &storm->items, &storm->items_twin);
    STORM_CHECK(mp_condition_notify(storm->condition, count) == 0);
    STORM_CHECK(mp_condition_release(storm->condition) == 0);
    storm_end(self);
}

static void work_condition(struct storm_self *self) {
    if (storm_random(self, 2))
        take_item(self);
    else
        add_item(self);
}

static void work_event(struct storm_self *self) {
    storm_begin(self, OP_EVENT);
    switch (storm_random(self, 4)) {
    case 0:
        STORM_CHECK(mp_event_clear(self->storm->event) == 0);
        break;
    case 1:
        STORM_CHECK(mp_event_wait(self->storm->event, MP_FOREVER) == 0);
        break;
    default:
        STORM_CHECK(mp_event_set(self->storm->event) == 0);
    }
    storm_end(self);
}

static void work_barrier(struct storm_self *self) {
    storm_begin(self, OP_BARRIER);
    double timeout = storm_random(self, 4) ? MP_FOREVER : 0.002;
    int code = mp_barrier_wait(self->storm->barrier, timeout);
    STORM_CHECK(code == 0 || code == 1 || code == MP_EBROKEN);
    if (code == MP_EBROKEN)
        STORM_CHECK(mp_barrier_reset(self->storm->barrier) == 0);
    storm_end(self);
}

static void work_value(struct storm_self *self) {
    struct storm *storm = self->storm;
    storm_begin(self, OP_VALUE);
    MP_WITH_LOCK(mp_value_get_lock(storm->value)) {
        MP_VALUE(int64_t, storm->value)++;
    }
    int64_t number = (int64_t)storm_random(self, 1u << 30) * 0x100000001;
    ptrdiff_t index = (ptrdiff_t)storm_random(self, 16);
    STORM_CHECK(mp_array_set(storm->array, index, &number) == 0);
    STORM_CHECK(mp_array_get(storm->array, index, &number) == 0);
    storm_end(self);
}

/* A block: its size, then a pattern made of it. */
static void *make_block(struct storm_self *self) {
    static const size_t limits[] = {64, 1000, 30000, 300000, 1000000};
    size_t kind = storm_random(self, 64);
    size_t size = 16 + storm_random(self, limits[kind < 5 ? kind : 1]);
    unsigned char *block = mp_shared_alloc(size);
    STORM_CHECK(block);
    memset(block, (int)size, size);
    memcpy(block, &size, sizeof size);
    return block;
}

static void examine_block(const unsigned char *block) {
    size_t size;
    memcpy(&size, block, sizeof size);
    STORM_CHECK(size >= 16 && size < 5000000);
    for (size_t i = sizeof size; i < size; i += size < 4000 ? 1 : 61)
        STORM_CHECK(block[i] == (unsigned char)size);
}

static void work_heap(struct storm_self *self) {
    storm_begin(self, OP_HEAP);
    _Atomic(void *) *place = storm_random(self, 3)
                                 ? &self->seat->blocks[storm_random(self, OWN_BLOCKS)]
                                 : &self->storm->mailboxes[storm_random(self, MAILBOX_COUNT)];
    void *old = atomic_exchange(place, storm_random(self, 5) ? make_block(self) : NULL);
    if (old) {
        examine_block(old);
        mp_shared_free(old);
    }
    storm_end(self);
}

static void make_and_free(struct storm_self *self) {
    mp_queue *queue;
    mp_lock *lock;
    mp_event *event;
    storm_begin(self, OP_OBJECT);
    STORM_CHECK(mp_queue_new(&queue, NULL, 0) == 0);
    STORM_CHECK(mp_lock_new(&lock, NULL) == 0);
    STORM_CHECK(mp_event_new(&event, NULL) == 0);
    STORM_CHECK(mp_lock_acquire(lock, MP_NOWAIT) == 0);
    for (unsigned i = 0; i < 20; i++)
        STORM_CHECK(mp_queue_put(queue, self->buffer, 500 * i, MP_FOREVER) == 0);
    for (unsigned i = 0; i < 10; i++)
        STORM_CHECK(mp_queue_get(queue, self->buffer, LARGEST_MESSAGE, NULL, MP_FOREVER) == 0);
    STORM_CHECK(mp_lock_release(lock) == 0);
    mp_queue_free(queue);
    mp_lock_free(lock);
    mp_event_free(event);
    storm_end(self);
}

static void wait_for_some(struct storm_self *self) {
    struct storm *storm = self->storm;
    mp_waitable list[] = {MP_WAIT_QUEUE(storm->queues[0]), MP_WAIT_CONNECTION(storm->ends[0]),
                          MP_WAIT_QUEUE(storm->queues[2]), MP_WAIT_CONNECTION(storm->ends[1])};
    size_t count = 1 + storm_random(self, 4);
    storm_begin(self, OP_WAIT);
    int ready = mp_wait(list, count, MP_FOREVER);
    STORM_CHECK(ready > 0);
    storm_end(self);
}

static void work_message(struct storm_self *self) {
    unsigned lane = (unsigned)storm_random(self, LANE_COUNT);
    double timeout = storm_random(self, 8) ? MP_FOREVER : 0.003;
    unsigned kind = (unsigned)storm_random(self, 16);
    if (kind == 0)
        wait_for_some(self);
    else if (kind == 1 && lane < QUEUE_COUNT)
        storm_put_many(self, lane);
    else if (kind == 2 && lane < QUEUE_COUNT)
        storm_get_many(self, lane);
    else if (kind % 2)
        storm_put(self, lane, timeout);
    else
        storm_get(self, lane, timeout);
}

void storm_work(struct storm_self *self) {
    static void (*const table[])(struct storm_self *) = {
        work_lock,    work_lock,  work_semaphore, work_condition, work_event,
        work_barrier, work_value, work_message,   work_message,   work_message,
        work_message, work_heap,  work_heap,      make_and_free};
    size_t count = sizeof table / sizeof table[0];
    bool may_help = !self->is_helper && !self->has_helper && self->storm->method != MP_THREAD;
    if (may_help && storm_random(self, 400) == 0)
        storm_work_process(self);
    else if (!self->is_helper && storm_random(self, 2000) == 0)
        storm_work_pool(self);
    else
        table[storm_random(self, count)](self);
}

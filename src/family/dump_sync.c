/* Lines about locks, semaphores, conditions, events, barriers, values and arrays.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "family/dump.h"
#include "share/array.h"
#include "share/value.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/semaphore.h"
#include "shm/heap.h"

/* Everything about a lock but where it is. */
static void dump_lock_state(FILE *stream, const struct lock_shared *lock) {
    if (lock->name[0])
        fprintf(stream, "'%.*s' ", MP__LOCK_NAME_BYTES, lock->name);
    mp__dump_guard(stream, &lock->guard);
    if (mp__dump_truth(&lock->is_recursive) && mp__guard_owner(&lock->guard) != 0)
        fprintf(stream, ", %" PRIu32 " deep", atomic_load(&lock->depth));
}

static void dump_lock(const struct mp__sight *sight) {
    const struct lock_shared *lock = sight->object;
    fprintf(sight->stream, "%s %p ", mp__dump_truth(&lock->is_recursive) ? "rlock" : "lock",
            sight->block);
    dump_lock_state(sight->stream, lock);
}

/* The lock of a condition or value: in the copy when it is its own, else where it says. */
static void dump_lock_of(const struct mp__sight *sight, const struct lock_shared *lock,
                         const struct lock_shared *own) {
    struct lock_shared copy;
    size_t place = (size_t)((const char *)own - (const char *)sight->object);
    if ((const char *)lock == (const char *)sight->block + place) {
        dump_lock_state(sight->stream, own);
        return;
    }
    if (!mp__kind_is(lock, MP__KIND_LOCK)) {
        fputs("is gone", sight->stream);
        return;
    }
    mp__heap_peek(&copy, lock, sizeof copy);
    dump_lock_state(sight->stream, &copy);
}

static void dump_semaphore(const struct mp__sight *sight) {
    const struct semaphore_shared *semaphore = sight->object;
    fprintf(sight->stream, "semaphore %p value %" PRIu32, sight->block,
            atomic_load(&semaphore->word) / 2);
    if (semaphore->most < MP_SEMAPHORE_MAX)
        fprintf(sight->stream, ", at most %" PRIu32, semaphore->most);
}

static void dump_condition(const struct mp__sight *sight) {
    const struct condition_shared *condition = sight->object;
    fprintf(sight->stream, "condition %p lock %p ", sight->block, (const void *)condition->lock);
    dump_lock_of(sight, condition->lock, &condition->own);
}

static void dump_event(const struct mp__sight *sight) {
    const struct event_shared *event = sight->object;
    fprintf(sight->stream, "event %p %s", sight->block,
            atomic_load(&event->word) == 1 ? "set" : "not set");
}

static void dump_barrier(const struct mp__sight *sight) {
    const struct barrier_shared *barrier = sight->object;
    uint32_t phase = atomic_load(&barrier->phase);
    bool is_broken = phase == MP__BARRIER_BROKEN || phase == MP__BARRIER_BREAKING;
    fprintf(sight->stream, "barrier %p ", sight->block);
    if (is_broken && atomic_load(&barrier->killer) != 0)
        fprintf(sight->stream, "broken by the death of process %" PRIu32,
                atomic_load(&barrier->killer));
    else if (is_broken)
        fputs("broken", sight->stream);
    else
        fprintf(sight->stream, "%u of %" PRIu32 " have come",
                mp_barrier_n_waiting((const mp_barrier *)sight->block), barrier->parties);
    if (mp__guard_owner(&barrier->guard) != 0) {
        fputs(phase == MP__BARRIER_ACTING ? ", action " : ", guard ", sight->stream);
        mp__dump_guard(sight->stream, &barrier->guard);
    }
}

void mp__dump_sync(const struct mp__sight *sight, uint32_t kind) {
    switch (kind) {
    case MP__KIND_LOCK:
        dump_lock(sight);
        break;
    case MP__KIND_SEMAPHORE:
        dump_semaphore(sight);
        break;
    case MP__KIND_CONDITION:
        dump_condition(sight);
        break;
    case MP__KIND_EVENT:
        dump_event(sight);
        break;
    default:
        dump_barrier(sight);
    }
    fputc('\n', sight->stream);
    mp__dump_waiters(sight);
}

static char letter(char typecode) {
    return typecode > ' ' && typecode <= '~' ? typecode : '-';
}

static void dump_value(const struct mp__sight *sight) {
    const struct value_shared *value = sight->object;
    fprintf(sight->stream, "value %p '%c', %zu bytes", sight->block, letter(value->typecode),
            value->size);
    if (value->lock) {
        fputs(", lock ", sight->stream);
        dump_lock_of(sight, value->lock, &value->own);
    }
}

static void dump_array(const struct mp__sight *sight) {
    const struct array_shared *array = sight->object;
    fprintf(sight->stream, "array %p '%c', %zu items of %zu bytes", sight->block,
            letter(array->typecode), array->length, array->item_size);
    if (array->lock) {
        fputs(", lock ", sight->stream);
        dump_lock_of(sight, array->lock, &array->own);
    }
}

void mp__dump_share(const struct mp__sight *sight, uint32_t kind) {
    if (kind == MP__KIND_VALUE)
        dump_value(sight);
    else
        dump_array(sight);
    fputc('\n', sight->stream);
    mp__dump_waiters(sight);
}

/* No room in the family's memory: an error code from every _new, nothing half-made left, and all is
 * well once there is room. SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <stdlib.h>

#include "mp/shared.h"
#include "mp/sync.h"
#include "share/array.h"
#include "share/value.h"
#include "shm/heap.h"
#include "sync/event.h"

struct made {
    mp_lock *lock, *rlock, *named; /* one of each, NULL: not made */
    mp_semaphore *semaphore, *bounded;
    mp_condition *condition;
    mp_event *event;
    mp_barrier *barrier;
    mp_value *value;
    mp_array *array;
};

static void expect(int got, int code) {
    MPT_CHECK(got == code);
}

/* Each _new once: all of them give `code`. */
static void make_all(struct made *out, int code) {
    static const mp_barrier_options options = {.break_on_death = true};
    expect(mp_lock_new(&out->lock, NULL), code);
    expect(mp_rlock_new(&out->rlock, NULL), code);
    expect(mp_lock_new_with(&out->named, NULL, &(mp_lock_options){.name = "named"}), code);
    expect(mp_semaphore_new(&out->semaphore, NULL, 1), code);
    expect(mp_bounded_semaphore_new(&out->bounded, NULL, 1), code);
    expect(mp_condition_new(&out->condition, NULL, NULL), code);
    expect(mp_event_new(&out->event, NULL), code);
    expect(mp_barrier_new(&out->barrier, NULL, 100, &options), code);
    expect(mp_value_new(&out->value, NULL, 'd', NULL, MP_NEW_LOCK), code);
    expect(mp_array_new(&out->array, NULL, 'd', 100, NULL, MP_NEW_LOCK), code);
}

static void free_all(struct made *made) {
    mp_lock_free(made->lock);
    mp_lock_free(made->rlock);
    mp_lock_free(made->named);
    mp_semaphore_free(made->semaphore);
    mp_semaphore_free(made->bounded);
    mp_condition_free(made->condition);
    mp_event_free(made->event);
    mp_barrier_free(made->barrier);
    mp_value_free(made->value);
    mp_array_free(made->array);
    *made = (struct made){NULL};
}

static void **take(size_t size, void **list) {
    void **block;
    while ((block = mp_shared_alloc(size)) != NULL) {
        *block = list;
        list = block;
    }
    return list;
}

/* Everything that is left, largest first, as a list: also what is left in slabs of each size. */
static void **fill(void) {
    void **list = NULL;
    for (size_t size = 1 << 22; size > 32768; size /= 2)
        list = take(size, list);
    for (size_t size = 32768; size > 0; size -= size > 64 ? 64 : 16)
        list = take(size, list);
    return list;
}

static void empty(void **list) {
    while (list) {
        void **next = *list;
        mp_shared_free(list);
        list = next;
    }
}

static uint64_t count_blocks(void) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    return figures.blocks;
}

static void test_every_new_fails_when_memory_is_full(void **state) {
    (void)state;
    struct made made = {NULL}, none = {NULL};
    setenv("LIBMP_ARENA_BYTES", "16777216", 1);
    make_all(&made, 0);
    free_all(&made);
    void **list = fill();
    uint64_t blocks = count_blocks();
    make_all(&made, -ENOMEM);
    assert_memory_equal(&made, &none, sizeof made);
    assert_int_equal(count_blocks(), blocks);
    empty(list);
    make_all(&made, 0);
    free_all(&made);
}

static void test_held_locks_work_when_memory_is_full(void **state) {
    (void)state;
    struct made made = {NULL};
    setenv("LIBMP_ARENA_BYTES", "16777216", 1);
    make_all(&made, 0);
    void **list = fill();
    MPT_OK(mp_lock_acquire(made.lock, MP_FOREVER));
    MPT_OK(mp_lock_release(made.lock));
    MPT_OK(mp_condition_acquire(made.condition, MP_FOREVER));
    MPT_CODE(mp_condition_wait(made.condition, 0.01), MP_ETIMEDOUT);
    MPT_OK(mp_condition_release(made.condition));
    MPT_CODE(mp_barrier_wait(made.barrier, 0.01), MP_EBROKEN);
    empty(list);
    free_all(&made);
}

static void test_checks_tell_objects_from_others(void **state) {
    (void)state;
    struct made made = {NULL};
    make_all(&made, 0);
    MPT_OK(mp__event_check(made.event));
    MPT_OK(mp__value_check(made.value));
    MPT_OK(mp__array_check(made.array));
    MPT_CODE(mp__event_check((mp_event *)(void *)made.value), MP_ESTATE);
    MPT_CODE(mp__value_check((mp_value *)(void *)made.array), MP_ESTATE);
    MPT_CODE(mp__array_check((mp_array *)(void *)made.event), MP_ESTATE);
    made.value->size = 3;
    MPT_CODE(mp__value_check(made.value), MP_ESTATE);
    made.array->data = (char *)&made;
    MPT_CODE(mp__array_check(made.array), MP_ESTATE);
    free_all(&made);
}

MPT_MAIN(MPT_CASE(test_every_new_fails_when_memory_is_full),
         MPT_CASE(test_held_locks_work_when_memory_is_full),
         MPT_CASE(test_checks_tell_objects_from_others))

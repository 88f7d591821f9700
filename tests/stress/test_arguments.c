/* Wrong objects for every public call that takes one: a code and a sentence, never a crash.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <stdlib.h>

#include "arguments.h"

/* Calls that give no code: nothing, no, none, not there. */
static void expect_nothing(void *at) {
    MPT_CHECK(!mp_lock_locked(at) && !mp_event_is_set(at));
    MPT_CHECK(mp_barrier_parties(at) == 0 && mp_barrier_n_waiting(at) == 0);
    (void)mp_barrier_broken(at);
    MPT_CHECK(!mp_value_data(at) && mp_value_size(at) == 0 && mp_value_typecode(at) == 0);
    MPT_CHECK(!mp_value_get_lock(at) && !mp_array_get_lock(at) && !mp_array_data(at));
    MPT_CHECK(mp_array_length(at) == 0 && mp_array_item_size(at) == 0 &&
              mp_array_typecode(at) == 0);
    MPT_CHECK(mp_connection_closed(at) && !mp_connection_readable(at) &&
              !mp_connection_writable(at));
    MPT_CHECK(mp_queue_empty(at) && !mp_queue_full(at));
    MPT_CHECK(!mp_message_data(at) && mp_message_size(at) == 0);
    MPT_CHECK(!mp_process_is_alive(at) && mp_process_pid(at) == 0 && !mp_process_daemon(at) &&
              !mp_process_name(at));
    MPT_CHECK(!mp_async_result_ready(at) && mp_async_result_detail(at)[0] == '\0');
}

static void free_as_everything(void *at) {
    mp_lock_free(at);
    mp_semaphore_free(at);
    mp_condition_free(at);
    mp_event_free(at);
    mp_barrier_free(at);
    mp_value_free(at);
    mp_array_free(at);
    mp_connection_free(at);
    mp_queue_free(at);
    mp_message_free(at);
    mp_pool_free(at);
    mp_imap_free(at);
    mp_async_result_free(at);
}

static void expect_refusals(void *at, const char *what) {
    for (size_t i = 0; i < ROW_COUNT; i++)
        expect_row(&rows[i], at, 0, MP_EINVAL, what);
    expect_nothing(at);
    free_as_everything(at);
}

static void make_live(void) {
    MPT_OK(mp_queue_new(&live_queue, NULL, 0));
    MPT_OK(mp_raw_value_new(&live_raw, NULL, 'i', NULL));
}

static void free_live(void) {
    mp_queue_free(live_queue);
    mp_value_free(live_raw);
}

static void test_calls_refuse_what_is_no_object(void **state) {
    (void)state;
    char local[256] = {0};
    void *block = calloc(1, 256);
    expect_refusals(NULL, "NULL before there is an arena");
    void *shared = mp_shared_calloc(1, 256);
    make_live();
    expect_refusals(NULL, "NULL");
    expect_refusals((void *)1, "address 1");
    expect_refusals((void *)(UINTPTR_MAX - 7), "the last address");
    expect_refusals(local + (-(uintptr_t)local & 15), "the stack");
    expect_refusals(block, "malloc");
    expect_refusals(shared, "a shared block");
    expect_refusals((char *)shared + 3, "an odd place in a shared block");
    mp_shared_free(shared);
    expect_refusals(shared, "freed shared memory");
    free_live();
    free(block);
}

/* One of each kind. */
static struct object {
    const char *noun; /* as in the rows */
    void *at;
} objects[] = {{"lock", NULL},    {"semaphore", NULL},  {"condition", NULL}, {"event", NULL},
               {"barrier", NULL}, {"queue", NULL},      {"message", NULL},   {"value", NULL},
               {"array", NULL},   {"connection", NULL}, {"process", NULL},   {"pool", NULL},
               {"imap", NULL},    {"result", NULL}};
static mp_connection *other_end;
#define OBJECT_COUNT (sizeof objects / sizeof objects[0])

static void make_objects(void) {
    struct object *next = objects;
    make_live();
    MPT_OK(mp_lock_new((mp_lock **)&next++->at, NULL));
    MPT_OK(mp_semaphore_new((mp_semaphore **)&next++->at, NULL, 1));
    MPT_OK(mp_condition_new((mp_condition **)&next++->at, NULL, NULL));
    MPT_OK(mp_event_new((mp_event **)&next++->at, NULL));
    MPT_OK(mp_barrier_new((mp_barrier **)&next++->at, NULL, 2, NULL));
    MPT_OK(mp_joinable_queue_new((mp_queue **)&next++->at, NULL, 0));
    MPT_OK(mp_message_new((mp_message **)&next++->at, 10));
    MPT_OK(mp_value_new((mp_value **)&next++->at, NULL, 'i', NULL, NULL));
    MPT_OK(mp_array_new((mp_array **)&next++->at, NULL, 'i', 4, NULL, NULL));
    MPT_OK(mp_pipe_new((mp_connection **)&next++->at, &other_end, NULL, true));
    MPT_OK(mp_process_new((mp_process **)&next++->at, NULL, NULL));
    MPT_OK(mp_pool_new((mp_pool **)&next++->at, NULL, &(mp_pool_options){.processes = 1}));
    mp_pool *pool = next[-1].at;
    MPT_OK(mp_pool_imap((mp_imap **)&next++->at, pool, task, no_input, NULL));
    MPT_OK(mp_pool_apply_async((mp_async_result **)&next->at, pool, task, NULL, 0, NULL));
    MPT_OK(mp_async_result_wait(next++->at, 20));
    MPT_CHECK(next == objects + OBJECT_COUNT);
}

static void free_objects(void) {
    for (struct object *object = objects + OBJECT_COUNT; object-- > objects;)
        if (strcmp(object->noun, "process") == 0)
            MPT_OK(mp_process_close(object->at));
        else
            free_as_everything(object->at);
    mp_connection_free(other_end);
    free_live();
}

static void test_calls_refuse_objects_of_another_kind(void **state) {
    (void)state;
    make_objects();
    for (size_t i = 0; i < OBJECT_COUNT; i++)
        for (size_t row = 0; row < ROW_COUNT; row++)
            if (!is_about(&rows[row], objects[i].noun))
                expect_row(&rows[row], objects[i].at, 0, MP_EINVAL, objects[i].noun);
    free_objects();
}

static void *object_of(const struct row *row) {
    for (size_t i = 0; i < OBJECT_COUNT; i++)
        if (is_about(row, objects[i].noun))
            return objects[i].at;
    mpt_die(__FILE__, __LINE__, row->name);
}

static void test_calls_refuse_a_timeout_that_is_no_number(void **state) {
    (void)state;
    make_objects();
    mp_condition *condition = objects[2].at;
    MPT_OK(mp_condition_acquire(condition, MP_FOREVER));
    for (size_t row = 0; row < ROW_COUNT; row++)
        if (strstr(rows[row].text, "time)"))
            expect_row(&rows[row], object_of(&rows[row]), NAN, MP_EINVAL, "NaN");
    MPT_OK(mp_condition_release(condition));
    free_objects();
}

static void test_calls_refuse_objects_that_were_freed(void **state) {
    (void)state;
    make_objects();
    free_objects();
    live_queue = NULL;
    live_raw = NULL;
    for (size_t i = 0; i < OBJECT_COUNT; i++)
        expect_refusals(objects[i].at, objects[i].noun);
}

MPT_PROCESS_MAIN(MPT_CASE(test_calls_refuse_what_is_no_object),
                 MPT_CASE(test_calls_refuse_objects_of_another_kind),
                 MPT_CASE(test_calls_refuse_a_timeout_that_is_no_number),
                 MPT_CASE(test_calls_refuse_objects_that_were_freed))

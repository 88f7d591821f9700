/* Wrong pointers, sizes and numbers beside a good object: a code and a sentence, never a crash.
 * SPDX-License-Identifier: MIT */
#include "refused.h"

#include <math.h>

#include "mp/connection.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"

static size_t size;
static char bytes[16];
static void *made; /* stays NULL */

static void test_sync_refuses_bad_values(void **state) {
    (void)state;
    mp_lock **lock = (mp_lock **)&made;
    mp_semaphore **semaphore = (mp_semaphore **)&made;
    mp_barrier **barrier = (mp_barrier **)&made;
    BAD(mp_lock_new(NULL, NULL));
    BAD(mp_rlock_new(NULL, NULL));
    BAD(mp_lock_new_with(NULL, NULL, &(mp_lock_options){.recursive = true}));
    BAD(mp_semaphore_new(NULL, NULL, 1));
    BAD(mp_bounded_semaphore_new(NULL, NULL, 1));
    BAD(mp_semaphore_new(semaphore, NULL, MP_SEMAPHORE_MAX + 1));
    BAD(mp_bounded_semaphore_new(semaphore, NULL, UINT32_MAX));
    BAD(mp_condition_new(NULL, NULL, NULL));
    BAD(mp_event_new(NULL, NULL));
    BAD(mp_barrier_new(NULL, NULL, 1, NULL));
    BAD(mp_barrier_new(barrier, NULL, 0, NULL));
    BAD(mp_barrier_new(barrier, NULL, 16384, NULL));
    BAD(mp_barrier_new(barrier, NULL, UINT32_MAX, NULL));
    BAD(mp_barrier_new(barrier, NULL, 2, &(mp_barrier_options){.timeout = NAN}));
    BAD(mp_barrier_new(barrier, NULL, 2, &(mp_barrier_options){.timeout = -1}));
    BAD(mp_barrier_new(barrier, NULL, 2, &(mp_barrier_options){.arg_size = 1}));
    BAD(mp_barrier_new(barrier, NULL, 2,
                       &(mp_barrier_options){.arg = bytes, .arg_size = HUGE_SIZE}));
    BAD(mp_barrier_new(barrier, NULL, 2,
                       &(mp_barrier_options){.action = (int (*)(void *, size_t))(uintptr_t)64}));
    assert_null(*lock);
}

static void test_sync_refuses_bad_values_of_an_object(void **state) {
    (void)state;
    mp_semaphore *semaphore;
    mp_condition *condition;
    MPT_OK(mp_semaphore_new(&semaphore, NULL, 1));
    MPT_OK(mp_condition_new(&condition, NULL, NULL));
    BAD(mp_semaphore_release(semaphore, 0));
    BAD(mp_semaphore_release(semaphore, MP_SEMAPHORE_MAX));
    BAD(mp_semaphore_release(semaphore, UINT32_MAX));
    MPT_OK(mp_condition_acquire(condition, MP_FOREVER));
    BAD(mp_condition_wait_for(condition, NULL, NULL, 0));
    MPT_OK(mp_condition_notify(condition, 0));
    MPT_OK(mp_condition_release(condition));
    assert_int_equal(mp_semaphore_value(semaphore), 1);
    mp_condition_free(condition);
    mp_semaphore_free(semaphore);
}

static void test_shared_refuses_bad_values(void **state) {
    (void)state;
    mp_value **value = (mp_value **)&made;
    mp_array **array = (mp_array **)&made;
    BAD(mp_value_new(NULL, NULL, 'i', NULL, NULL));
    BAD(mp_value_new_struct(NULL, NULL, 8, NULL, NULL));
    BAD(mp_raw_value_new(NULL, NULL, 'i', NULL));
    BAD(mp_value_new_struct(value, NULL, 0, NULL, NULL));
    BAD(mp_value_new_struct(value, NULL, HUGE_SIZE, bytes, NULL));
    TOO_LARGE(mp_value_new_struct(value, NULL, PTRDIFF_MAX, bytes, NULL));
    REFUSED(MP_ETYPE, mp_value_new(value, NULL, 'x', NULL, NULL));
    REFUSED(MP_ETYPE, mp_raw_value_new(value, NULL, 0, NULL));
    BAD(mp_array_new(NULL, NULL, 'i', 1, NULL, NULL));
    BAD(mp_array_new_struct(NULL, NULL, 8, 1, NULL, NULL));
    BAD(mp_raw_array_new(NULL, NULL, 'i', 1, NULL));
    BAD(mp_array_new(array, NULL, 'i', HUGE_SIZE, bytes, NULL));
    BAD(mp_array_new_struct(array, NULL, 0, 1, NULL, NULL));
    BAD(mp_array_new_struct(array, NULL, HUGE_SIZE, 1, bytes, NULL));
    BAD(mp_raw_array_new(array, NULL, 'c', HUGE_SIZE, bytes));
    TOO_LARGE(mp_array_new(array, NULL, 'c', PTRDIFF_MAX / 2, bytes, NULL));
    REFUSED(MP_ETYPE, mp_array_new(array, NULL, 'x', 1, NULL, NULL));
    REFUSED(MP_ETYPE, mp_raw_array_new(array, NULL, -1, 1, NULL));
    NOTHING(mp_shared_alloc(HUGE_SIZE));
    NOTHING(mp_shared_calloc(HUGE_SIZE, 2));
    NOTHING(mp_shared_calloc(1, HUGE_SIZE));
    NOTHING(mp_shared_realloc(bytes, 1));
    NOTHING(mp_shared_realloc(NULL, HUGE_SIZE));
    BAD((mp_shared_free(bytes), MP_EINVAL));
    assert_null(made);
}

static void test_shared_refuses_bad_values_of_an_object(void **state) {
    (void)state;
    mp_value *value;
    mp_array *array;
    void *block = mp_shared_alloc(10);
    MPT_OK(mp_value_new(&value, NULL, 'i', NULL, NULL));
    MPT_OK(mp_array_new(&array, NULL, 'i', 4, NULL, NULL));
    BAD(mp_value_copy(NULL, value));
    BAD(mp_value_synchronized(NULL, value, NULL));
    BAD(mp_value_synchronized((mp_value **)&made, value, MP_NO_LOCK));
    BAD(mp_array_copy(NULL, array));
    BAD(mp_array_get(array, 0, NULL));
    BAD(mp_array_set(array, 0, NULL));
    REFUSED(MP_EINDEX, mp_array_get(array, 4, bytes));
    REFUSED(MP_EINDEX, mp_array_get(array, PTRDIFF_MIN, bytes));
    REFUSED(MP_EINDEX, mp_array_set(array, -5, bytes));
    REFUSED(MP_EINDEX, mp_array_set(array, PTRDIFF_MAX, bytes));
    NOTHING(mp_shared_realloc(block, HUGE_SIZE));
    NOTHING(mp_shared_realloc((char *)block + 1, 5));
    BAD((mp_shared_free((char *)block + 16), MP_EINVAL));
    mp_shared_free(block);
    BAD((mp_shared_free(block), MP_EINVAL));
    mp_array_free(array);
    mp_value_free(value);
    assert_null(made);
}

static void expect_queue_refusals(mp_queue *queue) {
    mp_message **message = (mp_message **)&made;
    const mp_bytes list[] = {{bytes, 1}, {NULL, 1}}, large = {bytes, HUGE_SIZE};
    BAD(mp_queue_put(queue, NULL, 1, 0));
    TOO_LARGE(mp_queue_put(queue, bytes, HUGE_SIZE, 0));
    TOO_LARGE(mp_queue_put(queue, bytes, HUGE_SIZE - 40, 0));
    BAD(mp_queue_put_many(queue, NULL, 1, &size, 0));
    BAD(mp_queue_put_many(queue, list, 2, &size, 0));
    TOO_LARGE(mp_queue_put_many(queue, &large, 1, &size, 0));
    assert_int_equal(size, 0);
    BAD(mp_queue_get(queue, NULL, 1, &size, 0));
    BAD(mp_queue_get_alloc(queue, NULL, &size, 0));
    BAD(mp_queue_get_alloc(queue, &made, NULL, 0));
    BAD(mp_queue_get_many(queue, NULL, 1, &size, 0));
    BAD(mp_queue_get_many(queue, message, 1, NULL, 0));
    BAD(mp_queue_get_many(queue, message, 0, &size, 0));
    BAD(mp_queue_get_message(queue, NULL, 0));
    BAD(mp_queue_put_message(queue, NULL, 0));
    assert_int_equal(mp_queue_qsize(queue), 0);
    mp_queue_free(queue);
}

static void test_queue_refuses_bad_values(void **state) {
    (void)state;
    mp_queue *queue;
    mp_queue_options options = {.redeliver = true};
    BAD(mp_queue_new(NULL, NULL, 0));
    BAD(mp_joinable_queue_new(NULL, NULL, 0));
    BAD(mp_simple_queue_new(NULL, NULL));
    BAD(mp_queue_new_with(NULL, NULL, NULL));
    BAD(mp_queue_new_with((mp_queue **)&made, NULL, &options));
    BAD(mp_message_new(NULL, 1));
    TOO_LARGE(mp_message_new((mp_message **)&made, HUGE_SIZE));
    MPT_OK(mp_simple_queue_new(&queue, NULL));
    REFUSED(MP_ETYPE, mp_queue_task_done(queue));
    REFUSED(MP_ETYPE, mp_queue_join(queue, 0));
    REFUSED(MP_ESTATE, mp_queue_join_thread(queue));
    expect_queue_refusals(queue);
    options.joinable = true;
    MPT_OK(mp_queue_new_with(&queue, NULL, &options));
    BAD(mp_queue_task_done(queue));
    expect_queue_refusals(queue);
    assert_null(made);
}

static void test_connection_refuses_bad_values(void **state) {
    (void)state;
    mp_connection *first, *second;
    BAD(mp_pipe_new(NULL, (mp_connection **)&made, NULL, true));
    BAD(mp_pipe_new((mp_connection **)&made, NULL, NULL, false));
    MPT_OK(mp_pipe_new(&first, &second, NULL, true));
    BAD(mp_connection_send_bytes(first, NULL, 1, 0));
    TOO_LARGE(mp_connection_send_bytes(first, bytes, HUGE_SIZE, 0));
    BAD(mp_connection_recv_bytes(first, NULL, &size, 0, 0));
    BAD(mp_connection_recv_bytes(first, &made, NULL, 0, 0));
    BAD(mp_connection_recv_bytes_into(first, NULL, 1, &size, 0));
    BAD(mp_connection_recv_handle(first, NULL, 0));
    REFUSED(-EBADF, mp_connection_send_handle(first, -1, 0));
    REFUSED(-EBADF, mp_connection_send_handle(first, 12345, 0));
    BAD(mp_wait(NULL, 1, 0));
    BAD(mp_wait(NULL, HUGE_SIZE, 0));
    BAD(mp_wait(NULL, 0, NAN));
    mp_waitable unknown = {.kind = 0}, no_fd = MP_WAIT_FD(-1), closed_fd = MP_WAIT_FD(12345);
    BAD(mp_wait(&unknown, 1, 0));
    BAD(mp_wait(&no_fd, 1, 0));
    BAD(mp_wait(&closed_fd, 1, 0));
    MPT_OK(mp_wait(NULL, 0, 0));
    mp_connection_free(first);
    mp_connection_free(second);
    assert_null(made);
}

MPT_PROCESS_MAIN(MPT_CASE(test_sync_refuses_bad_values),
                 MPT_CASE(test_sync_refuses_bad_values_of_an_object),
                 MPT_CASE(test_shared_refuses_bad_values),
                 MPT_CASE(test_shared_refuses_bad_values_of_an_object),
                 MPT_CASE(test_queue_refuses_bad_values),
                 MPT_CASE(test_connection_refuses_bad_values))

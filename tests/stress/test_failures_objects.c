/* Locks, queues, pipes and values while libc's functions fail one by one.
 * SPDX-License-Identifier: MIT */
#include "failing.h"
#include "mpt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/connection.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"

static int use_memory(void) {
    void *block = mp_shared_calloc(3, 100);
    void *larger = block ? mp_shared_realloc(block, 100000) : NULL;
    mp_shared_free(larger ? larger : block);
    return larger ? 0 : -1;
}

static int use_lock(void) {
    int code = 0;
    mp_lock *lock = NULL;
    MPT_TRY(mp_rlock_new(&lock, NULL));
    MPT_TRY(mp_lock_acquire(lock, MP_FOREVER));
    MPT_TRY(mp_lock_acquire(lock, MP_FOREVER));
    MPT_TRY(mp_lock_release(lock));
    MPT_TRY(mp_lock_release(lock));
done:
    mp_lock_free(lock);
    return code;
}

static int use_counters(void) {
    int code = 0;
    mp_semaphore *semaphore = NULL;
    mp_event *event = NULL;
    MPT_TRY(mp_bounded_semaphore_new(&semaphore, NULL, 2));
    MPT_TRY(mp_semaphore_acquire(semaphore, MP_FOREVER));
    MPT_TRY(mp_semaphore_release(semaphore, 1));
    MPT_TRY(mp_event_new(&event, NULL));
    MPT_TRY(mp_event_set(event));
    MPT_TRY(mp_event_wait(event, MP_FOREVER));
done:
    mp_semaphore_free(semaphore);
    mp_event_free(event);
    return code;
}

static int pass_barrier(void *arg, size_t arg_size) {
    return arg_size != sizeof(int) || *(int *)arg != 7;
}

static int use_condition(void) {
    int code = 0;
    int seven = 7;
    mp_condition *condition = NULL;
    mp_barrier *barrier = NULL;
    mp_barrier_options options = {.action = pass_barrier, .arg = &seven, .arg_size = sizeof seven};
    MPT_TRY(mp_condition_new(&condition, NULL, NULL));
    MPT_TRY(mp_condition_acquire(condition, MP_FOREVER));
    code = mp_condition_wait(condition, 0.01);
    if (code != MP_ETIMEDOUT)
        goto done;
    MPT_TRY(mp_condition_notify_all(condition));
    MPT_TRY(mp_condition_release(condition));
    MPT_TRY(mp_barrier_new(&barrier, NULL, 1, &options));
    MPT_TRY(mp_barrier_wait(barrier, MP_FOREVER));
done:
    mp_condition_free(condition);
    mp_barrier_free(barrier);
    return code;
}

static int use_values(void) {
    int code = 0;
    mp_value *value = NULL, *copy = NULL;
    mp_array *array = NULL;
    long long first = 5, out;
    MPT_TRY(mp_value_new(&value, NULL, 'q', &first, MP_NEW_LOCK));
    MPT_TRY(mp_value_copy(&copy, value));
    MPT_TRY(mp_array_new(&array, NULL, 'q', 10000, NULL, MP_NEW_LOCK));
    MPT_TRY(mp_array_set(array, -1, &first));
    MPT_TRY(mp_array_get(array, 9999, &out));
    MPT_CHECK(out == first);
done:
    mp_value_free(value);
    mp_value_free(copy);
    mp_array_free(array);
    return code;
}

/* Small ones lie in the queue, large ones beside it. */
static int put_and_get(mp_queue *queue, size_t size) {
    int code = 0;
    size_t got;
    char *data = calloc(1, size);
    void *copy = NULL;
    if (!data)
        return mp_queue_put(NULL, NULL, 1, 0);
    MPT_TRY(mp_queue_put(queue, data, size, MP_FOREVER));
    MPT_TRY(mp_queue_put(queue, data, size, MP_FOREVER));
    MPT_TRY(mp_queue_get(queue, data, size, &got, MP_FOREVER));
    MPT_TRY(mp_queue_get_alloc(queue, &copy, &got, MP_FOREVER));
    MPT_CHECK(got == size);
done:
    free(copy);
    free(data);
    return code;
}

static int use_queue(void) {
    int code = 0;
    mp_queue *queue = NULL;
    MPT_TRY(mp_joinable_queue_new(&queue, NULL, 0));
    for (size_t size = 1; size < 1000000; size = 31 * size)
        MPT_TRY(put_and_get(queue, size));
    for (int i = 0; i < 10; i++)
        MPT_TRY(mp_queue_task_done(queue));
    MPT_TRY(mp_queue_join(queue, 1));
    MPT_TRY(mp_queue_close(queue));
done:
    mp_queue_free(queue);
    return code;
}

static int use_batches(void) {
    int code = 0;
    mp_queue *queue = NULL;
    mp_message *message = NULL, *list[3] = {NULL, NULL, NULL};
    const mp_bytes bytes[2] = {{"one", 3}, {"two", 3}};
    size_t done = 0;
    MPT_TRY(mp_queue_new(&queue, NULL, 10));
    MPT_TRY(mp_message_new(&message, 5000));
    MPT_TRY(mp_queue_put_message(queue, message, MP_FOREVER));
    message = NULL;
    MPT_TRY(mp_queue_put_many(queue, bytes, 2, &done, MP_FOREVER));
    done = 0;
    MPT_TRY(mp_queue_get_many(queue, list, 3, &done, MP_FOREVER));
done:
    for (size_t i = 0; i < 3; i++)
        mp_message_free(list[i]);
    mp_message_free(message);
    mp_queue_free(queue);
    return code;
}

static int use_handles(mp_connection *from, mp_connection *to) {
    int ends[2];
    int received = -1;
    MPT_CHECK(pipe(ends) == 0);
    int code = mp_connection_send_handle(from, ends[1], MP_FOREVER);
    if (code == 0)
        code = mp_connection_recv_handle(to, &received, 5);
    if (received >= 0)
        close(received);
    close(ends[0]);
    close(ends[1]);
    return code;
}

static int use_pipe(void) {
    int code = 0;
    char buffer[100];
    static char large[100000];
    size_t size;
    void *data = NULL;
    mp_connection *a = NULL, *b = NULL;
    MPT_TRY(mp_pipe_new(&a, &b, NULL, true));
    MPT_TRY(mp_connection_send_bytes(a, "hello", 5, MP_FOREVER));
    MPT_TRY(mp_connection_send_bytes(a, large, sizeof large, MP_FOREVER));
    MPT_TRY(mp_connection_poll(b, MP_FOREVER));
    MPT_TRY(mp_connection_recv_bytes_into(b, buffer, sizeof buffer, &size, MP_FOREVER));
    MPT_TRY(mp_connection_recv_bytes(b, &data, &size, 0, MP_FOREVER));
    MPT_TRY(use_handles(b, a));
    MPT_TRY(mp_connection_close(a));
    code = mp_connection_recv_bytes_into(b, buffer, sizeof buffer, &size, MP_FOREVER);
    code = code == MP_EEOF ? 0 : code;
done:
    free(data);
    mp_connection_free(a);
    mp_connection_free(b);
    return code;
}

static int use_wait(void) {
    int code = 0;
    mp_connection *a = NULL, *b = NULL;
    mp_queue *queue = NULL, *other = NULL;
    MPT_TRY(mp_pipe_new(&a, &b, NULL, true));
    MPT_TRY(mp_queue_new(&queue, NULL, 0));
    MPT_TRY(mp_queue_new(&other, NULL, 0));
    mp_waitable list[] = {MP_WAIT_CONNECTION(a), MP_WAIT_QUEUE(queue), MP_WAIT_QUEUE(other)};
    mp_waitable many[20];
    for (int i = 0; i < 20; i++)
        many[i] = list[0];
    MPT_TRY(mp_wait(many, 20, 0));
    MPT_TRY(mp_wait(list, 3, 0.01));
    MPT_TRY(mp_wait(list + 1, 2, 0.01));
    MPT_TRY(mp_queue_put(other, "x", 1, MP_FOREVER));
    MPT_TRY(mp_wait(list, 3, MP_FOREVER));
done:
    mp_connection_free(a);
    mp_connection_free(b);
    mp_queue_free(queue);
    mp_queue_free(other);
    return code;
}

/* Of this process alone. */
static int use_choices(void) {
    int code = 0;
    MPT_TRY(mp_set_executable("/nonexistent/program"));
    MPT_TRY(mp_set_executable(NULL));
done:
    MPT_CHECK(mp_set_executable(NULL) == 0);
    return code;
}

MPT_FAILURES(memory)
MPT_FAILURES(lock)
MPT_FAILURES(counters)
MPT_FAILURES(condition)
MPT_FAILURES(values)
MPT_FAILURES(queue)
MPT_FAILURES(batches)
MPT_FAILURES(pipe)
MPT_FAILURES(wait)
MPT_FAILURES(choices)

MPT_PROCESS_MAIN(
    MPT_CASE(test_memory_copes_when_libc_fails), MPT_CASE(test_memory_goes_on_when_interrupted),
    MPT_CASE(test_lock_copes_when_libc_fails), MPT_CASE(test_lock_goes_on_when_interrupted),
    MPT_CASE(test_counters_copes_when_libc_fails), MPT_CASE(test_counters_goes_on_when_interrupted),
    MPT_CASE(test_condition_copes_when_libc_fails),
    MPT_CASE(test_condition_goes_on_when_interrupted), MPT_CASE(test_values_copes_when_libc_fails),
    MPT_CASE(test_values_goes_on_when_interrupted), MPT_CASE(test_queue_copes_when_libc_fails),
    MPT_CASE(test_queue_goes_on_when_interrupted), MPT_CASE(test_batches_copes_when_libc_fails),
    MPT_CASE(test_batches_goes_on_when_interrupted), MPT_CASE(test_pipe_copes_when_libc_fails),
    MPT_CASE(test_pipe_goes_on_when_interrupted), MPT_CASE(test_wait_copes_when_libc_fails),
    MPT_CASE(test_wait_goes_on_when_interrupted), MPT_CASE(test_choices_copes_when_libc_fails),
    MPT_CASE(test_choices_goes_on_when_interrupted))

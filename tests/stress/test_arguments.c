/* Wrong pointers for every public call that takes an object: a code and a sentence, never a crash.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mp/connection.h"
#include "mp/pool.h"
#include "mp/process.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"

static char buffer[16];
static size_t size;
static void *data;
static int number;

static bool always(void *arg) {
    (void)arg;
    return true;
}

static int item(const void *in, void *out, void *state) {
    (void)in, (void)out, (void)state;
    return 0;
}

static int task(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)reply, (void)state;
    return 0;
}

static int wait_for(mp_waitable waitable, double time) {
    return mp_wait(&waitable, 1, time);
}

/* CALL(name, what it does with the object `at` and the timeout `time`) */
#define CALLS                                                                            \
    CALL(mp_lock_acquire, mp_lock_acquire(at, time))                                     \
    CALL(mp_lock_release, mp_lock_release(at))                                           \
    CALL(mp_semaphore_acquire, mp_semaphore_acquire(at, time))                           \
    CALL(mp_semaphore_release, mp_semaphore_release(at, 1))                              \
    CALL(mp_semaphore_value, mp_semaphore_value(at))                                     \
    CALL(mp_condition_acquire, mp_condition_acquire(at, time))                           \
    CALL(mp_condition_release, mp_condition_release(at))                                 \
    CALL(mp_condition_wait, mp_condition_wait(at, time))                                 \
    CALL(mp_condition_wait_for, mp_condition_wait_for(at, always, NULL, time))           \
    CALL(mp_condition_notify, mp_condition_notify(at, 1))                                \
    CALL(mp_condition_notify_all, mp_condition_notify_all(at))                           \
    CALL(mp_event_set, mp_event_set(at))                                                 \
    CALL(mp_event_clear, mp_event_clear(at))                                             \
    CALL(mp_event_wait, mp_event_wait(at, time))                                         \
    CALL(mp_barrier_wait, mp_barrier_wait(at, time))                                     \
    CALL(mp_barrier_reset, mp_barrier_reset(at))                                         \
    CALL(mp_barrier_abort, mp_barrier_abort(at))                                         \
    CALL(mp_queue_put, mp_queue_put(at, "x", 1, time))                                   \
    CALL(mp_queue_get, mp_queue_get(at, buffer, 16, &size, time))                        \
    CALL(mp_queue_get_alloc, mp_queue_get_alloc(at, &data, &size, time))                 \
    CALL(mp_queue_put_many, mp_queue_put_many(at, &(mp_bytes){"x", 1}, 1, &size, time))  \
    CALL(mp_queue_get_many, mp_queue_get_many(at, (mp_message **)&data, 1, &size, time)) \
    CALL(mp_queue_get_message, mp_queue_get_message(at, (mp_message **)&data, time))     \
    CALL(mp_queue_close, mp_queue_close(at))                                             \
    CALL(mp_queue_join_thread, mp_queue_join_thread(at))                                 \
    CALL(mp_queue_cancel_join_thread, mp_queue_cancel_join_thread(at))                   \
    CALL(mp_queue_task_done, mp_queue_task_done(at))                                     \
    CALL(mp_queue_join, mp_queue_join(at, time))                                         \
    CALL(mp_connection_send_bytes, mp_connection_send_bytes(at, "x", 1, time))           \
    CALL(mp_connection_recv_bytes, mp_connection_recv_bytes(at, &data, &size, 0, time))  \
    CALL(mp_connection_recv_bytes_into,                                                  \
         mp_connection_recv_bytes_into(at, buffer, 16, &size, time))                     \
    CALL(mp_connection_poll, mp_connection_poll(at, time))                               \
    CALL(mp_connection_fileno, mp_connection_fileno(at))                                 \
    CALL(mp_connection_close, mp_connection_close(at))                                   \
    CALL(mp_connection_send_handle, mp_connection_send_handle(at, 0, time))              \
    CALL(mp_connection_recv_handle, mp_connection_recv_handle(at, &number, time))        \
    CALL(mp_wait_connection, wait_for(MP_WAIT_CONNECTION(at), time))                     \
    CALL(mp_wait_queue, wait_for(MP_WAIT_QUEUE(at), time))                               \
    CALL(mp_value_copy, mp_value_copy((mp_value **)&data, at))                           \
    CALL(mp_array_get, mp_array_get(at, 0, buffer))                                      \
    CALL(mp_array_set, mp_array_set(at, 0, buffer))                                      \
    CALL(mp_array_copy, mp_array_copy((mp_array **)&data, at))                           \
    CALL(mp_process_start, mp_process_start(at))                                         \
    CALL(mp_process_run, mp_process_run(at))                                             \
    CALL(mp_process_join, mp_process_join(at, time))                                     \
    CALL(mp_process_terminate, mp_process_terminate(at))                                 \
    CALL(mp_process_kill, mp_process_kill(at))                                           \
    CALL(mp_process_interrupt, mp_process_interrupt(at))                                 \
    CALL(mp_process_exitcode, mp_process_exitcode(at, &number))                          \
    CALL(mp_process_sentinel, mp_process_sentinel(at))                                   \
    CALL(mp_process_set_daemon, mp_process_set_daemon(at, true))                         \
    CALL(mp_process_set_name, mp_process_set_name(at, "x"))                              \
    CALL(mp_process_authkey, mp_process_authkey(at, NULL, 0, &size))                     \
    CALL(mp_process_set_authkey, mp_process_set_authkey(at, "x", 1))                     \
    CALL(mp_pool_map, mp_pool_map(at, item, buffer, 1, 1, NULL, 0, NULL))                \
    CALL(mp_pool_apply, mp_pool_apply(at, task, NULL, 0, NULL, 0, NULL))                 \
    CALL(mp_pool_close, mp_pool_close(at))                                               \
    CALL(mp_pool_terminate, mp_pool_terminate(at))                                       \
    CALL(mp_pool_join, mp_pool_join(at, time))

#define CALL(name, call)                            \
    static int call_##name(void *at, double time) { \
        (void)time;                                 \
        return (call);                              \
    }
CALLS
#undef CALL

static const struct row {
    const char *name;
    int (*call)(void *at, double time);
} rows[] = {
#define CALL(name, call) {#name, call_##name},
    CALLS
#undef CALL
};

static void expect_refusals(void *at, const char *what) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        mp__fail(0, "%s", "");
        int code = rows[i].call(at, 0);
        if (code == MP_EINVAL && mp_error_detail()[0])
            continue;
        fprintf(stderr, "%s, %s: %d, %s\n", rows[i].name, what, code, mp_error_detail());
        mpt_die(__FILE__, __LINE__, "MP_EINVAL with a detail");
    }
}

static void test_calls_refuse_what_is_no_object(void **state) {
    (void)state;
    char local[256] = {0};
    void *block = calloc(1, 256);
    expect_refusals(NULL, "NULL before there is an arena");
    void *shared = mp_shared_calloc(1, 256);
    expect_refusals(NULL, "NULL");
    expect_refusals((void *)1, "address 1");
    expect_refusals((void *)(UINTPTR_MAX - 7), "the last address");
    expect_refusals(local + (-(uintptr_t)local & 15), "the stack");
    expect_refusals(block, "malloc");
    expect_refusals(shared, "a shared block");
    expect_refusals((char *)shared + 3, "an odd place in a shared block");
    mp_shared_free(shared);
    expect_refusals(shared, "freed shared memory");
    free(block);
}

static void test_calls_refuse_objects_that_were_freed(void **state) {
    (void)state;
    mp_lock *lock;
    mp_queue *queue;
    MPT_OK(mp_lock_new(&lock, NULL));
    mp_lock_free(lock);
    expect_refusals(lock, "a freed lock");
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    mp_queue_free(queue);
    expect_refusals(queue, "a freed queue");
    mp_process *process;
    MPT_OK(mp_process_new(&process, NULL, NULL));
    MPT_OK(mp_process_close(process));
    expect_refusals(process, "a closed process");
}

MPT_PROCESS_MAIN(MPT_CASE(test_calls_refuse_what_is_no_object),
                 MPT_CASE(test_calls_refuse_objects_that_were_freed))

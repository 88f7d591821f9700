/* Every public call that takes an object and gives a code, as a table: for tests of bad arguments.
 * SPDX-License-Identifier: MIT */
#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#include "mpt.h"

#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "mp/connection.h"
#include "mp/imap.h"
#include "mp/pool_stats.h"
#include "mp/process.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"

#define UNTOUCHED 77 /* what outputs hold before a call that is to fail */

static char buffer[16];
static size_t size;
static void *data;
static int number;
static mp_queue *live_queue; /* for calls that take it beside the object; NULL: refused as well */
static mp_value *live_raw;   /* the same */

static bool always(void *arg) {
    (void)arg;
    return true;
}

static int item(const void *in, void *out, void *state) {
    (void)in, (void)out, (void)state;
    return 0;
}

static mp_column column = {buffer, 1};

static int row(const void *const *args, size_t count, void *out, void *state) {
    (void)args, (void)count, (void)out, (void)state;
    return 0;
}

static int no_input(void *user, const void **in, size_t *in_size) {
    (void)user, (void)in, (void)in_size;
    return 0;
}

static int task(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)reply, (void)state;
    return 0;
}

static int wait_for(mp_waitable waitable, double time) {
    return mp_wait(&waitable, 1, time);
}

static int put_many(mp_queue *queue, double time) {
    size_t put; /* written on failure, too */
    return mp_queue_put_many(queue, &(mp_bytes){"x", 1}, 1, &put, time);
}

/* Where NULL is no mistake. */
static void *not_null(void *at) {
    return at ? at : (void *)1;
}

/* CALL(noun_what, what it does with the noun `at` and the timeout `time`) */
#define CALLS                                                                                \
    CALL(lock_acquire, mp_lock_acquire(at, time))                                            \
    CALL(lock_release, mp_lock_release(at))                                                  \
    CALL(lock_of_value, mp_value_new((mp_value **)&data, NULL, 'i', NULL, not_null(at)))     \
    CALL(lock_of_struct,                                                                     \
         mp_value_new_struct((mp_value **)&data, NULL, 8, NULL, not_null(at)))               \
    CALL(lock_of_array, mp_array_new((mp_array **)&data, NULL, 'i', 1, NULL, not_null(at)))  \
    CALL(lock_of_structs,                                                                    \
         mp_array_new_struct((mp_array **)&data, NULL, 8, 1, NULL, not_null(at)))            \
    CALL(lock_of_raw, mp_value_synchronized((mp_value **)&data, live_raw, not_null(at)))     \
    CALL(lock_of_condition, mp_condition_new((mp_condition **)&data, NULL, not_null(at)))    \
    CALL(semaphore_acquire, mp_semaphore_acquire(at, time))                                  \
    CALL(semaphore_release, mp_semaphore_release(at, 1))                                     \
    CALL(semaphore_value, mp_semaphore_value(at))                                            \
    CALL(condition_acquire, mp_condition_acquire(at, time))                                  \
    CALL(condition_release, mp_condition_release(at))                                        \
    CALL(condition_wait, mp_condition_wait(at, time))                                        \
    CALL(condition_wait_for, mp_condition_wait_for(at, always, NULL, time))                  \
    CALL(condition_notify, mp_condition_notify(at, 1))                                       \
    CALL(condition_notify_all, mp_condition_notify_all(at))                                  \
    CALL(event_set, mp_event_set(at))                                                        \
    CALL(event_clear, mp_event_clear(at))                                                    \
    CALL(event_wait, mp_event_wait(at, time))                                                \
    CALL(barrier_wait, mp_barrier_wait(at, time))                                            \
    CALL(barrier_reset, mp_barrier_reset(at))                                                \
    CALL(barrier_abort, mp_barrier_abort(at))                                                \
    CALL(queue_put, mp_queue_put(at, "x", 1, time))                                          \
    CALL(queue_get, mp_queue_get(at, buffer, 16, &size, time))                               \
    CALL(queue_get_alloc, mp_queue_get_alloc(at, &data, &size, time))                        \
    CALL(queue_put_many, put_many(at, time))                                                 \
    CALL(queue_get_many, mp_queue_get_many(at, (mp_message **)&data, 1, &size, time))        \
    CALL(queue_put_message, mp_queue_put_message(at, NULL, time))                            \
    CALL(queue_get_message, mp_queue_get_message(at, (mp_message **)&data, time))            \
    CALL(queue_waited_for, wait_for(MP_WAIT_QUEUE(at), time))                                \
    CALL(queue_qsize, (int)mp_queue_qsize(at))                                               \
    CALL(queue_redelivered, (int)mp_queue_redelivered(at))                                   \
    CALL(queue_close, mp_queue_close(at))                                                    \
    CALL(queue_join_thread, mp_queue_join_thread(at))                                        \
    CALL(queue_cancel_join_thread, mp_queue_cancel_join_thread(at))                          \
    CALL(queue_task_done, mp_queue_task_done(at))                                            \
    CALL(queue_join, mp_queue_join(at, time))                                                \
    CALL(message_put, mp_queue_put_message(live_queue, at, time))                            \
    CALL(connection_send_bytes, mp_connection_send_bytes(at, "x", 1, time))                  \
    CALL(connection_recv_bytes, mp_connection_recv_bytes(at, &data, &size, 0, time))         \
    CALL(connection_recv_bytes_into,                                                         \
         mp_connection_recv_bytes_into(at, buffer, 16, &size, time))                         \
    CALL(connection_poll, mp_connection_poll(at, time))                                      \
    CALL(connection_fileno, mp_connection_fileno(at))                                        \
    CALL(connection_send_handle, mp_connection_send_handle(at, 0, time))                     \
    CALL(connection_recv_handle, mp_connection_recv_handle(at, &number, time))               \
    CALL(connection_waited_for, wait_for(MP_WAIT_CONNECTION(at), time))                      \
    CALL(connection_close, mp_connection_close(at))                                          \
    CALL(value_copy, mp_value_copy((mp_value **)&data, at))                                  \
    CALL(value_synchronized, mp_value_synchronized((mp_value **)&data, at, NULL))            \
    CALL(array_get, mp_array_get(at, 0, buffer))                                             \
    CALL(array_set, mp_array_set(at, 0, buffer))                                             \
    CALL(array_copy, mp_array_copy((mp_array **)&data, at))                                  \
    CALL(process_start, mp_process_start(at))                                                \
    CALL(process_run, mp_process_run(at))                                                    \
    CALL(process_join, mp_process_join(at, time))                                            \
    CALL(process_terminate, mp_process_terminate(at))                                        \
    CALL(process_kill, mp_process_kill(at))                                                  \
    CALL(process_interrupt, mp_process_interrupt(at))                                        \
    CALL(process_exitcode, mp_process_exitcode(at, &number))                                 \
    CALL(process_sentinel, mp_process_sentinel(at))                                          \
    CALL(process_waited_for, wait_for(MP_WAIT_PROCESS(at), 0))                               \
    CALL(process_set_daemon, mp_process_set_daemon(at, true))                                \
    CALL(process_set_name, mp_process_set_name(at, "x"))                                     \
    CALL(process_authkey, mp_process_authkey(at, NULL, 0, &size))                            \
    CALL(process_set_authkey, mp_process_set_authkey(at, "x", 1))                            \
    CALL(process_close, mp_process_close(not_null(at)))                                      \
    CALL(pool_map, mp_pool_map(at, item, buffer, 1, 1, NULL, 0, NULL))                       \
    CALL(pool_map_async,                                                                     \
         mp_pool_map_async((mp_async_result **)&data, at, item, buffer, 1, 1, NULL, 0, NULL)) \
    CALL(pool_apply, mp_pool_apply(at, task, NULL, 0, buffer, 16, &size))                    \
    CALL(pool_apply_async,                                                                   \
         mp_pool_apply_async((mp_async_result **)&data, at, task, NULL, 0, NULL))            \
    CALL(pool_starmap, mp_pool_starmap(at, row, &column, 1, 1, NULL, 0, NULL))               \
    CALL(pool_starmap_async,                                                                 \
         mp_pool_starmap_async((mp_async_result **)&data, at, row, &column, 1, 1, NULL, 0, NULL)) \
    CALL(pool_imap, mp_pool_imap((mp_imap **)&data, at, task, no_input, NULL))               \
    CALL(imap_next, mp_imap_next(at, NULL, &size, time))                                     \
    CALL(pool_stats, mp_pool_stats(at, NULL, 0))                                             \
    CALL(pool_close, mp_pool_close(at))                                                      \
    CALL(pool_terminate, mp_pool_terminate(at))                                              \
    CALL(pool_join, mp_pool_join(at, time))                                                  \
    CALL(result_get, mp_async_result_get(at, buffer, 16, &size, time))                       \
    CALL(result_wait, mp_async_result_wait(at, time))                                        \
    CALL(result_cancel, mp_async_result_cancel(at))                                          \
    CALL(result_successful, mp_async_result_successful(at))

#define CALL(name, call)                            \
    static int call_##name(void *at, double time) { \
        (void)time;                                 \
        return (call);                              \
    }
CALLS
#undef CALL

static const struct row {
    const char *name;                    /* "noun_what" */
    const char *text;                    /* the call */
    int (*call)(void *at, double time);
} rows[] = {
#define CALL(name, call) {#name, #call, call_##name},
    CALLS
#undef CALL
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

/* Is `noun` what this call takes? */
static inline bool is_about(const struct row *row, const char *noun) {
    size_t length = strlen(noun);
    return strncmp(row->name, noun, length) == 0 && row->name[length] == '_';
}

/* It fails with that code and a sentence, and writes nothing. `what`: what `at` is. */
static inline void expect_row(const struct row *row, void *at, double time, int expected,
                              const char *what) {
    mp__fail(0, "%s", "");
    size = UNTOUCHED;
    data = &size;
    number = UNTOUCHED;
    int code = row->call(at, time);
    if (code == expected && mp_error_detail()[0] && size == UNTOUCHED && data == &size &&
        number == UNTOUCHED)
        return;
    fprintf(stderr, "%s, %s: %d, '%s', outputs %zu %d\n", row->text, what, code, mp_error_detail(),
            size, number);
    mpt_die(__FILE__, __LINE__, "the code, with a detail, and no output");
}

#endif

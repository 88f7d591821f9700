/* Processes and pools while libc's functions fail one by one, in any process of the family.
 * SPDX-License-Identifier: MIT */
#include "failing.h"
#include "mpt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "mp/connection.h"
#include "mp/pool.h"
#include "mp/process.h"
#include "mp/queue.h"
#include "mp/sync.h"
#include "pool.h"

/* Exit codes of a child's target: 0, or that something failed there, as was wished. */
enum { WENT_WELL, WENT_WRONG };

static int join_and_close(mp_process *process) {
    int code = 0;
    int exit_code = 0;
    MPT_TRY(mp_process_join(process, MP_FOREVER));
    MPT_TRY(mp_process_exitcode(process, &exit_code));
    if (exit_code != WENT_WELL)
        code = mp__fail(MP_EWORKER, "the child's exit code is %d", exit_code);
done:
    while (mp_process_close(process) < 0) {
        MPT_CHECK(mp_process_kill(process) == 0);
        MPT_CHECK(mp_process_join(process, 10) == 0);
    }
    return code;
}

static int run_process(const mp_process_options *options) {
    int code = 0;
    mp_process *process = NULL;
    MPT_TRY(mp_process_new(&process, mpt_context(), options));
    MPT_TRY(mp_process_set_name(process, "renamed"));
    MPT_TRY(mp_process_set_authkey(process, "key", 3));
    MPT_TRY(mp_process_start(process));
    return join_and_close(process);
done:
    MPT_CHECK(mp_process_close(process) == 0);
    return code;
}

static int check_argument(void *arg, size_t arg_size) {
    static const char expected[3000];
    return arg_size == sizeof expected && memcmp(arg, expected, arg_size) == 0 ? WENT_WELL : 77;
}

static int use_process(void) {
    static const char argument[3000];
    mp_process_options options = {
        .target = check_argument,
        .arg = argument,
        .arg_size = sizeof argument,
        .name = "a child with a name",
    };
    return run_process(&options);
}

static int wait_for_ever(void *arg, size_t arg_size) {
    (void)arg_size;
    return mp_event_wait(*(mp_event **)arg, 20) == 0 ? WENT_WELL : WENT_WRONG;
}

/* Ended by a signal. */
static int use_daemon(void) {
    int code = 0;
    int exit_code = 0;
    mp_event *event = NULL;
    mp_process *process = NULL;
    mp_waitable waitable = {0};
    MPT_TRY(mp_event_new(&event, NULL));
    mp_process_options options = {
        .target = wait_for_ever, .arg = &event, .arg_size = sizeof event, .daemon = MP_DAEMON};
    MPT_TRY(mp_process_new(&process, mpt_context(), &options));
    MPT_TRY(mp_process_start(process));
    MPT_TRY(mp_active_children(&process, 1));
    MPT_TRY(mp_process_kill(process));
    waitable = MP_WAIT_PROCESS(process);
    MPT_TRY(mp_wait(&waitable, 1, 10));
    MPT_TRY(mp_process_join(process, 10));
    MPT_TRY(mp_process_exitcode(process, &exit_code));
done:
    if (process && mp_process_close(process) < 0) {
        MPT_CHECK(mp_process_kill(process) == 0);
        MPT_CHECK(mp_process_join(process, 10) == 0);
        MPT_CHECK(mp_process_close(process) == 0);
    }
    mp_event_free(event);
    return code;
}

struct echo {
    mp_connection *connection;
    mp_queue *queue;
};

static int echo(void *arg, size_t arg_size) {
    const struct echo *echo = arg;
    char buffer[10];
    size_t size;
    (void)arg_size;
    if (mp_connection_recv_bytes_into(echo->connection, buffer, sizeof buffer, &size, 10) < 0 ||
        mp_queue_put(echo->queue, buffer, size, 10) < 0)
        return WENT_WRONG;
    return WENT_WELL;
}

/* When the child failed the message stays where it is. */
static int talk(mp_connection *ours, const struct echo *echo_of) {
    int code = 0;
    char buffer[10];
    size_t size;
    mp_connection *const given[] = {echo_of->connection, NULL};
    mp_process_options options = {
        .target = echo, .arg = echo_of, .arg_size = sizeof *echo_of, .connections = given};
    MPT_TRY(mp_connection_send_bytes(ours, "hello", 5, 10));
    MPT_TRY(run_process(&options));
    MPT_TRY(mp_queue_get(echo_of->queue, buffer, sizeof buffer, &size, 10));
    MPT_CHECK(size == 5 && memcmp(buffer, "hello", 5) == 0);
done:
    return code;
}

static int use_talk(void) {
    int code = 0;
    struct echo echo_of = {NULL, NULL};
    mp_connection *ours = NULL;
    MPT_TRY(mp_pipe_new(&ours, &echo_of.connection, NULL, true));
    MPT_TRY(mp_queue_new(&echo_of.queue, NULL, 0));
    MPT_TRY(talk(ours, &echo_of));
done:
    mp_connection_free(ours);
    mp_connection_free(echo_of.connection);
    mp_queue_free(echo_of.queue);
    return code;
}

static int answer(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    return mp_reply_set(reply, arg, arg_size);
}

static int work(mp_pool *pool) {
    int code = 0;
    int items[] = {1, 2, 3, 4, 5}, results[5];
    char buffer[5];
    size_t size;
    mp_async_result *result = NULL;
    MPT_TRY(
        mp_pool_map(pool, mpt_square, items, 5, sizeof items[0], results, sizeof results[0], NULL));
    for (int i = 0; i < 5; i++)
        MPT_CHECK(results[i] == items[i] * items[i]);
    MPT_TRY(mp_pool_apply_async(&result, pool, answer, "hello", 5, NULL));
    MPT_TRY(mp_async_result_get(result, buffer, sizeof buffer, &size, 20));
    MPT_CHECK(size == 5 && memcmp(buffer, "hello", 5) == 0);
    MPT_TRY(mp_pool_close(pool));
    MPT_TRY(mp_pool_join(pool, 20));
done:
    mp_async_result_free(result);
    return code;
}

static int use_pool(void) {
    mp_pool *pool = NULL;
    mp_pool_options options = {.processes = 2};
    int code = mp_pool_new(&pool, mpt_context(), &options);
    if (code == 0)
        code = work(pool);
    mp_pool_free(pool);
    return code;
}

MPT_FAILURES(process)
MPT_FAILURES(daemon)
MPT_FAILURES(talk)
MPT_FAILURES(pool)

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_process_copes_when_libc_fails),
                 MPT_EACH_METHOD(test_process_goes_on_when_interrupted),
                 MPT_EACH_METHOD(test_daemon_copes_when_libc_fails),
                 MPT_EACH_METHOD(test_daemon_goes_on_when_interrupted),
                 MPT_EACH_METHOD(test_talk_copes_when_libc_fails),
                 MPT_EACH_METHOD(test_talk_goes_on_when_interrupted),
                 MPT_EACH_METHOD(test_pool_copes_when_libc_fails),
                 MPT_EACH_METHOD(test_pool_goes_on_when_interrupted))

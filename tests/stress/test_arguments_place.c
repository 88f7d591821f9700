/* Objects used after close, or in a process that may not: a code and a sentence for each call.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arguments.h"
#include "process.h"

static bool is_one_of(const struct row *row, const char *const *names) {
    while (*names && strcmp(row->name, *names) != 0)
        names++;
    return *names;
}

/* All calls on a noun fail so, but for some that go well. */
static void expect_rows(const char *noun, void *at, int code, const char *const *allowed) {
    size_t count = 0;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (!is_about(&rows[i], noun))
            continue;
        if (is_one_of(&rows[i], allowed))
            MPT_CHECK(rows[i].call(at, 0) >= 0);
        else
            expect_row(&rows[i], at, 0, code, noun);
        count++;
    }
    MPT_CHECK(count > 0);
}

static const char *const none[] = {NULL};

static void test_calls_refuse_a_closed_queue(void **state) {
    (void)state;
    static const char *const allowed[] = {
        "queue_qsize",     "queue_redelivered",        "queue_close", "queue_join_thread",
        "queue_task_done", "queue_cancel_join_thread", "queue_join",  NULL};
    mp_queue *queue;
    mp_message *message;
    MPT_OK(mp_joinable_queue_new(&queue, NULL, 0));
    MPT_OK(mp_message_new(&message, 5));
    MPT_OK(mp_queue_put(queue, "x", 1, 0));
    MPT_OK(mp_queue_close(queue));
    expect_rows("queue", queue, MP_ECLOSED, allowed);
    live_queue = queue;
    expect_rows("message", message, MP_ECLOSED, none);
    mp_message_free(message);
    mp_queue_free(queue);
}

static void test_calls_refuse_a_closed_connection(void **state) {
    (void)state;
    static const char *const allowed[] = {"connection_close", NULL};
    mp_connection *first, *second;
    MPT_OK(mp_pipe_new(&first, &second, NULL, true));
    MPT_OK(mp_connection_close(first));
    expect_rows("connection", first, MP_ECLOSED, allowed);
    mp_connection_free(first);
    mp_connection_free(second);
}

static void test_calls_refuse_a_closed_pool(void **state) {
    (void)state;
    static const char *const allowed[] = {"pool_close", "pool_stats", "pool_terminate", "pool_join",
                                          NULL};
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 1}));
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, 20));
    expect_rows("pool", pool, MP_EINVAL, allowed);
    mp_pool_free(pool);
}

struct passed {
    mp_process *running;       /* the parent's */
    mp_process *fresh;         /* the parent's, not started */
    mp_pool *pool;             /* the parent's */
    mp_async_result *result;   /* of that */
    mp_connection *connection; /* not named in the options */
    bool is_forked;            /* so that the child has it all the same */
};

static int wait_for_event(void *arg, size_t arg_size) {
    (void)arg_size;
    return mp_event_wait(*(mp_event **)arg, 20) == 0 ? 0 : 1;
}

static void use_handles(void) {
    mp_process *parent = mp_parent_process();
    int code = 0;
    MPT_CODE(mp_process_start(parent), MP_ESTATE);
    MPT_CODE(mp_process_join(parent, 0), MP_ETIMEDOUT);
    MPT_CODE(mp_process_terminate(parent), MP_EFOREIGN);
    MPT_CODE(mp_process_kill(parent), MP_EFOREIGN);
    MPT_CODE(mp_process_interrupt(parent), MP_EFOREIGN);
    MPT_CODE(mp_process_exitcode(parent, &code), MP_EFOREIGN);
    MPT_CODE(mp_process_set_name(parent, "x"), MP_EFOREIGN);
    MPT_CODE(mp_process_set_daemon(parent, true), MP_ESTATE);
    MPT_CODE(mp_process_authkey(parent, NULL, 0, NULL), MP_EFOREIGN);
    MPT_CODE(mp_process_set_authkey(parent, "x", 1), MP_EFOREIGN);
    MPT_OK(mp_process_close(parent));
    MPT_CODE(mp_process_interrupt(mp_current_process()), MP_EFOREIGN);
    code = mp_process_sentinel(parent);
    MPT_CHECK(code >= 0 || code == -ENOSYS);
}

static void use_foreign(const struct passed *passed) {
    expect_rows("process", passed->running, MP_EFOREIGN, none);
    expect_rows("process", passed->fresh, MP_EFOREIGN, none);
    expect_rows("pool", passed->pool, MP_EFOREIGN, none);
    expect_rows("result", passed->result, MP_EFOREIGN, none);
    MPT_CHECK(mp_process_is_alive(passed->running) && !mp_process_is_alive(passed->fresh));
    MPT_CHECK(strcmp(mp_process_name(passed->running), "x") != 0);
    mp_async_result_free(passed->result);
    mp_pool_free(passed->pool);
}

/* What we were not given we cannot pass on. */
static void pass_on(mp_connection *connection) {
    mp_process *process;
    mp_connection *list[] = {connection, NULL};
    mp_process_options options = {.connections = list};
    MPT_OK(mp_process_new(&process, mp_get_context(MP_SPAWN), &options));
    mp__fail(0, "%s", "");
    MPT_CODE(mp_process_start(process), MP_ENOTPASSED);
    MPT_CHECK(mp_error_detail()[0]);
    MPT_OK(mp_process_close(process));
}

static int use_foreign_objects(void *arg, size_t arg_size) {
    const struct passed *passed = arg;
    (void)arg_size;
    use_foreign(passed);
    use_handles();
    if (passed->is_forked)
        return 0;
    expect_rows("connection", passed->connection, MP_ENOTPASSED, none);
    pass_on(passed->connection);
    return 0;
}

static void use_in_bare_fork(void *passed) {
    use_foreign(passed);
}

static mp_process *start_waiter(mp_event **event, mp_context *context) {
    MPT_OK(mp_event_new(event, NULL));
    mp_process_options options = {
        .target = wait_for_event, .arg = event, .arg_size = sizeof *event};
    return mpt_start_with(context, &options);
}

static void test_calls_refuse_what_is_another_process_s(void **state) {
    (void)state;
    struct passed passed = {.is_forked = mpt_method() == MP_FORK};
    mp_connection *other_end;
    mp_event *event;
    passed.running = start_waiter(&event, mpt_context());
    MPT_OK(mp_process_new(&passed.fresh, NULL, NULL));
    MPT_OK(mp_pool_new(&passed.pool, mpt_context(), &(mp_pool_options){.processes = 1}));
    MPT_OK(mp_pool_apply_async(&passed.result, passed.pool, task, NULL, 0, NULL));
    MPT_OK(mp_pipe_new(&passed.connection, &other_end, NULL, true));
    assert_int_equal(mpt_join(mpt_fork(use_in_bare_fork, &passed)), 0);
    mp_process *user = mpt_start(use_foreign_objects, &passed, sizeof passed);
    assert_int_equal(mpt_end(user), 0);
    MPT_OK(mp_async_result_get(passed.result, NULL, 0, NULL, 20));
    mp_async_result_free(passed.result);
    mp_pool_free(passed.pool);
    MPT_OK(mp_event_set(event));
    assert_int_equal(mpt_end(passed.running), 0);
    MPT_OK(mp_process_close(passed.fresh));
    mp_connection_free(passed.connection);
    mp_connection_free(other_end);
    mp_event_free(event);
}

static void signal_as_another_user(void *unused) {
    (void)unused;
    static const char *const signals[] = {"process_terminate", "process_kill", "process_interrupt",
                                          NULL};
    mp_event *event;
    mp_process *process = start_waiter(&event, mp_get_context(MP_FORK));
    MPT_CHECK(setuid(54321) == 0);
    for (size_t i = 0; i < ROW_COUNT; i++)
        if (is_one_of(&rows[i], signals))
            expect_row(&rows[i], process, 0, -EPERM, "a process of root");
    MPT_OK(mp_event_set(event));
    MPT_OK(mp_process_join(process, 20));
    MPT_OK(mp_process_close(process));
    mp_event_free(event);
}

static void test_signals_say_that_they_are_not_permitted(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(mpt_join(mpt_fork(signal_as_another_user, NULL)), 0);
}

enum { HAS_BEGUN = 1 };

static int look_for_parent(void *arg, size_t arg_size) {
    _Atomic int *found = *(_Atomic int **)arg;
    (void)arg_size;
    pid_t parent = mp_process_pid(mp_parent_process());
    atomic_store(found, HAS_BEGUN);
    MPT_UNTIL(getppid() != parent);
    mp__fail(0, "%s", "");
    int code = mp_process_sentinel(mp_parent_process());
    MPT_CHECK(mp_error_detail()[0] && !mp_process_is_alive(mp_parent_process()));
    MPT_OK(mp_process_join(mp_parent_process(), 0));
    atomic_store(found, code);
    return 0;
}

/* It is killed only when the orphan has begun: before that the orphan would not run. */
static int leave_orphan(void *arg, size_t arg_size) {
    mp_process_options options = {.target = look_for_parent, .arg = arg, .arg_size = arg_size};
    mpt_start_with(mp_get_context(MP_FORK), &options);
    MPT_UNTIL(atomic_load(*(_Atomic int **)arg) == HAS_BEGUN);
    kill(getpid(), SIGKILL);
    return 0;
}

/* The orphan has ended when nobody holds the pipe's other end any more. */
static void test_sentinel_of_a_dead_parent_is_refused(void **state) {
    (void)state;
    int ends[2];
    char byte;
    _Atomic int *found = mp_shared_calloc(1, sizeof *found);
    mp_process_options options = {.target = leave_orphan, .arg = &found, .arg_size = sizeof found};
    assert_int_equal(pipe(ends), 0);
    mp_process *middle = mpt_start_with(mp_get_context(MP_FORK), &options);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    close(ends[0]);
    int code = atomic_load(found);
    if (code != -ESRCH && code != -ENOSYS)
        fail_msg("the sentinel of a dead parent: %d", code);
    MPT_OK(mp_process_join(middle, 20));
    MPT_OK(mp_process_close(middle));
    mp_shared_free(found);
}

static void test_calls_say_why_there_is_no_arena(void **state) {
    (void)state;
    struct rlimit before;
    mp_lock *lock = NULL;
    getrlimit(RLIMIT_NOFILE, &before);
    MPT_CHECK(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max}) == 0);
    mp__fail(0, "%s", "");
    MPT_CHECK(!mp_current_process() && mp_error_detail()[0]);
    mp__fail(0, "%s", "");
    MPT_CHECK(mp_lock_new(&lock, NULL) < 0 && !lock && mp_error_detail()[0]);
    mp__fail(0, "%s", "");
    MPT_CHECK(!mp_shared_alloc(1) && mp_error_detail()[0]);
    MPT_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    assert_non_null(mp_current_process());
}

MPT_PROCESS_MAIN(MPT_CASE(test_calls_refuse_a_closed_queue),
                 MPT_CASE(test_calls_refuse_a_closed_connection),
                 MPT_CASE(test_calls_refuse_a_closed_pool),
                 MPT_EACH_METHOD(test_calls_refuse_what_is_another_process_s),
                 MPT_CASE(test_signals_say_that_they_are_not_permitted),
                 MPT_CASE(test_sentinel_of_a_dead_parent_is_refused),
                 MPT_CASE(test_calls_say_why_there_is_no_arena))

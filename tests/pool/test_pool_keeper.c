/* What must not stop the thread that replaces workers and ends them.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mp/pool.h"
#include "mp/process.h"
#include "os/clock.h"
#include "pool.h"
#include "pool/local.h"

static int wait_for_gate(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    _Atomic int *gate = *(_Atomic int *const *)arg;
    while (!*gate)
        sched_yield();
    return 0;
}

static mp_pool *make_pool(mp_context *context) {
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, context, &(mp_pool_options){.processes = 1}));
    return pool;
}

static pid_t ask_pid(mp_pool *pool) {
    pid_t pid = 0;
    MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pid, sizeof pid, NULL));
    return pid;
}

static void write_script(const char *path) {
    char program[256] = "", text[600];
    assert_true(readlink("/proc/self/exe", program, sizeof program - 1) > 0);
    snprintf(text, sizeof text,
             "#!/bin/sh\n[ -e %s.trap ] && touch %s.stopped && kill -STOP $$\nexec %s \"$@\"\n",
             path, path, program);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
}

static void touch(const char *path) {
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* The replacement stops itself before it comes to mp_freeze_support. */
static void test_terminate_waits_for_no_worker_that_never_came_up(void **state) {
    (void)state;
    char script[64], trap[80], stopped[80];
    snprintf(script, sizeof script, "/tmp/mpt_pool_keeper.%d", (int)getpid());
    snprintf(trap, sizeof trap, "%s.trap", script);
    snprintf(stopped, sizeof stopped, "%s.stopped", script);
    write_script(script);
    MPT_OK(mp_set_executable(script));
    mp_pool *pool = make_pool(mp_get_context(MP_SPAWN));
    pid_t pid = ask_pid(pool);
    touch(trap);
    kill(pid, SIGKILL);
    MPT_UNTIL(access(stopped, F_OK) == 0);
    mp__time begin = mp__now();
    MPT_OK(mp_pool_terminate(pool));
    assert_true(mp__now() - begin < 3 * MP__SECOND);
    mp_pool_free(pool);
    unlink(trap);
    unlink(stopped);
    unlink(script);
}

/* A pipe that nobody reads, full, in the place of stdout, whose buffer has more. Gives its reader.
 */
static int choke_stdout(int *kept) {
    int ends[2];
    char dots[512];
    fflush(stdout);
    *kept = dup(STDOUT_FILENO);
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    memset(dots, '.', sizeof dots);
    while (write(ends[1], dots, sizeof dots) > 0)
        ;
    fcntl(ends[1], F_SETFL, 0);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[1]);
    printf("once");
    return ends[0];
}

static void unchoke_stdout(int reader, int kept) {
    char text[512];
    unsigned count = 0;
    while (read(reader, text, sizeof text) > 0)
        ;
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    for (ssize_t got; (got = read(reader, text, sizeof text - 1)) > 0;) {
        text[got] = 0;
        for (const char *at = text; (at = strstr(at, "once")); at++)
            count++;
    }
    close(reader);
    assert_int_equal(count, 1);
}

static void test_full_pipe_at_stdout_stops_no_replacement(void **state) {
    (void)state;
    int kept;
    mp_pool *pool = make_pool(mpt_context());
    int reader = choke_stdout(&kept);
    for (int i = 0; i < 3; i++)
        kill(ask_pid(pool), SIGKILL);
    ask_pid(pool);
    mp__time begin = mp__now();
    MPT_OK(mp_pool_terminate(pool));
    assert_true(mp__now() - begin < 3 * MP__SECOND);
    mp_pool_free(pool);
    unchoke_stdout(reader, kept);
}

static void note_call(void *user, const void *data, size_t size) {
    (void)data, (void)size;
    ++*(_Atomic int *)user;
}

/* As when a worker has no memory to take the lock of the list: it is not in the list, and said so.
 */
static void test_callback_of_a_job_that_could_not_be_listed_is_called(void **state) {
    (void)state;
    _Atomic int called = 0, gate = 0;
    mp_async_result *result;
    mp_pool *pool = make_pool(mp_get_context(MP_THREAD));
    struct pool_shared *shared = mp__pool_of(pool);
    mp_apply_options options = {.callback = note_call, .user = (void *)&called};
    void *told = (void *)&gate;
    MPT_OK(mp_pool_apply_async(&result, pool, wait_for_gate, &told, sizeof told, &options));
    ((struct job_shared *)(void *)result)->is_in_done_list = true;
    gate = 1;
    MPT_OK(mp_async_result_wait(result, MP_FOREVER));
    ask_pid(pool);
    assert_int_equal(called, 0);
    ((struct job_shared *)(void *)result)->is_in_done_list = false;
    atomic_store(&shared->has_unlisted, 1);
    mp__gate_notify(&shared->callback_gate, 1);
    MPT_UNTIL(atomic_load(&called) == 1);
    mp_async_result_free(result);
    mp_pool_free(pool);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_full_pipe_at_stdout_stops_no_replacement),
                 MPT_CASE(test_callback_of_a_job_that_could_not_be_listed_is_called),
                 MPT_CASE(test_terminate_waits_for_no_worker_that_never_came_up))

/* A full arena, no descriptors, no processes: codes, nothing half-made, and all works again after.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/fail.h"
#include "mp/connection.h"
#include "mp/object.h"
#include "mp/pool.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"
#include "process.h"

static int say_seven(void *arg, size_t arg_size) {
    (void)arg, (void)arg_size;
    return 7;
}

static int run_seven(void) {
    mp_process *process;
    int code = mp_process_new(&process, mpt_context(), &(mp_process_options){.target = say_seven});
    if (code < 0)
        return code;
    code = mp_process_start(process);
    if (code == 0)
        return mpt_end(process) == 7 ? 0 : MP_EWORKER;
    MPT_OK(mp_process_close(process));
    return code;
}

static void expect_failure(int code, const char *what) {
    if (code < 0 && mp_error_detail()[0])
        return;
    fprintf(stderr, "%s: %d %s\n", what, code, mp_error_detail());
    mpt_die(__FILE__, __LINE__, "it fails with a detail");
}

struct chain {
    struct chain *next; /* towards the oldest */
};

/* Everything, of each size class, down to the smallest block. */
static struct chain *fill_arena(void) {
    struct chain *newest = NULL;
    for (size_t size = (size_t)1 << 20; size >= 16;
         size = (size - (size > 1024 ? size / 8 : 16)) & ~(size_t)15)
        for (struct chain *block; (block = mp_shared_alloc(size)); newest = block)
            block->next = newest;
    return newest;
}

static void free_all(struct chain *newest) {
    while (newest) {
        struct chain *next = newest->next;
        mp_shared_free(newest);
        newest = next;
    }
}

static void make_everything(void) {
    void *made = NULL, *other = NULL;
    mp_lock **lock = (void *)&made;
#define REFUSED(call) (mp__fail(0, "%s", ""), expect_failure((call), #call))
    REFUSED(mp_lock_new(lock, NULL));
    REFUSED(mp_rlock_new(lock, NULL));
    REFUSED(mp_semaphore_new((mp_semaphore **)&made, NULL, 1));
    REFUSED(mp_condition_new((mp_condition **)&made, NULL, NULL));
    REFUSED(mp_event_new((mp_event **)&made, NULL));
    REFUSED(mp_barrier_new((mp_barrier **)&made, NULL, 2, NULL));
    REFUSED(mp_queue_new((mp_queue **)&made, NULL, 0));
    REFUSED(mp_pipe_new((mp_connection **)&made, (mp_connection **)&other, NULL, true));
    REFUSED(mp_value_new((mp_value **)&made, NULL, 'i', NULL, MP_NEW_LOCK));
    REFUSED(mp_array_new((mp_array **)&made, NULL, 'i', 10, NULL, MP_NEW_LOCK));
    REFUSED(mp_message_new((mp_message **)&made, 10));
    REFUSED(mp_process_new((mp_process **)&made, NULL, NULL));
    REFUSED(mp_pool_new((mp_pool **)&made, NULL, &(mp_pool_options){.processes = 1}));
    MPT_CHECK(!made && !other);
}

/* Small messages go on until the queue's own room is used up; then the first says so. */
static void fill_queue(mp_queue *queue) {
    static char large[100000];
    int code;
    REFUSED(mp_queue_put(queue, large, sizeof large, MP_FOREVER));
    while ((code = mp_queue_put(queue, large, 100, MP_FOREVER)) == 0)
        continue;
    expect_failure(code, "mp_queue_put");
}

static void empty_queue(mp_queue *queue) {
    static char buffer[100];
    size_t size;
    while (mp_queue_get(queue, buffer, sizeof buffer, &size, 0) == 0)
        MPT_CHECK(size == 100);
    MPT_OK(mp_queue_put(queue, buffer, 1, 0));
    MPT_OK(mp_queue_get(queue, buffer, 1, &size, 0));
}

/* Of what cannot be sent nothing goes, and the pipe is as before. */
static void fill_pipe(mp_connection *ends[2]) {
    mp_object *large = mp_object_build("y#", (const char[50000]){0}, (size_t)50000), *got;
    mp_object *small = mp_object_build("i", 7);
    MPT_CHECK(large && small);
    REFUSED(mp_connection_send(ends[0], large, MP_FOREVER));
    MPT_OK(mp_connection_send(ends[0], small, 0));
    REFUSED(mp_connection_send(ends[0], large, MP_NOWAIT));
    MPT_OK(mp_connection_recv(ends[1], &got, 0));
    MPT_CHECK(mp_object_equal(got, small));
    mp_object_free(got);
    MPT_CODE(mp_connection_recv(ends[1], &got, MP_NOWAIT), MP_ETIMEDOUT);
    mp_object_free(small);
    mp_object_free(large);
}

static void test_calls_fail_cleanly_when_the_arena_is_full(void **state) {
    (void)state;
    setenv("LIBMP_ARENA_BYTES", "16777216", 1);
    mp_queue *queue;
    mp_process *process;
    mp_connection *ends[2];
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    MPT_OK(mp_pipe_new(&ends[0], &ends[1], NULL, true));
    MPT_OK(mp_process_new(&process, mpt_context(), &(mp_process_options){.target = say_seven}));
    for (int round = 0; round < 3; round++) {
        struct chain *blocks = fill_arena();
        make_everything();
        fill_queue(queue);
        fill_pipe(ends);
        free_all(blocks);
        empty_queue(queue);
        MPT_OK(run_seven());
    }
    MPT_OK(mp_process_start(process));
    MPT_OK(mp_process_join(process, 20));
    MPT_OK(mp_process_close(process));
    mp_queue_free(queue);
    mp_connection_free(ends[0]);
    mp_connection_free(ends[1]);
}

/* For each number of descriptors that are still free. */
static void test_starts_fail_cleanly_when_descriptors_run_out(void **state) {
    (void)state;
    struct rlimit before, few;
    MPT_OK(run_seven());
    mpt_stop_servers();
    int lowest = fcntl(0, F_DUPFD, 0);
    close(lowest);
    getrlimit(RLIMIT_NOFILE, &before);
    unsigned failures = 0;
    for (rlim_t more = 0; more < 30; more++) {
        few = (struct rlimit){(rlim_t)lowest + more, before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &few);
        mp__fail(0, "%s", "");
        int code = run_seven();
        if (code < 0) {
            expect_failure(code, "mp_process_start");
            failures++;
        }
        setrlimit(RLIMIT_NOFILE, &before);
        MPT_OK(run_seven());
        mpt_stop_servers();
    }
    MPT_CHECK(failures > 0);
}

static void start_without_processes(void *unused) {
    (void)unused;
    MPT_OK(run_seven());
    mpt_stop_servers();
    struct rlimit none = {0, 0};
    MPT_CHECK(setrlimit(RLIMIT_NPROC, &none) == 0 && setgid(54321) == 0 && setuid(54321) == 0);
    mp__fail(0, "%s", "");
    expect_failure(run_seven(), "mp_process_start");
    mp_pool *pool = NULL;
    REFUSED(mp_pool_new(&pool, mpt_context(), &(mp_pool_options){.processes = 1}));
    MPT_CHECK(!pool);
}

static void test_starts_fail_cleanly_when_processes_run_out(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    MPT_CHECK(mpt_join(mpt_fork(start_without_processes, NULL)) == 0);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_calls_fail_cleanly_when_the_arena_is_full),
                 MPT_EACH_METHOD(test_starts_fail_cleanly_when_descriptors_run_out),
                 MPT_EACH_METHOD(test_starts_fail_cleanly_when_processes_run_out))

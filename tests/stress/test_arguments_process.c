/* Wrong options and values for contexts, processes and pools: a code and a sentence, never a crash.
 * SPDX-License-Identifier: MIT */
#include "refused.h"

#include <limits.h>
#include <math.h>

#include "mp/family.h"
#include "mp/pool.h"
#include "mp/process.h"
#include "mp/queue.h"
#include "mp/sync.h"

static size_t size;
static int number;
static char bytes[16];
static void *made; /* stays NULL */

static int do_nothing(void *arg, size_t arg_size) {
    (void)arg, (void)arg_size;
    return 0;
}

static int prepare(void *arg) {
    (void)arg;
    return 0;
}

static int square(const void *in, void *out, void *state) {
    (void)in, (void)out, (void)state;
    return 0;
}

static int reply_badly(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    BAD(mp_reply_set(NULL, bytes, 1));
    BAD(mp_reply_set(reply, NULL, 1));
    TOO_LARGE(mp_reply_set(reply, bytes, HUGE_SIZE));
    NOTHING(mp_reply_alloc(NULL, 1));
    NOTHING(mp_reply_alloc(reply, HUGE_SIZE));
    BAD(mp_reply_fail(NULL, MP_EKEY, "x"));
    return 0;
}

static void test_context_refuses_bad_values(void **state) {
    (void)state;
    BAD(mp_freeze_support(1, NULL));
    BAD(mp_freeze_support(-1, (char *[]){NULL}));
    BAD(mp_set_start_method(MP_THREAD, true));
    BAD(mp_set_start_method(MP_DEFAULT, false));
    BAD(mp_set_start_method((mp_start_method)99, true));
    BAD(mp_get_all_start_methods(NULL, 1));
    BAD(mp_get_all_start_methods((mp_start_method *)bytes, -1));
    BAD(mp_set_executable(""));
    BAD(mp_set_forkserver_preload(prepare, NULL, 1));
    BAD(mp_set_forkserver_preload((int (*)(void *))(uintptr_t)64, NULL, 0));
    TOO_LARGE(mp_set_forkserver_preload(prepare, bytes, HUGE_SIZE));
    BAD(mp_family_dump(NULL));
    assert_null(mp_get_context((mp_start_method)99));
    assert_null(mp_start_method_name((mp_start_method)99));
    assert_int_equal(mp_start_method_from_name(NULL), MP_DEFAULT);
}

static void test_process_refuses_bad_options(void **state) {
    (void)state;
    mp_process **process = (mp_process **)&made;
    mp_context *thread = mp_get_context(MP_THREAD), *spawn = mp_get_context(MP_SPAWN);
    mp_process_options large = {.target = do_nothing, .arg = bytes, .arg_size = HUGE_SIZE};
    mp_process_options stray = {.target = (mp_target_fn)(uintptr_t)64};
    mp_lock *lock;
    MPT_OK(mp_lock_new(&lock, NULL));
    BAD(mp_process_new(NULL, NULL, NULL));
    BAD(mp_process_new(process, thread, NULL));
    BAD(mp_process_new(process, (mp_context *)1, NULL));
    BAD(mp_process_new(process, (mp_context *)(void *)lock, NULL));
    BAD(mp_process_new(process, NULL, &(mp_process_options){.arg_size = 1}));
    BAD(mp_process_new(process, NULL, &(mp_process_options){.daemon = -1}));
    BAD(mp_process_new(process, spawn, &stray));
    TOO_LARGE(mp_process_new(process, NULL, &large));
    BAD(mp_active_children(NULL, 1));
    BAD(mp_active_children(process, -1));
    mp_lock_free(lock);
    assert_null(made);
}

static void test_process_refuses_bad_values(void **state) {
    (void)state;
    mp_process *process;
    MPT_OK(mp_process_new(&process, NULL, NULL));
    REFUSED(MP_ESTATE, mp_process_join(process, 0));
    REFUSED(MP_ESTATE, mp_process_terminate(process));
    REFUSED(MP_ESTATE, mp_process_interrupt(process));
    REFUSED(MP_ESTATE, mp_process_sentinel(process));
    REFUSED(MP_ESTATE, mp_process_exitcode(process, &number));
    BAD(mp_process_exitcode(process, NULL));
    BAD(mp_process_set_name(process, NULL));
    BAD(mp_process_authkey(process, NULL, 1, &size));
    REFUSED(MP_ETOOSHORT, mp_process_authkey(process, bytes, 1, &size));
    assert_int_equal(size, 32);
    BAD(mp_process_set_authkey(process, NULL, 1));
    TOO_LARGE(mp_process_set_authkey(process, bytes, HUGE_SIZE));
    MPT_OK(mp_process_authkey(process, NULL, 0, NULL));
    MPT_OK(mp_process_close(process));
}

/* What spawn would pass on; a forked child has all there is. */
static void test_process_refuses_what_is_no_connection(void **state) {
    (void)state;
    mp_queue *queue;
    mp_process *process;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    void *strange[] = {queue, (void *)1, bytes};
    for (int i = 0; i < 3; i++) {
        mp_connection *list[] = {strange[i], NULL};
        mp_process_options options = {.target = do_nothing, .connections = list};
        MPT_OK(mp_process_new(&process, mp_get_context(MP_SPAWN), &options));
        BAD(mp_process_start(process));
        MPT_OK(mp_process_close(process));
    }
    mp_queue_free(queue);
}

static void test_pool_refuses_bad_options(void **state) {
    (void)state;
    mp_pool **pool = (mp_pool **)&made;
    mp_pool_options large = {.processes = 1, .init_arg = bytes, .init_arg_size = HUGE_SIZE};
    BAD(mp_pool_new(NULL, NULL, NULL));
    mp_context *threads = mp_get_context(MP_THREAD);
    BAD(mp_pool_new(pool, threads, &(mp_pool_options){.task_timeout = 1}));
    BAD(mp_pool_new(pool, threads, &(mp_pool_options){.nice = 1}));
    BAD(mp_pool_new(pool, (mp_context *)1, NULL));
    BAD(mp_pool_new(pool, NULL, &(mp_pool_options){.processes = -1}));
    BAD(mp_pool_new(pool, NULL, &(mp_pool_options){.processes = 4096}));
    BAD(mp_pool_new(pool, NULL, &(mp_pool_options){.init_arg_size = 1}));
    BAD(mp_pool_new(pool, NULL, &(mp_pool_options){.task_timeout = NAN}));
    BAD(mp_pool_new(pool, NULL, &(mp_pool_options){.task_timeout = -1}));
    BAD(mp_pool_new(pool, NULL, &(mp_pool_options){.nice = INT_MAX}));
    BAD(mp_pool_new(pool, NULL, &(mp_pool_options){.nice = INT_MIN}));
    BAD(mp_pool_new(pool, NULL,
                    &(mp_pool_options){.initializer = (mp_worker_init_fn)(uintptr_t)64}));
    TOO_LARGE(mp_pool_new(pool, NULL, &large));
    assert_null(made);
}

static void expect_map_refusals(mp_pool *pool) {
    mp_async_result **out = (mp_async_result **)&made;
    BAD(mp_pool_map(pool, NULL, bytes, 1, 1, NULL, 0, NULL));
    BAD(mp_pool_map(pool, square, NULL, 1, 1, NULL, 0, NULL));
    BAD(mp_pool_map(pool, square, bytes, 1, 0, NULL, 0, NULL));
    BAD(mp_pool_map(pool, square, bytes, 1, 1, NULL, 1, NULL));
    BAD(mp_pool_map(pool, square, bytes, 1, 1, bytes, 0, NULL));
    BAD(mp_pool_map(pool, square, bytes, HUGE_SIZE, 1, NULL, 0, NULL));
    BAD(mp_pool_map(pool, square, bytes, 1, HUGE_SIZE, NULL, 0, NULL));
    BAD(mp_pool_map(pool, square, bytes, 1, 1, bytes, HUGE_SIZE, NULL));
    BAD(mp_pool_map(pool, (mp_map_fn)(uintptr_t)64, bytes, 1, 1, NULL, 0, NULL));
    BAD(mp_pool_map_async(out, pool, NULL, bytes, 1, 1, NULL, 0, NULL));
    BAD(mp_pool_map_async(out, pool, square, NULL, 1, 1, NULL, 0, NULL));
    BAD(mp_pool_map_async(NULL, pool, square, bytes, 1, 1, bytes, 1, NULL));
    BAD(mp_pool_map_async(NULL, pool, square, bytes, 1, 1, NULL, 0,
                          &(mp_map_options){.codes = &number}));
    TOO_LARGE(mp_pool_map_async(out, pool, square, bytes, 1, SIZE_MAX / 4, NULL, 0, NULL));
}

static void test_pool_refuses_bad_values(void **state) {
    (void)state;
    mp_pool *pool;
    mp_async_result **out = (mp_async_result **)&made, *result;
    MPT_OK(mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 1}));
    expect_map_refusals(pool);
    BAD(mp_pool_apply(pool, NULL, NULL, 0, NULL, 0, NULL));
    BAD(mp_pool_apply(pool, reply_badly, NULL, 1, NULL, 0, NULL));
    BAD(mp_pool_apply(pool, reply_badly, NULL, 0, NULL, 1, NULL));
    TOO_LARGE(mp_pool_apply(pool, reply_badly, bytes, HUGE_SIZE, NULL, 0, NULL));
    BAD(mp_pool_apply_async(out, pool, NULL, NULL, 0, NULL));
    BAD(mp_pool_apply_async(out, pool, reply_badly, NULL, 1, NULL));
    BAD(mp_pool_apply_async(out, pool, reply_badly, NULL, 0, &(mp_apply_options){.timeout = NAN}));
    BAD(mp_pool_join(pool, 0));
    MPT_OK(mp_pool_apply_async(&result, pool, reply_badly, NULL, 0, NULL));
    BAD(mp_async_result_get(result, NULL, 1, &size, 0));
    MPT_OK(mp_async_result_get(result, NULL, 0, NULL, 20));
    mp_async_result_free(result);
    mp_pool_free(pool);
    assert_null(made);
}

MPT_PROCESS_MAIN(MPT_CASE(test_context_refuses_bad_values),
                 MPT_CASE(test_process_refuses_bad_options),
                 MPT_CASE(test_process_refuses_bad_values),
                 MPT_CASE(test_process_refuses_what_is_no_connection),
                 MPT_CASE(test_pool_refuses_bad_options), MPT_CASE(test_pool_refuses_bad_values))

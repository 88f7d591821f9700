/* Workers that die: in a task, idle, at every kill point. Only what they ran is lost.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/point.h"
#include "mp/pool.h"
#include "mp/shared.h"
#include "pool.h"
#include "reg/recover.h"
#include "shm/heap.h"

static int die(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    mp_reply_alloc(reply, 100000);
    raise(SIGKILL);
    return 0;
}

static int leave(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    _exit(*(const int *)arg);
}

static int quit(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    exit(*(const int *)arg);
}

static void check_echo(mp_pool *pool, int number) {
    int got = -1;
    MPT_OK(mp_pool_apply(pool, mpt_echo, &number, sizeof number, &got, sizeof got, NULL));
    assert_int_equal(got, number);
}

static void check_detail(const char *end) {
    const char *detail = mp_error_detail();
    if (strncmp(detail, "the task: worker ", 17) != 0 ||
        strcmp(detail + strlen(detail) - strlen(end), end) != 0)
        mpt_die(__FILE__, __LINE__, end);
}

static void test_task_that_ends_its_worker_fails_with_the_reason(void **state) {
    (void)state;
    int code = 7;
    mp_pool *pool = mpt_pool(2);
    MPT_CODE(mp_pool_apply(pool, die, NULL, 0, NULL, 0, NULL), MP_EWORKER);
    check_detail(" died of SIGKILL in die");
    MPT_CODE(mp_pool_apply(pool, leave, &code, sizeof code, NULL, 0, NULL), MP_EWORKER);
    check_detail(" exited with code 7 in leave");
    MPT_CODE(mp_pool_apply(pool, quit, &code, sizeof code, NULL, 0, NULL), MP_EWORKER);
    assert_non_null(strstr(mp_error_detail(), " exited with code "));
    check_echo(pool, 5);
    mp_pool_free(pool);
}

static void test_task_kills_its_worker_fifty_times_under_load(void **state) {
    (void)state;
    enum { LOAD = 20 };
    mp_async_result *results[LOAD];
    mp_pool *pool = mpt_pool(2);
    for (int round = 0; round < 50; round++) {
        mp_async_result *victim;
        for (int i = 0; i < LOAD; i++) {
            if (i == LOAD / 2)
                MPT_OK(mp_pool_apply_async(&victim, pool, die, NULL, 0, NULL));
            MPT_OK(mp_pool_apply_async(&results[i], pool, mpt_echo, &i, sizeof i, NULL));
        }
        MPT_CODE(mp_async_result_get(victim, NULL, 0, NULL, MP_FOREVER), MP_EWORKER);
        mp_async_result_free(victim);
        for (int i = 0; i < LOAD; i++) {
            int got = -1;
            MPT_OK(mp_async_result_get(results[i], &got, sizeof got, NULL, MP_FOREVER));
            assert_int_equal(got, i);
            mp_async_result_free(results[i]);
        }
    }
    mp_pool_free(pool);
}

static pid_t find_worker(mp_pool *pool) {
    pid_t pid = 0;
    MPT_OK(mp_pool_apply(pool, mpt_answer_pid, NULL, 0, &pid, sizeof pid, NULL));
    return pid;
}

static void test_idle_worker_is_killed_fifty_times(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    for (int round = 0; round < 50; round++) {
        kill(find_worker(pool), SIGKILL);
        check_echo(pool, round);
    }
    mp_pool_free(pool);
}

/* A death between tasks costs nothing, one in a task that task. */
static void test_map_goes_on_while_workers_are_killed(void **state) {
    (void)state;
    enum { N = 20000 };
    static int items[N], results[N], codes[N];
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < N; i++)
        items[i] = i % 1000;
    for (unsigned round = 0; round < 50; round++) {
        pid_t victim = find_worker(pool);
        mp_async_result *result;
        mp_map_options options = {.codes = codes, .chunk = round % 3 ? 0 : 1};
        memset(results, 0xff, sizeof results);
        MPT_OK(mp_pool_map_async(&result, pool, mpt_square, items, N, sizeof(int), results,
                                 sizeof(int), &options));
        kill(victim, SIGKILL);
        int code = mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER), failed = 0;
        MPT_CHECK(code == 0 || code == MP_EWORKER);
        for (int i = 0; i < N; i++) {
            failed += codes[i] == MP_EWORKER;
            MPT_CHECK(codes[i] == MP_EWORKER || results[i] == items[i] * items[i]);
        }
        MPT_CHECK(failed == (code == 0 ? 0 : 1));
        mp_async_result_free(result);
    }
    mp_pool_free(pool);
}

static int die_on_some(const void *item, void *result, void *state) {
    (void)state;
    int number = *(const int *)item;
    if (number % 10 == 3) {
        signal(SIGSEGV, SIG_DFL); /* cmocka and the sanitizers have handlers */
        raise(SIGSEGV);
    }
    *(int *)result = -number;
    return 0;
}

static void check_deaths(mp_pool *pool, size_t chunk) {
    int items[40], results[40], codes[40];
    for (int i = 0; i < 40; i++)
        items[i] = i;
    MPT_CODE(mp_pool_map(pool, die_on_some, items, 40, sizeof(int), results, sizeof(int),
                         &(mp_map_options){.codes = codes, .chunk = chunk}),
             MP_EWORKER);
    assert_memory_equal(mp_error_detail(), "item 3: worker ", 15);
    assert_non_null(strstr(mp_error_detail(), " died of SIGSEGV"));
    for (int i = 0; i < 40; i++)
        if (i % 10 == 3)
            assert_int_equal(codes[i], MP_EWORKER);
        else
            assert_true(codes[i] == 0 && results[i] == -i);
}

static void test_exactly_the_items_that_crash_fail(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(2);
    check_deaths(pool, 1);
    check_deaths(pool, 40);
    check_deaths(pool, 7);
    mp_pool_free(pool);
}

static void *wait_for_input(void *arg) {
    char line[10];
    return fgets(line, sizeof line, arg);
}

static void test_worker_is_replaced_while_a_thread_waits_for_input(void **state) {
    (void)state;
    int ends[2];
    pthread_t reader;
    assert_int_equal(pipe(ends), 0);
    FILE *stream = fdopen(ends[0], "r");
    mp_pool *pool = mpt_pool(1);
    assert_int_equal(pthread_create(&reader, NULL, wait_for_input, stream), 0);
    MPT_UNTIL(ftrylockfile(stream) != 0 || (funlockfile(stream), false));
    MPT_CODE(mp_pool_apply(pool, die, NULL, 0, NULL, 0, NULL), MP_EWORKER);
    check_echo(pool, 6);
    assert_int_equal(write(ends[1], "\n", 1), 1);
    pthread_join(reader, NULL);
    fclose(stream);
    close(ends[1]);
    mp_pool_free(pool);
}

static int die_always(const void *item, void *result, void *state) {
    (void)item, (void)result, (void)state;
    raise(SIGKILL);
    return 0;
}

static void test_map_ends_when_every_item_kills_its_worker(void **state) {
    (void)state;
    char items[20] = {0};
    int codes[20] = {0};
    mp_pool *pool = mpt_pool(2);
    MPT_CODE(
        mp_pool_map(pool, die_always, items, 20, 1, NULL, 0, &(mp_map_options){.codes = codes}),
        MP_EWORKER);
    for (int i = 0; i < 20; i++)
        assert_int_equal(codes[i], MP_EWORKER);
    mp_pool_free(pool);
}

static int die_twice(const void *item, void *result, void *state) {
    (void)state;
    _Atomic int *deaths = *(_Atomic int *const *)item;
    if (++*deaths <= 2)
        raise(SIGKILL);
    *(int *)result = *deaths;
    return 0;
}

static void test_item_whose_worker_died_is_tried_again(void **state) {
    (void)state;
    _Atomic int *deaths = mp_shared_calloc(2, sizeof *deaths), *items[2] = {deaths, deaths + 1};
    int results[2];
    mp_pool *pool;
    MPT_OK(mp_pool_new(&pool, mpt_context(), &(mp_pool_options){.processes = 2, .retries = 2}));
    MPT_OK(mp_pool_map(pool, die_twice, items, 2, sizeof items[0], results, sizeof(int), NULL));
    assert_int_equal(results[0], 3);
    assert_int_equal(results[1], 3);
    MPT_CODE(mp_pool_apply(pool, die, NULL, 0, NULL, 0, NULL), MP_EWORKER);
    mp_pool_free(pool);
    mp_shared_free((void *)deaths);
}

static int hang_on_some(const void *item, void *result, void *state) {
    (void)state;
    int number = *(const int *)item;
    while (number == 4 || number == 11)
        pause();
    *(int *)result = number;
    return 0;
}

static void test_items_over_their_time_fail_alone(void **state) {
    (void)state;
    int items[16], results[16], codes[16];
    mp_pool *pool;
    for (int i = 0; i < 16; i++)
        items[i] = i;
    MPT_OK(mp_pool_new(&pool, mpt_context(),
                       &(mp_pool_options){.processes = 2, .task_timeout = 0.05}));
    MPT_CODE(mp_pool_map(pool, hang_on_some, items, 16, sizeof(int), results, sizeof(int),
                         &(mp_map_options){.codes = codes, .chunk = 8}),
             MP_ETIMEDOUT);
    assert_memory_equal(mp_error_detail(), "item 4: worker ", 15);
    for (int i = 0; i < 16; i++)
        if (i == 4 || i == 11)
            assert_int_equal(codes[i], MP_ETIMEDOUT);
        else
            assert_true(codes[i] == 0 && results[i] == i);
    mp_pool_free(pool);
}

/* Where in its life a worker dies. */
struct trap {
    _Atomic int *left; /* workers that still get it */
    char point[40];    /* where */
    unsigned turn;     /* at which visit */
};

static int set_trap(void *arg, size_t arg_size, void **state) {
    (void)arg_size, (void)state;
    struct trap *trap = arg;
    if (--*trap->left >= 0)
        mpt_die_at(trap->point, trap->turn);
    return 0;
}

static int answer_long(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    char *bytes = mp_reply_alloc(reply, 3000);
    if (!bytes)
        return 1;
    MPT_CHECK(arg_size == 1);
    memset(bytes, *(const char *)arg, 3000);
    return 0;
}

static int fail_with_words(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg, (void)arg_size, (void)state;
    mp_reply_alloc(reply, 3000);
    return mp_reply_fail(reply, MP_EKEY, "%080d", 0); /* longer than what needs no block */
}

static void note_answer(void *user, const void *data, size_t size) {
    (void)data, (void)size;
    ++*(_Atomic int *)user;
}

static void note_error(void *user, int code, const char *detail) {
    (void)detail;
    MPT_CHECK(code == MP_EWORKER);
    ++*(_Atomic int *)user;
}

/* Maps of many and of single items, answers, callbacks: every one ends, nearly all of them well. */
static void work_hard(mp_pool *pool) {
    static int items[64], results[64], codes[64];
    static _Atomic int called;
    int failed = 0, code;
    char bytes[3000];
    called = 0;
    for (int i = 0; i < 64; i++)
        items[i] = i;
    for (int round = 0; round < 8; round++) {
        mp_apply_options options = {
            .callback = note_answer, .error_callback = note_error, .user = &called};
        MPT_OK(mp_pool_apply_async(NULL, pool, mpt_echo, items, 4, &options));
        code = mp_pool_map(pool, mpt_square, items, 64, sizeof(int), results, sizeof(int),
                           &(mp_map_options){.codes = codes, .chunk = round % 2 ? 1 : 16});
        MPT_CHECK(code == 0 || code == MP_EWORKER);
        for (int i = 0; i < 64; i++) {
            MPT_CHECK(codes[i] == MP_EWORKER || (codes[i] == 0 && results[i] == i * i));
            failed += codes[i] != 0;
        }
        code = mp_pool_apply(pool, answer_long, "x", 1, bytes, sizeof bytes, NULL);
        MPT_CHECK(code == MP_EWORKER || (code == 0 && bytes[2999] == 'x'));
        failed += code != 0;
        code = mp_pool_apply(pool, fail_with_words, NULL, 0, NULL, 0, NULL);
        MPT_CHECK(code == MP_EWORKER || code == MP_EKEY);
        failed += code != MP_EKEY;
    }
    MPT_UNTIL(called == 8);
    MPT_CHECK(failed <= 4);
}

static void die_at_point(const char *point, unsigned turn) {
    struct trap trap = {.left = mp_shared_calloc(1, sizeof(_Atomic int)), .turn = turn};
    mp_pool *pool;
    snprintf(trap.point, sizeof trap.point, "%s", point);
    *trap.left = 4;
    mp_pool_options options = {
        .processes = 2, .initializer = set_trap, .init_arg = &trap, .init_arg_size = sizeof trap};
    MPT_OK(mp_pool_new(&pool, mpt_context(), &options));
    work_hard(pool);
    MPT_OK(mp_pool_close(pool));
    MPT_OK(mp_pool_join(pool, MP_FOREVER));
    mp_pool_free(pool);
    mp_shared_free((void *)trap.left);
}

static void test_workers_die_at_every_point_of_claiming(void **state) {
    (void)state;
    static const char *const points[] = {"pool.claim.counted", "pool.claim.recorded",
                                         "pool.claim.marked",  "pool.take.entered",
                                         "pool.take.unlinked", "pool.item.begun"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        for (unsigned turn = 1; turn < 4; turn++)
            die_at_point(points[i], turn);
}

static void test_workers_die_at_every_point_of_finishing(void **state) {
    (void)state;
    static const char *const points[] = {
        "pool.leave.leaving",  "pool.leave.finished", "pool.leave.left",
        "pool.finish.closed",  "pool.finish.done",    "pool.announce.linked",
        "guard.acquire.taken", "guard.release.freed", "gate.wake.counted"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        for (unsigned turn = 1; turn < 4; turn++)
            die_at_point(points[i], turn);
}

static void test_workers_die_at_every_point_of_answering(void **state) {
    (void)state;
    static const char *const points[] = {
        "pool.ticket.begun", "pool.ticket.ended", "pool.reply.stored", "pool.reply.linked",
        "pool.reply.given",  "pool.reply.ready",  "heap.alloc.tagged"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        for (unsigned turn = 1; turn < 3; turn++)
            die_at_point(points[i], turn);
}

static void run_and_be_killed(void *arg) {
    _Atomic int *step = arg;
    mp_pool *pool;
    MPT_CHECK(mp_pool_new(&pool, NULL, &(mp_pool_options){.processes = 2}) == 0);
    MPT_CHECK(mp_pool_apply_async(NULL, pool, mpt_echo, "x", 1, NULL) == 0);
    *step = 1;
    for (;;)
        MPT_CHECK(mp_pool_apply(pool, answer_long, "x", 1, NULL, 0, NULL) == 0);
}

static bool is_all_recovered(uint64_t blocks) {
    struct mp__heap_figures figures;
    mp__recover_all();
    mp__heap_figures(&figures);
    return figures.blocks == blocks;
}

static void test_pool_of_a_killed_parent_leaves_nothing(void **state) {
    (void)state;
    _Atomic int *step = mp_shared_calloc(1, sizeof *step);
    for (int round = 0; round < 10; round++) {
        *step = 0;
        pid_t pid = mpt_fork(run_and_be_killed, (void *)step);
        MPT_UNTIL(*step == 1);
        kill(pid, SIGKILL);
        assert_int_equal(mpt_join(pid), -SIGKILL);
        MPT_UNTIL(is_all_recovered(1));
    }
    mp_shared_free((void *)step);
}

/* The first to be executed dies before it is a worker; the others came up meanwhile. */
static void test_failed_start_leaves_no_worker(void **state) {
    (void)state;
    char script[64], text[400], program[256];
    mp_pool *pool = NULL;
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    assert_true(length > 0);
    program[length] = 0;
    snprintf(script, sizeof script, "/tmp/mpt_failed_start.%d", (int)getpid());
    FILE *file = fopen(script, "w");
    assert_non_null(file);
    snprintf(text, sizeof text, "#!/bin/sh\nmkdir %s.d 2>/dev/null && kill -9 $$\nexec %s \"$@\"\n",
             script, program);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(script, 0700), 0);
    MPT_OK(mp_set_executable(script));
    MPT_CODE(mp_pool_new(&pool, mp_get_context(MP_SPAWN), &(mp_pool_options){.processes = 4}),
             MP_EWORKER);
    unlink(script);
    strcat(script, ".d");
    rmdir(script);
    mp__recover_all();
}

struct race {
    _Atomic int go;     /* the slow task may end */
    _Atomic int starts; /* of the other one */
};

static struct race *race;

static void let_the_next_one_begin(const char *point) {
    if (strcmp(point, "pool.overdue.judged") != 0)
        return;
    race->go = 1;
    MPT_UNTIL(race->starts > 0);
}

static int end_just_in_time(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    struct race *words = *(struct race *const *)arg;
    MPT_UNTIL(words->go);
    return 0;
}

static int wait_at_first(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply, (void)state;
    struct race *words = *(struct race *const *)arg;
    while (words->starts++ == 0)
        pause();
    return 0;
}

/* Found overdue it ends, and the kill comes in the next task, which has no limit. */
static void test_kill_for_the_time_limit_is_not_blamed_on_the_next_task(void **state) {
    (void)state;
    mp_pool *pool = mpt_pool(1);
    mp_async_result *slow, *next;
    race = mp_shared_calloc(1, sizeof *race);
    mp__point_hook = let_the_next_one_begin;
    MPT_OK(mp_pool_apply_async(&slow, pool, end_just_in_time, &race, sizeof race,
                               &(mp_apply_options){.timeout = 0.05}));
    MPT_OK(mp_pool_apply_async(&next, pool, wait_at_first, &race, sizeof race, NULL));
    MPT_OK(mp_async_result_get(slow, NULL, 0, NULL, MP_FOREVER));
    MPT_OK(mp_async_result_get(next, NULL, 0, NULL, MP_FOREVER));
    assert_int_equal(race->starts, 2);
    mp_async_result_free(slow);
    mp_async_result_free(next);
    mp_pool_free(pool);
    mp_shared_free(race);
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_kill_for_the_time_limit_is_not_blamed_on_the_next_task),
                 MPT_EACH_METHOD(test_task_that_ends_its_worker_fails_with_the_reason),
                 MPT_EACH_METHOD(test_task_kills_its_worker_fifty_times_under_load),
                 MPT_EACH_METHOD(test_idle_worker_is_killed_fifty_times),
                 MPT_EACH_METHOD(test_map_goes_on_while_workers_are_killed),
                 MPT_EACH_METHOD(test_exactly_the_items_that_crash_fail),
                 MPT_EACH_METHOD(test_worker_is_replaced_while_a_thread_waits_for_input),
                 MPT_EACH_METHOD(test_map_ends_when_every_item_kills_its_worker),
                 MPT_EACH_METHOD(test_item_whose_worker_died_is_tried_again),
                 MPT_EACH_METHOD(test_items_over_their_time_fail_alone),
                 MPT_EACH_METHOD(test_workers_die_at_every_point_of_claiming),
                 MPT_EACH_METHOD(test_workers_die_at_every_point_of_finishing),
                 MPT_EACH_METHOD(test_workers_die_at_every_point_of_answering),
                 MPT_CASE(test_failed_start_leaves_no_worker),
                 MPT_CASE(test_pool_of_a_killed_parent_leaves_nothing))

/* The fork server: preload, spares, and what becomes of everybody when somebody is killed.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/shared.h"
#include "os/cpu.h"
#include "os/sentinel.h"
#include "proc/process.h"
#include "proc/section.h"
#include "process.h"
#include "reg/recover.h"

static mp_process *start(mp_target_fn target, const void *arg, size_t size) {
    mp_process_options options = {.target = target, .arg = arg, .arg_size = size};
    return mpt_start_with(mp_get_context(MP_FORKSERVER), &options);
}

/* The words that a child and the test share. */
struct shared {
    _Atomic int pid;
    _Atomic int go;
    _Atomic int spares[MP__SPARE_MAX];
    _Atomic int server;
};

static int run_until_go(void *arg, size_t size) {
    (void)size;
    struct shared *words = *(struct shared **)arg;
    words->pid = getpid();
    MPT_UNTIL(words->go);
    return 12;
}

static struct shared *make_shared(void) {
    struct shared *words = mp_shared_calloc(1, sizeof *words);
    assert_non_null(words);
    return words;
}

static struct forkserver_shared *find_server(void) {
    for (int i = 0; i < MP__FORKSERVER_MAX; i++)
        if (atomic_load(&mp__section()->servers[i].client) == mp__member_self())
            return &mp__section()->servers[i];
    return NULL;
}

static pid_t find_server_pid(void) {
    struct forkserver_shared *record = find_server();
    return record ? mp__member_pid(atomic_load(&record->server)) : 0;
}

static bool is_idle(unsigned number) {
    uint32_t word = atomic_load(&find_server()->spares[number].word);
    return mp__spare_state(word) == MP__SPARE_IDLE;
}

static void await_spares(void) {
    for (unsigned number = 0; number < MP__SPARE_FEW; number++)
        MPT_UNTIL(is_idle(number));
}

static int loaded; /* by the preload function, in the server and so in every child */

static int load(void *arg) {
    loaded += *(int *)arg;
    return 0;
}

static int tell_loaded(void *arg, size_t size) {
    (void)arg;
    (void)size;
    return loaded++;
}

static void test_preload_runs_once_before_all_children(void **state) {
    (void)state;
    int value = 30;
    MPT_OK(mp_set_forkserver_preload(load, &value, sizeof value));
    value = 0;
    for (int i = 0; i < 8; i++)
        assert_int_equal(mpt_end(start(tell_loaded, NULL, 0)), 30);
    assert_int_equal(loaded, 0);
}

static int refuse_to_load(void *arg) {
    (void)arg;
    return 5;
}

static void test_start_fails_when_the_preload_does(void **state) {
    (void)state;
    mp_process *process;
    MPT_OK(mp_set_forkserver_preload(refuse_to_load, NULL, 0));
    MPT_OK(mp_process_new(&process, mp_get_context(MP_FORKSERVER), NULL));
    MPT_CODE(mp_process_start(process), MP_ETASK);
    assert_non_null(strstr(mp_error_detail(), "preload function returned 5"));
    MPT_OK(mp_set_forkserver_preload(NULL, NULL, 0));
    MPT_OK(mp_process_start(process));
    assert_int_equal(mpt_end(process), 0);
}

static void test_child_was_forked_ahead_of_need(void **state) {
    (void)state;
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    await_spares();
    bool is_spare = false;
    pid_t pids[MP__SPARE_MAX];
    for (unsigned number = 0; number < MP__SPARE_MAX; number++)
        pids[number] = (pid_t)atomic_load(&find_server()->spares[number].pid);
    mp_process *process = start(mpt_do_nothing, NULL, 0);
    for (unsigned number = 0; number < MP__SPARE_MAX; number++)
        is_spare = is_spare || pids[number] == mp_process_pid(process);
    assert_true(is_spare);
    assert_int_equal(mpt_end(process), 0);
    await_spares();
}

static void test_stock_follows_demand(void **state) {
    (void)state;
    int starts = 0;
    do
        assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    while (atomic_load(&find_server()->stock) == MP__SPARE_FEW && ++starts < 100000);
    assert_true(starts < 100000);
    MPT_UNTIL(atomic_load(&find_server()->stock) == MP__SPARE_FEW);
    for (unsigned number = MP__SPARE_FEW; number < MP__SPARE_MAX; number++)
        MPT_UNTIL(!is_idle(number));
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
}

static void test_killed_spares_are_replaced(void **state) {
    (void)state;
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    await_spares();
    for (unsigned number = 0; number < MP__SPARE_FEW; number++) {
        pid_t pid = (pid_t)atomic_load(&find_server()->spares[number].pid);
        kill(pid, SIGKILL);
        MPT_UNTIL(!mpt_exists(pid)); /* else it may be one that dies as soon as it was taken */
    }
    for (int i = 0; i < 8; i++)
        assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
}

static void test_server_is_no_active_child(void **state) {
    (void)state;
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    assert_true(mpt_exists(find_server_pid()));
    assert_int_equal(mp_active_children(NULL, 0), 0);
    assert_string_equal(mp_process_name(mp_current_process()), "MainProcess");
}

static void kill_server(int signal) {
    pid_t pid = find_server_pid();
    assert_true(pid > 0);
    kill(pid, signal);
    if (signal == SIGKILL)
        MPT_UNTIL(!mpt_exists(pid));
}

static void test_killed_server_is_replaced(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
        kill_server(SIGKILL);
    }
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
}

static void test_interrupt_does_not_end_the_server(void **state) {
    (void)state;
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    pid_t pid = find_server_pid();
    kill_server(SIGINT);
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    assert_int_equal(find_server_pid(), pid);
}

static void test_children_outlive_their_server(void **state) {
    (void)state;
    struct shared *words = make_shared();
    mp_process *process = start(run_until_go, &words, sizeof words);
    MPT_UNTIL(words->pid);
    kill_server(SIGKILL);
    MPT_CODE(mp_process_join(process, 0.01), MP_ETIMEDOUT);
    assert_true(mp_process_is_alive(process));
    words->go = 1;
    assert_int_equal(mpt_end(process), 12);
    mp_shared_free(words);
}

static void test_code_of_a_killed_child_is_255_when_its_server_is_gone(void **state) {
    (void)state;
    struct shared *words = make_shared();
    mp_process *process = start(run_until_go, &words, sizeof words);
    MPT_UNTIL(words->pid);
    kill_server(SIGKILL);
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    MPT_OK(mp_process_kill(process));
    assert_int_equal(mpt_end(process), 255);
    mp_shared_free(words);
}

static void test_stop_leaves_the_children_that_run(void **state) {
    (void)state;
    struct shared *words = make_shared();
    mp_process *process = start(run_until_go, &words, sizeof words);
    MPT_UNTIL(words->pid);
    pid_t server = find_server_pid();
    mp__forkserver_stop();
    assert_false(mpt_exists(server));
    assert_true(mp_process_is_alive(process));
    words->go = 1;
    assert_int_equal(mpt_end(process), 12);
    mp_shared_free(words);
}

static void use_server_and_die(void *arg) {
    struct shared *words = arg;
    MPT_CHECK(mpt_end(start(mpt_do_nothing, NULL, 0)) == 0);
    await_spares();
    for (unsigned number = 0; number < MP__SPARE_FEW; number++)
        words->spares[number] = (int)atomic_load(&find_server()->spares[number].pid);
    words->server = find_server_pid();
    kill(getpid(), SIGKILL);
}

static void test_server_and_spares_die_with_a_killed_client(void **state) {
    (void)state;
    struct shared *words = make_shared();
    assert_int_equal(mpt_join(mpt_fork(use_server_and_die, words)), -SIGKILL);
    assert_true(words->server > 0);
    MPT_UNTIL(!mpt_exists(words->server));
    for (unsigned number = 0; number < MP__SPARE_FEW; number++)
        MPT_UNTIL(!mpt_exists(words->spares[number]));
    mp_shared_free(words);
    mp__recover_all();
}

static void use_server_and_exit(void *arg) {
    struct shared *words = arg;
    MPT_CHECK(mpt_end(start(mpt_do_nothing, NULL, 0)) == 0);
    await_spares();
    words->server = find_server_pid();
    for (unsigned number = 0; number < MP__SPARE_FEW; number++)
        words->spares[number] = (int)atomic_load(&find_server()->spares[number].pid);
    exit(0);
}

static void test_server_and_spares_are_gone_after_exit(void **state) {
    (void)state;
    struct shared *words = make_shared();
    assert_int_equal(mpt_join(mpt_fork(use_server_and_exit, words)), 0);
    assert_false(mpt_exists(words->server));
    for (unsigned number = 0; number < MP__SPARE_FEW; number++)
        assert_false(mpt_exists(words->spares[number]));
    mp_shared_free(words);
    mp__recover_all();
}

static int use_a_server_of_its_own(void *arg, size_t size) {
    (void)arg;
    (void)size;
    MPT_CHECK(find_server() == NULL);
    MPT_CHECK(mpt_end(start(mpt_do_nothing, NULL, 0)) == 0);
    MPT_CHECK(find_server() != NULL);
    return 3;
}

static void test_every_process_has_its_own_server(void **state) {
    (void)state;
    assert_int_equal(mpt_end(start(use_a_server_of_its_own, NULL, 0)), 3);
    mp_process_options options = {.target = use_a_server_of_its_own};
    mp_process *process = mpt_start_with(mp_get_context(MP_FORK), &options);
    assert_int_equal(mpt_end(process), 3);
}

static void test_daemons_may_be_many(void **state) {
    (void)state;
    struct shared *words = make_shared();
    mp_process *list[20];
    mp_process_options options = {
        .target = run_until_go, .arg = &words, .arg_size = sizeof words, .daemon = MP_DAEMON};
    for (int i = 0; i < 20; i++)
        list[i] = mpt_start_with(mp_get_context(MP_FORKSERVER), &options);
    words->go = 1;
    for (int i = 0; i < 20; i++)
        assert_int_equal(mpt_end(list[i]), 12);
    mp_shared_free(words);
}

static void test_stopped_server_does_not_hold_up_joins(void **state) {
    (void)state;
    mp_process *list[2];
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    await_spares();
    kill_server(SIGSTOP);
    for (int i = 0; i < 2; i++)
        list[i] = start(mpt_do_nothing, NULL, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(mpt_end(list[i]), 0);
    kill_server(SIGCONT);
}

static void stop_spares(void) {
    for (unsigned number = 0; number < MP__SPARE_FEW; number++) {
        pid_t pid = (pid_t)atomic_load(&find_server()->spares[number].pid);
        kill(pid, SIGSTOP);
    }
}

static void *start_or_fail(void *process) {
    MPT_CODE(mp_process_start(process), MP_EWORKER);
    return NULL;
}

/* -1: nobody has been taken yet. */
static int find_taken(void) {
    for (int number = 0; number < MP__SPARE_FEW; number++) {
        uint32_t word = atomic_load(&find_server()->spares[number].word);
        if (mp__spare_state(word) == MP__SPARE_TAKEN)
            return number;
    }
    return -1;
}

/* One that goes with the parcel is the stopped server's as well, and says nothing. */
static bool sentinel_is_pipe(void) {
    struct mp__sentinel sentinel;
    MPT_OK(mp__sentinel_prepare(&sentinel));
    bool is_pipe = sentinel.child_end >= 0;
    mp__sentinel_close(&sentinel);
    return is_pipe;
}

/* Nobody can tell the code of the one that was killed then. */
static void test_start_fails_while_the_server_is_stopped_and_its_child_is_killed(void **state) {
    (void)state;
    mp_process *process;
    pthread_t thread;
    if (sentinel_is_pipe())
        skip(); /* it is after a minute that it fails */
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    await_spares();
    kill_server(SIGSTOP);
    stop_spares();
    mp_process_options options = {.target = mpt_do_nothing};
    MPT_OK(mp_process_new(&process, mp_get_context(MP_FORKSERVER), &options));
    assert_int_equal(pthread_create(&thread, NULL, start_or_fail, process), 0);
    MPT_UNTIL(find_taken() >= 0);
    kill((pid_t)atomic_load(&find_server()->spares[find_taken()].pid), SIGKILL);
    pthread_join(thread, NULL);
    kill_server(SIGCONT);
    MPT_OK(mp_process_close(process));
}

static void *continue_when_asked(void *arg) {
    MPT_UNTIL(atomic_load(&find_server()->refusal) == 0);
    kill_server(SIGCONT);
    return arg;
}

/* It is not the present start that failed. */
static void test_start_works_after_the_server_could_not_fork_ahead(void **state) {
    (void)state;
    mp_process *list[MP__SPARE_FEW];
    pthread_t thread;
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    await_spares();
    kill_server(SIGSTOP);
    for (int i = 0; i < MP__SPARE_FEW; i++)
        list[i] = start(mpt_do_nothing, NULL, 0);
    atomic_store(&find_server()->refusal, -EAGAIN);
    assert_int_equal(pthread_create(&thread, NULL, continue_when_asked, NULL), 0);
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    pthread_join(thread, NULL);
    for (int i = 0; i < MP__SPARE_FEW; i++)
        assert_int_equal(mpt_end(list[i]), 0);
}

static void test_stopped_server_is_killed_in_the_end(void **state) {
    (void)state;
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    pid_t pid = find_server_pid();
    await_spares();
    kill_server(SIGSTOP);
    mp__forkserver_stop();
    assert_false(mpt_exists(pid));
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
}

static int count_processors(void *arg, size_t size) {
    (void)arg, (void)size;
    return mp__cpu_usable_count();
}

/* Spares that are brought to our processor are not kept there. */
static void test_short_children_in_a_row_may_run_on_all_processors(void **state) {
    (void)state;
    for (int i = 0; i < 2 * MP__SPARE_FEW; i++)
        assert_int_equal(mpt_end(start(count_processors, NULL, 0)), mp__cpu_usable_count());
}

static bool is_spare_asleep(unsigned number) {
    return mpt_is_asleep((pid_t)atomic_load(&find_server()->spares[number].pid));
}

static bool is_spare_at(unsigned number, int cpu) {
    return atomic_load(&find_server()->spares[number].cpu) == cpu;
}

static void expect_spares_to_move(int cpu) {
    for (unsigned number = 0; number < MP__SPARE_FEW; number++)
        MPT_UNTIL(is_idle(number) && is_spare_asleep(number));
    atomic_store(&find_server()->cpu, cpu);
    mp__forkserver_call();
    for (unsigned number = 0; number < MP__SPARE_FEW; number++)
        MPT_UNTIL(is_spare_at(number, cpu));
}

static void test_spares_go_where_their_client_is(void **state) {
    (void)state;
    cpu_set_t all;
    if (!mp__cpu_can_pin())
        skip();
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    assert_int_equal(mpt_end(start(mpt_do_nothing, NULL, 0)), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all))
            expect_spares_to_move(cpu);
    assert_int_equal(mpt_end(start(count_processors, NULL, 0)), mp__cpu_usable_count());
}

MPT_PROCESS_MAIN(MPT_CASE(test_preload_runs_once_before_all_children),
                 MPT_CASE(test_start_fails_when_the_preload_does),
                 MPT_CASE(test_child_was_forked_ahead_of_need), MPT_CASE(test_stock_follows_demand),
                 MPT_CASE(test_killed_spares_are_replaced),
                 MPT_CASE(test_server_is_no_active_child), MPT_CASE(test_killed_server_is_replaced),
                 MPT_CASE(test_interrupt_does_not_end_the_server),
                 MPT_CASE(test_children_outlive_their_server),
                 MPT_CASE(test_code_of_a_killed_child_is_255_when_its_server_is_gone),
                 MPT_CASE(test_stop_leaves_the_children_that_run),
                 MPT_CASE(test_server_and_spares_die_with_a_killed_client),
                 MPT_CASE(test_server_and_spares_are_gone_after_exit),
                 MPT_CASE(test_every_process_has_its_own_server),
                 MPT_CASE(test_daemons_may_be_many),
                 MPT_CASE(test_stopped_server_does_not_hold_up_joins),
                 MPT_CASE(test_start_fails_while_the_server_is_stopped_and_its_child_is_killed),
                 MPT_CASE(test_start_works_after_the_server_could_not_fork_ahead),
                 MPT_CASE(test_stopped_server_is_killed_in_the_end),
                 MPT_CASE(test_short_children_in_a_row_may_run_on_all_processors),
                 MPT_CASE(test_spares_go_where_their_client_is))

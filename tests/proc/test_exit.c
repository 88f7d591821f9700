/* What becomes of children when their parent ends in order.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/shared.h"
#include "os/clock.h"
#include "process.h"
#include "reg/recover.h"
#include "reg/thread.h"

struct shared {
    _Atomic int pid;     /* of the child in question */
    _Atomic int exiting; /* the parent is in exit() */
    _Atomic int go;      /* the child may end */
    _Atomic int done;    /* it has come to its end */
};

static struct shared *shared;

/* The killed are recovered by whoever needs what they had: here nobody else does. */
static void clean_up(void) {
    mp_shared_free(shared);
    mp__recover_all();
}

static struct shared *argument(void *arg) {
    return *(struct shared **)arg;
}

static int run_until_killed(void *arg, size_t size) {
    (void)size;
    argument(arg)->pid = getpid();
    for (;;)
        pause();
    return 0;
}

static int run_until_go(void *arg, size_t size) {
    (void)size;
    struct shared *words = argument(arg);
    words->pid = getpid();
    MPT_UNTIL(words->go);
    words->done = 1;
    return 0;
}

static void start(mp_target_fn target, int daemon) {
    mp_process_options options = {
        .target = target, .arg = &shared, .arg_size = sizeof shared, .daemon = daemon};
    mpt_start_with(mpt_context(), &options);
    MPT_UNTIL(shared->pid != 0);
}

static void note_exiting(void) {
    shared->exiting = 1;
}

static void exit_with_daemon(void *arg) {
    start(run_until_killed, MP_DAEMON);
    if (arg)
        _exit(3);
    exit(3);
}

static void make_shared(void) {
    shared = mp_shared_calloc(1, sizeof *shared);
    assert_non_null(shared);
}

static void test_exit_terminates_daemons(void **state) {
    (void)state;
    make_shared();
    assert_int_equal(mpt_join(mpt_fork(exit_with_daemon, NULL)), 3);
    assert_false(mpt_exists(shared->pid));
    clean_up();
}

/* Nothing of ours runs then: it is the kernel that tells the daemon. */
static void test_quick_exit_leaves_no_daemon(void **state) {
    (void)state;
    make_shared();
    assert_int_equal(mpt_join(mpt_fork(exit_with_daemon, shared)), 3);
    MPT_UNTIL(!mpt_exists(shared->pid));
    clean_up();
}

static void exit_with_child(void *arg) {
    (void)arg;
    start(run_until_go, MP_NOT_DAEMON);
    atexit(note_exiting);
    exit(4);
}

static void test_exit_waits_for_children(void **state) {
    (void)state;
    make_shared();
    pid_t parent = mpt_fork(exit_with_child, NULL);
    MPT_UNTIL(shared->exiting);
    assert_int_equal(waitpid(parent, NULL, WNOHANG), 0);
    assert_true(mpt_exists(shared->pid));
    shared->go = 1;
    assert_int_equal(mpt_join(parent), 4);
    assert_int_equal(shared->done, 1);
    clean_up();
}

static int ignore_terminate(void *arg, size_t size) {
    signal(SIGTERM, SIG_IGN);
    return run_until_killed(arg, size);
}

static void exit_with_stubborn(void *arg) {
    (void)arg;
    start(ignore_terminate, MP_DAEMON);
    exit(5);
}

static void test_exit_kills_a_daemon_that_does_not_terminate(void **state) {
    (void)state;
    make_shared();
    assert_int_equal(mpt_join(mpt_fork(exit_with_stubborn, NULL)), 5);
    assert_false(mpt_exists(shared->pid));
    clean_up();
}

static int run_until_daemon_is_gone(void *arg, size_t size) {
    (void)size;
    MPT_UNTIL(!mpt_exists(argument(arg)->pid));
    return 0;
}

/* The child is the newer one. */
static void exit_with_stubborn_and_child(void *arg) {
    (void)arg;
    start(ignore_terminate, MP_DAEMON);
    start(run_until_daemon_is_gone, MP_NOT_DAEMON);
    exit(5);
}

static void test_exit_kills_daemons_before_it_waits_for_children(void **state) {
    (void)state;
    make_shared();
    mp__time begin = mp__now();
    assert_int_equal(mpt_join(mpt_fork(exit_with_stubborn_and_child, NULL)), 5);
    assert_true(mp__now() - begin < 10 * MP__SECOND);
    clean_up();
}

static int start_daemon_and_return(void *arg, size_t size) {
    (void)size;
    shared = argument(arg);
    start(run_until_killed, MP_DAEMON);
    return 6;
}

static int start_child_and_return(void *arg, size_t size) {
    (void)size;
    shared = argument(arg);
    start(run_until_go, MP_NOT_DAEMON);
    shared->exiting = 1;
    return 7;
}

static mp_process *start_middle(mp_target_fn target) {
    return mpt_start(target, &shared, sizeof shared);
}

static void test_child_terminates_its_daemons(void **state) {
    (void)state;
    make_shared();
    assert_int_equal(mpt_end(start_middle(start_daemon_and_return)), 6);
    assert_false(mpt_exists(shared->pid));
    clean_up();
}

static void test_child_waits_for_its_children(void **state) {
    (void)state;
    make_shared();
    mp_process *middle = start_middle(start_child_and_return);
    MPT_UNTIL(shared->exiting);
    MPT_CODE(mp_process_join(middle, 0.01), MP_ETIMEDOUT);
    shared->go = 1;
    assert_int_equal(mpt_end(middle), 7);
    assert_int_equal(shared->done, 1);
    clean_up();
}

static _Atomic uint64_t *reference; /* of a slot */

static void join_and_exit(void *arg) {
    (void)arg;
    MPT_CHECK(mp__self() != NULL);
    *reference = mp__member_self();
    exit(0);
}

static void test_exit_leaves_the_family(void **state) {
    (void)state;
    reference = mp_shared_calloc(1, sizeof *reference);
    assert_int_equal(mpt_join(mpt_fork(join_and_exit, NULL)), 0);
    assert_true(*reference != 0);
    assert_int_equal(mp__member_pid(*reference), 0);
    mp_shared_free((void *)reference);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_exit_terminates_daemons),
                 MPT_EACH_METHOD(test_quick_exit_leaves_no_daemon),
                 MPT_EACH_METHOD(test_exit_waits_for_children),
                 MPT_CASE(test_exit_kills_a_daemon_that_does_not_terminate),
                 MPT_CASE(test_exit_kills_daemons_before_it_waits_for_children),
                 MPT_EACH_METHOD(test_child_terminates_its_daemons),
                 MPT_EACH_METHOD(test_child_waits_for_its_children),
                 MPT_CASE(test_exit_leaves_the_family))

/* Daemons: who is one, and that they die with their parent whatever kills it.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "mp/shared.h"
#include "process.h"
#include "reg/recover.h"

struct shared {
    _Atomic int daemon; /* pid */
    _Atomic int other;  /* pid of a child that is none */
    _Atomic int go;     /* that one may end */
    _Atomic int done;   /* it has come to its end */
};

static struct shared *shared;

/* The killed are recovered by whoever needs what they had: here nobody else does. */
static void clean_up(void) {
    mp_shared_free(shared);
    mp__recover_all();
}

static int be_daemon(void *arg, size_t size) {
    (void)size;
    (*(struct shared **)arg)->daemon = getpid();
    for (;;)
        pause();
    return 0;
}

static int be_other(void *arg, size_t size) {
    (void)size;
    struct shared *words = *(struct shared **)arg;
    words->other = getpid();
    MPT_UNTIL(words->go);
    words->done = 1;
    return 0;
}

static mp_process *start(mp_target_fn target, int daemon) {
    mp_process_options options = {
        .target = target, .arg = &shared, .arg_size = sizeof shared, .daemon = daemon};
    return mpt_start_with(mpt_context(), &options);
}

static void start_both(void *arg) {
    (void)arg;
    start(be_daemon, MP_DAEMON);
    start(be_other, MP_NOT_DAEMON);
    MPT_UNTIL(shared->daemon && shared->other);
    kill(getpid(), SIGKILL);
}

static void test_daemon_dies_and_others_live_when_the_parent_is_killed(void **state) {
    (void)state;
    shared = mp_shared_calloc(1, sizeof *shared);
    assert_int_equal(mpt_join(mpt_fork(start_both, NULL)), -SIGKILL);
    MPT_UNTIL(!mpt_exists(shared->daemon));
    assert_true(mpt_exists(shared->other));
    shared->go = 1;
    MPT_UNTIL(!mpt_exists(shared->other));
    assert_int_equal(shared->done, 1);
    clean_up();
}

static int start_a_child(void *arg, size_t size) {
    (void)arg;
    (void)size;
    mp_process *process;
    MPT_OK(mp_process_new(&process, NULL, NULL));
    MPT_CHECK(mp_process_daemon(mp_current_process()) == mp_process_daemon(process));
    int code = mp_process_start(process);
    if (code == 0)
        return mpt_end(process);
    MPT_OK(mp_process_close(process));
    return code == MP_EDAEMON ? 77 : 1;
}

static void test_daemons_have_no_children(void **state) {
    (void)state;
    assert_int_equal(mpt_end(start(start_a_child, MP_DAEMON)), 77);
    assert_int_equal(mpt_end(start(start_a_child, MP_NOT_DAEMON)), 0);
}

static void test_daemon_is_set_before_start(void **state) {
    (void)state;
    mp_process *process;
    MPT_OK(mp_process_new(&process, mpt_context(), &(mp_process_options){.daemon = MP_DAEMON}));
    assert_true(mp_process_daemon(process));
    MPT_OK(mp_process_set_daemon(process, false));
    assert_false(mp_process_daemon(process));
    MPT_OK(mp_process_start(process));
    MPT_CODE(mp_process_set_daemon(process, true), MP_ESTATE);
    MPT_CODE(mp_process_set_daemon(mp_current_process(), true), MP_ESTATE);
    assert_int_equal(mpt_end(process), 0);
}

static int make_daemon_and_run_on(void *arg, size_t size) {
    (void)size;
    shared = *(struct shared **)arg;
    start(be_daemon, MP_DAEMON);
    MPT_UNTIL(shared->daemon);
    for (;;)
        pause();
    return 0;
}

static void test_daemon_dies_when_a_child_is_killed(void **state) {
    (void)state;
    shared = mp_shared_calloc(1, sizeof *shared);
    mp_process *middle = start(make_daemon_and_run_on, MP_NOT_DAEMON);
    MPT_UNTIL(shared->daemon);
    MPT_OK(mp_process_kill(middle));
    assert_int_equal(mpt_end(middle), -SIGKILL);
    MPT_UNTIL(!mpt_exists(shared->daemon));
    clean_up();
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_daemon_dies_and_others_live_when_the_parent_is_killed),
                 MPT_EACH_METHOD(test_daemons_have_no_children),
                 MPT_EACH_METHOD(test_daemon_is_set_before_start),
                 MPT_EACH_METHOD(test_daemon_dies_when_a_child_is_killed))

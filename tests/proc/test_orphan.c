/* What becomes of children whose parent ends right after mp_process_start, however it ends.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/shared.h"
#include "process.h"
#include "reg/recover.h"

#define ROUNDS 10

enum end { QUICK_EXIT, KILL, EXECUTE };

struct shared {
    enum end end;       /* of the parent */
    int daemon;         /* of the child */
    size_t arg_size;    /* of what the child is given */
    _Atomic int begun;  /* children that came to their target */
    _Atomic int done;   /* that have come to its end */
    _Atomic int failed; /* that found something wrong */
    _Atomic int pid;    /* of the last one */
};

struct argument {
    struct shared *shared;
    char rest[20000]; /* more than a start keeps room for */
};

static struct shared *shared;

static int check_argument(void *arg, size_t size) {
    struct argument *argument = arg;
    struct shared *words = argument->shared;
    words->pid = getpid();
    words->begun++;
    for (size_t i = 0; i < size - offsetof(struct argument, rest); i++)
        if (argument->rest[i] != (char)i)
            words->failed++;
    if (strcmp(mp_process_name(mp_current_process()), "orphan") != 0)
        words->failed++;
    words->done++;
    return 0;
}

static int run_until_killed(void *arg, size_t size) {
    (void)size;
    struct shared *words = ((struct argument *)arg)->shared;
    words->pid = getpid();
    words->begun++;
    for (;;)
        pause();
    return 0;
}

static void end_as_told(void) {
    if (shared->end == EXECUTE)
        execl("/bin/true", "true", (char *)NULL);
    if (shared->end == KILL)
        kill(getpid(), SIGKILL);
    _exit(0);
}

/* So that the one in question is not the first of its fork server. */
static void start_another(void) {
    MPT_CHECK(mpt_end(mpt_start(mpt_do_nothing, NULL, 0)) == 0);
}

static void start_and_end(void *unused) {
    (void)unused;
    start_another();
    struct argument argument = {.shared = shared};
    for (size_t i = 0; i < sizeof argument.rest; i++)
        argument.rest[i] = (char)i;
    mp_process_options options = {.target = shared->daemon ? run_until_killed : check_argument,
                                  .arg = &argument,
                                  .arg_size = shared->arg_size,
                                  .name = "orphan",
                                  .daemon = shared->daemon ? MP_DAEMON : MP_NOT_DAEMON};
    mpt_start_with(mpt_context(), &options);
    end_as_told();
}

/* What the parent had is taken from it before the child can go far. */
static void run_parent(void) {
    int code = mpt_join(mpt_fork(start_and_end, NULL));
    assert_int_equal(code, shared->end == KILL ? -SIGKILL : 0);
    mp__recover_all();
}

static void expect_children(enum end end, size_t arg_size) {
    shared = mp_shared_calloc(1, sizeof *shared);
    assert_non_null(shared);
    shared->end = end;
    shared->arg_size = arg_size;
    for (int round = 1; round <= ROUNDS; round++) {
        run_parent();
        MPT_UNTIL(shared->done == round);
        MPT_UNTIL(!mpt_exists(shared->pid));
    }
    assert_int_equal(shared->failed, 0);
    mp_shared_free(shared);
    mp__recover_all();
}

static void test_child_runs_when_its_parent_exits_at_once(void **state) {
    (void)state;
    expect_children(QUICK_EXIT, offsetof(struct argument, rest));
}

static void test_child_runs_when_its_parent_is_killed_at_once(void **state) {
    (void)state;
    expect_children(KILL, offsetof(struct argument, rest) + 100);
}

static void test_child_runs_when_its_parent_executes_another_program(void **state) {
    (void)state;
    expect_children(EXECUTE, offsetof(struct argument, rest) + 100);
}

static void test_child_has_all_of_a_large_argument_of_a_killed_parent(void **state) {
    (void)state;
    expect_children(KILL, sizeof(struct argument));
}

/* It may not even begin. */
static void test_daemon_dies_when_its_parent_is_killed_at_once(void **state) {
    (void)state;
    shared = mp_shared_calloc(1, sizeof *shared);
    shared->end = KILL;
    shared->daemon = 1;
    shared->arg_size = offsetof(struct argument, rest);
    for (int round = 1; round <= ROUNDS; round++) {
        run_parent();
        MPT_UNTIL(shared->pid == 0 || !mpt_exists(shared->pid));
    }
    mp_shared_free(shared);
    mp__recover_all();
}

/* Stopped where it has done nothing yet, while all that was its parent's is given back. */
static void start_stopped_and_end(void *unused) {
    (void)unused;
    mpt_stop_at("bootstrap.prepare.entered", 1);
    struct argument argument = {.shared = shared};
    mp_process_options options = {.target = check_argument,
                                  .arg = &argument,
                                  .arg_size = shared->arg_size,
                                  .name = "orphan",
                                  .daemon = MP_NOT_DAEMON};
    mp_process *process = mpt_start_with(mp_get_context(MP_FORK), &options);
    shared->pid = mp_process_pid(process);
    MPT_CHECK(waitpid(shared->pid, NULL, WUNTRACED) == shared->pid);
    kill(getpid(), SIGKILL);
}

static void test_forked_child_runs_after_its_parent_was_recovered(void **state) {
    (void)state;
    shared = mp_shared_calloc(1, sizeof *shared);
    shared->arg_size = offsetof(struct argument, rest);
    assert_int_equal(mpt_join(mpt_fork(start_stopped_and_end, NULL)), -SIGKILL);
    mp__recover_all();
    kill(shared->pid, SIGCONT);
    MPT_UNTIL(!mpt_exists(shared->pid));
    assert_int_equal(shared->done, 1);
    assert_int_equal(shared->failed, 0);
    mp_shared_free(shared);
    mp__recover_all();
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_child_runs_when_its_parent_exits_at_once),
                 MPT_EACH_METHOD(test_child_runs_when_its_parent_is_killed_at_once),
                 MPT_EACH_METHOD(test_child_runs_when_its_parent_executes_another_program),
                 MPT_EACH_METHOD(test_child_has_all_of_a_large_argument_of_a_killed_parent),
                 MPT_EACH_METHOD(test_daemon_dies_when_its_parent_is_killed_at_once),
                 MPT_CASE(test_forked_child_runs_after_its_parent_was_recovered))

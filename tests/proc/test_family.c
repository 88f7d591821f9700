/* Parents and children of several generations; deaths in the middle of a start.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/shared.h"
#include "process.h"
#include "reg/recover.h"
#include "shm/heap.h"

struct shared {
    _Atomic int pid;    /* of the grandchild */
    _Atomic int joined; /* it has seen its parent's end */
    _Atomic int visits; /* nodes of the tree */
};

static struct shared *shared;

static void make_shared(void) {
    shared = mp_shared_calloc(1, sizeof *shared);
    assert_non_null(shared);
}

static mp_process *start(mp_target_fn target) {
    return mpt_start(target, &shared, sizeof shared);
}

static int give_one(void *arg, size_t size) {
    (void)arg;
    (void)size;
    return 1;
}

static int watch_parent(void *arg, size_t size) {
    (void)size;
    struct shared *words = *(struct shared **)arg;
    mp_process *parent = mp_parent_process();
    struct pollfd poller = {.fd = mp_process_sentinel(parent), .events = POLLIN};
    MPT_CHECK(mp_process_is_alive(parent));
    MPT_CHECK(strcmp(mp_process_name(parent), "middle") == 0);
    words->pid = getpid();
    MPT_OK(mp_process_join(parent, 20));
    MPT_CHECK(!mp_process_is_alive(parent));
    MPT_CHECK(poller.fd < 0 || poll(&poller, 1, 0) == 1);
    words->joined = 1;
    return 0;
}

static int start_watcher(void *arg, size_t size) {
    (void)size;
    shared = *(struct shared **)arg;
    start(watch_parent);
    for (;;)
        pause();
    return 0;
}

static void test_child_can_join_its_parent(void **state) {
    (void)state;
    make_shared();
    mp_process_options options = {
        .target = start_watcher, .arg = &shared, .arg_size = sizeof shared, .name = "middle"};
    mp_process *middle = mpt_start_with(mpt_context(), &options);
    MPT_UNTIL(shared->pid);
    MPT_OK(mp_process_kill(middle));
    assert_int_equal(mpt_end(middle), -SIGKILL);
    MPT_UNTIL(shared->joined);
    MPT_UNTIL(!mpt_exists(shared->pid));
    mp_shared_free(shared);
    mp__recover_all();
}

/* Two children each, three levels deep. */
static int grow(void *arg, size_t size) {
    (void)size;
    shared = *(struct shared **)arg;
    const char *name = mp_process_name(mp_current_process());
    mp_process *list[2];
    shared->visits++;
    if (strlen(name) >= strlen("Process-1:1:1"))
        return 0;
    for (int i = 0; i < 2; i++) {
        mp_process_options options = {.target = grow, .arg = &shared, .arg_size = sizeof shared};
        list[i] = mpt_start_with(NULL, &options);
    }
    for (int i = 0; i < 2; i++)
        MPT_CHECK(mpt_end(list[i]) == 0);
    return 0;
}

static void test_families_have_many_generations(void **state) {
    (void)state;
    make_shared();
    MPT_OK(mp_set_start_method(mpt_method(), true));
    mp_process_options options = {.target = grow, .arg = &shared, .arg_size = sizeof shared};
    mp_process *process = mpt_start_with(NULL, &options);
    assert_int_equal(mpt_end(process), 0);
    assert_int_equal(shared->visits, 7);
    mp_shared_free(shared);
}

static void use_libmp_in_a_bare_fork(void *arg) {
    mp_process *parents = arg;
    int code;
    MPT_CHECK(mp_active_children(NULL, 0) == 0);
    MPT_CODE(mp_process_join(parents, 0), MP_EFOREIGN);
    MPT_CODE(mp_process_exitcode(parents, &code), MP_EFOREIGN);
    MPT_CHECK(mp_process_pid(mp_current_process()) == getpid());
    MPT_CHECK(mpt_end(start(give_one)) == 1);
    MPT_CHECK(mp_process_is_alive(parents));
    _exit(7);
}

static int run_for_ever(void *arg, size_t size) {
    (void)arg;
    (void)size;
    for (;;)
        pause();
    return 0;
}

static void test_bare_fork_has_no_children_and_can_have_some(void **state) {
    (void)state;
    mp_process *process = start(run_for_ever);
    assert_int_equal(mpt_join(mpt_fork(use_libmp_in_a_bare_fork, process)), 7);
    assert_int_equal(mp_active_children(NULL, 0), 1);
    MPT_OK(mp_process_kill(process));
    assert_int_equal(mpt_end(process), -SIGKILL);
    mp__recover_all();
}

static const char *point; /* where a process is to die */

static void die_in_start(void *arg) {
    (void)arg;
    mpt_die_at(point, 1);
    MPT_CHECK(mpt_end(mpt_start(give_one, NULL, 0)) == 1);
    _exit(8);
}

static bool nothing_is_left(void) {
    struct mp__heap_figures figures;
    mp__recover_all();
    mp__heap_figures(&figures);
    return figures.blocks == 0;
}

static void kill_parent_at(const char *const *points, size_t count) {
    MPT_CHECK(mp_current_process() != NULL);
    for (size_t i = 0; i < count; i++) {
        point = points[i];
        int code = mpt_join(mpt_fork(die_in_start, NULL));
        if (code != -SIGKILL)
            fail_msg("%s: ended with %d", point, code);
        MPT_UNTIL(nothing_is_left());
        assert_int_equal(mpt_end(start(give_one)), 1);
        mp__forkserver_stop();
    }
}

static void test_parent_killed_in_a_start_leaves_nothing(void **state) {
    (void)state;
    static const char *const points[] = {
        "process.new.allocated",     "process.new.filled",   "start.child.claimed",
        "launch.take.taken",         "launch.take.prepared", "launch.take.reserved",
        "start.note.registered",     "start.child.listed",   "process.confirm.done",
        "children.settle.recovered", "process.close.marked"};
    static const char *const own[][2] = {
        [MP_FORK] = {"fork.start.prepared", NULL},
        [MP_SPAWN] = {"spawn.start.executed", NULL},
        [MP_FORKSERVER] = {"forkserver.take.written", "forkserver.take.taken"}};
    kill_parent_at(points, sizeof points / sizeof points[0]);
    kill_parent_at(own[mpt_method()], mpt_method() == MP_FORKSERVER ? 2 : 1);
}

static void test_child_killed_before_its_target_is_noticed(void **state) {
    (void)state;
    static const char *const points[] = {"bootstrap.prepare.entered", "launch.runs.reported",
                                         "bootstrap.target.begins",   "bootstrap.target.returned",
                                         "launch.end.written",        "bootstrap.leave.ended"};
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        mp_process_options options = {.target = give_one};
        mpt_die_at(points[i], 1);
        mp_process *process = mpt_start_with(mp_get_context(MP_FORK), &options);
        assert_int_equal(mpt_end(process), -SIGKILL);
    }
}

/* Somebody waits for any child: the library is not confused. */
static void *reap_everything(void *stop) {
    while (!*(_Atomic int *)stop)
        (void)waitpid(-1, NULL, WNOHANG);
    return NULL;
}

static void test_codes_are_right_beside_a_reaper_of_everything(void **state) {
    (void)state;
    static _Atomic int stop;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, reap_everything, &stop), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(mpt_end(start(give_one)), 1);
    stop = 1;
    pthread_join(thread, NULL);
}

static void *list_children(void *stop) {
    while (!*(_Atomic int *)stop)
        MPT_CHECK(mp_active_children(NULL, 0) >= 0);
    return NULL;
}

static void test_active_children_may_be_asked_at_any_moment(void **state) {
    (void)state;
    static _Atomic int stop;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, list_children, &stop), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(mpt_end(start(give_one)), 1);
    stop = 1;
    pthread_join(thread, NULL);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_child_can_join_its_parent),
                 MPT_EACH_METHOD(test_families_have_many_generations),
                 MPT_EACH_METHOD(test_bare_fork_has_no_children_and_can_have_some),
                 MPT_EACH_METHOD(test_parent_killed_in_a_start_leaves_nothing),
                 MPT_CASE(test_child_killed_before_its_target_is_noticed),
                 MPT_EACH_METHOD(test_codes_are_right_beside_a_reaper_of_everything),
                 MPT_EACH_METHOD(test_active_children_may_be_asked_at_any_moment))

/* Children that die with their parent.
 * SPDX-License-Identifier: MIT
 *
 * A case forks a parent, which forks a child. Only the child holds the write end of the case's pipe
 * `life` in the end: its death is the end of that pipe. */
#include "mpt.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/child.h"
#include "os/descriptor.h"
#include "os/lifeline.h"

#define EXEC_MARK "--arm-after-exec"

static int life[2]; /* the child writes "a" when armed; end of file: it is dead */
static int wake[2]; /* the case writes here what the others wait for */

static void open_pipes(void) {
    MPT_OK(mp__descriptor_pipe(life));
    MPT_OK(mp__descriptor_pipe(wake));
}

static void close_pipes(void) {
    for (int i = 0; i < 2; i++) {
        mp__descriptor_close(life[i]);
        mp__descriptor_close(wake[i]);
        life[i] = wake[i] = -1;
    }
}

static void wait_for_wake(void) {
    char byte;
    MPT_CHECK(read(wake[0], &byte, 1) == 1);
}

static void sleep_on(void) {
    for (;;)
        pause();
}

/* What the child does: arm, say so, live on. */
static void arm_and_live(int child_end) {
    MPT_OK(mp__lifeline_arm(child_end));
    MPT_CHECK(write(life[1], "a", 1) == 1);
    sleep_on();
}

static void fork_child(struct mp__lifeline *lifeline) {
    MPT_OK(mp__lifeline_open(lifeline));
    if (fork() == 0)
        arm_and_live(lifeline->child_end);
    mp__descriptor_close(life[1]);
}

static void parent_sleeps(void *arg) {
    (void)arg;
    fork_child(&(struct mp__lifeline){0});
    sleep_on();
}

static void expect_armed(void) {
    char byte;
    mp__descriptor_close(life[1]);
    life[1] = -1;
    MPT_CHECK(read(life[0], &byte, 1) == 1 && byte == 'a');
}

/* Does the child die within so many seconds? */
static bool dies_within(double seconds) {
    mp__time deadline;
    char byte;
    MPT_OK(mp__deadline(&deadline, seconds));
    return mp__descriptor_poll(life[0], POLLIN, deadline) > 0 && read(life[0], &byte, 1) == 0;
}

/* With a child that is armed. */
static pid_t start_parent(void (*body)(void *arg)) {
    open_pipes();
    pid_t parent = mpt_fork(body, NULL);
    expect_armed();
    return parent;
}

static void check_child_dies_with(void (*parent_body)(void *arg)) {
    pid_t parent = start_parent(parent_body);
    assert_false(dies_within(0.02));
    mpt_kill(parent);
    assert_true(dies_within(10));
    close_pipes();
}

static void test_child_dies_when_its_parent_is_killed(void **state) {
    (void)state;
    check_child_dies_with(parent_sleeps);
}

static void parent_ends(void *arg) {
    (void)arg;
    fork_child(&(struct mp__lifeline){0});
    wait_for_wake();
}

static void test_child_dies_when_its_parent_exits(void **state) {
    (void)state;
    pid_t parent = start_parent(parent_ends);
    assert_int_equal(write(wake[1], "x", 1), 1);
    assert_int_equal(mpt_join(parent), 0);
    assert_true(dies_within(10));
    close_pipes();
}

static void parent_forks_late_arming_child(void *arg) {
    (void)arg;
    struct mp__lifeline lifeline;
    MPT_OK(mp__lifeline_open(&lifeline));
    if (fork() != 0)
        return;
    wait_for_wake();
    arm_and_live(lifeline.child_end);
}

static void test_child_dies_when_its_parent_was_gone_before(void **state) {
    (void)state;
    open_pipes();
    assert_int_equal(mpt_join(mpt_fork(parent_forks_late_arming_child, NULL)), 0);
    mp__descriptor_close(life[1]);
    life[1] = -1;
    assert_int_equal(write(wake[1], "x", 1), 1);
    mp__time deadline = mp__now() + 10 * MP__SECOND;
    char bytes[2];
    /* Portable: the watcher may let it say so before. */
    assert_true(mp__descriptor_poll(life[0], POLLHUP, deadline) & POLLHUP);
    assert_in_range(read(life[0], bytes, 2), 0, 1);
    close_pipes();
}

static void parent_has_other_children(void *arg) {
    (void)arg;
    struct mp__lifeline lifeline;
    fork_child(&lifeline);
    char byte;
    if (fork() == 0) /* bare: knows nothing of lifelines */
        _exit((int)read(wake[0], &byte, 1));
    sleep_on();
}

static void test_siblings_do_not_keep_the_child_alive(void **state) {
    (void)state;
    pid_t parent = start_parent(parent_has_other_children);
    mpt_kill(parent);
    assert_true(dies_within(10));
    assert_int_equal(write(wake[1], "x", 1), 1);
    close_pipes();
}

static void parent_execs_child(void *arg) {
    (void)arg;
    struct mp__lifeline lifeline;
    MPT_OK(mp__lifeline_open(&lifeline));
    char first[12], second[12];
    snprintf(first, sizeof first, "%d", lifeline.child_end);
    snprintf(second, sizeof second, "%d", life[1]);
    char *const argv[] = {"child", EXEC_MARK, first, second, NULL};
    int passed[] = {lifeline.child_end, life[1]};
    int image = mp__child_own_image();
    MPT_CHECK(mp__child_exec(&(struct mp__exec){image, NULL, argv, passed, 2}) > 0);
    mp__descriptor_close(life[1]);
    sleep_on();
}

static void test_child_dies_after_exec_too(void **state) {
    (void)state;
    check_child_dies_with(parent_execs_child);
}

static void parent_lets_go(void *arg) {
    (void)arg;
    struct mp__lifeline lifeline;
    fork_child(&lifeline);
    wait_for_wake();
    mp__lifeline_close(&lifeline);
    MPT_CHECK(lifeline.parent_end == -1 && lifeline.child_end == -1);
    mp__lifeline_close(&lifeline);
    sleep_on();
}

static void test_closing_the_lifeline_ends_the_child(void **state) {
    (void)state;
    pid_t parent = start_parent(parent_lets_go);
    assert_int_equal(write(wake[1], "x", 1), 1);
    assert_true(dies_within(10));
    mpt_kill(parent);
    close_pipes();
}

static void *fork_often(void *arg) {
    (void)arg;
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        MPT_CHECK(mpt_join(child) == 0);
    }
    return NULL;
}

static void test_lifelines_open_and_close_while_another_thread_forks(void **state) {
    (void)state;
    struct mp__lifeline lifelines[40];
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fork_often, NULL), 0);
    for (int turn = 0; turn < 20; turn++) {
        for (int i = 0; i < 40; i++)
            MPT_OK(mp__lifeline_open(&lifelines[i]));
        for (int i = 0; i < 40; i++)
            mp__lifeline_close(&lifelines[i]);
    }
    pthread_join(thread, NULL);
}

static void test_lifeline_fails_without_descriptors(void **state) {
    (void)state;
    struct rlimit before;
    struct mp__lifeline lifeline = {7, 7};
    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max});
    MPT_CODE(mp__lifeline_open(&lifeline), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(lifeline.parent_end, 7);
    MPT_CODE(mp__lifeline_arm(-1), -EBADF);
}

static const struct mpt_case cases[] = {
    MPT_CASE(test_child_dies_when_its_parent_is_killed),
    MPT_CASE(test_child_dies_when_its_parent_exits),
    MPT_CASE(test_child_dies_when_its_parent_was_gone_before),
    MPT_CASE(test_siblings_do_not_keep_the_child_alive),
    MPT_CASE(test_child_dies_after_exec_too),
    MPT_CASE(test_closing_the_lifeline_ends_the_child),
    MPT_CASE(test_lifelines_open_and_close_while_another_thread_forks),
    MPT_CASE(test_lifeline_fails_without_descriptors),
};

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], EXEC_MARK) == 0) {
        life[1] = atoi(argv[3]);
        arm_and_live(atoi(argv[2]));
    }
    return mpt_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}

/* The descriptor that tells a process's end.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/sentinel.h"

static void live_until_killed(void *arg) {
    struct mp__sentinel *sentinel = arg;
    mp__sentinel_adopt(sentinel->child_end);
    for (;;)
        pause();
}

static pid_t start_watched(struct mp__sentinel *sentinel, void (*body)(void *arg)) {
    MPT_OK(mp__sentinel_prepare(sentinel));
    pid_t child = mpt_fork(body, sentinel);
    MPT_OK(mp__sentinel_begin(sentinel, child));
    MPT_CHECK(fcntl(sentinel->fd, F_GETFD) & FD_CLOEXEC);
    return child;
}

static bool has_told(struct mp__sentinel *sentinel, double seconds) {
    mp__time deadline;
    MPT_OK(mp__deadline(&deadline, seconds));
    return mp__descriptor_poll(sentinel->fd, POLLIN, deadline) > 0;
}

static void test_sentinel_is_readable_once_the_child_is_killed(void **state) {
    (void)state;
    struct mp__sentinel sentinel;
    pid_t child = start_watched(&sentinel, live_until_killed);
    assert_false(has_told(&sentinel, 0.02));
    kill(child, SIGKILL);
    assert_true(has_told(&sentinel, 10));
    assert_int_equal(mpt_join(child), -SIGKILL);
    assert_true(has_told(&sentinel, 0));
    mp__sentinel_close(&sentinel);
}

static void end_at_once(void *arg) {
    struct mp__sentinel *sentinel = arg;
    mp__sentinel_adopt(sentinel->child_end);
}

static void test_sentinel_tells_of_an_end_before_it_began(void **state) {
    (void)state;
    struct mp__sentinel sentinel;
    MPT_OK(mp__sentinel_prepare(&sentinel));
    pid_t child = mpt_fork(end_at_once, &sentinel);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    MPT_OK(mp__sentinel_begin(&sentinel, child));
    assert_true(has_told(&sentinel, 10));
    assert_int_equal(mpt_join(child), 0);
    mp__sentinel_close(&sentinel);
}

/* Leave a process behind that ends when the test writes to its pipe. */
static void leave_grandchild(void *arg) {
    mp__sentinel_adopt(((struct mp__sentinel *)arg)->child_end);
    char byte;
    if (fork() == 0)
        _exit((int)read(0, &byte, 1));
}

static void test_sentinel_does_not_wait_for_grandchildren(void **state) {
    (void)state;
    int ends[2];
    struct mp__sentinel sentinel;
    MPT_OK(mp__descriptor_pipe(ends));
    int input = mp__descriptor_duplicate(0);
    dup2(ends[0], 0);
    pid_t child = start_watched(&sentinel, leave_grandchild);
    assert_true(has_told(&sentinel, 10));
    assert_int_equal(mpt_join(child), 0);
    mp__sentinel_close(&sentinel);
    assert_int_equal(write(ends[1], "x", 1), 1);
    dup2(input, 0);
    int list[] = {ends[0], ends[1], input};
    for (int i = 0; i < 3; i++)
        mp__descriptor_close(list[i]);
}

static void test_sentinel_closes_at_any_stage(void **state) {
    (void)state;
    struct mp__sentinel sentinel;
    MPT_OK(mp__sentinel_prepare(&sentinel));
    mp__sentinel_close(&sentinel);
    mp__sentinel_close(&sentinel);
    assert_int_equal(sentinel.fd, -1);
    assert_int_equal(sentinel.child_end, -1);
}

static void test_sentinel_fails_without_descriptors(void **state) {
    (void)state;
    struct rlimit before;
    struct mp__sentinel sentinel;
    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max});
    int code = mp__sentinel_prepare(&sentinel);
    if (code == 0)
        code = mp__sentinel_begin(&sentinel, getpid());
    setrlimit(RLIMIT_NOFILE, &before);
    MPT_CODE(code, -EMFILE);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_sentinel_is_readable_once_the_child_is_killed),
         MPT_CASE(test_sentinel_tells_of_an_end_before_it_began),
         MPT_CASE(test_sentinel_does_not_wait_for_grandchildren),
         MPT_CASE(test_sentinel_closes_at_any_stage),
         MPT_CASE(test_sentinel_fails_without_descriptors))

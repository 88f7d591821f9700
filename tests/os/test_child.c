/* Starting programs, taking their exit status, asking after processes.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/child.h"
#include "os/descriptor.h"
#include "os/robust.h"

#define PASSED_MARK "--check-what-was-passed"

/* Start a shell command by its path. */
static pid_t start_shell(const char *command) {
    char *const argv[] = {"sh", "-c", (char *)command, NULL};
    return mp__child_exec(&(struct mp__exec){.image = -1, .path = "/bin/sh", .argv = argv});
}

static int end_of(pid_t pid) {
    int code = 12345;
    MPT_CHECK(pid > 0);
    MPT_CHECK(mp__child_reap(pid, true, &code) == 1);
    return code;
}

static void test_program_runs_and_its_exit_code_comes_back(void **state) {
    (void)state;
    assert_int_equal(end_of(start_shell("exit 7")), 7);
    assert_int_equal(end_of(start_shell("kill -9 $$")), -SIGKILL);
}

static void test_exec_of_nothing_is_an_error_and_leaves_no_child(void **state) {
    (void)state;
    char *const argv[] = {"x", NULL};
    struct mp__exec exec = {.image = -1, .path = "/nowhere/x", .argv = argv};
    MPT_CODE(mp__child_exec(&exec), -ENOENT);
    exec.path = "/";
    MPT_CODE(mp__child_exec(&exec), -EACCES);
    assert_int_equal(waitpid(-1, NULL, 0), -1);
    assert_int_equal(errno, ECHILD);
}

static void test_exec_with_a_closed_descriptor_is_an_error(void **state) {
    (void)state;
    char *const argv[] = {"sh", "-c", "exit 0", NULL};
    int closed = dup(0);
    close(closed);
    struct mp__exec exec = {-1, "/bin/sh", argv, &closed, 1};
    MPT_CODE(mp__child_exec(&exec), -EBADF);
}

static pid_t start_ourselves(int image, const char *number, int passed) {
    char *const argv[] = {"a name of our own", PASSED_MARK, (char *)number, NULL};
    return mp__child_exec(&(struct mp__exec){image, NULL, argv, &passed, 1});
}

/* In the new program: the passed descriptor is there and no other, signals are as if nobody had
 * touched them. */
static int check_what_was_passed(char **argv) {
    int passed = atoi(argv[2]);
    char byte = 0;
    sigset_t blocked;
    MPT_CHECK(strcmp(argv[0], "a name of our own") == 0);
    MPT_CHECK(read(passed, &byte, 1) == 1 && byte == 'x');
    for (int i = 3; i < 1000; i++)
        MPT_CHECK(i == passed || fcntl(i, F_GETFD) < 0);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int number = 1; number < SIGRTMAX; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) < 0)
            continue;
        MPT_CHECK(!sigismember(&blocked, number));
        MPT_CHECK(number == SIGSEGV || number == SIGBUS || number == SIGFPE || /* a sanitizer's */
                  action.sa_handler == SIG_DFL);
    }
    return 0;
}

static void test_new_program_gets_only_what_is_passed(void **state) {
    (void)state;
    int ends[2];
    char number[12];
    MPT_OK(mp__descriptor_pipe(ends));
    int leak = dup(0); /* not close-on-exec */
    int far = fcntl(0, F_DUPFD, 900);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    snprintf(number, sizeof number, "%d", ends[0]);
    assert_int_equal(write(ends[1], "x", 1), 1);
    int image = mp__child_own_image();
    assert_true(image >= 0 && fcntl(image, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(end_of(start_ourselves(image, number, ends[0])), 0);
    sigset_t after;
    sigprocmask(SIG_SETMASK, NULL, &after);
    assert_true(sigismember(&after, SIGUSR2)); /* ours is as it was */
    assert_true(fcntl(ends[0], F_GETFD) & FD_CLOEXEC);
    int list[] = {ends[0], ends[1], leak, far, image};
    for (int i = 0; i < 5; i++)
        mp__descriptor_close(list[i]);
}

static void start_many(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++)
        MPT_CHECK(end_of(start_shell("exit 3")) == 3);
}

static void test_threads_start_programs_at_once(void **state) {
    (void)state;
    mpt_run_threads(3, start_many, NULL);
}

static void wait_for_a_signal(void *arg) {
    (void)arg;
    for (;;)
        pause();
}

static void test_reap_tells_running_from_ended_from_none(void **state) {
    (void)state;
    int code = 5;
    pid_t child = mpt_fork(wait_for_a_signal, NULL);
    assert_int_equal(mp__child_reap(child, false, &code), 0);
    assert_int_equal(code, 5);
    kill(child, SIGTERM);
    assert_int_equal(mp__child_reap(child, true, &code), 1);
    assert_int_equal(code, -SIGTERM);
    MPT_CODE(mp__child_reap(child, true, &code), -ECHILD);
}

static void test_process_exists_until_it_ends(void **state) {
    (void)state;
    pid_t child = mpt_fork(wait_for_a_signal, NULL);
    uint64_t registered = mp__boot_time();
    assert_true(mp__child_exists(child, registered));
    assert_true(mp__child_exists(getpid(), registered));
    kill(child, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_false(mp__child_exists(child, registered)); /* a zombie */
    assert_int_equal(mpt_join(child), -SIGKILL);
    assert_false(mp__child_exists(child, registered));
    assert_false(mp__child_exists(0, registered));
}

static void test_younger_namesake_is_a_stranger(void **state) {
    (void)state;
    uint64_t start = mp__child_start_time(getpid());
    if (start == 0)
        skip();
    assert_true(start <= mp__boot_time());
    assert_true(mp__child_exists(getpid(), start));
    assert_false(mp__child_exists(getpid(), start - (uint64_t)MP__SECOND));
    assert_int_equal(mp__child_start_time(0x3fffff), 0);
}

struct page {
    struct mp__robust life; /* held by the first thread until it ends */
    _Atomic int is_taken;   /* it has it */
};

static void *live_on(void *arg) {
    while (pause() < 0)
        continue;
    return arg;
}

static void end_first_thread(void *arg) {
    struct page *page = arg;
    pthread_t thread;
    MPT_OK(mp__robust_lock(&page->life));
    page->is_taken = 1;
    MPT_CHECK(pthread_create(&thread, NULL, live_on, NULL) == 0);
    pthread_exit(NULL);
}

/* The lock of life tells when the thread has ended. */
static void test_process_exists_without_its_first_thread(void **state) {
    (void)state;
    struct page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mp__robust_init(&page->life);
    pid_t child = mpt_fork(end_first_thread, page);
    MPT_UNTIL(page->is_taken);
    MPT_UNTIL(!mp__robust_is_held(&page->life));
    assert_true(mp__child_exists(child, mp__boot_time()));
    mpt_kill(child);
}

static void test_own_image_needs_a_descriptor(void **state) {
    (void)state;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 20000}), 0);
    assert_true(mp__child_own_image() < 0);
    assert_true(mp__child_exists(getpid(), mp__boot_time())); /* in doubt it does */
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){20000, 20000});
}

static const struct mpt_case cases[] = {
    MPT_CASE(test_program_runs_and_its_exit_code_comes_back),
    MPT_CASE(test_exec_of_nothing_is_an_error_and_leaves_no_child),
    MPT_CASE(test_exec_with_a_closed_descriptor_is_an_error),
    MPT_CASE(test_new_program_gets_only_what_is_passed),
    MPT_CASE(test_threads_start_programs_at_once),
    MPT_CASE(test_reap_tells_running_from_ended_from_none),
    MPT_CASE(test_process_exists_until_it_ends),
    MPT_CASE(test_younger_namesake_is_a_stranger),
    MPT_CASE(test_process_exists_without_its_first_thread),
    MPT_CASE(test_own_image_needs_a_descriptor),
};

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], PASSED_MARK) == 0)
        return check_what_was_passed(argv);
    return mpt_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}

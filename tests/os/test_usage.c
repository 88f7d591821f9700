/* What processes use, and limits.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/usage.h"

#define MIB ((uint64_t)1 << 20)

static void work_until(mp__time cpu) {
    while (mp__usage_of_self() < cpu)
        ;
}

static void work_and_wait(void *arg) {
    (void)arg;
    work_until(MP__SECOND / 50);
    for (;;)
        pause();
}

static void test_processor_time_of_another_process_is_seen(void **state) {
    (void)state;
    pid_t child = mpt_fork(work_and_wait, NULL);
    MPT_UNTIL(mp__usage_of_process(child) >= MP__SECOND / 50);
    kill(child, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_true(mp__usage_of_process(child) >= MP__SECOND / 50);
    assert_int_equal(mpt_join(child), -SIGKILL);
    assert_int_equal(mp__usage_of_process(child), 0);
}

static void *work_a_little(void *arg) {
    clockid_t clock = mp__usage_clock_of_thread();
    while (mp__usage_read(clock) < MP__SECOND / 100)
        ;
    *(_Atomic clockid_t *)arg = clock;
    while (*(_Atomic clockid_t *)arg != 0)
        ;
    return NULL;
}

static void test_processor_time_of_another_thread_is_seen(void **state) {
    (void)state;
    pthread_t thread;
    _Atomic clockid_t clock = 0;
    assert_int_equal(pthread_create(&thread, NULL, work_a_little, (void *)&clock), 0);
    MPT_UNTIL(atomic_load(&clock) != 0);
    assert_true(mp__usage_read(clock) >= MP__SECOND / 100);
    clock = 0;
    pthread_join(thread, NULL);
}

static void test_private_memory_and_peak_grow_with_what_is_touched(void **state) {
    (void)state;
    uint64_t peak = mp__usage_own_peak(), mine = mp__usage_private();
    char *block = malloc(64 * MIB);
    assert_non_null(block);
    memset(block, 1, 64 * MIB);
    assert_true(mp__usage_own_peak() >= peak + 60 * MIB);
    assert_true(mp__usage_private() >= mine + 60 * MIB);
    uint64_t seen = mp__usage_peak_of(getpid());
    assert_true(seen == 0 || seen >= 60 * MIB);
    free(block);
}

static void test_gone_process_has_no_peak(void **state) {
    (void)state;
    assert_int_equal(mp__usage_peak_of(0x7ffffff0), 0);
}

static void test_limit_is_lowered_and_never_raised(void **state) {
    (void)state;
    struct rlimit limit;
    MPT_OK(mp__usage_limit(UINT64_C(1) << 50));
    MPT_OK(mp__usage_limit(UINT64_C(1) << 51));
    assert_int_equal(getrlimit(RLIMIT_DATA, &limit), 0);
    assert_true(limit.rlim_cur <= UINT64_C(1) << 50);
}

static void test_nice_is_added(void **state) {
    (void)state;
    int before = getpriority(PRIO_PROCESS, 0);
    MPT_OK(mp__usage_be_nice(3));
    int after = getpriority(PRIO_PROCESS, 0);
    assert_int_equal(after, before + 3 > 19 ? 19 : before + 3);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_processor_time_of_another_process_is_seen),
         MPT_CASE(test_processor_time_of_another_thread_is_seen),
         MPT_CASE(test_private_memory_and_peak_grow_with_what_is_touched),
         MPT_CASE(test_gone_process_has_no_peak), MPT_CASE(test_limit_is_lowered_and_never_raised),
         MPT_CASE(test_nice_is_added))

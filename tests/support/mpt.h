/* The test vocabulary: a case is a process of its own, checked for what it leaves behind.
 * SPDX-License-Identifier: MIT
 *
 * A test program is a table of cmocka tests and one line:
 *
 *     static void test_get_times_out_when_empty(void **state) { ... assert_int_equal(...); }
 *
 *     MPT_MAIN(MPT_CASE(test_get_times_out_when_empty),
 *              MPT_CASE(test_...))
 *
 * CMake reads the names of the cases from these lines and ctest runs `test_x <case>`. A case that
 * starts processes is listed as MPT_EACH_METHOD(test_...): ctest runs it as <case>:fork,
 * <case>:spawn and <case>:forkserver, and it asks mpt_context() for its context. What pools of
 * threads do as well is MPT_EACH_WORKER(test_...): it runs as <case>:thread, too.
 *
 * In a child never use a cmocka assert (it would run the remaining tests there and the parent would
 * report success): use MPT_CHECK, which prints and _exits. Never sleep: MPT_UNTIL(condition) waits
 * for a fact, with a limit.
 *
 * Beside it: process.h (processes of libmp), pool.h (pools and tasks), board.h (shared words below
 * mp_shared_alloc), object.h (what Python prints of an object), stream.h (a connection and a bare
 * socket), python.h (every python3 here), failing.h (libc that fails). */
#ifndef MPT_H
#define MPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cmocka.h>

#include "mp/base.h"
#include "mp/context.h"

#define MPT_FAILED 99 /* exit code of a child whose check failed */

/* Anywhere, also in children and threads: print and _exit(MPT_FAILED). */
#define MPT_CHECK(condition)                         \
    do {                                             \
        if (!(condition))                            \
            mpt_die(__FILE__, __LINE__, #condition); \
    } while (0)
/* Wait for a fact, 20 seconds at most (then as MPT_CHECK). */
#define MPT_UNTIL(condition)                                     \
    do {                                                         \
        for (unsigned mpt_turn = 0; !(condition); mpt_turn++)    \
            mpt_pause(mpt_turn, __FILE__, __LINE__, #condition); \
    } while (0)
/* For calls that must work / must fail with a code; prints mp_error_detail(). */
#define MPT_OK(call) mpt_expect((call), 0, __FILE__, __LINE__, #call)
#define MPT_CODE(call, code) mpt_expect((call), (code), __FILE__, __LINE__, #call)

void mpt_die(const char *file, int line, const char *text) __attribute__((noreturn));
void mpt_pause(unsigned turn, const char *file, int line, const char *text);
void mpt_expect(int got, int expected, const char *file, int line, const char *text);

/* Raw processes, for layers below proc: fork, run, _exit(0). mpt_join: exit code or -signal. */
pid_t mpt_fork(void (*body)(void *arg), void *arg);
int mpt_join(pid_t pid);
/* One that stops, by mpt_stop_at; returns when it has. */
pid_t mpt_fork_stopped(void (*body)(void *arg), void *arg);
/* SIGKILL for one that has not ended, and join it. */
void mpt_kill(pid_t pid);
/* Several of them; MPT_JOIN_ALL: each must have ended with 0. */
void mpt_fork_all(pid_t *pids, unsigned count, void (*body)(void *arg), void *arg);
#define MPT_JOIN_ALL(pids, count) mpt_join_all((pids), (count), __FILE__, __LINE__)
void mpt_join_all(const pid_t *pids, unsigned count, const char *file, int line);

/* Is it asleep, or a zombie? */
bool mpt_is_asleep(pid_t pid);

/* Run the body in so many threads at once, until all have ended. */
void mpt_run_threads(unsigned count, void (*body)(void *arg), void *arg);

/* Make this process kill itself (SIGKILL) or stop (SIGSTOP) when it comes to a kill point for the
 * `turn`-th time (1..). */
void mpt_die_at(const char *point, unsigned turn);
void mpt_stop_at(const char *point, unsigned turn);

/* The context of this run of an MPT_EACH_METHOD case (the default one in other cases). */
mp_context *mpt_context(void);
mp_start_method mpt_method(void);

struct mpt_case {
    struct CMUnitTest test; /* name and body */
    bool each_method;       /* run under each start method */
};
int mpt_run(int argc, char **argv, const struct mpt_case *cases, size_t count);

#define MPT_CASE(function) \
    { cmocka_unit_test(function), false }
#define MPT_EACH_METHOD(function) \
    { cmocka_unit_test(function), true }
#define MPT_EACH_WORKER(function) MPT_EACH_METHOD(function)

/* For tests below proc: nothing of proc is linked. */
#define MPT_MAIN(...)                                                      \
    int main(int argc, char **argv) {                                      \
        static const struct mpt_case cases[] = {__VA_ARGS__};              \
        return mpt_run(argc, argv, cases, sizeof cases / sizeof cases[0]); \
    }
/* For tests that start processes. */
#define MPT_PROCESS_MAIN(...)                                              \
    int main(int argc, char **argv) {                                      \
        static const struct mpt_case cases[] = {__VA_ARGS__};              \
        mp_freeze_support(argc, argv);                                     \
        mpt_chosen_context = mp_get_context;                               \
        mpt_stop_servers = mp__forkserver_stop;                            \
        return mpt_run(argc, argv, cases, sizeof cases / sizeof cases[0]); \
    }
extern mp_context *(*mpt_chosen_context)(mp_start_method method);
extern void (*mpt_stop_servers)(void); /* called before the case is checked for leftovers */
void mp__forkserver_stop(void);

#endif

/* Make the n-th call of a libc function fail, wherever in the family it happens.
 * SPDX-License-Identifier: MIT
 *
 * A program named test_failures_* is linked so that the calls of libmp (and its own) to the
 * functions of failing.c's table come here first. The count is one for all processes of the family:
 * forked ones and executed ones, too (they find it by the variable MPT_FAILING).
 *
 *     static int use_queue(void) { ... MPT_TRY(mp_queue_new(&queue, NULL, 0)); ... return code; }
 *     MPT_FAILURES(queue)
 *
 * mpt_fail_each runs the scenario in a new process for each function and n = 1, 2, ... until that
 * call does not come any more. Each time: it ended in time, with 0 or with a negative code and a
 * sentence; nothing is left over; and right after, in the same process, it succeeds. */
#ifndef MPT_FAILING_H
#define MPT_FAILING_H

/* Runs everything and frees everything, also after a failure: 0, or the first failure's code. */
typedef int (*mpt_scenario_fn)(void);

void mpt_fail_each(mpt_scenario_fn scenario);
void mpt_interrupt_each(mpt_scenario_fn scenario); /* the same with EINTR: it has to succeed */

/* The two cases of a scenario use_<noun>. */
#define MPT_FAILURES(noun)                                             \
    static void test_##noun##_copes_when_libc_fails(void **state) {    \
        (void)state;                                                   \
        mpt_fail_each(use_##noun);                                     \
    }                                                                  \
    static void test_##noun##_goes_on_when_interrupted(void **state) { \
        (void)state;                                                   \
        mpt_interrupt_each(use_##noun);                                \
    }

/* In a scenario with `int code = 0` and a label `done`: the first failure ends it. */
#define MPT_TRY(call)            \
    do {                         \
        if ((code = (call)) < 0) \
            goto done;           \
    } while (0)

#endif

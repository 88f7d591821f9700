/* When a thread stops waiting by letting others run.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <unistd.h>

#include "os/cpu.h"
#include "sync/spin.h"

#define HOGS 4

static void compute(void *arg) {
    (void)arg;
    for (;;)
        mp__cpu_pause();
}

static bool can_yield(void) {
    struct mp__spin spin = mp__spin_begin(MP__SPIN_CHILD);
    bool can = mp__spin_yield_to_child(&spin);
    mp__spin_end(&spin, true);
    return can;
}

static bool is_crowded_after_a_yield(void) {
    (void)can_yield();
    return mp__spin_is_crowded();
}

/* On one processor, whose other users never sleep. */
static void begin_crowd(pid_t hogs[HOGS]) {
    if (!mp__cpu_can_pin() || mp__cpu_is_alone())
        skip();
    mp__cpu_pin(0);
    for (int i = 0; i < HOGS; i++)
        hogs[i] = mpt_fork(compute, NULL);
}

static void end_crowd(const pid_t hogs[HOGS]) {
    for (int i = 0; i < HOGS; i++) {
        kill(hogs[i], SIGKILL);
        assert_int_equal(mpt_join(hogs[i]), -SIGKILL);
    }
}

static void test_yielding_goes_on_among_short_ones(void **state) {
    (void)state;
    assert_false(mp__spin_is_crowded());
    if (!mp__cpu_is_alone())
        assert_true(can_yield());
}

static void test_yielding_stops_in_a_crowd(void **state) {
    (void)state;
    pid_t hogs[HOGS];
    begin_crowd(hogs);
    MPT_UNTIL(is_crowded_after_a_yield());
    bool could_yield = mp__spin_is_crowded() && can_yield() && mp__spin_is_crowded();
    end_crowd(hogs);
    assert_false(could_yield);
}

static void test_yielding_is_tried_again_after_a_crowd(void **state) {
    (void)state;
    pid_t hogs[HOGS];
    begin_crowd(hogs);
    MPT_UNTIL(is_crowded_after_a_yield());
    end_crowd(hogs);
    MPT_UNTIL(!mp__spin_is_crowded() && can_yield());
}

static void test_events_are_waited_for_as_before_in_a_crowd(void **state) {
    (void)state;
    pid_t hogs[HOGS];
    begin_crowd(hogs);
    MPT_UNTIL(is_crowded_after_a_yield());
    end_crowd(hogs);
    struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
    assert_true(mp__spin_once(&spin));
    mp__spin_end(&spin, true);
}

MPT_MAIN(MPT_CASE(test_yielding_goes_on_among_short_ones), MPT_CASE(test_yielding_stops_in_a_crowd),
         MPT_CASE(test_yielding_is_tried_again_after_a_crowd),
         MPT_CASE(test_events_are_waited_for_as_before_in_a_crowd))

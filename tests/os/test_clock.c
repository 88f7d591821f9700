/* Time and deadlines.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>
#include <string.h>

#include "os/clock.h"

static void test_time_never_goes_backwards(void **state) {
    (void)state;
    mp__time last = mp__now();
    for (int i = 0; i < 1000; i++) {
        mp__time now = mp__now();
        assert_true(now >= last);
        last = now;
    }
}

static void test_deadline_of_no_or_negative_time_is_past(void **state) {
    (void)state;
    mp__time deadline = 7;
    MPT_OK(mp__deadline(&deadline, MP_NOWAIT));
    assert_int_equal(deadline, 0);
    deadline = 7;
    MPT_OK(mp__deadline(&deadline, -INFINITY));
    assert_int_equal(deadline, 0);
}

static void test_deadline_beyond_the_clock_is_never(void **state) {
    (void)state;
    mp__time deadline;
    MPT_OK(mp__deadline(&deadline, MP_FOREVER));
    assert_true(deadline == MP__NEVER);
    MPT_OK(mp__deadline(&deadline, 1e300));
    assert_true(deadline == MP__NEVER);
    MPT_OK(mp__deadline(&deadline, 9.3e9));
    assert_true(deadline == MP__NEVER);
}

static void test_deadline_lies_so_many_seconds_ahead(void **state) {
    (void)state;
    mp__time deadline, before = mp__now();
    MPT_OK(mp__deadline(&deadline, 2.5));
    assert_true(deadline >= before + 5 * MP__SECOND / 2);
    assert_true(deadline <= mp__now() + 5 * MP__SECOND / 2);
}

static void test_deadline_that_is_not_a_number_is_refused(void **state) {
    (void)state;
    mp__time deadline = 7;
    MPT_CODE(mp__deadline(&deadline, (double)NAN), MP_EINVAL);
    assert_int_equal(deadline, 7);
    assert_non_null(strstr(mp_error_detail(), "not a number"));
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_time_never_goes_backwards),
         MPT_CASE(test_deadline_of_no_or_negative_time_is_past),
         MPT_CASE(test_deadline_beyond_the_clock_is_never),
         MPT_CASE(test_deadline_lies_so_many_seconds_ahead),
         MPT_CASE(test_deadline_that_is_not_a_number_is_refused))

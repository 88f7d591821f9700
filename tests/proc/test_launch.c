/* Records of starts: a child that comes too late changes nothing in another start's.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <string.h>

#include "base/fail.h"
#include "proc/launch.h"
#include "proc/process.h"
#include "proc/section.h"
#include "reg/thread.h"

static struct process_shared object; /* only its address matters */

static struct mp__launch take(void) {
    struct mp__launch launch;
    MPT_OK(mp__launch_take(&launch, &object));
    return launch;
}

static void give(struct mp__launch launch) {
    mp__member_cancel(atomic_load(&launch.shared->child));
    mp__launch_free(launch);
}

/* The record of `old`, given back, in its next use. */
static struct mp__launch take_again(struct mp__launch old) {
    struct mp__launch launch = {0};
    give(old);
    for (unsigned turn = 0; launch.shared != old.shared; turn++) {
        assert_true(turn < 2 * MP__LAUNCH_MAX);
        if (launch.shared)
            give(launch);
        launch = take();
    }
    return launch;
}

static void test_late_child_changes_nothing_in_the_next_use(void **state) {
    (void)state;
    assert_non_null(mp__self());
    struct mp__launch old = take();
    struct mp__launch launch = take_again(old);
    strcpy(launch.shared->detail, "untouched");
    mp__launch_runs(old, true);
    assert_int_equal(mp__launch_state(launch), MP__LAUNCH_UNDER_WAY);
    mp__launch_fail(old, mp__fail(MP_EINVAL, "a late failure"));
    assert_int_equal(mp__launch_state(launch), MP__LAUNCH_UNDER_WAY);
    assert_string_equal(launch.shared->detail, "untouched");
    mp__launch_end(old, 3);
    assert_false(mp__launch_code(launch, &(int){0}));
    give(launch);
}

static void test_late_child_finds_nothing_to_run(void **state) {
    (void)state;
    assert_non_null(mp__self());
    struct mp__launch_facts facts;
    struct mp__launch old = take();
    MPT_OK(mp__launch_read(old, &facts));
    assert_ptr_equal(facts.process, &object);
    assert_true(facts.maker == mp__member_self());
    struct mp__launch launch = take_again(old);
    MPT_CODE(mp__launch_read(old, &facts), MP_ESTATE);
    MPT_OK(mp__launch_read(launch, &facts));
    give(launch);
}

static void test_child_tells_why_it_fails_once(void **state) {
    (void)state;
    assert_non_null(mp__self());
    struct mp__launch launch = take();
    mp__launch_fail(launch, mp__fail(MP_EINVAL, "the reason"));
    assert_int_equal(mp__launch_state(launch), MP__LAUNCH_FAILED);
    assert_int_equal(launch.shared->failure, MP_EINVAL);
    assert_string_equal(launch.shared->detail, "the reason");
    mp__launch_runs(launch, true);
    assert_int_equal(mp__launch_state(launch), MP__LAUNCH_FAILED);
    give(launch);
}

MPT_PROCESS_MAIN(MPT_CASE(test_late_child_changes_nothing_in_the_next_use),
                 MPT_CASE(test_late_child_finds_nothing_to_run),
                 MPT_CASE(test_child_tells_why_it_fails_once))

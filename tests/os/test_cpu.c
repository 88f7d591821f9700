/* Counting processors.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <sched.h>

#include "os/cpu.h"

static void test_some_of_the_processors_are_usable(void **state) {
    (void)state;
    assert_in_range(mp__cpu_usable_count(), 1, mp__cpu_count());
    mp__cpu_pause();
}

static void test_affinity_to_one_processor_is_alone(void **state) {
    (void)state;
#ifdef MP__PORTABLE
    skip();
#endif
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(mp__cpu_usable_count(), 1);
    assert_true(mp__cpu_is_alone());
}

static void test_pinned_to_processors_in_turn(void **state) {
    (void)state;
    if (!mp__cpu_can_pin())
        skip();
    cpu_set_t all, one;
    bool is_alone = mp__cpu_is_alone();
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (unsigned number = 0; number < 5; number++) {
        mp__cpu_pin(number);
        assert_int_equal(sched_getaffinity(0, sizeof one, &one), 0);
        assert_int_equal(CPU_COUNT(&one), 1);
        unsigned before = 0, cpu = 0;
        for (; !CPU_ISSET(cpu, &one); cpu++)
            before += CPU_ISSET(cpu, &all) != 0;
        assert_int_equal(before, number % (unsigned)CPU_COUNT(&all));
        assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    }
    assert_true(mp__cpu_is_alone() == is_alone);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_pinned_to_processors_in_turn),
         MPT_CASE(test_some_of_the_processors_are_usable),
         MPT_CASE(test_affinity_to_one_processor_is_alone))

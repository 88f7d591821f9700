/* Bytes nobody can guess.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <string.h>

#include "os/random.h"

static void test_random_fills_all_and_never_twice_the_same(void **state) {
    (void)state;
    static unsigned char first[100000], second[100000];
    MPT_OK(mp__random_bytes(first, sizeof first));
    MPT_OK(mp__random_bytes(second, sizeof second));
    assert_memory_not_equal(first, second, sizeof first);
    for (size_t at = 0; at + 16 <= sizeof first; at += 16)
        assert_memory_not_equal(first + at, (unsigned char[16]){0}, 16);
}

static void test_random_of_no_bytes_touches_nothing(void **state) {
    (void)state;
    unsigned char byte = 7;
    MPT_OK(mp__random_bytes(&byte, 0));
    assert_int_equal(byte, 7);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_random_fills_all_and_never_twice_the_same),
         MPT_CASE(test_random_of_no_bytes_touches_nothing))

/* Error codes in words.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

static void test_every_code_has_a_name_and_a_sentence(void **state) {
    (void)state;
#define CHECK_ROW(name, value, exception, sentence)   \
    assert_string_equal(mp_error_name(name), #name);  \
    assert_string_equal(mp_strerror(name), sentence); \
    assert_string_equal(mp_error_exception(name), exception);
    MP_ERROR_TABLE(CHECK_ROW)
#undef CHECK_ROW
}

static void test_codes_of_the_system_pass_through(void **state) {
    (void)state;
    assert_string_equal(mp_error_name(-ENOENT), "ENOENT");
    assert_string_equal(mp_strerror(-ENOENT), strerror(ENOENT));
    assert_string_equal(mp_error_exception(-ENOENT), "OSError");
}

static void test_unknown_codes_are_said_to_be_unknown(void **state) {
    (void)state;
    assert_string_equal(mp_error_name(-99999), "?");
    assert_string_equal(mp_strerror(-99999), "unknown error code");
    assert_string_equal(mp_error_name(7), "0");
    assert_string_equal(mp_strerror(0), "success");
}

static void test_detail_ends_with_the_system_s_reason(void **state) {
    (void)state;
    assert_int_equal(mp__fail(-ENOENT, "opening '%s'", "x"), -ENOENT);
    assert_string_equal(mp_error_detail(), "opening 'x': No such file or directory");
    assert_int_equal(mp__fail(MP_EINVAL, "size is 0"), MP_EINVAL);
    assert_string_equal(mp_error_detail(), "size is 0");
}

static void test_version_is_the_headers(void **state) {
    (void)state;
    int major, minor, patch;
    assert_int_equal(sscanf(mp_version_string(), "%d.%d.%d", &major, &minor, &patch), 3);
    assert_true(major == MP_VERSION_MAJOR && minor == MP_VERSION_MINOR &&
                patch == MP_VERSION_PATCH);
}

MPT_MAIN(MPT_CASE(test_version_is_the_headers),
         MPT_CASE(test_every_code_has_a_name_and_a_sentence),
         MPT_CASE(test_codes_of_the_system_pass_through),
         MPT_CASE(test_unknown_codes_are_said_to_be_unknown),
         MPT_CASE(test_detail_ends_with_the_system_s_reason))

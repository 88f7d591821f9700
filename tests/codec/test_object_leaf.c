/* Numbers, texts and bytes: made, read, refused.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdlib.h>
#include <string.h>

#include "mp/collection.h"
#include "object.h"

static void test_every_kind_has_python_s_name(void **state) {
    (void)state;
    assert_string_equal(mp_object_kind_name(MP_OBJECT_NONE), "NoneType");
    assert_string_equal(mp_object_kind_name(MP_OBJECT_BYTEARRAY), "bytearray");
    assert_string_equal(mp_object_kind_name(MP_OBJECT_PERSISTENT), "persistent");
    assert_string_equal(mp_object_kind_name(MP_OBJECT_INVALID), "?");
    assert_string_equal(mp_object_kind_name((mp_object_kind)99), "?");
    assert_int_equal(mp_object_get_kind(NULL), MP_OBJECT_INVALID);
}

static void test_integers_come_back_at_every_size(void **state) {
    (void)state;
    static const int64_t values[] = {0,         1,         -1,
                                     127,       -128,      255,
                                     INT32_MAX, INT32_MIN, INT64_MAX >> 1,
                                     INT64_MAX, INT64_MIN, (INT64_MAX >> 1) + 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        int64_t value;
        mp_object *object = mp_integer_new(values[i]);
        MPT_OK(mp_integer_get(object, &value));
        assert_true(value == values[i]);
        mp_object_free(object);
    }
}

static void test_an_integer_that_does_not_fit_is_refused(void **state) {
    (void)state;
    int64_t value = 7;
    uint64_t positive = 7;
    mp_object *large = mp_integer_new_text("18446744073709551616");
    mp_object *highest = mp_integer_new_unsigned(UINT64_MAX), *negative = mp_integer_new(-1);
    MPT_CODE(mp_integer_get(large, &value), MP_EINVAL);
    MPT_CODE(mp_integer_get(highest, &value), MP_EINVAL);
    MPT_CODE(mp_integer_get_unsigned(large, &positive), MP_EINVAL);
    MPT_CODE(mp_integer_get_unsigned(negative, &positive), MP_EINVAL);
    assert_true(value == 7 && positive == 7);
    MPT_OK(mp_integer_get_unsigned(highest, &positive));
    assert_true(positive == UINT64_MAX);
    MPT_CODE(mp_integer_get(mp_none_new(), &value), MP_ETYPE);
    MPT_CODE(mp_integer_get(NULL, &value), MP_EINVAL);
    MPT_CODE(mp_integer_get(large, NULL), MP_EINVAL);
    mp_object_free(large);
    mp_object_free(highest);
}

static void test_integers_as_text_and_bytes(void **state) {
    (void)state;
    static const char *const texts[] = {"0",
                                        "-1",
                                        "999999999999999999",
                                        "1000000000000000000",
                                        "-340282366920938463463374607431768211456",
                                        "123456789012345678901234567890123456789000000000"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *text;
        uint8_t bytes[64];
        size_t size;
        mp_object *object = mp_integer_new_text(texts[i]);
        MPT_OK(mp_integer_get_text(object, &text));
        assert_string_equal(text, texts[i]);
        free(text);
        MPT_OK(mp_integer_get_bytes(object, bytes, sizeof bytes, &size));
        mp_object *again = mp_integer_new_bytes(bytes, size);
        assert_int_equal(mp_object_equal(object, again), 1);
        if (size > 0)
            MPT_CODE(mp_integer_get_bytes(object, bytes, size - 1, &size), MP_ETOOSHORT);
        mp_object_free(object);
        mp_object_free(again);
    }
}

static void test_texts_that_are_no_integers_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {
        "", "-", "1x", " 1", "0x10", "1.0", "12345678901234567890x"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_null(mp_integer_new_text(texts[i]));
    assert_null(mp_integer_new_text(NULL));
    assert_null(mp_integer_new_bytes(NULL, 1));
    char *digits = malloc(100002);
    memset(digits, '1', 100001);
    digits[100001] = 0;
    assert_null(mp_integer_new_text(digits));
    free(digits);
}

static void test_an_integer_too_long_for_decimal_is_refused(void **state) {
    (void)state;
    char *text;
    void *bytes = memset(malloc(50000), 1, 50000);
    mp_object *huge = mp_integer_new_bytes(bytes, 50000);
    MPT_CODE(mp_integer_get_text(huge, &text), MP_EINVAL);
    MPT_CODE(mp_integer_get_text(mp_none_new(), &text), MP_ETYPE);
    MPT_CODE(mp_integer_get_text(huge, NULL), MP_EINVAL);
    mp_object_free(huge);
    free(bytes);
}

static void test_floats_are_read_from_floats_and_integers(void **state) {
    (void)state;
    double value;
    mp_object *pi = mp_float_new(3.25), *large = mp_integer_new_text("-18446744073709553665");
    MPT_OK(mp_float_get(pi, &value));
    assert_true(value == 3.25);
    MPT_OK(mp_float_get(mp_bool_new(true), &value));
    assert_true(value == 1);
    MPT_OK(mp_float_get(large, &value));
    assert_true(value == -18446744073709555712.0);
    MPT_CODE(mp_float_get(mp_none_new(), &value), MP_ETYPE);
    MPT_CODE(mp_float_get(NULL, &value), MP_EINVAL);
    mp_object_free(pi);
    mp_object_free(large);
}

static void test_an_integer_larger_than_any_double_is_refused(void **state) {
    (void)state;
    double value;
    uint8_t bytes[130] = {[129] = 1};
    mp_object *large = mp_integer_new_bytes(bytes, sizeof bytes);
    MPT_CODE(mp_float_get(large, &value), MP_EINVAL);
    mp_object_free(large);
}

static void test_strs_are_utf8_with_lone_surrogates(void **state) {
    (void)state;
    const char *text;
    size_t size;
    mp_object *str = mp_str_new_sized("a\0b", 3);
    MPT_OK(mp_str_get(str, &text, &size));
    assert_int_equal(size, 3);
    MPT_CODE(mp_str_get(str, &text, NULL), MP_EINVAL);
    MPT_CODE(mp_str_get(mp_none_new(), &text, NULL), MP_ETYPE);
    MPT_CODE(mp_str_get(NULL, &text, NULL), MP_EINVAL);
    mp_object_free(str);
    str = mp_str_new("\xed\xa0\x80\xf0\x9f\x98\x80");
    assert_int_equal(mp_object_length(str), 2);
    mp_object_free(str);
    static const char *const wrong[] = {"\x80",  "\xc0\x80", "\xe0\x80\x80",    "\xf4\x90\x80\x80",
                                        "a\xff", "\xe2\x82", "\xf0\x80\x80\x80"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_null(mp_str_new(wrong[i]));
    assert_null(mp_str_new(NULL));
}

static void test_bytes_and_bytearrays_hold_copies(void **state) {
    (void)state;
    const void *data;
    size_t size;
    char text[] = "abc";
    mp_object *bytes = mp_bytes_new(text, 3), *array = mp_bytearray_new(text, 3);
    text[0] = 'x';
    MPT_OK(mp_bytes_get(bytes, &data, &size));
    assert_memory_equal(data, "abc", 3);
    assert_int_equal(mp_object_equal(bytes, array), 1);
    MPT_OK(mp_bytearray_set(array, "longer", 6));
    MPT_OK(mp_bytes_get(array, &data, &size));
    assert_int_equal(size, 6);
    MPT_CODE(mp_bytearray_set(bytes, "x", 1), MP_ETYPE);
    MPT_CODE(mp_bytearray_set(array, NULL, 1), MP_EINVAL);
    MPT_CODE(mp_bytes_get(mp_none_new(), &data, &size), MP_ETYPE);
    MPT_CODE(mp_bytes_get(bytes, NULL, &size), MP_EINVAL);
    assert_null(mp_bytes_new(NULL, 1));
    assert_null(mp_bytearray_new(NULL, 1));
    mp_object_free(bytes);
    mp_object_free(array);
}

static void test_truth_is_python_s(void **state) {
    (void)state;
    assert_false(mp_object_is_true(NULL));
    assert_false(mp_object_is_true(mp_none_new()));
    assert_false(mp_object_is_true(mp_bool_new(false)));
    assert_true(mp_object_is_true(mp_bool_new(true)));
    assert_false(mp_object_is_true(mp_integer_new(0)));
    assert_true(mp_object_is_true(mp_integer_new(-5)));
    mp_object *empty[] = {mp_str_new(""),     mp_bytes_new("", 0), mp_list_new(),
                          mp_float_new(-0.0), mp_dict_new(),       mp_tuple_new(NULL, 0)};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        assert_false(mp_object_is_true(empty[i]));
        mp_object_free(empty[i]);
    }
    bool value;
    MPT_OK(mp_bool_get(mp_bool_new(true), &value));
    assert_true(value);
    MPT_CODE(mp_bool_get(mp_none_new(), &value), MP_ETYPE);
    MPT_CODE(mp_bool_get(NULL, &value), MP_EINVAL);
}

static void test_floats_print_in_the_fewest_digits(void **state) {
    (void)state;
    mpt_expect_new(mp_float_new(0.1), "0.1");
    mpt_expect_new(mp_float_new(-0.0), "-0.0");
    mpt_expect_new(mp_float_new(1e16), "1e+16");
    mpt_expect_new(mp_float_new(1e15), "1000000000000000.0");
    mpt_expect_new(mp_float_new(123456789.125), "123456789.125");
    mpt_expect_new(mp_float_new(0.0001), "0.0001");
    mpt_expect_new(mp_float_new(0.00001), "1e-05");
    mpt_expect_new(mp_float_new(5e-324), "5e-324");
    mpt_expect_new(mp_float_new(1.7976931348623157e308), "1.7976931348623157e+308");
    mpt_expect_new(mp_float_new(0x1p-44), "5.684341886080802e-14");
    mpt_expect_new(mp_float_new(INFINITY), "inf");
    mpt_expect_new(mp_float_new(-INFINITY), "-inf");
    mpt_expect_new(mp_float_new(NAN), "nan");
}

static void test_texts_print_with_python_s_quotes(void **state) {
    (void)state;
    mpt_expect_new(mp_str_new("plain"), "'plain'");
    mpt_expect_new(mp_str_new("it's"), "\"it's\"");
    mpt_expect_new(mp_str_new("'\""), "'\\'\"'");
    mpt_expect_new(mp_str_new("\\\n\r\t\x01\x7f"), "'\\\\\\n\\r\\t\\x01\\x7f'");
    mpt_expect_new(mp_str_new("\xc3\xa9\xc2\xa0\xe2\x80\xa8\xed\xa0\x80"),
                   "'\xc3\xa9\\xa0\\u2028\\ud800'");
    mpt_expect_new(mp_bytes_new("a'\"\xff\0", 5), "b'a\\'\"\\xff\\x00'");
    mpt_expect_new(mp_bytearray_new("x", 1), "bytearray(b'x')");
}

MPT_MAIN(MPT_CASE(test_every_kind_has_python_s_name),
         MPT_CASE(test_integers_come_back_at_every_size),
         MPT_CASE(test_an_integer_that_does_not_fit_is_refused),
         MPT_CASE(test_integers_as_text_and_bytes),
         MPT_CASE(test_texts_that_are_no_integers_are_refused),
         MPT_CASE(test_an_integer_too_long_for_decimal_is_refused),
         MPT_CASE(test_floats_are_read_from_floats_and_integers),
         MPT_CASE(test_an_integer_larger_than_any_double_is_refused),
         MPT_CASE(test_strs_are_utf8_with_lone_surrogates),
         MPT_CASE(test_bytes_and_bytearrays_hold_copies),
         MPT_CASE(test_truth_is_python_s),
         MPT_CASE(test_floats_print_in_the_fewest_digits),
         MPT_CASE(test_texts_print_with_python_s_quotes))

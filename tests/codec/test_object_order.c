/* Slices of lists, their order, and which of two objects comes first: by Python's rules.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <math.h>

#include "mp/collection.h"
#include "object.h"

static const ptrdiff_t none = MP_SLICE_NONE;

static mp_object *numbers(int count) {
    mp_object *list = mp_list_new();
    for (int i = 0; i < count; i++)
        MPT_OK(mp_list_append(list, mp_integer_new(i)));
    return list;
}

static void expect_slice(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step, const char *text) {
    mp_object *list = numbers(6);
    mpt_expect_new(mp_list_slice(list, (mp_slice){start, stop, step}), text);
    mp_object_free(list);
}

static void test_slices_are_pythons(void **state) {
    (void)state;
    expect_slice(none, none, none, "[0, 1, 2, 3, 4, 5]");
    expect_slice(1, 3, none, "[1, 2]");
    expect_slice(-2, none, none, "[4, 5]");
    expect_slice(none, -2, none, "[0, 1, 2, 3]");
    expect_slice(-99, 99, 2, "[0, 2, 4]");
    expect_slice(none, none, -1, "[5, 4, 3, 2, 1, 0]");
    expect_slice(99, 0, -2, "[5, 3, 1]");
    expect_slice(4, -99, -3, "[4, 1]");
    expect_slice(3, 1, none, "[]");
    expect_slice(1, 3, -1, "[]");
    expect_slice(PTRDIFF_MAX, -PTRDIFF_MAX, -PTRDIFF_MAX, "[5]");
    expect_slice(0, PTRDIFF_MAX, PTRDIFF_MAX, "[0]");
}

static void test_a_slice_of_a_tuple_is_a_tuple(void **state) {
    (void)state;
    mp_object *tuple = mp_object_build("(iii)", 1, 2, 3);
    mpt_expect_new(mp_list_slice(tuple, (mp_slice){1, none, none}), "(2, 3)");
    mpt_expect_new(mp_list_copy(tuple), "[1, 2, 3]");
    mp_object *list = mp_list_copy(tuple);
    mpt_expect_new(mp_tuple_copy(list), "(1, 2, 3)");
    mp_object_free(list);
    mp_object_free(tuple);
}

static void expect_set(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step, mp_object *items,
                       const char *text) {
    mp_object *list = numbers(5);
    MPT_OK(mp_list_set_slice(list, (mp_slice){start, stop, step}, items));
    mp_object_free(items);
    mpt_expect_new(list, text);
}

static void test_slices_are_replaced(void **state) {
    (void)state;
    expect_set(1, 3, none, mp_object_build("[s]", "x"), "[0, 'x', 3, 4]");
    expect_set(1, 1, none, mp_object_build("(ss)", "x", "y"), "[0, 'x', 'y', 1, 2, 3, 4]");
    expect_set(3, 1, none, mp_object_build("[s]", "x"), "[0, 1, 2, 'x', 3, 4]");
    expect_set(none, none, none, mp_list_new(), "[]");
    expect_set(none, none, 2, mp_object_build("[sss]", "a", "b", "c"), "['a', 1, 'b', 3, 'c']");
    expect_set(none, none, -2, mp_object_build("[sss]", "a", "b", "c"), "['c', 1, 'b', 3, 'a']");
}

static void test_a_list_replaces_a_part_by_itself(void **state) {
    (void)state;
    mp_object *list = numbers(3);
    MPT_OK(mp_list_set_slice(list, (mp_slice){1, 2, none}, list));
    mpt_expect_new(list, "[0, 0, 1, 2, 2]");
}

static void expect_deleted(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t step, const char *text) {
    mp_object *list = numbers(5);
    MPT_OK(mp_list_delete_slice(list, (mp_slice){start, stop, step}));
    mpt_expect_new(list, text);
}

static void test_slices_are_deleted(void **state) {
    (void)state;
    expect_deleted(1, 3, none, "[0, 3, 4]");
    expect_deleted(none, none, none, "[]");
    expect_deleted(none, none, 2, "[1, 3]");
    expect_deleted(none, none, -3, "[0, 2, 3]");
    expect_deleted(3, 1, none, "[0, 1, 2, 3, 4]");
}

static void test_bad_slices_are_refused(void **state) {
    (void)state;
    size_t first, count;
    ptrdiff_t step;
    mp_slice zero = {none, none, 0}, two = {none, none, 2};
    mp_object *list = numbers(4), *one = numbers(1), *set = mp_set_new();
    assert_null(mp_list_slice(list, zero));
    assert_null(mp_list_slice(set, two));
    assert_null(mp_list_slice(NULL, two));
    assert_null(mp_list_copy(set));
    assert_null(mp_tuple_copy(NULL));
    MPT_CODE(mp_list_set_slice(list, zero, one), MP_EINVAL);
    MPT_CODE(mp_list_set_slice(list, two, one), MP_EINVAL);
    MPT_CODE(mp_list_set_slice(list, two, set), MP_ETYPE);
    MPT_CODE(mp_list_set_slice(list, two, NULL), MP_EINVAL);
    MPT_CODE(mp_list_set_slice(set, two, one), MP_ETYPE);
    MPT_CODE(mp_list_delete_slice(list, zero), MP_EINVAL);
    MPT_CODE(mp_list_delete_slice(set, two), MP_ETYPE);
    MPT_CODE(mp_slice_indices(zero, 3, &first, &step, &count), MP_EINVAL);
    MPT_CODE(mp_slice_indices(two, 3, NULL, &step, &count), MP_EINVAL);
    MPT_OK(mp_slice_indices(two, 3, &first, &step, &count));
    mp_object_free(set);
    mp_object_free(one);
    mpt_expect_new(list, "[0, 1, 2, 3]");
}

static void expect_sorted(mp_object *list, bool reverse, const char *text) {
    MPT_OK(mp_list_sort(list, reverse));
    mpt_expect_new(list, text);
}

static void test_lists_are_sorted(void **state) {
    (void)state;
    expect_sorted(mp_list_new(), false, "[]");
    expect_sorted(mp_object_build("[iiiii]", 3, 1, 2, 5, 4), false, "[1, 2, 3, 4, 5]");
    expect_sorted(mp_object_build("[iiiii]", 3, 1, 2, 5, 4), true, "[5, 4, 3, 2, 1]");
    expect_sorted(mp_object_build("[sss]", "b", "", "ab"), false, "['', 'ab', 'b']");
    expect_sorted(mp_object_build("[d?id]", 1.5, 1, 0, -0.5), false, "[-0.5, 0, True, 1.5]");
    expect_sorted(mp_object_build("[(is)(is)(is)]", 2, "b", 1, "z", 2, "a"), false,
                  "[(1, 'z'), (2, 'a'), (2, 'b')]");
}

static void test_equal_items_keep_their_order(void **state) {
    (void)state;
    expect_sorted(mp_object_build("[id?i]", 1, 1.0, 1, 0), false, "[0, 1, 1.0, True]");
    expect_sorted(mp_object_build("[id?i]", 1, 1.0, 1, 2), true, "[2, 1, 1.0, True]");
}

static void test_a_long_list_is_sorted(void **state) {
    (void)state;
    mp_object *list = mp_list_new();
    unsigned random = 1;
    for (int i = 0; i < 10000; i++, random = random * 1103515245u + 12345u)
        MPT_OK(mp_list_append(list, mp_integer_new(random >> 8)));
    MPT_OK(mp_list_sort(list, false));
    for (int i = 1; i < 10000; i++)
        assert_int_equal(mp_object_less(mp_list_get(list, i), mp_list_get(list, i - 1)), 0);
    mp_object_free(list);
}

static void test_what_has_no_order_stays_as_it_was(void **state) {
    (void)state;
    mp_object *list = mp_object_build("[isi]", 3, "x", 1), *set = mp_set_new();
    MPT_CODE(mp_list_sort(list, false), MP_ETYPE);
    assert_string_equal(mp_error_detail(), "'<' not supported between instances of 'str' and "
                                           "'int'");
    mpt_expect_new(list, "[3, 'x', 1]");
    MPT_CODE(mp_list_sort(set, false), MP_ETYPE);
    MPT_CODE(mp_list_sort(NULL, false), MP_EINVAL);
    mp_object_free(set);
}

static int is_less(mp_object *a, mp_object *b) {
    int result = mp_object_less(a, b);
    mp_object_free(a);
    mp_object_free(b);
    return result;
}

static mp_object *big(const char *digits) {
    return mp_integer_new_text(digits);
}

static void test_numbers_are_ordered_exactly(void **state) {
    (void)state;
    assert_int_equal(is_less(big("-1"), big("1")), 1);
    assert_int_equal(is_less(big("-18446744073709551616"), big("-1")), 1);
    assert_int_equal(is_less(big("18446744073709551616"), big("18446744073709551617")), 1);
    assert_int_equal(is_less(big("18446744073709551617"), big("18446744073709551616")), 0);
    assert_int_equal(is_less(mp_float_new(0x1p53), big("9007199254740993")), 1);
    assert_int_equal(is_less(big("9007199254740993"), mp_float_new(0x1p53)), 0);
    assert_int_equal(is_less(big("9007199254740991"), mp_float_new(0x1p53)), 1);
    assert_int_equal(is_less(mp_float_new(INFINITY), big("9")), 0);
    assert_int_equal(is_less(mp_float_new(-INFINITY), big("9")), 1);
    assert_int_equal(is_less(mp_float_new(NAN), big("9")), 0);
    assert_int_equal(is_less(big("9"), mp_float_new(NAN)), 0);
}

static void test_other_kinds_are_ordered(void **state) {
    (void)state;
    assert_int_equal(is_less(mp_bytes_new("a", 1), mp_bytearray_new("ab", 2)), 1);
    assert_int_equal(is_less(mp_object_build("[ii]", 1, 2), mp_object_build("[ii]", 1, 3)), 1);
    assert_int_equal(is_less(mp_object_build("[ii]", 1, 2), mp_object_build("[i]", 1)), 0);
    assert_int_equal(is_less(mp_set_new(), mp_frozenset_new(&(mp_object *){mp_none_new()}, 1)), 1);
    assert_int_equal(is_less(mp_set_new(), mp_set_new()), 0);
    MPT_CODE(is_less(mp_none_new(), mp_none_new()), MP_ETYPE);
    MPT_CODE(is_less(mp_dict_new(), mp_dict_new()), MP_ETYPE);
    MPT_CODE(is_less(mp_object_build("[i]", 1), mp_object_build("(i)", 1)), MP_ETYPE);
    MPT_CODE(is_less(NULL, mp_none_new()), MP_EINVAL);
}

static mp_object *nest(int depth, int value) {
    mp_object *object = mp_integer_new(value);
    for (int i = 0; i < depth; i++)
        object = mp_object_build("[N]", object);
    return object;
}

static void test_deep_sequences_are_refused(void **state) {
    (void)state;
    assert_int_equal(is_less(nest(100, 1), nest(100, 2)), 1);
    MPT_CODE(is_less(nest(300, 1), nest(300, 2)), MP_EINVAL);
}

MPT_MAIN(MPT_CASE(test_slices_are_pythons), MPT_CASE(test_a_slice_of_a_tuple_is_a_tuple),
         MPT_CASE(test_slices_are_replaced), MPT_CASE(test_a_list_replaces_a_part_by_itself),
         MPT_CASE(test_slices_are_deleted), MPT_CASE(test_bad_slices_are_refused),
         MPT_CASE(test_lists_are_sorted), MPT_CASE(test_equal_items_keep_their_order),
         MPT_CASE(test_a_long_list_is_sorted), MPT_CASE(test_what_has_no_order_stays_as_it_was),
         MPT_CASE(test_numbers_are_ordered_exactly), MPT_CASE(test_other_kinds_are_ordered),
         MPT_CASE(test_deep_sequences_are_refused))

/* Lists, tuples, dicts and sets: edited, searched, compared, copied, printed, freed.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mp/collection.h"
#include "mp/pickle.h"
#include "object.h"

static void test_a_list_is_edited_at_any_place(void **state) {
    (void)state;
    mp_object *list = mp_list_new(), *item;
    MPT_OK(mp_list_append(list, mp_integer_new(2)));
    MPT_OK(mp_list_insert(list, 0, mp_integer_new(1)));
    MPT_OK(mp_list_insert(list, 99, mp_str_new("end")));
    MPT_OK(mp_list_insert(list, -99, mp_integer_new(0)));
    MPT_OK(mp_list_set(list, -1, mp_none_new()));
    mpt_expect_repr(list, "[0, 1, 2, None]");
    MPT_OK(mp_list_pop(&item, list, 1));
    assert_int_equal(mp_object_get_kind(item), MP_OBJECT_INT);
    MPT_OK(mp_list_delete(list, -1));
    MPT_OK(mp_list_extend(list, list));
    MPT_OK(mp_list_reverse(list));
    mpt_expect_repr(list, "[2, 0, 2, 0]");
    MPT_OK(mp_object_clear(list));
    assert_int_equal(mp_object_length(list), 0);
    mp_object_free(list);
}

static void test_a_list_refuses_what_cannot_be(void **state) {
    (void)state;
    mp_object *list = mp_list_new(), *tuple = mp_tuple_new(NULL, 0), *item;
    MPT_CODE(mp_list_append(tuple, mp_str_new("given back")), MP_ETYPE);
    MPT_CODE(mp_list_append(NULL, mp_str_new("given back")), MP_EINVAL);
    MPT_CODE(mp_list_append(list, NULL), -ENOMEM);
    MPT_CODE(mp_list_set(list, 0, mp_str_new("given back")), MP_EINDEX);
    MPT_CODE(mp_list_insert(tuple, 0, mp_str_new("given back")), MP_ETYPE);
    MPT_CODE(mp_list_delete(list, 0), MP_EINDEX);
    MPT_CODE(mp_list_pop(&item, list, -1), MP_EINDEX);
    MPT_CODE(mp_list_pop(NULL, list, -1), MP_EINVAL);
    MPT_CODE(mp_list_pop(&item, tuple, -1), MP_ETYPE);
    MPT_CODE(mp_list_extend(list, mp_none_new()), MP_ETYPE);
    MPT_CODE(mp_list_extend(list, NULL), MP_EINVAL);
    MPT_CODE(mp_list_reverse(tuple), MP_ETYPE);
    MPT_CODE(mp_object_clear(tuple), MP_ETYPE);
    MPT_CODE(mp_object_clear(NULL), MP_EINVAL);
    assert_null(mp_list_get(list, 0));
    assert_null(mp_tuple_get(mp_none_new(), 0));
    mp_object_free(list);
    mp_object_free(tuple);
}

static void test_items_are_found_by_equality(void **state) {
    (void)state;
    size_t index = 9;
    mp_object *list = mp_object_build("[isds]", 5, "a", 2.0, "b");
    MPT_OK(mp_list_find(list, mp_integer_new(2), &index));
    assert_int_equal(index, 2);
    MPT_CODE(mp_list_find(list, mp_integer_new(3), &index), MP_EINDEX);
    MPT_CODE(mp_list_find(mp_none_new(), mp_integer_new(3), &index), MP_ETYPE);
    MPT_CODE(mp_list_find(list, NULL, &index), MP_EINVAL);
    assert_int_equal(mp_object_contains(list, mp_integer_new(5)), 1);
    assert_int_equal(mp_object_contains(list, mp_none_new()), 0);
    assert_int_equal(mp_object_contains(mp_none_new(), list), MP_ETYPE);
    assert_int_equal(mp_object_contains(NULL, list), MP_EINVAL);
    mp_object_free(list);
}

static void test_a_tuple_takes_its_items_also_on_failure(void **state) {
    (void)state;
    mp_object *items[2] = {mp_str_new("a"), NULL};
    assert_null(mp_tuple_new(items, 2));
    items[0] = mp_str_new("a");
    items[1] = mp_float_new(1.5);
    mp_object *tuple = mp_tuple_new(items, 2);
    mpt_expect_repr(tuple, "('a', 1.5)");
    assert_ptr_equal(mp_tuple_get(tuple, -2), items[0]);
    mp_object_free(tuple);
    items[0] = mp_list_new();
    items[1] = mp_str_new("given back");
    assert_null(mp_frozenset_new(items, 2));
    items[0] = mp_integer_new(1);
    items[1] = mp_float_new(1);
    mp_object *set = mp_frozenset_new(items, 2);
    mpt_expect_repr(set, "frozenset({1})");
    mp_object_free(set);
}

static void test_a_dict_keeps_order_through_many_changes(void **state) {
    (void)state;
    mp_object *dict = mp_dict_new(), *value;
    for (int i = 0; i < 1000; i++)
        MPT_OK(mp_dict_set(dict, mp_integer_new(i), mp_integer_new(-i)));
    for (int i = 0; i < 1000; i += 2)
        MPT_OK(mp_dict_delete(dict, mp_integer_new(i)));
    for (int i = 2000; i < 3000; i++)
        MPT_OK(mp_dict_set(dict, mp_integer_new(i), mp_none_new()));
    assert_int_equal(mp_object_length(dict), 1500);
    mp_object *key;
    int64_t last = -1, number;
    for (size_t cursor = 0; mp_dict_next(dict, &cursor, &key, &value);) {
        MPT_OK(mp_integer_get(key, &number));
        assert_true(number > last);
        last = number;
    }
    assert_null(mp_dict_get(dict, mp_integer_new(10)));
    assert_non_null(mp_dict_get(dict, mp_integer_new(11)));
    MPT_OK(mp_dict_pop(&value, dict, mp_integer_new(11)));
    MPT_CODE(mp_dict_pop(&value, dict, mp_integer_new(11)), MP_EKEY);
    MPT_OK(mp_object_clear(dict));
    assert_false(mp_dict_next(dict, &(size_t){0}, NULL, NULL));
    mp_object_free(dict);
}

static void test_equal_numbers_are_one_key(void **state) {
    (void)state;
    mp_object *dict = mp_dict_new(), *large = mp_float_new(1e22);
    MPT_OK(mp_dict_set(dict, mp_integer_new(1), mp_str_new("int")));
    MPT_OK(mp_dict_set(dict, mp_bool_new(true), mp_str_new("bool")));
    MPT_OK(mp_dict_set(dict, mp_float_new(1), mp_str_new("float")));
    MPT_OK(mp_dict_set(dict, mp_integer_new_text("10000000000000000000000"), mp_none_new()));
    MPT_OK(mp_dict_set(dict, large, mp_integer_new(0)));
    MPT_OK(mp_dict_set_text(dict, "a", mp_integer_new(1)));
    MPT_OK(mp_dict_set(dict, mp_bytes_new("a", 1), mp_integer_new(2)));
    mpt_expect_repr(dict, "{1: 'float', 10000000000000000000000: 0, 'a': 1, b'a': 2}");
    assert_non_null(mp_dict_get_text(dict, "a"));
    assert_null(mp_dict_get_text(dict, "b"));
    mp_object_free(dict);
}

static void test_a_dict_refuses_what_cannot_be(void **state) {
    (void)state;
    mp_object *dict = mp_dict_new(), *list = mp_list_new(), *value;
    MPT_CODE(mp_dict_set(dict, mp_list_new(), mp_str_new("given back")), MP_ETYPE);
    MPT_CODE(mp_dict_set(dict, mp_object_build("(i[])", 1), mp_str_new("given back")), MP_ETYPE);
    MPT_CODE(mp_dict_set(list, mp_str_new("k"), mp_str_new("v")), MP_ETYPE);
    MPT_CODE(mp_dict_set(dict, mp_str_new("k"), NULL), -ENOMEM);
    MPT_CODE(mp_dict_set_text(dict, NULL, mp_str_new("given back")), MP_EINVAL);
    MPT_CODE(mp_dict_set_text(dict, "\xff", mp_str_new("given back")), MP_EINVAL);
    MPT_CODE(mp_dict_delete(dict, mp_none_new()), MP_EKEY);
    MPT_CODE(mp_dict_delete(dict, list), MP_ETYPE);
    MPT_CODE(mp_dict_delete(dict, NULL), MP_EINVAL);
    MPT_CODE(mp_dict_delete(list, mp_none_new()), MP_ETYPE);
    MPT_CODE(mp_dict_pop(NULL, dict, mp_none_new()), MP_EINVAL);
    MPT_CODE(mp_dict_pop(&value, NULL, mp_none_new()), MP_EINVAL);
    assert_null(mp_dict_get(list, list));
    assert_int_equal(mp_object_length(dict), 0);
    mp_object_free(dict);
    mp_object_free(list);
}

static void test_a_set_holds_each_member_once(void **state) {
    (void)state;
    mp_object *set = mp_set_new(), *item, *frozen = mp_frozenset_new(NULL, 0);
    MPT_OK(mp_set_add(set, mp_str_new("a")));
    MPT_OK(mp_set_add(set, mp_str_new("a")));
    MPT_OK(mp_set_add(set, mp_object_build("(is)", 1, "b")));
    assert_int_equal(mp_object_length(set), 2);
    mpt_expect_repr(set, "{'a', (1, 'b')}");
    mpt_expect_repr(frozen, "frozenset()");
    mp_object *name = mp_str_new("a");
    assert_int_equal(mp_object_contains(set, name), 1);
    MPT_OK(mp_set_remove(set, name));
    MPT_CODE(mp_set_remove(set, name), MP_EKEY);
    MPT_CODE(mp_set_remove(frozen, name), MP_ETYPE);
    MPT_CODE(mp_set_add(frozen, name), MP_ETYPE);
    MPT_CODE(mp_set_add(set, mp_list_new()), MP_ETYPE);
    MPT_CODE(mp_set_add(set, NULL), -ENOMEM);
    size_t cursor = 0, count = 0;
    for (; mp_set_next(set, &cursor, &item); count++)
        assert_int_equal(mp_object_get_kind(item), MP_OBJECT_TUPLE);
    assert_int_equal(count, 1);
    mp_object_free(set);
    mp_object_free(frozen);
}

static void expect_equal(mp_object *a, mp_object *b, int expected) {
    assert_int_equal(mp_object_equal(a, b), expected);
    assert_int_equal(mp_object_equal(b, a), expected);
    mp_object_free(a);
    mp_object_free(b);
}

static void test_equality_is_python_s(void **state) {
    (void)state;
    expect_equal(mp_integer_new(1), mp_float_new(1.0), 1);
    expect_equal(mp_bool_new(true), mp_float_new(1.0), 1);
    expect_equal(mp_integer_new(INT64_C(9007199254740993)), mp_float_new(9007199254740992.0), 0);
    expect_equal(mp_str_new("a"), mp_bytes_new("a", 1), 0);
    expect_equal(mp_bytes_new("a", 1), mp_bytearray_new("a", 1), 1);
    expect_equal(mp_object_build("[i]", 1), mp_object_build("(i,)", 1), 0);
    expect_equal(mp_object_build("{s:i,s:i}", "a", 1, "b", 2),
                 mp_object_build("{s:d,s:d}", "b", 2.0, "a", 1.0), 1);
    expect_equal(mp_object_build("{s:i}", "a", 1), mp_object_build("{s:i}", "a", 2), 0);
    expect_equal(mp_set_new(), mp_frozenset_new(NULL, 0), 1);
    expect_equal(mp_float_new(NAN), mp_float_new(NAN), 0);
    mp_object *nan = mp_float_new(NAN), *list = mp_object_build("[O]", nan);
    assert_int_equal(mp_object_equal(nan, nan), 0);
    assert_int_equal(mp_object_equal(list, list), 1);
    assert_int_equal(mp_object_equal(NULL, list), MP_EINVAL);
    mp_object_free(nan);
    mp_object_free(list);
}

static void test_a_copy_has_its_own_collections(void **state) {
    (void)state;
    mp_object *inner = mp_list_new(), *outer = mp_object_build("(OO)", inner, inner);
    mp_object *copy = mp_object_copy(outer);
    assert_int_equal(mp_object_equal(copy, outer), 1);
    assert_ptr_equal(mp_tuple_get(copy, 0), mp_tuple_get(copy, 1));
    assert_ptr_not_equal(mp_tuple_get(copy, 0), inner);
    MPT_OK(mp_list_append(inner, mp_integer_new(1)));
    mpt_expect_repr(copy, "([], [])");
    assert_null(mp_object_copy(NULL));
    mp_object_free(inner);
    mp_object_free(outer);
    mp_object_free(copy);
}

static void test_what_contains_itself_is_printed_copied_and_freed(void **state) {
    (void)state;
    mp_object *list = mp_list_new(), *dict = mp_dict_new();
    MPT_OK(mp_list_append(list, mp_object_ref(list)));
    MPT_OK(mp_dict_set_text(dict, "list", mp_object_ref(list)));
    MPT_OK(mp_list_append(list, mp_object_build("(O)", dict)));
    mpt_expect_repr(list, "[[...], ({'list': [...]},)]");
    mp_object *copy = mp_object_copy(list);
    mpt_expect_repr(copy, "[[...], ({'list': [...]},)]");
    assert_int_equal(mp_object_equal(copy, list), 1);
    mp_object_free(copy);
    mp_object_free(list);
    mp_object *still = mp_dict_get_text(dict, "list");
    mpt_expect_repr(still, "[[...], ({'list': [...]},)]");
    mp_object_free(dict);
}

static void test_a_cycle_through_an_older_cycle_is_freed(void **state) {
    (void)state;
    mp_object *outer = mp_list_new(), *inner = mp_list_new();
    mp_object *middle = mp_object_build("[O]", inner);
    MPT_OK(mp_list_append(outer, mp_object_ref(outer)));
    MPT_OK(mp_list_append(outer, mp_object_ref(middle)));
    MPT_OK(mp_list_append(inner, mp_object_ref(outer)));
    mp_object_free(middle);
    mp_object_free(inner);
    mpt_expect_repr(outer, "[[...], [[[...]]]]");
    mp_object_free(outer);
}

static void test_depth_costs_no_stack(void **state) {
    (void)state;
    mp_object *first = mp_list_new(), *second = mp_list_new();
    for (int i = 0; i < 1000000; i++) {
        first = mp_object_build("[N]", first);
        second = mp_object_build("[N]", second);
    }
    assert_int_equal(mp_object_equal(first, second), 1);
    char *text;
    void *data;
    size_t size;
    MPT_OK(mp_object_repr(first, &text, &size));
    assert_int_equal(size, 2000002);
    free(text);
    MPT_OK(mp_object_dumps(first, 4, &data, &size));
    free(data);
    mp_object_free(first);
    mp_object_free(second);
}

MPT_MAIN(MPT_CASE(test_a_list_is_edited_at_any_place),
         MPT_CASE(test_a_list_refuses_what_cannot_be),
         MPT_CASE(test_items_are_found_by_equality),
         MPT_CASE(test_a_tuple_takes_its_items_also_on_failure),
         MPT_CASE(test_a_dict_keeps_order_through_many_changes),
         MPT_CASE(test_equal_numbers_are_one_key),
         MPT_CASE(test_a_dict_refuses_what_cannot_be),
         MPT_CASE(test_a_set_holds_each_member_once),
         MPT_CASE(test_equality_is_python_s),
         MPT_CASE(test_a_copy_has_its_own_collections),
         MPT_CASE(test_what_contains_itself_is_printed_copied_and_freed),
         MPT_CASE(test_a_cycle_through_an_older_cycle_is_freed),
         MPT_CASE(test_depth_costs_no_stack))

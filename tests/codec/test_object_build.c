/* Objects by formats: built and taken apart.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <limits.h>
#include <string.h>

#include "mp/collection.h"
#include "object.h"

static void test_every_letter_builds_its_kind(void **state) {
    (void)state;
    mpt_expect_new(mp_object_build(""), "None");
    mpt_expect_new(mp_object_build("n"), "None");
    mpt_expect_new(mp_object_build("?", 2), "True");
    mpt_expect_new(mp_object_build("bhilL", -1, -2, -3, -4L, LLONG_MIN),
                   "(-1, -2, -3, -4, -9223372036854775808)");
    mpt_expect_new(mp_object_build("BHIkK", 1, 2, UINT_MAX, ULONG_MAX, ULLONG_MAX),
                   "(1, 2, 4294967295, 18446744073709551615, 18446744073709551615)");
    mpt_expect_new(mp_object_build("d, f", 0.5, 1.5), "(0.5, 1.5)");
    mpt_expect_new(
        mp_object_build("[s z s# y y#]", "a", NULL, "b\0c", (size_t)3, "d", "e", (size_t)1),
        "['a', None, 'b\\x00c', b'd', b'e']");
    mpt_expect_new(mp_object_build("()"), "()");
    mpt_expect_new(mp_object_build("(i)", 1), "(1,)");
    mpt_expect_new(mp_object_build("{s:i, i:[{}]}", "a", 1, 2), "{'a': 1, 2: [{}]}");
}

static void test_objects_are_referenced_or_taken_over(void **state) {
    (void)state;
    mp_object *name = mp_str_new("name"), *list = mp_list_new();
    mp_object *pair = mp_object_build("(ON)", name, list);
    assert_ptr_equal(mp_tuple_get(pair, 0), name);
    assert_ptr_equal(mp_tuple_get(pair, 1), list);
    mp_object_free(pair);
    mpt_expect_new(name, "'name'");
}

static void test_a_failed_build_gives_all_objects_back(void **state) {
    (void)state;
    assert_null(mp_object_build(NULL));
    assert_null(mp_object_build("(ON)", NULL, mp_str_new("given back")));
    assert_null(mp_object_build("{NN}", mp_list_new(), mp_str_new("given back")));
    assert_null(mp_object_build("{N}", mp_str_new("no value")));
    assert_null(mp_object_build("(N", mp_str_new("no end")));
    assert_null(mp_object_build("Nx", mp_str_new("no letter")));
    assert_null(mp_object_build("[N)", mp_str_new("wrong end")));
    assert_null(mp_object_build("(sN)", "\xff", mp_str_new("no UTF-8")));
    assert_null(mp_object_build(
        "((((((((((((((((((((((((((((((((((i))))))))))))))))))))))))))))))))))", 1));
}

static void test_every_letter_is_taken_apart(void **state) {
    (void)state;
    bool flag;
    signed char b;
    short h;
    int i;
    long l;
    long long L;
    double d;
    const char *s, *z = "old", *y;
    size_t s_size, y_size;
    mp_object *o, *object = mp_object_build("(?iiiiid)[ssyn](O)", 1, -1, -2, -3, 4, 5, 0.5, "a",
                                            "b\0", "c", mp_none_new());
    MPT_OK(mp_object_parse(object, "(?bhilLd)[ss#y#z](O)", &flag, &b, &h, &i, &l, &L, &d, &s, &s,
                           &s_size, &y, &y_size, &z, &o));
    assert_true(flag && b == -1 && h == -2 && i == -3 && l == 4 && L == 5 && d == 0.5);
    assert_string_equal(s, "b");
    assert_true(s_size == 1 && y_size == 1 && z == NULL && *y == 'c');
    assert_ptr_equal(o, mp_none_new());
    mp_object_free(object);
}

static void test_nothing_is_written_when_parsing_fails(void **state) {
    (void)state;
    int a = 7, b = 7;
    const char *text = "old";
    mp_object *object = mp_object_build("(iis)", 1, 2, "x");
    MPT_CODE(mp_object_parse(object, "(iii)", &a, &b, &b), MP_ETYPE);
    MPT_CODE(mp_object_parse(object, "(ii)", &a, &b), MP_ETYPE);
    MPT_CODE(mp_object_parse(object, "(iisi)", &a, &b, &text, &b), MP_ETYPE);
    MPT_CODE(mp_object_parse(object, "[iis]", &a, &b, &text), MP_ETYPE);
    MPT_CODE(mp_object_parse(object, "i", &a), MP_ETYPE);
    MPT_CODE(mp_object_parse(object, "(iix)", &a, &b, &text), MP_EINVAL);
    MPT_CODE(mp_object_parse(object, "(iis", &a, &b, &text), MP_EINVAL);
    MPT_CODE(mp_object_parse(object, "(iis))", &a, &b, &text), MP_EINVAL);
    MPT_CODE(mp_object_parse(NULL, "i", &a), MP_EINVAL);
    MPT_CODE(mp_object_parse(object, NULL), MP_EINVAL);
    assert_true(a == 7 && b == 7);
    assert_string_equal(text, "old");
    mp_object_free(object);
}

static void test_integers_that_do_not_fit_are_refused(void **state) {
    (void)state;
    unsigned char B;
    signed char b;
    unsigned I;
    unsigned long long K;
    mp_object *object = mp_object_build("(iL)", 128, (long long)UINT_MAX + 1);
    MPT_CODE(mp_object_parse(object, "bI", &b, &I), MP_EINVAL);
    MPT_CODE(mp_object_parse(object, "BI", &B, &I), MP_EINVAL);
    MPT_OK(mp_object_parse(object, "BK", &B, &K));
    assert_true(B == 128 && K == (unsigned long long)UINT_MAX + 1);
    MPT_CODE(mp_object_parse(mp_integer_new(-1), "K", &K), MP_EINVAL);
    MPT_CODE(mp_object_parse(mp_none_new(), "K", &K), MP_ETYPE);
    MPT_CODE(mp_object_parse(mp_integer_new(-1), "?", &b), MP_ETYPE);
    MPT_CODE(mp_object_parse(mp_integer_new(-1), "n"), MP_ETYPE);
    mp_object_free(object);
}

static void test_the_rest_may_be_missing(void **state) {
    (void)state;
    int a = 0, b = 7, c = 0;
    const char *name = "default";
    mp_object *object = mp_object_build("((i)i)", 1, 3);
    MPT_OK(mp_object_parse(object, "((i|is)i)", &a, &b, &name, &c));
    assert_true(a == 1 && b == 7 && c == 3);
    assert_string_equal(name, "default");
    mp_object_free(object);
}

static void test_a_dict_is_taken_apart_by_names(void **state) {
    (void)state;
    int id = 0;
    double low, high;
    mp_object *job = mp_object_build("{s:i,s:[dd]}", "id", 7, "range", 0.5, 1.5);
    MPT_OK(mp_object_parse(job, "{s:[dd], s:i}", "range", &low, &high, "id", &id));
    assert_true(id == 7 && low == 0.5 && high == 1.5);
    MPT_CODE(mp_object_parse(job, "{s:i}", "none", &id), MP_EKEY);
    MPT_CODE(mp_object_parse(job, "{s:i}", NULL, &id), MP_EINVAL);
    MPT_CODE(mp_object_parse(job, "{i:i}", 1, &id), MP_EINVAL);
    MPT_CODE(mp_object_parse(mp_none_new(), "{s:i}", "id", &id), MP_ETYPE);
    mp_object_free(job);
}

static void test_a_text_with_a_nul_needs_a_size(void **state) {
    (void)state;
    const char *text = "old";
    mp_object *str = mp_str_new_sized("a\0b", 3), *array = mp_bytearray_new("x", 1);
    MPT_CODE(mp_object_parse(str, "s", &text), MP_EINVAL);
    MPT_CODE(mp_object_parse(array, "y", &text), MP_ETYPE);
    MPT_CODE(mp_object_parse(array, "s", &text), MP_ETYPE);
    MPT_CODE(mp_object_parse(mp_none_new(), "s", &text), MP_ETYPE);
    assert_string_equal(text, "old");
    mp_object_free(str);
    mp_object_free(array);
}

MPT_MAIN(MPT_CASE(test_every_letter_builds_its_kind),
         MPT_CASE(test_objects_are_referenced_or_taken_over),
         MPT_CASE(test_a_failed_build_gives_all_objects_back),
         MPT_CASE(test_every_letter_is_taken_apart),
         MPT_CASE(test_nothing_is_written_when_parsing_fails),
         MPT_CASE(test_integers_that_do_not_fit_are_refused),
         MPT_CASE(test_the_rest_may_be_missing),
         MPT_CASE(test_a_dict_is_taken_apart_by_names),
         MPT_CASE(test_a_text_with_a_nul_needs_a_size))

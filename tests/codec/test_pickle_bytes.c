/* Pickles by their bytes: what Python writes, what is refused, what limits hold.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdlib.h>
#include <string.h>

#include "codec/pickle.h"
#include "mp/collection.h"
#include "mp/pickle.h"
#include "object.h"

#define BYTES(text) text, sizeof(text) - 1

static void expect_loads(const void *data, size_t size, const char *expected) {
    mp_object *object;
    MPT_OK(mp_object_loads(&object, data, size));
    mpt_expect_repr(object, expected);
    mp_object_free(object);
}

/* Read, and written again by a protocol, it is the same bytes. */
static void expect_same(const void *data, size_t size, int protocol) {
    mp_object *object;
    void *again;
    size_t again_size;
    MPT_OK(mp_object_loads(&object, data, size));
    MPT_OK(mp_object_dumps(object, protocol, &again, &again_size));
    assert_int_equal(again_size, size);
    assert_memory_equal(again, data, size);
    free(again);
    mp_object_free(object);
}

static void test_old_protocols_are_read(void **state) {
    (void)state;
    expect_loads(BYTES("(lp0\nI01\naI-5\naL12345678901234567890L\naF1.5e3\na."),
                 "[True, -5, 12345678901234567890, 1500.0]");
    expect_loads(BYTES("S'a\\x41\\n\\'\\101'\n."), "\"aA\\n'A\"");
    expect_loads(BYTES("Vx\\u20ac\xe9\n."), "'x\xe2\x82\xac\xc3\xa9'");
    expect_loads(BYTES("(U\x01"
                       "aT\x01\0\0\0bK\x01t."),
                 "('a', 'b', 1)");
    expect_loads(BYTES("(dVa\nI1\ns."), "{'a': 1}");
    expect_loads(BYTES("c__builtin__\nset\n((lI1\natR."), "{1}");
    expect_loads(BYTES("c_codecs\nencode\n(V\xff\nVlatin1\ntR."), "b'\\xff'");
    expect_loads(BYTES("\x80\x02"
                       "c__builtin__\nxrange\nK\x03\x85R."),
                 "range(3)");
}

static void test_symbols_are_written_as_they_came(void **state) {
    (void)state;
    expect_same(BYTES("\x80\x04\x95\x1f\0\0\0\0\0\0\0\x8c\x08"
                      "__main__\x94\x8c\x01"
                      "A\x94\x93\x94)\x81\x94}\x94\x8c\x01x\x94K\x01sb."),
                4);
    expect_same(BYTES("\x80\x02"
                      "c__main__\nA\nq\0)\x81q\x01}q\x02X\x01\0\0\0xq\x03K\x01sb."),
                2);
    expect_same(BYTES("\x80\x03\x82\x05."), 3);
    expect_same(BYTES("\x80\x03\x84\0\0\1\0."), 3);
    expect_same(BYTES("\x80\x03X\x01\0\0\0iq\0Q."), 3);
}

static void test_parts_of_a_call_can_be_looked_at(void **state) {
    (void)state;
    mp_call_form form;
    mp_object *callable, *args, *kwargs, *call, *key, *value;
    mp_call_step step;
    MPT_OK(mp_object_loads(&call, BYTES("\x80\x04"
                                        "cm\nD\n)}K\x01K\x02s\x92K\x03K\x04s(K\x05K\x06"
                                        "e(K\x07\x90}b.")));
    MPT_OK(mp_call_get(call, &form, &callable, &args, &kwargs));
    assert_int_equal(form, MP_CALL_NEWOBJ_EX);
    assert_true(mp_global_is(callable, "m", "D"));
    mpt_expect_repr(kwargs, "{1: 2}");
    mpt_expect_repr(mp_call_get_state(call), "{}");
    static const mp_call_step steps[] = {MP_CALL_SET, MP_CALL_APPEND, MP_CALL_APPEND, MP_CALL_ADD,
                                         MP_CALL_BUILD};
    size_t count = 0;
    for (size_t cursor = 0; mp_call_next(call, &cursor, &step, &key, &value); count++) {
        assert_int_equal(step, steps[count]);
        assert_int_equal(key != NULL, step == MP_CALL_SET);
    }
    assert_int_equal(count, 5);
    mpt_expect_repr(call, "m.D()");
    mp_object_free(call);
}

static void test_symbols_are_made_and_refused(void **state) {
    (void)state;
    const char *module, *name;
    mp_object *global = mp_global_new("builtins", "ValueError"), *list = mp_list_new();
    MPT_OK(mp_global_get(global, &module, &name));
    assert_string_equal(name, "ValueError");
    MPT_CODE(mp_global_get(list, &module, &name), MP_ETYPE);
    assert_null(mp_global_new(NULL, "x"));
    assert_null(mp_call_new(MP_CALL_REDUCE, mp_object_ref(global), mp_list_new(), NULL));
    assert_null(mp_call_new(MP_CALL_NEWOBJ_EX, mp_object_ref(global), mp_object_build("()"), NULL));
    mp_object *call =
        mp_call_new(MP_CALL_REDUCE, mp_object_ref(global), mp_object_build("(s)", "x"), NULL);
    mpt_expect_repr(call, "ValueError('x')");
    assert_null(mp_call_get_state(call));
    MPT_OK(mp_call_add(call, MP_CALL_BUILD, NULL, mp_dict_new()));
    MPT_CODE(mp_call_add(call, MP_CALL_SET, NULL, mp_dict_new()), MP_EINVAL);
    MPT_CODE(mp_call_add(call, MP_CALL_APPEND, mp_str_new("key"), mp_dict_new()), MP_EINVAL);
    MPT_CODE(mp_call_add(list, MP_CALL_APPEND, NULL, mp_dict_new()), MP_ETYPE);
    MPT_CODE(mp_call_get(list, NULL, NULL, NULL, NULL), MP_ETYPE);
    assert_null(mp_persistent_get(list));
    assert_int_equal(mp_extension_get(list), 0);
    mp_object_free(call);
    mp_object_free(list);
    mp_object_free(global);
}

static void test_bytes_that_are_no_pickle_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *data;
        size_t size;
    } wrong[] = {
        {BYTES("")},
        {BYTES(".")},
        {BYTES("\x80\x06N.")},
        {BYTES("\xffN.")},
        {BYTES("N")},
        {BYTES("I1")},
        {BYTES("I1x\n.")},
        {BYTES("Fabc\n.")},
        {BYTES("S'a\n.")},
        {BYTES("a.")},
        {BYTES("]a.")},
        {BYTES("NNa.")},
        {BYTES("e.")},
        {BYTES("(e.")},
        {BYTES("(.")},
        {BYTES("0.")},
        {BYTES("1.")},
        {BYTES("2.")},
        {BYTES("h\0.")},
        {BYTES("g0\n.")},
        {BYTES("Nr\xff\xff\xff\xff.")},
        {BYTES("}]Ns.")},
        {BYTES("}(]Nu.")},
        {BYTES("}(Nu.")},
        {BYTES("(]d.")},
        {BYTES("\x8f(]\x90.")},
        {BYTES("(]\x91.")},
        {BYTES("NN\x93.")},
        {BYTES("N)R.")},
        {BYTES("cm\nf\nNR.")},
        {BYTES("cm\nf\n)N\x92.")},
        {BYTES("]}b.")},
        {BYTES("\x97.")},
        {BYTES("\x98.")},
        {BYTES("X\x01\0\0\0\xff.")},
        {BYTES("X\xff\xff\xff\xff.")},
        {BYTES("\x8e\xff\xff\xff\xff\xff\xff\xff\xff.")},
        {BYTES("\x95\x09\0\0\0\0\0\0\0N.")},
        {BYTES("\x8b\xff\xff\xff\xff.")},
        {BYTES("\x82\0.")},
        {BYTES("U\x01\xff.")},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        mp_object *object = NULL;
        MPT_CODE(mp_object_loads(&object, wrong[i].data, wrong[i].size), MP_EPROTO);
        assert_null(object);
        assert_string_not_equal(mp_error_detail(), "");
    }
}

static void test_arguments_are_checked(void **state) {
    (void)state;
    mp_object *object;
    void *data;
    size_t size;
    MPT_CODE(mp_object_loads(NULL, "N.", 2), MP_EINVAL);
    MPT_CODE(mp_object_loads(&object, NULL, 2), MP_EINVAL);
    MPT_CODE(mp_object_dumps(NULL, 4, &data, &size), MP_EINVAL);
    MPT_CODE(mp_object_dumps(mp_none_new(), 1, &data, &size), MP_EINVAL);
    MPT_CODE(mp_object_dumps(mp_none_new(), 6, &data, &size), MP_EINVAL);
    MPT_CODE(mp_object_dumps(mp_none_new(), 4, NULL, &size), MP_EINVAL);
}

static void test_limits_hold(void **state) {
    (void)state;
    mp_object *object;
    mp_load_limits limits = {.depth = 3};
    MPT_CODE(mp_object_loads_limited(&object, BYTES("]]]]aaa."), &limits), MP_EPROTO);
    MPT_OK(mp_object_loads_limited(&object, BYTES("]]]aa."), &limits));
    mp_object_free(object);
    limits = (mp_load_limits){.length = 2};
    MPT_CODE(mp_object_loads_limited(&object,
                                     BYTES("C\x03"
                                           "abc."),
                                     &limits),
             MP_EPROTO);
    MPT_CODE(mp_object_loads_limited(&object, BYTES("](NNNe."), &limits), MP_EPROTO);
    limits = (mp_load_limits){.memo = 1};
    MPT_CODE(mp_object_loads_limited(&object, BYTES("]q\1."), &limits), MP_EPROTO);
    limits = (mp_load_limits){.bytes = 4096};
    char many[1000];
    memset(many, ']', sizeof many);
    MPT_CODE(mp_object_loads_limited(&object, many, sizeof many, &limits), MP_EPROTO);
    assert_non_null(strstr(mp_error_detail(), "4096"));
}

static void test_depth_is_bounded_unless_asked_for(void **state) {
    (void)state;
    mp_object *object;
    char *deep = malloc(40002);
    memset(deep, ')', 1);
    memset(deep + 1, '\x85', 40000);
    deep[40001] = '.';
    MPT_CODE(mp_object_loads(&object, deep, 40002), MP_EPROTO);
    MPT_OK(mp_object_loads_limited(&object, deep, 40002, &(mp_load_limits){.depth = 50000}));
    mp_object_free(object);
    free(deep);
}

static void test_hostile_sharing_takes_no_time(void **state) {
    (void)state;
    mp_object *laughs, *again;
    char data[3 + 2 * 200 + 1] = "\x80\x04)";
    for (int i = 0; i < 199; i++)
        memcpy(data + 3 + 2 * i, "2\x86", 2);
    data[3 + 2 * 199] = '.';
    MPT_OK(mp_object_loads(&laughs, data, 3 + 2 * 199 + 1));
    MPT_OK(mp_object_loads(&again, data, 3 + 2 * 199 + 1));
    assert_int_equal(mp_object_equal(laughs, again), 1);
    mp_object *copy = mp_object_copy(laughs);
    mp_object *dict = mp_dict_new();
    MPT_OK(mp_dict_set(dict, laughs, mp_none_new()));
    MPT_OK(mp_dict_set(dict, again, mp_none_new()));
    assert_int_equal(mp_object_length(dict), 1);
    mp_object_free(copy);
    mp_object_free(dict);
}

static void test_a_beginning_of_a_pickle_asks_for_more(void **state) {
    (void)state;
    static const char two[] = "\x80\x04]\x94(K\x01K\x02"
                              "e.\x80\x04N.";
    mp_object *object;
    size_t used;
    for (size_t size = 0; size < 11; size++)
        MPT_CODE(mp__pickle_read(&object, two, size, NULL, &used), MP_EEOF);
    MPT_OK(mp__pickle_read(&object, two, sizeof two - 1, NULL, &used));
    assert_int_equal(used, 11);
    mp_object_free(object);
}

static void test_a_pickle_goes_behind_a_header(void **state) {
    (void)state;
    struct mp__buffer buffer = {0};
    MPT_OK(mp__buffer_put(&buffer, "head", 4));
    MPT_OK(mp__pickle_write(&buffer, mp_none_new(), 4));
    assert_int_equal(buffer.size, 8);
    assert_memory_equal(buffer.data, "head\x80\x04N.", 8);
    mp__buffer_fini(&buffer);
}

MPT_MAIN(MPT_CASE(test_old_protocols_are_read),
         MPT_CASE(test_symbols_are_written_as_they_came),
         MPT_CASE(test_parts_of_a_call_can_be_looked_at),
         MPT_CASE(test_symbols_are_made_and_refused),
         MPT_CASE(test_bytes_that_are_no_pickle_are_refused),
         MPT_CASE(test_arguments_are_checked),
         MPT_CASE(test_limits_hold),
         MPT_CASE(test_depth_is_bounded_unless_asked_for),
         MPT_CASE(test_hostile_sharing_takes_no_time),
         MPT_CASE(test_a_beginning_of_a_pickle_asks_for_more),
         MPT_CASE(test_a_pickle_goes_behind_a_header))

/* ShareableList: its bytes are Python's, its items what was put in.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mp/collection.h"
#include "mp/shared_memory.h"
#include "object.h"

/* What Python 3.9 and later has for [1, 2.5, True, 'hi', b'by', None]. */
static const char captured[166] =
    "\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x08\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x18\0\0\0\0\0\0\0"
    "\x20\0\0\0\0\0\0\0\x28\0\0\0\0\0\0\0\x30\0\0\0\0\0\0\0"
    "\1\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\x40\0\0\0\0\0\0\0\1hi\0\0\0\0\0\0by\0\0\0\0\0\0"
    "\0\0\0\0\0\0\0\0"
    "q\0\0\0\0\0\0\0d\0\0\0\0\0\0\0xxxxxxx?8s\0\0\0\0\0\0"
    "8s\0\0\0\0\0\0xxxxxx?x\0\0\0\1\2\3";

static mp_shareable_list *new_list(mp_object *items) {
    mp_shareable_list *list;
    MPT_OK(mp_shareable_list_new(&list, NULL, items));
    mp_object_free(items);
    return list;
}

static mp_object *sample(void) {
    return mp_object_build("[id?sy#n]", 1, 2.5, 1, "hi", "by", (size_t)2);
}

static void end(mp_shareable_list *list) {
    MPT_OK(mp_shareable_list_unlink(list));
    mp_shareable_list_free(list);
}

static void expect_item(const mp_shareable_list *list, ptrdiff_t index, const char *expected) {
    mp_object *item;
    MPT_OK(mp_shareable_list_get(list, index, &item));
    mpt_expect_new(item, expected);
}

static void set(mp_shareable_list *list, ptrdiff_t index, mp_object *value, int code) {
    MPT_CODE(mp_shareable_list_set(list, index, value), code);
    mp_object_free(value);
}

static void test_the_bytes_are_python_s(void **state) {
    (void)state;
    mp_shareable_list *list = new_list(sample());
    mp_shared_memory *memory = mp_shareable_list_shm(list);
    assert_int_equal(mp_shared_memory_size(memory), sizeof captured);
    assert_memory_equal(mp_shared_memory_buf(memory), captured, sizeof captured);
    end(list);
}

static void test_what_is_attached_reads_the_same(void **state) {
    (void)state;
    static const char *const expected[] = {"1", "2.5", "True", "'hi'", "b'by'", "None"};
    mp_shareable_list *list = new_list(sample()), *other;
    char *format;
    MPT_OK(mp_shareable_list_attach(&other, mp_shared_memory_name(mp_shareable_list_shm(list))));
    assert_int_equal(mp_shareable_list_length(other), 6);
    for (int i = 0; i < 6; i++) {
        expect_item(other, i, expected[i]);
        expect_item(other, i - 6, expected[i]);
    }
    MPT_OK(mp_shareable_list_format(other, &format));
    assert_string_equal(format, "qdxxxxxxx?8s8sxxxxxx?x");
    free(format);
    mp_shareable_list_free(other);
    end(list);
}

static void test_an_item_may_change_its_kind(void **state) {
    (void)state;
    mp_shareable_list *list = new_list(mp_object_build("[s]", "twelve bytes"));
    set(list, 0, mp_integer_new(-7), 0);
    expect_item(list, 0, "-7");
    set(list, -1, mp_bytes_new("sixteen bytes!!!", 16), 0);
    expect_item(list, 0, "b'sixteen bytes!!!'");
    set(list, 0, mp_str_new("x"), 0);
    expect_item(list, 0, "'x'");
    set(list, 0, mp_none_new(), 0);
    expect_item(list, 0, "None");
    set(list, 0, mp_bool_new(false), 0);
    expect_item(list, 0, "False");
    end(list);
}

static void test_what_does_not_go_changes_nothing(void **state) {
    (void)state;
    mp_shareable_list *list = new_list(sample());
    set(list, 3, mp_str_new("nine byte"), MP_EINVAL);
    set(list, 3, mp_list_new(), MP_ETYPE);
    set(list, 3, mp_integer_new_text("9223372036854775808"), MP_EINVAL);
    set(list, 3, NULL, MP_EINVAL);
    set(list, 6, mp_none_new(), MP_EINDEX);
    set(list, -7, mp_none_new(), MP_EINDEX);
    assert_memory_equal(mp_shared_memory_buf(mp_shareable_list_shm(list)), captured,
                        sizeof captured);
    end(list);
}

static void test_items_are_found_and_counted(void **state) {
    (void)state;
    mp_shareable_list *list = new_list(mp_object_build("(isis)", 5, "a", 5, "b"));
    mp_object *five = mp_integer_new(5), *six = mp_integer_new(6);
    size_t index = 77;
    MPT_OK(mp_shareable_list_index(list, five, &index));
    assert_int_equal(index, 0);
    assert_int_equal(mp_shareable_list_count(list, five), 2);
    assert_int_equal(mp_shareable_list_count(list, six), 0);
    MPT_CODE(mp_shareable_list_index(list, six, &index), MP_EINDEX);
    MPT_CODE(mp_shareable_list_index(list, six, NULL), MP_EINVAL);
    MPT_CODE(mp_shareable_list_count(list, NULL), MP_EINVAL);
    mp_object_free(five);
    mp_object_free(six);
    end(list);
}

static void test_characters_of_several_bytes_keep_their_room(void **state) {
    (void)state;
    mp_shareable_list *list =
        new_list(mp_object_build("[s]", "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"));
    expect_item(list, 0, "'\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac'");
    end(list);
}

static void test_items_that_no_list_has_are_refused(void **state) {
    (void)state;
    mp_shareable_list *list;
    mp_object *nested = mp_object_build("[[i]]", 1), *big = mp_list_new(),
              *seven = mp_integer_new(7);
    mp_list_append(big, mp_integer_new_text("-9223372036854775809"));
    MPT_CODE(mp_shareable_list_new(&list, NULL, nested), MP_ETYPE);
    MPT_CODE(mp_shareable_list_new(&list, NULL, big), MP_EINVAL);
    MPT_CODE(mp_shareable_list_new(&list, NULL, seven), MP_ETYPE);
    MPT_CODE(mp_shareable_list_new(NULL, NULL, seven), MP_EINVAL);
    mp_object_free(nested);
    mp_object_free(big);
    mp_object_free(seven);
}

static void test_a_list_may_be_empty(void **state) {
    (void)state;
    mp_shareable_list *list = new_list(NULL), *other, *again;
    const char *name = mp_shared_memory_name(mp_shareable_list_shm(list));
    mp_object *item;
    assert_int_equal(mp_shared_memory_size(mp_shareable_list_shm(list)), 16);
    MPT_OK(mp_shareable_list_attach(&other, name));
    assert_int_equal(mp_shareable_list_length(other), 0);
    MPT_CODE(mp_shareable_list_get(other, 0, &item), MP_EINDEX);
    MPT_CODE(mp_shareable_list_new(&again, name, NULL), -EEXIST);
    mp_shareable_list_free(other);
    end(list);
}

static void test_a_closed_list_says_so(void **state) {
    (void)state;
    mp_shareable_list *list = new_list(sample());
    mp_object *item;
    char *format;
    MPT_OK(mp_shareable_list_close(list));
    MPT_CODE(mp_shareable_list_get(list, 0, &item), MP_ECLOSED);
    MPT_CODE(mp_shareable_list_format(list, &format), MP_ECLOSED);
    set(list, 0, mp_none_new(), MP_ECLOSED);
    end(list);
    MPT_CODE(mp_shareable_list_get(NULL, 0, &item), MP_EINVAL);
    MPT_CODE(mp_shareable_list_close(NULL), MP_EINVAL);
    MPT_CODE(mp_shareable_list_unlink(NULL), MP_EINVAL);
    assert_int_equal(mp_shareable_list_length(NULL), 0);
    assert_null(mp_shareable_list_shm(NULL));
    mp_shareable_list_free(NULL);
}

/* Attaches to the captured bytes with one byte changed; whatever comes, nothing is read beyond. */
static int attach_damaged(size_t at, char byte) {
    mp_shared_memory *memory;
    mp_shareable_list *list;
    MPT_OK(mp_shared_memory_open(&memory, NULL, sizeof captured, MP_CREATE));
    memcpy(mp_shared_memory_buf(memory), captured, sizeof captured);
    ((char *)mp_shared_memory_buf(memory))[at] = byte;
    int code = mp_shareable_list_attach(&list, mp_shared_memory_name(memory));
    for (size_t i = 0; code == 0 && i < mp_shareable_list_length(list); i++) {
        mp_object *item;
        int got = mp_shareable_list_get(list, (ptrdiff_t)i, &item);
        MPT_CHECK(got == 0 || got == MP_EPROTO);
        if (got == 0)
            mp_object_free(item);
    }
    if (code == 0)
        mp_shareable_list_free(list);
    MPT_OK(mp_shared_memory_unlink(memory));
    mp_shared_memory_free(memory);
    return code;
}

static void test_damaged_bytes_are_noticed(void **state) {
    (void)state;
    static const char bytes[] = {0, 1, 3, 7, 8, 127, -128, -1, 's', '9'};
    assert_int_equal(attach_damaged(7, -1), MP_EPROTO);
    assert_int_equal(attach_damaged(0, 7), MP_EPROTO);
    assert_int_equal(attach_damaged(8, 8), MP_EPROTO);
    assert_int_equal(attach_damaged(0x38, 0x70), MP_EPROTO);
    for (size_t at = 0; at < sizeof captured; at++)
        for (size_t i = 0; i < sizeof bytes; i++) {
            int code = attach_damaged(at, bytes[i]);
            MPT_CHECK(code == 0 || code == MP_EPROTO);
        }
}

MPT_MAIN(MPT_CASE(test_the_bytes_are_python_s), MPT_CASE(test_what_is_attached_reads_the_same),
         MPT_CASE(test_an_item_may_change_its_kind),
         MPT_CASE(test_what_does_not_go_changes_nothing),
         MPT_CASE(test_items_are_found_and_counted),
         MPT_CASE(test_characters_of_several_bytes_keep_their_room),
         MPT_CASE(test_items_that_no_list_has_are_refused), MPT_CASE(test_a_list_may_be_empty),
         MPT_CASE(test_a_closed_list_says_so), MPT_CASE(test_damaged_bytes_are_noticed))

/* Messages that are built in place and move by pointer.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "mp/queue.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "shm/heap.h"

static mp_message *new_message(size_t size, int byte) {
    mp_message *message;
    MPT_OK(mp_message_new(&message, size));
    memset(mp_message_data(message), byte, size);
    return message;
}

static void check_message(mp_message *message, size_t size, int byte) {
    MPT_CHECK(mp_message_size(message) == size);
    const unsigned char *bytes = mp_message_data(message);
    for (size_t i = 0; i < size; i++)
        MPT_CHECK(bytes[i] == byte);
}

static void test_message_has_the_bytes_it_was_made_with(void **state) {
    (void)state;
    for (size_t size = 0; size < 100000; size = size * 3 + 1) {
        mp_message *message = new_message(size, 7);
        assert_true((uintptr_t)mp_message_data(message) % 16 == 0);
        check_message(message, size, 7);
        mp_message_free(message);
    }
}

static void test_bad_messages_are_refused(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    mp_message *message;
    MPT_CODE(mp_message_new(NULL, 1), MP_EINVAL);
    MPT_CODE(mp_message_new(&message, (size_t)1 << 60), -ENOMEM);
    MPT_CODE(mp_message_new(&message, (size_t)1 << 46), -ENOMEM);
    assert_null(mp_message_data(NULL));
    assert_null(mp_message_data((mp_message *)queue));
    assert_int_equal(mp_message_size(NULL), 0);
    MPT_CODE(mp_queue_put_message(queue, NULL, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_queue_put_message(queue, (mp_message *)queue, MP_NOWAIT), MP_EINVAL);
    mp_message_free(NULL);
    mp_message_free((mp_message *)queue);
    message = new_message(1, 1);
    MPT_CODE(mp_queue_put_message(NULL, message, MP_NOWAIT), MP_EINVAL);
    mp_message_free(message);
    assert_int_equal(mp_message_size(message), 0);
    mp_queue_free(queue);
}

static void test_message_moves_without_a_copy(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    mp_message *message = new_message(100000, 3), *got;
    MPT_OK(mp_queue_put_message(queue, message, MP_NOWAIT));
    MPT_OK(mp_queue_get_message(queue, &got, MP_NOWAIT));
    assert_ptr_equal(got, message);
    check_message(got, 100000, 3);
    MPT_OK(mp_queue_put_message(queue, got, MP_NOWAIT));
    char bytes[16];
    size_t size;
    MPT_CODE(mp_queue_get(queue, bytes, 16, &size, MP_NOWAIT), MP_ETOOSHORT);
    assert_int_equal(size, 100000);
    mp_queue_free(queue);
}

static void test_small_and_copied_messages_can_be_got_as_messages(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    mp_message *got;
    MPT_OK(mp_queue_put_message(queue, new_message(10, 1), MP_NOWAIT));
    MPT_OK(mp_queue_put_message(queue, new_message(0, 1), MP_NOWAIT));
    MPT_OK(mp_queue_put(queue, "abc", 3, MP_NOWAIT));
    MPT_OK(mp_queue_get_message(queue, &got, MP_NOWAIT));
    check_message(got, 10, 1);
    mp_message_free(got);
    MPT_OK(mp_queue_get_message(queue, &got, MP_NOWAIT));
    check_message(got, 0, 0);
    mp_message_free(got);
    MPT_OK(mp_queue_get_message(queue, &got, MP_NOWAIT));
    assert_memory_equal(mp_message_data(got), "abc", 3);
    mp_message_free(got);
    mp_queue_free(queue);
}

static void test_messages_of_a_batch_can_be_put_again(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    MPT_OK(mp_queue_put(queue, "one", 3, MP_NOWAIT));
    MPT_OK(mp_queue_put_message(queue, new_message(20000, 2), MP_NOWAIT));
    MPT_OK(mp_queue_put(queue, "three", 5, MP_NOWAIT));
    mp_message *list[3];
    size_t got;
    MPT_OK(mp_queue_get_many(queue, list, 3, &got, MP_NOWAIT));
    assert_int_equal(got, 3);
    for (int i = 2; i >= 0; i--)
        MPT_OK(mp_queue_put_message(queue, list[i], MP_NOWAIT));
    char text[5];
    MPT_OK(mp_queue_get(queue, text, 5, NULL, MP_NOWAIT));
    assert_memory_equal(text, "three", 5);
    MPT_OK(mp_queue_get_message(queue, &list[1], MP_NOWAIT));
    check_message(list[1], 20000, 2);
    mp_message_free(list[1]);
    MPT_OK(mp_queue_get(queue, text, 5, NULL, MP_NOWAIT));
    assert_memory_equal(text, "one", 3);
    mp_queue_free(queue);
}

static void take_messages_and_end(void *arg) {
    mp_message *list[10];
    size_t got;
    MPT_OK(mp_message_new(&list[0], 1000));
    MPT_OK(mp_queue_get_message(arg, &list[0], MP_NOWAIT));
    MPT_OK(mp_queue_get_many(arg, list, 10, &got, MP_NOWAIT));
}

static void test_messages_of_a_dead_process_are_freed(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    for (int i = 0; i < 20; i++)
        MPT_OK(mp_queue_put_message(queue, new_message(i * 100, i), MP_NOWAIT));
    assert_int_equal(mpt_join(mpt_fork(take_messages_and_end, queue)), 0);
    mp__recover_all();
    for (int i = 11; i < 20; i++) {
        mp_message *got;
        MPT_OK(mp_queue_get_message(queue, &got, MP_NOWAIT));
        check_message(got, i * 100, i);
        mp_message_free(got);
    }
    mp_queue_free(queue);
}

static void put_gib(void *queue) {
    mp_message *message;
    MPT_OK(mp_message_new(&message, (size_t)1 << 30));
    char *bytes = mp_message_data(message);
    bytes[0] = 'a';
    bytes[((size_t)1 << 30) - 1] = 'z';
    MPT_OK(mp_queue_put_message(queue, message, MP_FOREVER));
}

static void test_a_gib_moves_at_the_cost_of_a_pointer(void **state) {
    (void)state;
    mp_queue *queue;
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    assert_int_equal(mpt_join(mpt_fork(put_gib, queue)), 0);
    mp_message *got;
    MPT_OK(mp_queue_get_message(queue, &got, MP_NOWAIT));
    const char *bytes = mp_message_data(got);
    assert_int_equal(mp_message_size(got), (size_t)1 << 30);
    assert_true(bytes[0] == 'a' && bytes[((size_t)1 << 30) - 1] == 'z');
    mp_message_free(got);
    mp_queue_free(queue);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_message_has_the_bytes_it_was_made_with),
         MPT_CASE(test_bad_messages_are_refused),
         MPT_CASE(test_message_moves_without_a_copy),
         MPT_CASE(test_small_and_copied_messages_can_be_got_as_messages),
         MPT_CASE(test_messages_of_a_batch_can_be_put_again),
         MPT_CASE(test_messages_of_a_dead_process_are_freed),
         MPT_CASE(test_a_gib_moves_at_the_cost_of_a_pointer))

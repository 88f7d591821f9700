/* Connections over sockets: CPython's framing, pieces, limits, handles, hostile lengths, deaths.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan/stream.h"
#include "mp/family.h"
#include "mp/object.h"
#include "mp/queue.h"
#include "shm/heap.h"
#include "stream.h"

struct ends {
    mp_connection *first;
    mp_connection *second;
};

static struct ends open_both(void) {
    struct ends ends;
    int raw;
    ends.first = mpt_open_raw(&raw);
    MPT_OK(mp__stream_new(&ends.second, raw));
    return ends;
}

static void free_both(struct ends ends) {
    mp_connection_free(ends.first);
    mp_connection_free(ends.second);
}

static int receive(mp_connection *connection, char *text, double timeout) {
    size_t size;
    int code = mp_connection_recv_bytes_into(connection, text, 64, &size, timeout);
    if (code == 0)
        text[size] = '\0';
    return code;
}

/* Both ends of a pipe, as Python's queues have them. */
static struct ends open_pipe(void) {
    struct ends ends;
    int raw[2];
    MPT_CHECK(pipe2(raw, O_CLOEXEC) == 0);
    MPT_OK(mp__stream_new(&ends.first, raw[0]));
    MPT_OK(mp__stream_new(&ends.second, raw[1]));
    return ends;
}

static void test_a_pipe_carries_messages_one_way(void **state) {
    (void)state;
    struct ends ends = open_pipe();
    char text[64];
    assert_true(mp_connection_readable(ends.first) && !mp_connection_writable(ends.first));
    assert_true(mp_connection_writable(ends.second) && !mp_connection_readable(ends.second));
    MPT_CODE(receive(ends.first, text, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_connection_send_bytes(ends.second, "one", 3, MP_FOREVER));
    MPT_OK(mp_connection_send_bytes(ends.second, "", 0, MP_NOWAIT));
    assert_int_equal(mp_connection_poll(ends.first, 0), 1);
    MPT_OK(receive(ends.first, text, MP_FOREVER));
    assert_string_equal(text, "one");
    MPT_OK(receive(ends.first, text, 20));
    assert_string_equal(text, "");
    MPT_CODE(mp_connection_send_bytes(ends.first, "x", 1, 1), MP_EINVAL);
    MPT_CODE(receive(ends.second, text, 1), MP_EINVAL);
    MPT_OK(mp_connection_close(ends.second));
    MPT_CODE(receive(ends.first, text, MP_FOREVER), MP_EEOF);
    free_both(ends);
}

static void test_a_pipe_that_nobody_reads_is_an_error(void **state) {
    (void)state;
    struct ends ends = open_pipe();
    char much[70000] = {0};
    MPT_CODE(mp_connection_send_bytes(ends.second, much, sizeof much, 0.01), MP_ETIMEDOUT);
    MPT_CODE(mp_connection_send_bytes(ends.second, "x", 1, 1), -EPIPE); /* went in part */
    free_both(ends);
    ends = open_pipe();
    MPT_OK(mp_connection_close(ends.first));
    MPT_CODE(mp_connection_send_bytes(ends.second, "x", 1, 1), -EPIPE);
    free_both(ends);
}

static void test_messages_have_cpythons_length_before_them(void **state) {
    (void)state;
    int raw;
    char got[9];
    mp_connection *connection = mpt_open_raw(&raw);
    MPT_OK(mp_connection_send_bytes(connection, "", 0, 20));
    MPT_OK(mp_connection_send_bytes(connection, "x", 1, MP_FOREVER));
    assert_int_equal(recv(raw, got, 9, MSG_WAITALL), 9);
    assert_memory_equal(got, "\0\0\0\0\0\0\0\x01x", 9);
    close(raw);
    mp_connection_free(connection);
}

static void test_short_and_long_lengths_are_received(void **state) {
    (void)state;
    int raw;
    char text[65];
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, "\0\0\0\x02hi\xff\xff\xff\xff\0\0\0\0\0\0\0\x05there\0\0\0\0", 27);
    MPT_OK(receive(connection, text, 20));
    assert_string_equal(text, "hi");
    MPT_OK(receive(connection, text, MP_FOREVER));
    assert_string_equal(text, "there");
    MPT_OK(receive(connection, text, MP_NOWAIT));
    assert_string_equal(text, "");
    close(raw);
    MPT_CODE(receive(connection, text, 20), MP_EEOF);
    mp_connection_free(connection);
}

static void test_a_message_in_single_bytes_survives_timeouts(void **state) {
    (void)state;
    int raw;
    char text[65];
    mp_connection *connection = mpt_open_raw(&raw);
    for (int i = 0; i < 9; i++) {
        MPT_CODE(receive(connection, text, MP_NOWAIT), MP_ETIMEDOUT);
        mpt_put_raw(raw, &"\0\0\0\x05there"[i], 1);
    }
    MPT_OK(receive(connection, text, 20));
    assert_string_equal(text, "there");
    close(raw);
    mp_connection_free(connection);
}

static void receive_begun(void *arg) {
    char text[65];
    MPT_CODE(receive(arg, text, MP_NOWAIT), MP_ETIMEDOUT);
}

static void test_another_process_goes_on_with_what_was_kept(void **state) {
    (void)state;
    int raw;
    char text[65];
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, "\0\0\0\x05the", 7);
    MPT_CODE(mpt_join(mpt_fork(receive_begun, connection)), 0);
    mpt_put_raw(raw, "re", 2);
    MPT_OK(receive(connection, text, 20));
    assert_string_equal(text, "there");
    close(raw);
    mp_connection_free(connection);
}

static void test_a_message_too_long_stays(void **state) {
    (void)state;
    int raw;
    char text[65];
    size_t size = 0;
    void *data;
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, "\0\0\0\x05there", 9);
    MPT_CODE(mp_connection_recv_bytes_into(connection, text, 4, &size, 20), MP_ETOOSHORT);
    assert_int_equal(size, 5);
    MPT_CODE(mp_connection_recv_bytes(connection, &data, &size, 4, 20), MP_ETOOSHORT);
    assert_int_equal(mp_connection_poll(connection, 0), 1);
    MPT_OK(mp_connection_recv_bytes(connection, &data, &size, 5, 20));
    assert_memory_equal(data, "there", 5);
    free(data);
    close(raw);
    mp_connection_free(connection);
}

static void expect_bad(const char *bytes, size_t size, int code) {
    int raw;
    void *data;
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, bytes, size);
    close(raw);
    MPT_CODE(mp_connection_recv_bytes(connection, &data, &size, 0, 20), code);
    MPT_CODE(mp_connection_recv_bytes(connection, &data, &size, 0, 20), code);
    mp_connection_free(connection);
}

static void test_hostile_lengths_allocate_nothing(void **state) {
    (void)state;
    expect_bad("\xff\xff\xff\xfe", 4, MP_EPROTO);
    expect_bad("\x80\0\0\0", 4, MP_EPROTO);
    expect_bad("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, MP_EPROTO);
    expect_bad("\xff\xff\xff\xff\0\0\x7f\xff\xff\xff\xff\xff", 12, MP_EPROTO); /* 128 TiB, ends */
    expect_bad("\x7f\xff\xff\xffxyz", 7, MP_EPROTO);                           /* 2 GiB, ends */
}

static void test_an_end_within_a_message_is_told(void **state) {
    (void)state;
    expect_bad("\0\0", 2, MP_EPROTO);
    expect_bad("\0\0\0\x05the", 7, MP_EPROTO);
    expect_bad("", 0, MP_EEOF);
}

static void send_large(void *arg) {
    char *data = malloc(5000000);
    for (int i = 0; i < 5000000; i++)
        data[i] = (char)(i * 7);
    MPT_OK(mp_connection_send_bytes(arg, data, 5000000, 20));
    free(data);
}

static void test_large_messages_come_whole(void **state) {
    (void)state;
    struct ends ends = open_both();
    pid_t pid = mpt_fork(send_large, ends.first);
    char *data = NULL;
    size_t size = 0;
    int code;
    do /* with many timeouts, each after a part */
        code = mp_connection_recv_bytes(ends.second, (void **)&data, &size, 0, 0.0005);
    while (code == MP_ETIMEDOUT);
    MPT_OK(code);
    assert_int_equal(size, 5000000);
    for (int i = 0; i < 5000000; i++)
        MPT_CHECK(data[i] == (char)(i * 7));
    free(data);
    MPT_CODE(mpt_join(pid), 0);
    free_both(ends);
}

static void test_a_send_that_times_out_halfway_ends_sending(void **state) {
    (void)state;
    int raw;
    char *data = calloc(1, 4000000), *got = malloc(4000000);
    mp_connection *connection = mpt_open_raw(&raw);
    MPT_CODE(mp_connection_send_bytes(connection, data, 4000000, 0.01), MP_ETIMEDOUT);
    MPT_CODE(mp_connection_send_bytes(connection, data, 1, 0.01), -EPIPE);
    ssize_t here, sum = 0;
    while ((here = read(raw, got, 4000000)) > 0) /* the other end comes to an end */
        sum += here;
    assert_true(sum > 0 && sum < 4000000);
    mpt_put_raw(raw, "\0\0\0\0", 4); /* the other direction goes on */
    MPT_OK(receive(connection, got, 20));
    free(data);
    free(got);
    close(raw);
    mp_connection_free(connection);
}

static void test_a_send_with_no_room_at_all_can_be_tried_again(void **state) {
    (void)state;
    struct ends ends = open_both();
    char data[1000] = {0};
    size_t sent = 0, size;
    while (mp_connection_send_bytes(ends.first, data, sizeof data, MP_NOWAIT) == 0)
        sent++;
    assert_true(sent > 10);
    MPT_CODE(mp_connection_send_bytes(ends.first, data, sizeof data, 0.01), MP_ETIMEDOUT);
    for (size_t i = 0; i < sent; i++)
        MPT_OK(mp_connection_recv_bytes_into(ends.second, data, sizeof data, &size, 20));
    MPT_OK(mp_connection_send_bytes(ends.first, data, sizeof data, 20));
    MPT_OK(mp_connection_recv_bytes_into(ends.second, data, sizeof data, &size, 20));
    free_both(ends);
}

static void test_a_gone_peer_breaks_sending(void **state) {
    (void)state;
    int raw;
    mp_connection *connection = mpt_open_raw(&raw);
    close(raw);
    MPT_CODE(mp_connection_send_bytes(connection, "x", 1, 20), -EPIPE);
    mp_connection_free(connection);
}

static void test_handles_travel_over_unix_sockets(void **state) {
    (void)state;
    struct ends ends = open_both();
    int ends_of_pipe[2], got;
    assert_int_equal(pipe(ends_of_pipe), 0);
    MPT_OK(mp_connection_send_handle(ends.first, ends_of_pipe[1], 20));
    MPT_OK(mp_connection_recv_handle(ends.second, &got, 20));
    assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(write(got, "x", 1), 1);
    MPT_CODE(mp_connection_recv_handle(ends.second, &got, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_OK(mp_connection_send_bytes(ends.first, "x", 1, 20));
    int none;
    MPT_CODE(mp_connection_recv_handle(ends.second, &none, 20), MP_EPROTO);
    close(got);
    close(ends_of_pipe[0]);
    close(ends_of_pipe[1]);
    free_both(ends);
}

static void test_waiting_sees_messages_and_the_end(void **state) {
    (void)state;
    int raw;
    char text[65];
    mp_connection *connection = mpt_open_raw(&raw);
    mp_waitable list[] = {MP_WAIT_CONNECTION(connection)};
    assert_int_equal(mp_connection_poll(connection, 0.01), 0);
    assert_int_equal(mp_wait(list, 1, 0.01), 0);
    mpt_put_raw(raw, "\0\0\0\0", 4);
    assert_int_equal(mp_connection_poll(connection, 20), 1);
    assert_int_equal(mp_wait(list, 1, 20), 1);
    MPT_OK(receive(connection, text, 20));
    close(raw);
    assert_int_equal(mp_connection_poll(connection, 20), 1);
    assert_int_equal(mp_wait(list, 1, 20), 1);
    assert_true(mp_connection_readable(connection) && mp_connection_writable(connection));
    MPT_OK(mp_connection_close(connection));
    assert_true(mp_connection_closed(connection));
    MPT_CODE(receive(connection, text, 20), MP_ECLOSED);
    mp_connection_free(connection);
}

static bool dump_says(const char *format, const void *connection) {
    char *text, wanted[200];
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    MPT_OK(mp_family_dump(stream));
    MPT_CHECK(fclose(stream) == 0);
    snprintf(wanted, sizeof wanted, format, connection);
    bool is_said = strstr(text, wanted);
    free(text);
    return is_said;
}

static void test_the_familys_listing_shows_them(void **state) {
    (void)state;
    int raw;
    char text[65];
    mp_connection *connection = mpt_open_raw(&raw);
    assert_true(dump_says("connection %p over a socket\n", connection));
    mpt_put_raw(raw, "\0\0\0\x05the", 7);
    MPT_CODE(receive(connection, text, MP_NOWAIT), MP_ETIMEDOUT);
    assert_true(dump_says("connection %p over a socket, 3 bytes of a message kept\n", connection));
    struct mp__guard *guard = &((struct stream_shared *)connection)->sending;
    MPT_OK(mp__guard_acquire(guard, mp__self(), MP__HOLDING_STREAM, connection, MP__NEVER));
    assert_true(dump_says("%p over a socket, 3 bytes of a message kept, sent by ", connection));
    mp__guard_release(guard, mp__self(), MP__HOLDING_STREAM, connection);
    close(raw);
    mp_connection_free(connection);
}

static void expect_object(mp_object *got) {
    mp_object *expected = mp_object_build("(is)", 7, "x");
    assert_true(mp_object_equal(got, expected));
    mp_object_free(expected);
    mp_object_free(got);
}

static void check_objects(struct ends ends) {
    mp_object *object = mp_object_build("(is)", 7, "x"), *got;
    MPT_OK(mp_connection_send(ends.first, object, 20));
    MPT_OK(mp_connection_recv(ends.second, &got, 20));
    expect_object(got);
    MPT_OK(mp_connection_send_bytes(ends.first, "junk", 4, 20));
    MPT_CODE(mp_connection_recv(ends.second, &got, 20), MP_EPROTO);
    MPT_CODE(mp_connection_recv(ends.second, &got, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_connection_send(ends.first, NULL, 20), MP_EINVAL);
    MPT_CODE(mp_connection_recv(ends.first, NULL, 20), MP_EINVAL);
    mp_object_free(object);
    free_both(ends);
}

static void test_objects_travel(void **state) {
    (void)state;
    struct ends ends;
    check_objects(open_both());
    MPT_OK(mp_pipe_new(&ends.first, &ends.second, NULL, true));
    check_objects(ends);
}

static void test_objects_lie_in_queues(void **state) {
    (void)state;
    mp_queue *queue;
    mp_object *object = mp_object_build("(is)", 7, "x"), *got;
    MPT_OK(mp_queue_new(&queue, NULL, 1));
    MPT_OK(mp_queue_put_object(queue, object, 20));
    MPT_CODE(mp_queue_put_object(queue, object, MP_NOWAIT), MP_EFULL);
    MPT_OK(mp_queue_get_object(queue, &got, 20));
    expect_object(got);
    MPT_CODE(mp_queue_get_object(queue, &got, MP_NOWAIT), MP_EEMPTY);
    MPT_OK(mp_queue_put(queue, "junk", 4, 20));
    MPT_CODE(mp_queue_get_object(queue, &got, 20), MP_EPROTO);
    MPT_CODE(mp_queue_put_object(queue, NULL, 20), MP_EINVAL);
    MPT_CODE(mp_queue_get_object(queue, NULL, 20), MP_EINVAL);
    mp_object_free(object);
    mp_queue_free(queue);
}

MPT_MAIN(MPT_CASE(test_a_pipe_carries_messages_one_way),
         MPT_CASE(test_a_pipe_that_nobody_reads_is_an_error),
         MPT_CASE(test_messages_have_cpythons_length_before_them),
         MPT_CASE(test_short_and_long_lengths_are_received),
         MPT_CASE(test_a_message_in_single_bytes_survives_timeouts),
         MPT_CASE(test_another_process_goes_on_with_what_was_kept),
         MPT_CASE(test_a_message_too_long_stays), MPT_CASE(test_hostile_lengths_allocate_nothing),
         MPT_CASE(test_an_end_within_a_message_is_told), MPT_CASE(test_large_messages_come_whole),
         MPT_CASE(test_a_send_that_times_out_halfway_ends_sending),
         MPT_CASE(test_a_send_with_no_room_at_all_can_be_tried_again),
         MPT_CASE(test_a_gone_peer_breaks_sending), MPT_CASE(test_handles_travel_over_unix_sockets),
         MPT_CASE(test_waiting_sees_messages_and_the_end),
         MPT_CASE(test_the_familys_listing_shows_them), MPT_CASE(test_objects_travel),
         MPT_CASE(test_objects_lie_in_queues))

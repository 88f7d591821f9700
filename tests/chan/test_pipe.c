/* Pipes: bytes, descriptors, end of file, and the descriptor that event loops look at.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "chan/connection.h"
#include "chan/pipe.h"
#include "mp/connection.h"
#include "shm/heap.h"

struct ends {
    mp_connection *first;
    mp_connection *second;
};

static struct ends new_pipe(bool duplex) {
    struct ends ends;
    MPT_OK(mp_pipe_new(&ends.first, &ends.second, NULL, duplex));
    return ends;
}

static void free_pipe(struct ends ends) {
    mp_connection_free(ends.first);
    mp_connection_free(ends.second);
}

static bool is_readable(int descriptor) {
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    return poll(&poller, 1, 0) == 1;
}

static void send_text(mp_connection *connection, const char *text) {
    MPT_OK(mp_connection_send_bytes(connection, text, strlen(text), 20));
}

static void expect_text(mp_connection *connection, const char *text) {
    char got[64];
    size_t size;
    MPT_OK(mp_connection_recv_bytes_into(connection, got, sizeof got, &size, 20));
    MPT_CHECK(size == strlen(text) && memcmp(got, text, size) == 0);
}

static void check_sending_fails(mp_connection *connection, int code) {
    MPT_CODE(mp_connection_send_bytes(connection, "x", 1, MP_NOWAIT), code);
    MPT_CODE(mp_connection_send_handle(connection, 0, MP_NOWAIT), code);
}

static void check_receiving_fails(mp_connection *connection, double timeout, int code) {
    char byte;
    void *data;
    size_t size = 77;
    int fd;
    MPT_CODE(mp_connection_recv_bytes_into(connection, &byte, 1, &size, timeout), code);
    MPT_CODE(mp_connection_recv_bytes(connection, &data, &size, 0, timeout), code);
    MPT_CODE(mp_connection_recv_handle(connection, &fd, timeout), code);
    assert_int_equal(size, 77);
}

static void test_both_ends_send_and_receive(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    send_text(ends.first, "to the second");
    send_text(ends.second, "to the first");
    send_text(ends.second, "");
    expect_text(ends.first, "to the first");
    expect_text(ends.first, "");
    expect_text(ends.second, "to the second");
    free_pipe(ends);
}

static void test_one_way_pipe_refuses_the_other_way(void **state) {
    (void)state;
    struct ends ends = new_pipe(false);
    assert_true(mp_connection_readable(ends.first) && !mp_connection_writable(ends.first));
    assert_true(!mp_connection_readable(ends.second) && mp_connection_writable(ends.second));
    check_sending_fails(ends.first, MP_EINVAL);
    check_receiving_fails(ends.second, MP_NOWAIT, MP_EINVAL);
    MPT_CODE(mp_connection_poll(ends.second, MP_NOWAIT), MP_EINVAL);
    send_text(ends.second, "x");
    expect_text(ends.first, "x");
    free_pipe(ends);
}

static void test_receive_times_out_when_nothing_comes(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    for (double timeout = 0; timeout < 0.03; timeout += 0.02) {
        check_receiving_fails(ends.first, timeout, MP_ETIMEDOUT);
        assert_int_equal(mp_connection_poll(ends.first, timeout), 0);
    }
    free_pipe(ends);
}

static void test_too_long_a_message_can_be_received_again(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    send_text(ends.first, "0123456789");
    char text[10];
    size_t size = 0;
    void *data;
    MPT_CODE(mp_connection_recv_bytes_into(ends.second, text, 9, &size, MP_NOWAIT), MP_ETOOSHORT);
    assert_int_equal(size, 10);
    MPT_CODE(mp_connection_recv_bytes(ends.second, &data, &size, 9, MP_NOWAIT), MP_ETOOSHORT);
    MPT_OK(mp_connection_recv_bytes(ends.second, &data, &size, 10, MP_NOWAIT));
    assert_int_equal(size, 10);
    assert_memory_equal(data, "0123456789", 10);
    free(data);
    free_pipe(ends);
}

static void test_send_times_out_when_full(void **state) {
    (void)state;
    struct ends ends = new_pipe(false);
    char *bytes = calloc(1, 5 << 20);
    MPT_OK(mp_connection_send_bytes(ends.second, bytes, 5 << 20, MP_NOWAIT));
    MPT_CODE(mp_connection_send_bytes(ends.second, "x", 1, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_connection_send_bytes(ends.second, bytes, 5000, 0.02), MP_ETIMEDOUT);
    MPT_CODE(mp_connection_send_handle(ends.second, 0, 0.02), MP_ETIMEDOUT);
    MPT_OK(mp_connection_recv_bytes_into(ends.first, bytes, 5 << 20, NULL, MP_NOWAIT));
    int sent = 0;
    while (mp_connection_send_bytes(ends.second, bytes, 100, MP_NOWAIT) == 0)
        sent++;
    assert_true(sent > 9000 && sent < 10500);
    free(bytes);
    free_pipe(ends);
}

static void test_sending_to_a_closed_end_fails(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    send_text(ends.second, "unread");
    expect_text(ends.first, "unread");
    send_text(ends.first, "never received");
    MPT_OK(mp_connection_close(ends.second));
    check_sending_fails(ends.first, -EPIPE);
    check_sending_fails(ends.first, -EPIPE);
    free_pipe(ends);
}

static void test_end_of_file_comes_after_the_messages(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    send_text(ends.second, "one");
    send_text(ends.second, "two");
    MPT_OK(mp_connection_close(ends.second));
    assert_int_equal(mp_connection_poll(ends.first, MP_NOWAIT), 1);
    expect_text(ends.first, "one");
    expect_text(ends.first, "two");
    assert_int_equal(mp_connection_poll(ends.first, MP_FOREVER), 1);
    check_receiving_fails(ends.first, MP_FOREVER, MP_EEOF);
    free_pipe(ends);
}

static void test_closed_connection_says_so(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    assert_false(mp_connection_closed(ends.first));
    MPT_OK(mp_connection_close(ends.first));
    MPT_OK(mp_connection_close(ends.first));
    assert_true(mp_connection_closed(ends.first));
    check_sending_fails(ends.first, MP_ECLOSED);
    check_receiving_fails(ends.first, MP_NOWAIT, MP_ECLOSED);
    MPT_CODE(mp_connection_poll(ends.first, MP_NOWAIT), MP_ECLOSED);
    MPT_CODE(mp_connection_fileno(ends.first), MP_ECLOSED);
    MPT_CODE(mp__connection_descriptor(ends.first), MP_ECLOSED);
    free_pipe(ends);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    void *data;
    size_t size;
    char byte;
    MPT_CODE(mp_pipe_new(NULL, &ends.second, NULL, true), MP_EINVAL);
    MPT_CODE(mp_pipe_new(&ends.first, NULL, NULL, true), MP_EINVAL);
    MPT_CODE(mp_connection_send_bytes(NULL, "x", 1, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_connection_send_bytes(ends.first, NULL, 1, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_connection_send_bytes(ends.first, "x", 1, NAN), MP_EINVAL);
    MPT_CODE(mp_connection_send_bytes(ends.first, "x", (size_t)1 << 60, MP_NOWAIT), -ENOMEM);
    MPT_CODE(mp_connection_recv_bytes(ends.first, NULL, &size, 0, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_connection_recv_bytes(ends.first, &data, NULL, 0, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_connection_recv_bytes_into(ends.first, NULL, 1, &size, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_connection_recv_handle(ends.first, NULL, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_connection_send_handle(ends.first, -1, MP_NOWAIT), -EBADF);
    MPT_CODE(mp_connection_send_handle(ends.first, 12345, MP_NOWAIT), -EBADF);
    MPT_CODE(mp_connection_poll((mp_connection *)&byte, MP_NOWAIT), MP_EINVAL);
    MPT_CODE(mp_connection_close(NULL), MP_EINVAL);
    MPT_CODE(mp_connection_fileno(NULL), MP_EINVAL);
    assert_true(mp_connection_closed(NULL));
    assert_false(mp_connection_readable(NULL) || mp_connection_writable(NULL));
    mp_connection_free(NULL);
    free_pipe(ends);
    MPT_CODE(mp_connection_poll(ends.first, MP_NOWAIT), MP_EINVAL);
}

static void test_no_descriptor_is_an_error(void **state) {
    (void)state;
    struct rlimit old, none;
    free_pipe(new_pipe(true));
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    struct ends ends;
    int code = mp_pipe_new(&ends.first, &ends.second, NULL, true);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(code, -EMFILE);
}

/* A descriptor that was moved elsewhere, as proc does it for a spawned child. */
static void test_adopted_descriptor_is_used(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    int copy = fcntl(mp__connection_descriptor(ends.second), F_DUPFD_CLOEXEC, 3);
    assert_true(copy >= 0);
    MPT_OK(mp__connection_adopt(ends.second, copy));
    assert_int_equal(mp__connection_descriptor(ends.second), copy);
    send_text(ends.second, "x");
    expect_text(ends.first, "x");
    MPT_OK(mp_connection_close(ends.second));
    MPT_CODE(mp_connection_recv_bytes_into(ends.first, NULL, 0, NULL, MP_FOREVER), MP_EEOF);
    free_pipe(ends);
}

static void make_pipe_for_parent(void *arg) {
    struct ends *ends = arg;
    *ends = new_pipe(true);
}

static void test_connection_of_another_process_was_not_passed(void **state) {
    (void)state;
    free_pipe(new_pipe(true)); /* the arena is there before the fork */
    struct ends *ends = mp__heap_zalloc(sizeof *ends);
    assert_int_equal(mpt_join(mpt_fork(make_pipe_for_parent, ends)), 0);
    MPT_CODE(mp_connection_send_bytes(ends->first, "x", 1, MP_NOWAIT), MP_ENOTPASSED);
    MPT_CODE(mp_connection_recv_bytes_into(ends->first, NULL, 0, NULL, MP_NOWAIT), MP_ENOTPASSED);
    MPT_CODE(mp_connection_poll(ends->first, MP_NOWAIT), MP_ENOTPASSED);
    MPT_CODE(mp_connection_fileno(ends->first), MP_ENOTPASSED);
    MPT_CODE(mp_connection_close(ends->first), MP_ENOTPASSED);
    assert_true(mp_connection_closed(ends->first));
    free_pipe(*ends);
    mp__heap_free(ends);
}

static void test_fileno_is_readable_while_there_is_something(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    send_text(ends.first, "before anybody watched");
    int fd = mp_connection_fileno(ends.second);
    assert_true(fd >= 0 && is_readable(fd));
    expect_text(ends.second, "before anybody watched");
    for (int round = 0; round < 100; round++) {
        assert_false(is_readable(fd));
        send_text(ends.first, "one");
        assert_true(is_readable(fd));
        send_text(ends.first, "two");
        expect_text(ends.second, "one");
        assert_true(is_readable(fd));
        expect_text(ends.second, "two");
    }
    assert_false(is_readable(fd));
    MPT_OK(mp_connection_close(ends.first));
    assert_true(is_readable(fd));
    free_pipe(ends);
}

static void test_handles_travel_in_order_with_messages(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    send_text(ends.first, "a handle follows");
    MPT_OK(mp_connection_send_handle(ends.first, pipe_ends[1], 20));
    send_text(ends.first, "that was it");
    close(pipe_ends[1]);
    int fd = mp_connection_fileno(ends.second), got;
    MPT_CODE(mp_connection_recv_handle(ends.second, &got, MP_NOWAIT), MP_ETYPE);
    expect_text(ends.second, "a handle follows");
    MPT_CODE(mp_connection_recv_bytes_into(ends.second, NULL, 0, NULL, MP_NOWAIT), MP_ETYPE);
    assert_int_equal(mp_connection_poll(ends.second, MP_NOWAIT), 1);
    assert_true(is_readable(fd));
    MPT_OK(mp_connection_recv_handle(ends.second, &got, 20));
    assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);
    assert_true(is_readable(fd));
    expect_text(ends.second, "that was it");
    assert_false(is_readable(fd));
    assert_int_equal(write(got, "!", 1), 1);
    assert_true(is_readable(pipe_ends[0]));
    close(got);
    close(pipe_ends[0]);
    free_pipe(ends);
}

static void test_handles_wait_for_room(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    int sent = 0, got;
    while (mp_connection_send_handle(ends.first, 0, MP_NOWAIT) == 0)
        sent++;
    assert_true(sent > 10);
    MPT_CODE(mp_connection_send_handle(ends.first, 0, 0.01), MP_ETIMEDOUT);
    MPT_OK(mp_connection_send_bytes(ends.second, "x", 1, 0.01));
    for (int i = 0; i < sent; i++) {
        MPT_OK(mp_connection_recv_handle(ends.second, &got, 20));
        close(got);
    }
    MPT_CODE(mp_connection_recv_handle(ends.second, &got, MP_NOWAIT), MP_ETIMEDOUT);
    send_text(ends.first, "still works");
    expect_text(ends.second, "still works");
    free_pipe(ends);
}

static void test_handle_is_lost_without_a_free_descriptor(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    MPT_OK(mp_connection_send_handle(ends.first, 0, MP_NOWAIT));
    send_text(ends.first, "next");
    struct rlimit old, none;
    getrlimit(RLIMIT_NOFILE, &old);
    none = old;
    none.rlim_cur = 3;
    setrlimit(RLIMIT_NOFILE, &none);
    int got;
    int code = mp_connection_recv_handle(ends.second, &got, MP_NOWAIT);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(code, -EMFILE);
    expect_text(ends.second, "next");
    free_pipe(ends);
}

/* Streams with a check of every byte, between processes and between threads. */
enum { MESSAGES = 20000 };

static size_t size_of_turn(uint32_t turn) {
    return turn % 500 == 7 ? 300000 + turn : turn % 100 == 3 ? 5000 + turn % 7000 : turn % 300;
}

static void *send_stream(void *arg) {
    mp_connection *connection = arg;
    unsigned char *bytes = malloc(400000);
    for (uint32_t turn = 0; turn < MESSAGES; turn++) {
        memset(bytes, (int)(turn % 251), size_of_turn(turn));
        MPT_OK(mp_connection_send_bytes(connection, bytes, size_of_turn(turn), 20));
    }
    free(bytes);
    return NULL;
}

static void *receive_stream(void *arg) {
    mp_connection *connection = arg;
    for (uint32_t turn = 0; turn < MESSAGES; turn++) {
        void *data;
        size_t size;
        MPT_OK(mp_connection_recv_bytes(connection, &data, &size, 0, 20));
        MPT_CHECK(size == size_of_turn(turn));
        const unsigned char *bytes = data;
        MPT_CHECK(size == 0 || (bytes[0] == turn % 251 && bytes[size - 1] == turn % 251));
        free(data);
    }
    return NULL;
}

static void send_stream_alone(void *arg) {
    struct ends *ends = arg;
    MPT_OK(mp_connection_close(ends->first));
    send_stream(ends->second);
}

static void test_stream_arrives_whole_and_ends(void **state) {
    (void)state;
    struct ends ends = new_pipe(false);
    pid_t child = mpt_fork(send_stream_alone, &ends);
    MPT_OK(mp_connection_close(ends.second));
    receive_stream(ends.first);
    MPT_CODE(mp_connection_recv_bytes_into(ends.first, NULL, 0, NULL, 20), MP_EEOF);
    assert_int_equal(mpt_join(child), 0);
    MPT_OK(mp__channel_check(((struct connection_shared *)ends.first)->in));
    free_pipe(ends);
}

static void test_threads_stream_both_ways(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    pthread_t threads[4];
    pthread_create(&threads[0], NULL, send_stream, ends.first);
    pthread_create(&threads[1], NULL, receive_stream, ends.second);
    pthread_create(&threads[2], NULL, send_stream, ends.second);
    pthread_create(&threads[3], NULL, receive_stream, ends.first);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    free_pipe(ends);
}

static void echo(void *arg) {
    struct ends *ends = arg;
    MPT_OK(mp_connection_close(ends->first));
    char bytes[64];
    size_t size;
    int code;
    while ((code = mp_connection_recv_bytes_into(ends->second, bytes, 64, &size, 20)) == 0)
        MPT_OK(mp_connection_send_bytes(ends->second, bytes, size, 20));
    MPT_CHECK(code == MP_EEOF);
}

static void test_echo_ends_when_the_asker_closes(void **state) {
    (void)state;
    struct ends ends = new_pipe(true);
    pid_t child = mpt_fork(echo, &ends);
    MPT_OK(mp_connection_close(ends.second));
    for (int i = 0; i < 5000; i++) {
        send_text(ends.first, "there and back");
        expect_text(ends.first, "there and back");
    }
    MPT_OK(mp_connection_close(ends.first));
    assert_int_equal(mpt_join(child), 0);
    free_pipe(ends);
}

static void send_numbers(void *arg) {
    struct ends *ends = arg;
    for (uint32_t i = 0; i < MESSAGES / 2; i++)
        MPT_OK(mp_connection_send_bytes(ends->second, &i, sizeof i, 20));
}

/* As an event loop does it: poll, then receive until there is nothing more. */
static void test_event_loop_misses_nothing(void **state) {
    (void)state;
    struct ends ends = new_pipe(false);
    struct pollfd poller = {.fd = mp_connection_fileno(ends.first), .events = POLLIN};
    pid_t senders[] = {mpt_fork(send_numbers, &ends), mpt_fork(send_numbers, &ends)};
    MPT_OK(mp_connection_close(ends.second));
    int code = 0, got = 0;
    while (code != MP_EEOF) {
        assert_int_equal(poll(&poller, 1, 20000), 1);
        uint32_t number;
        while ((code = mp_connection_recv_bytes_into(ends.first, &number, 4, NULL, 0)) == 0)
            got++;
        assert_true(code == MP_ETIMEDOUT || code == MP_EEOF);
    }
    assert_int_equal(got, MESSAGES);
    assert_int_equal(mpt_join(senders[0]), 0);
    assert_int_equal(mpt_join(senders[1]), 0);
    free_pipe(ends);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_both_ends_send_and_receive),
         MPT_CASE(test_one_way_pipe_refuses_the_other_way),
         MPT_CASE(test_receive_times_out_when_nothing_comes),
         MPT_CASE(test_too_long_a_message_can_be_received_again),
         MPT_CASE(test_send_times_out_when_full),
         MPT_CASE(test_sending_to_a_closed_end_fails),
         MPT_CASE(test_end_of_file_comes_after_the_messages),
         MPT_CASE(test_closed_connection_says_so),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_no_descriptor_is_an_error),
         MPT_CASE(test_adopted_descriptor_is_used),
         MPT_CASE(test_connection_of_another_process_was_not_passed),
         MPT_CASE(test_fileno_is_readable_while_there_is_something),
         MPT_CASE(test_handles_travel_in_order_with_messages),
         MPT_CASE(test_handles_wait_for_room),
         MPT_CASE(test_handle_is_lost_without_a_free_descriptor),
         MPT_CASE(test_stream_arrives_whole_and_ends),
         MPT_CASE(test_threads_stream_both_ways),
         MPT_CASE(test_echo_ends_when_the_asker_closes),
         MPT_CASE(test_event_loop_misses_nothing))

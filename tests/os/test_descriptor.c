/* Descriptors: close-on-exec, waiting, travelling.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/descriptor.h"

static bool is_close_on_exec(int descriptor) {
    return fcntl(descriptor, F_GETFD) & FD_CLOEXEC;
}

static bool is_open(int descriptor) {
    return fcntl(descriptor, F_GETFD) >= 0;
}

static void close_pair(const int pair[2]) {
    mp__descriptor_close(pair[0]);
    mp__descriptor_close(pair[1]);
}

static void test_all_are_born_close_on_exec(void **state) {
    (void)state;
    int ends[2], sockets[2];
    MPT_OK(mp__descriptor_pipe(ends));
    MPT_OK(mp__descriptor_socketpair(sockets, SOCK_SEQPACKET));
    int copy = mp__descriptor_duplicate(ends[0]);
    assert_true(is_close_on_exec(ends[0]) && is_close_on_exec(ends[1]));
    assert_true(is_close_on_exec(sockets[0]) && is_close_on_exec(sockets[1]));
    assert_true(copy > 2 && is_close_on_exec(copy));
    close_pair(ends);
    close_pair(sockets);
    mp__descriptor_close(copy);
    mp__descriptor_close(-1);
}

static void test_making_fails_without_descriptors(void **state) {
    (void)state;
    int ends[2] = {7, 7};
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){4, before.rlim_max}), 0);
    while (dup(0) >= 0)
        continue;
    MPT_CODE(mp__descriptor_pipe(ends), -EMFILE);
    MPT_CODE(mp__descriptor_socketpair(ends, SOCK_STREAM), -EMFILE);
    assert_true(mp__descriptor_duplicate(0) < 0);
    assert_int_equal(ends[0], 7);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    mp__descriptor_close(3);
    MPT_CODE(mp__descriptor_duplicate(-1), -EBADF);
}

static void test_poll_tells_ready_from_late(void **state) {
    (void)state;
    int ends[2];
    MPT_OK(mp__descriptor_pipe(ends));
    assert_int_equal(mp__descriptor_poll(ends[0], POLLIN, 0), 0);
    mp__time deadline = mp__now() + MP__SECOND / 50;
    assert_int_equal(mp__descriptor_poll(ends[0], POLLIN, deadline), 0);
    assert_true(mp__now() >= deadline);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(mp__descriptor_poll(ends[0], POLLIN, MP__NEVER), POLLIN);
    assert_int_equal(mp__descriptor_poll(ends[1], POLLOUT, 0), POLLOUT);
    close_pair(ends);
    MPT_CODE(mp__descriptor_poll(ends[0], POLLIN, 0), -EBADF);
}

static void test_blocking_is_switched(void **state) {
    (void)state;
    int ends[2];
    char byte;
    MPT_OK(mp__descriptor_pipe(ends));
    MPT_OK(mp__descriptor_set_blocking(ends[0], 0));
    assert_int_equal(read(ends[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    MPT_OK(mp__descriptor_set_blocking(ends[0], 1));
    assert_int_equal(fcntl(ends[0], F_GETFL) & O_NONBLOCK, 0);
    close_pair(ends);
    MPT_CODE(mp__descriptor_set_blocking(ends[0], 1), -EBADF);
}

static void test_descriptors_travel_with_their_message(void **state) {
    (void)state;
    int sockets[2], ends[2], came[3] = {-1, -1, -1};
    char text[8];
    size_t count = 3;
    MPT_OK(mp__descriptor_socketpair(sockets, SOCK_STREAM));
    MPT_OK(mp__descriptor_pipe(ends));
    assert_int_equal(mp__descriptor_send(sockets[0], "two", 4, ends, 2), 4);
    assert_int_equal(mp__descriptor_receive(sockets[1], text, sizeof text, came, &count), 4);
    assert_string_equal(text, "two");
    assert_int_equal(count, 2);
    assert_true(is_close_on_exec(came[0]) && is_close_on_exec(came[1]));
    assert_int_equal(write(came[1], "x", 1), 1);
    assert_int_equal(mp__descriptor_poll(ends[0], POLLIN, 0), POLLIN);
    close_pair(came);
    close_pair(ends);
    close_pair(sockets);
}

static void test_the_most_descriptors_travel_at_once(void **state) {
    (void)state;
    int sockets[2], list[MP__PASS_MAX], came[MP__PASS_MAX];
    char byte;
    size_t count = MP__PASS_MAX;
    MPT_OK(mp__descriptor_socketpair(sockets, SOCK_SEQPACKET));
    for (size_t i = 0; i < MP__PASS_MAX; i++)
        list[i] = sockets[0];
    assert_int_equal(mp__descriptor_send(sockets[0], "x", 1, list, MP__PASS_MAX), 1);
    assert_int_equal(mp__descriptor_receive(sockets[1], &byte, 1, came, &count), 1);
    assert_int_equal(count, MP__PASS_MAX);
    for (size_t i = 0; i < count; i++)
        mp__descriptor_close(came[i]);
    close_pair(sockets);
}

static void test_unexpected_descriptors_are_closed(void **state) {
    (void)state;
    int sockets[2], came[1];
    char byte;
    size_t count = 0;
    MPT_OK(mp__descriptor_socketpair(sockets, SOCK_STREAM));
    int next = dup(0);
    close(next);
    assert_int_equal(mp__descriptor_send(sockets[0], "x", 1, sockets, 1), 1);
    MPT_CODE((int)mp__descriptor_receive(sockets[1], &byte, 1, came, &count), -EMSGSIZE);
    assert_false(is_open(next));
    assert_int_equal(mp__descriptor_send(sockets[0], "x", 1, NULL, 0), 1);
    assert_int_equal(mp__descriptor_receive(sockets[1], &byte, 1, NULL, &count), 1);
    assert_int_equal(count, 0);
    close_pair(sockets);
}

static void test_receive_fails_when_the_limit_of_descriptors_is_reached(void **state) {
    (void)state;
    int sockets[2], came[4];
    char byte;
    size_t count = 4;
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    MPT_OK(mp__descriptor_socketpair(sockets, SOCK_STREAM));
    assert_int_equal(mp__descriptor_send(sockets[0], "x", 1, sockets, 2), 1);
    int next = dup(0);
    close(next);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){(rlim_t)next + 1, before.rlim_max});
    MPT_CODE((int)mp__descriptor_receive(sockets[1], &byte, 1, came, &count), -EMFILE);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_false(is_open(next));
    close_pair(sockets);
}

static void test_receive_tells_end_from_nothing_yet(void **state) {
    (void)state;
    int sockets[2];
    char byte;
    size_t count = 0;
    MPT_OK(mp__descriptor_socketpair(sockets, SOCK_STREAM));
    MPT_OK(mp__descriptor_set_blocking(sockets[1], 0));
    MPT_CODE((int)mp__descriptor_receive(sockets[1], &byte, 1, NULL, &count), -EAGAIN);
    mp__descriptor_close(sockets[0]);
    assert_int_equal(mp__descriptor_receive(sockets[1], &byte, 1, NULL, &count), 0);
    MPT_CODE((int)mp__descriptor_send(sockets[1], "x", 1, NULL, 0), -EPIPE); /* and no SIGPIPE */
    mp__descriptor_close(sockets[1]);
}

static void test_packet_longer_than_the_room_is_refused(void **state) {
    (void)state;
    int sockets[2];
    char text[2];
    size_t count = 0;
    MPT_OK(mp__descriptor_socketpair(sockets, SOCK_SEQPACKET));
    assert_int_equal(mp__descriptor_send(sockets[0], "four", 4, NULL, 0), 4);
    MPT_CODE((int)mp__descriptor_receive(sockets[1], text, sizeof text, NULL, &count), -EMSGSIZE);
    close_pair(sockets);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_all_are_born_close_on_exec),
         MPT_CASE(test_making_fails_without_descriptors),
         MPT_CASE(test_poll_tells_ready_from_late),
         MPT_CASE(test_blocking_is_switched),
         MPT_CASE(test_descriptors_travel_with_their_message),
         MPT_CASE(test_the_most_descriptors_travel_at_once),
         MPT_CASE(test_unexpected_descriptors_are_closed),
         MPT_CASE(test_receive_fails_when_the_limit_of_descriptors_is_reached),
         MPT_CASE(test_receive_tells_end_from_nothing_yet),
         MPT_CASE(test_packet_longer_than_the_room_is_refused))

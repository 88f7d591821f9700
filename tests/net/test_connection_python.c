/* Every python3 of this machine as the other end: its Listener and its Client, with and without a
 * key, over TCP and Unix sockets.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/listener.h"
#include "mp/object.h"
#include "python.h"

static FILE *start_peer(const char *python, const char *mode, const char *address,
                        const char *key) {
    return mpt_python_start(python, "net/peer_connection.py", "%s '%s' '%s'", mode, address, key);
}

static void expect_echo(mp_connection *connection, mp_object *object) {
    mp_object *got;
    MPT_OK(mp_connection_send(connection, object, 20));
    MPT_OK(mp_connection_recv(connection, &got, 20));
    MPT_CHECK(mp_object_equal(object, got));
    mp_object_free(got);
    mp_object_free(object);
}

/* The same talk whoever connected. */
static void talk(mp_connection *connection) {
    mp_object *got, *none = mp_object_build("n");
    void *data;
    size_t size;
    MPT_OK(mp_connection_recv(connection, &got, 20));
    mp_object_free(got);
    MPT_OK(mp_connection_send_bytes(connection, "", 0, 20));
    MPT_OK(mp_connection_recv_bytes(connection, &data, &size, 0, 20));
    MPT_CHECK(size == 100000 && memcmp(data, "zzzz", 4) == 0);
    free(data);
    expect_echo(connection, mp_object_build("(is[iii])", 7, "seven", 1, 2, 3));
    expect_echo(connection, mp_object_build("{s:i}", "key", 5));
    MPT_OK(mp_connection_send(connection, none, 20));
    MPT_CODE(mp_connection_recv(connection, &got, 20), MP_EEOF);
    mp_object_free(none);
    mp_connection_free(connection);
}

static void check_client(const char *python, const char *address, const char *key) {
    mp_listener *listener;
    mp_connection *connection;
    mp_listener_options options = {.authkey = key, .authkey_size = key ? strlen(key) : 0};
    MPT_OK(mp_listener_new(&listener, address, &options));
    FILE *peer = start_peer(python, "connect", mp_listener_address(listener), key ? key : "-");
    MPT_OK(mp_listener_accept(listener, &connection, 20));
    talk(connection);
    MPT_CHECK(mpt_python_end(peer) == 0);
    mp_listener_close(listener);
}

static void check_listener(const char *python, const char *address, const char *key) {
    char line[128];
    mp_connection *connection;
    FILE *peer = start_peer(python, "listen", address, key ? key : "-");
    MPT_CHECK(fgets(line, sizeof line, peer));
    line[strcspn(line, "\n")] = '\0';
    MPT_OK(mp_client_connect(&connection, line, key, key ? strlen(key) : 0, 20));
    talk(connection);
    MPT_CHECK(mpt_python_end(peer) == 0);
}

static void check_clients(const char *python) {
    check_client(python, "tcp://127.0.0.1:0", NULL);
    check_client(python, "tcp://127.0.0.1:0", "abracadabra");
    check_client(python, NULL, "abracadabra");
}

static void check_listeners(const char *python) {
    char path[64];
    snprintf(path, sizeof path, "unix:/tmp/mpt-python-%d", (int)getpid());
    check_listener(python, "tcp://127.0.0.1:0", NULL);
    check_listener(python, "tcp://127.0.0.1:0", "abracadabra");
    check_listener(python, path, "abracadabra");
}

static void check_wrong_client(const char *python) {
    mp_listener *listener;
    mp_connection *connection;
    mp_listener_options options = {.authkey = "abracadabra", .authkey_size = 11};
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", &options));
    FILE *peer = start_peer(python, "connect", mp_listener_address(listener), "open sesame");
    MPT_CODE(mp_listener_accept(listener, &connection, 20), MP_EAUTH);
    MPT_CHECK(mpt_python_end(peer) == 3);
    mp_listener_close(listener);
}

static void check_wrong_listener(const char *python) {
    char line[128];
    mp_connection *connection;
    FILE *peer = start_peer(python, "listen", "tcp://127.0.0.1:0", "abracadabra");
    MPT_CHECK(fgets(line, sizeof line, peer));
    line[strcspn(line, "\n")] = '\0';
    MPT_CODE(mp_client_connect(&connection, line, "open sesame", 11, 20), MP_EAUTH);
    MPT_CHECK(mpt_python_end(peer) == 3);
}

static void expect_text(int fd, const char *expected) {
    char text[32] = "";
    ssize_t size;
    size_t got = 0;
    while ((size = read(fd, text + got, sizeof text - 1 - got)) > 0)
        got += (size_t)size;
    MPT_CHECK(strcmp(text, expected) == 0);
    close(fd);
}

static void check_handles(const char *python) {
    mp_listener *listener;
    mp_connection *connection;
    int ends[2], fd;
    MPT_OK(mp_listener_new(&listener, NULL, NULL));
    FILE *peer = start_peer(python, "handles", mp_listener_address(listener), "-");
    MPT_OK(mp_listener_accept(listener, &connection, 20));
    MPT_CHECK(pipe(ends) == 0);
    MPT_OK(mp_connection_send_handle(connection, ends[1], 20));
    close(ends[1]);
    expect_text(ends[0], "into yours");
    MPT_OK(mp_connection_recv_handle(connection, &fd, 20));
    expect_text(fd, "out of mine");
    MPT_CHECK(mpt_python_end(peer) == 0);
    mp_connection_free(connection);
    mp_listener_close(listener);
}

static void test_pythons_client_comes_in(void **state) {
    (void)state;
    mpt_each_python(8, check_clients);
}

static void test_pythons_listener_lets_us_in(void **state) {
    (void)state;
    mpt_each_python(8, check_listeners);
}

static void test_pythons_client_with_a_wrong_key_is_refused(void **state) {
    (void)state;
    mpt_each_python(8, check_wrong_client);
}

static void test_pythons_listener_refuses_a_wrong_key(void **state) {
    (void)state;
    mpt_each_python(8, check_wrong_listener);
}

static void test_handles_travel_to_python_and_back(void **state) {
    (void)state;
    mpt_each_python(8, check_handles);
}

MPT_MAIN(MPT_CASE(test_pythons_client_comes_in), MPT_CASE(test_pythons_listener_lets_us_in),
         MPT_CASE(test_pythons_client_with_a_wrong_key_is_refused),
         MPT_CASE(test_pythons_listener_refuses_a_wrong_key),
         MPT_CASE(test_handles_travel_to_python_and_back))

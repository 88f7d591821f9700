/* Listeners and clients: every kind of address, what goes wrong, and who removes the files.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mp/listener.h"
#include "process.h"

static char directory[] = "/tmp/mpt-listener-XXXXXX";

static const char *make_path(void) {
    static char address[64];
    assert_non_null(mkdtemp(directory));
    snprintf(address, sizeof address, "unix:%s/socket", directory);
    return address;
}

static void remove_path(void) {
    assert_int_equal(rmdir(directory), 0);
}

static void meet(mp_listener *listener, mp_connection **client, mp_connection **server) {
    MPT_OK(mp_client_connect(client, mp_listener_address(listener), NULL, 0, 20));
    MPT_OK(mp_listener_accept(listener, server, 20));
}

static void expect_text(mp_connection *from, mp_connection *to, const char *text) {
    char got[64];
    size_t size;
    MPT_OK(mp_connection_send_bytes(from, text, strlen(text), 20));
    MPT_OK(mp_connection_recv_bytes_into(to, got, sizeof got, &size, 20));
    MPT_CHECK(size == strlen(text) && memcmp(got, text, size) == 0);
}

static void check_address(const char *address) {
    mp_listener *listener;
    mp_connection *client, *server;
    MPT_OK(mp_listener_new(&listener, address, NULL));
    assert_null(mp_listener_last_accepted(listener));
    meet(listener, &client, &server);
    expect_text(client, server, "to the server");
    expect_text(server, client, "to the client");
    bool is_tcp = strncmp(mp_listener_address(listener), "tcp:", 4) == 0;
    assert_true(is_tcp == (strncmp(mp_listener_last_accepted(listener), "tcp:", 4) == 0));
    mp_connection_free(client);
    MPT_CODE(mp_connection_recv_bytes_into(server, NULL, 0, NULL, 20), MP_EEOF);
    mp_connection_free(server);
    mp_listener_close(listener);
}

static void test_tcp_connects(void **state) {
    (void)state;
    check_address("tcp://127.0.0.1:0");
    check_address("tcp://localhost:0");
}

static void test_ipv6_connects(void **state) {
    (void)state;
    mp_listener *listener;
    int code = mp_listener_new(&listener, "tcp://[::1]:0", NULL);
    if (code == -EADDRNOTAVAIL || code == -EAFNOSUPPORT)
        exit(77);
    MPT_OK(code);
    mp_listener_close(listener);
    check_address("tcp://[::1]:0");
}

static void test_unix_connects_and_its_file_goes(void **state) {
    (void)state;
    check_address(make_path());
    remove_path();
}

static void test_abstract_connects(void **state) {
    (void)state;
    char address[64];
    snprintf(address, sizeof address, "abstract:mpt-%d", (int)getpid());
    check_address(address);
}

static void test_an_address_is_made_up_in_a_private_directory(void **state) {
    (void)state;
    check_address(NULL);
}

static void test_small_messages_are_not_held_back(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *ends[2];
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", NULL));
    meet(listener, &ends[0], &ends[1]);
    for (int i = 0; i < 2; i++) {
        int value = 0;
        socklen_t size = sizeof value;
        int socket = mp_connection_fileno(ends[i]);
        assert_int_equal(getsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
        assert_true(value);
        mp_connection_free(ends[i]);
    }
    mp_listener_close(listener);
}

static void test_a_second_listener_is_refused(void **state) {
    (void)state;
    mp_listener *listener, *second;
    const char *path = make_path();
    MPT_OK(mp_listener_new(&listener, path, NULL));
    MPT_CODE(mp_listener_new(&second, path, NULL), -EADDRINUSE);
    assert_non_null(strstr(mp_error_detail(), path));
    mp_connection *client, *server;
    meet(listener, &client, &server); /* it still has the file */
    mp_connection_free(client);
    mp_connection_free(server);
    mp_listener_close(listener);
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", NULL));
    MPT_CODE(mp_listener_new(&second, mp_listener_address(listener), NULL), -EADDRINUSE);
    mp_listener_close(listener);
    remove_path();
}

static void listen_and_die(void *arg) {
    mp_listener *listener;
    MPT_OK(mp_listener_new(&listener, arg, NULL));
    kill(getpid(), SIGKILL);
}

static void test_the_socket_of_a_dead_process_is_replaced(void **state) {
    (void)state;
    const char *path = make_path();
    mp_connection *client;
    MPT_CODE(mpt_join(mpt_fork(listen_and_die, (void *)path)), -SIGKILL);
    MPT_CODE(mp_client_connect(&client, path, NULL, 0, 20), -ECONNREFUSED);
    check_address(path);
    remove_path();
}

static void test_a_file_that_is_no_socket_stays(void **state) {
    (void)state;
    mp_listener *listener;
    const char *path = make_path();
    fclose(fopen(path + 5, "w"));
    MPT_CODE(mp_listener_new(&listener, path, NULL), -EADDRINUSE);
    assert_int_equal(unlink(path + 5), 0);
    remove_path();
}

static void close_listener(void *arg) {
    mp_listener_close(arg);
}

static void test_a_forked_child_does_not_remove_the_file(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *client, *server;
    MPT_OK(mp_listener_new(&listener, make_path(), NULL));
    MPT_CODE(mpt_join(mpt_fork(close_listener, listener)), 0);
    meet(listener, &client, &server);
    mp_connection_free(client);
    mp_connection_free(server);
    mp_listener_close(listener);
    remove_path();
}

static void test_a_second_listener_does_not_disturb_the_first(void **state) {
    (void)state;
    mp_listener *listener, *second;
    mp_connection *client;
    const char *path = make_path();
    MPT_OK(mp_listener_new(&listener, path,
                           &(mp_listener_options){.authkey = "k", .authkey_size = 1}));
    MPT_CODE(mp_listener_new(&second, path, NULL), -EADDRINUSE);
    MPT_CODE(mp_listener_accept(listener, &client, MP_NOWAIT), MP_ETIMEDOUT);
    mp_listener_close(listener);
    remove_path();
}

static void test_a_relative_path_is_removed_from_another_directory(void **state) {
    (void)state;
    mp_listener *listener;
    (void)make_path();
    assert_int_equal(chdir(directory), 0);
    MPT_OK(mp_listener_new(&listener, "unix:socket", NULL));
    assert_int_equal(chdir("/"), 0);
    mp_listener_close(listener);
    remove_path();
}

static void test_a_file_of_somebody_else_is_not_removed(void **state) {
    (void)state;
    mp_listener *listener;
    const char *path = make_path();
    MPT_OK(mp_listener_new(&listener, path, NULL));
    assert_int_equal(rename(path + 5, "/tmp/mpt-listener-moved"), 0);
    fclose(fopen(path + 5, "w"));
    mp_listener_close(listener);
    assert_int_equal(unlink(path + 5), 0);
    assert_int_equal(unlink("/tmp/mpt-listener-moved"), 0);
    remove_path();
}

static void make_up_and_die(void *arg) {
    mp_listener *listener;
    (void)arg;
    MPT_OK(mp_listener_new(&listener, NULL, NULL));
    kill(getpid(), SIGKILL);
}

static void test_what_the_killed_made_up_is_swept(void **state) {
    (void)state;
    mp_listener *listener, *living;
    (void)make_path();
    setenv("TMPDIR", directory, 1);
    MPT_OK(mp_listener_new(&living, NULL, NULL));
    MPT_CODE(mpt_join(mpt_fork(make_up_and_die, NULL)), -SIGKILL);
    assert_int_equal(rmdir(directory), -1);
    MPT_OK(mp_listener_new(&listener, NULL, NULL));
    mp_connection *client, *server;
    meet(living, &client, &server);
    mp_connection_free(client);
    mp_connection_free(server);
    mp_listener_close(listener);
    mp_listener_close(living);
    remove_path();
}

struct rude {
    const char *bytes; /* what the server says; NULL: nothing */
    int code;          /* what the client gets */
    const char *path;
};

static void connect_to_rude(void *arg) {
    struct rude *rude = arg;
    mp_connection *client;
    MPT_CODE(mp_client_connect(&client, rude->path, "key", 3, 20), rude->code);
}

static void be_rude(struct rude rude) {
    mp_listener *listener;
    mp_connection *server;
    rude.path = make_path();
    MPT_OK(mp_listener_new(&listener, rude.path, NULL));
    pid_t pid = mpt_fork(connect_to_rude, &rude);
    MPT_OK(mp_listener_accept(listener, &server, 20));
    if (rude.bytes)
        MPT_CHECK(write(mp_connection_fileno(server), rude.bytes, 4) == 4);
    mp_connection_free(server);
    MPT_CODE(mpt_join(pid), 0);
    mp_listener_close(listener);
    remove_path();
}

static void test_connect_tells_that_the_server_hung_up(void **state) {
    (void)state;
    be_rude((struct rude){.code = MP_EEOF});
}

static void test_connect_tells_that_there_is_no_listener(void **state) {
    (void)state;
    be_rude((struct rude){.bytes = "\x80\0\0\0", .code = MP_EAUTH});
}

static void test_accept_times_out_when_nobody_comes(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *server;
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", NULL));
    MPT_CODE(mp_listener_accept(listener, &server, MP_NOWAIT), MP_ETIMEDOUT);
    MPT_CODE(mp_listener_accept(listener, &server, 0.05), MP_ETIMEDOUT);
    mp_listener_close(listener);
}

static void test_nobody_listens_there(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *client;
    char address[64];
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", NULL));
    snprintf(address, sizeof address, "%s", mp_listener_address(listener));
    mp_listener_close(listener);
    MPT_CODE(mp_client_connect(&client, address, NULL, 0, 20), -ECONNREFUSED);
    MPT_CODE(mp_client_connect(&client, "unix:/tmp/no/such", NULL, 0, 20), -ENOENT);
}

static void test_connecting_times_out_when_the_backlog_is_full(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *clients[8];
    int count = 0, code = 0;
    MPT_OK(mp_listener_new(&listener, make_path(), NULL));
    while (count < 8 && code == 0) {
        code = mp_client_connect(&clients[count], mp_listener_address(listener), NULL, 0, 0.05);
        count += code == 0;
    }
    MPT_CODE(code, MP_ETIMEDOUT);
    while (count > 0)
        mp_connection_free(clients[--count]);
    mp_listener_close(listener);
    remove_path();
}

static void test_wait_tells_of_a_client(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *client, *server;
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", NULL));
    mp_waitable list[] = {MP_WAIT_LISTENER(listener)};
    assert_int_equal(mp_wait(list, 1, 0), 0);
    MPT_OK(mp_client_connect(&client, mp_listener_address(listener), NULL, 0, 20));
    assert_int_equal(mp_wait(list, 1, 20), 1);
    assert_true(list[0].ready);
    MPT_OK(mp_listener_accept(listener, &server, MP_NOWAIT));
    mp_connection_free(client);
    mp_connection_free(server);
    mp_listener_close(listener);
}

static int echo(void *arg, size_t size) {
    mp_connection *connection = *(mp_connection **)arg;
    char text[64];
    (void)size;
    MPT_OK(mp_connection_recv_bytes_into(connection, text, sizeof text, &size, 20));
    MPT_OK(mp_connection_send_bytes(connection, text, size, 20));
    return 0;
}

static void test_a_connection_is_passed_to_a_child(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *client, *server;
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", NULL));
    meet(listener, &client, &server);
    mp_connection *const passed[] = {server, NULL};
    mp_process_options options = {
        .target = echo, .arg = &server, .arg_size = sizeof server, .connections = passed};
    mp_process *process = mpt_start_with(mpt_context(), &options);
    expect_text(client, client, "there and back"); /* what the child sends back */
    assert_int_equal(mpt_end(process), 0);
    mp_connection_free(server);
    mp_connection_free(client);
    mp_listener_close(listener);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *connection;
    mp_listener_options options = {.backlog = -1};
    MPT_CODE(mp_listener_new(NULL, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_listener_new(&listener, "nonsense", NULL), MP_EINVAL);
    MPT_CODE(mp_listener_new(&listener, NULL, &options), MP_EINVAL);
    options = (mp_listener_options){.authkey_size = 1};
    MPT_CODE(mp_listener_new(&listener, NULL, &options), MP_EINVAL);
    options = (mp_listener_options){.timeout = NAN};
    MPT_CODE(mp_listener_new(&listener, NULL, &options), MP_EINVAL);
    MPT_CODE(mp_listener_accept(NULL, &connection, 0), MP_EINVAL);
    MPT_CODE(mp_listener_fileno(NULL), MP_EINVAL);
    MPT_CODE(mp_client_connect(NULL, "tcp://127.0.0.1:1", NULL, 0, 0), MP_EINVAL);
    MPT_CODE(mp_client_connect(&connection, NULL, NULL, 0, 0), MP_EINVAL);
    MPT_CODE(mp_client_connect(&connection, "tcp://127.0.0.1:1", NULL, 3, 0), MP_EINVAL);
    MPT_CODE(mp_client_connect(&connection, "tcp://127.0.0.1:1", NULL, 0, NAN), MP_EINVAL);
    assert_null(mp_listener_address(NULL));
    assert_null(mp_listener_last_accepted(NULL));
    mp_listener_close(NULL);
}

MPT_PROCESS_MAIN(
    MPT_CASE(test_a_second_listener_does_not_disturb_the_first),
    MPT_CASE(test_a_relative_path_is_removed_from_another_directory),
    MPT_CASE(test_a_file_of_somebody_else_is_not_removed),
    MPT_CASE(test_what_the_killed_made_up_is_swept),
    MPT_CASE(test_connect_tells_that_the_server_hung_up),
    MPT_CASE(test_connect_tells_that_there_is_no_listener), MPT_CASE(test_tcp_connects),
    MPT_CASE(test_ipv6_connects), MPT_CASE(test_unix_connects_and_its_file_goes),
    MPT_CASE(test_abstract_connects), MPT_CASE(test_an_address_is_made_up_in_a_private_directory),
    MPT_CASE(test_small_messages_are_not_held_back), MPT_CASE(test_a_second_listener_is_refused),
    MPT_CASE(test_the_socket_of_a_dead_process_is_replaced),
    MPT_CASE(test_a_file_that_is_no_socket_stays),
    MPT_CASE(test_a_forked_child_does_not_remove_the_file),
    MPT_CASE(test_accept_times_out_when_nobody_comes), MPT_CASE(test_nobody_listens_there),
    MPT_CASE(test_connecting_times_out_when_the_backlog_is_full),
    MPT_CASE(test_wait_tells_of_a_client), MPT_EACH_METHOD(test_a_connection_is_passed_to_a_child),
    MPT_CASE(test_bad_arguments_are_refused))

/* What the server answers to bytes: captures of CPython's, bad requests, clients that are silent,
 * wrong or killed.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mgr/exception.h"
#include "mgr/link.h"
#include "mgr/protocol.h"
#include "mgr/wire.h"
#include "mp/collection.h"
#include "mp/listener.h"
#include "mp/manager.h"
#include "mp/pickle.h"
#include "os/peer.h"

static mp_manager *manager;

static void start_with(mp_manager_options options) {
    options.authkey = "abc";
    options.authkey_size = 3;
    MPT_OK(mp_manager_new(&manager, NULL, &options));
    MPT_OK(mp_manager_register(
        manager, "leased", &(mp_manager_type){.like = "Queue", .redeliver = MP_REDELIVER_NEXT}));
    MPT_OK(mp_manager_register(
        manager, "done",
        &(mp_manager_type){.like = "JoinableQueue", .redeliver = MP_REDELIVER_DONE}));
    MPT_OK(mp_manager_start(manager));
}

static void start(void) {
    start_with((mp_manager_options){0});
}

static mp_connection *connect_raw(void) {
    mp_connection *connection;
    MPT_OK(mp_client_connect(&connection, mp_manager_address(manager), "abc", 3, 20));
    return connection;
}

/* A reply's payload; the caller's. */
static mp_object *receive(mp_connection *connection, enum mp__reply_kind expected) {
    mp_object *reply;
    const mp_object *payload;
    enum mp__reply_kind kind;
    MPT_OK(mp_connection_recv(connection, &reply, 20));
    MPT_OK(mp__reply_take(&kind, &payload, reply));
    if (kind != expected)
        (void)mp__reply_fail(kind, payload), fprintf(stderr, "%s\n", mp_error_detail());
    MPT_CHECK(kind == expected);
    mp_object *mine = mp_object_ref(payload);
    mp_object_free(reply);
    return mine;
}

static void send_request(mp_connection *connection, const char *ident, const char *method,
                         mp_object *args) {
    mp_object *request = mp__request_new(ident, method, args, NULL);
    MPT_CHECK(request);
    MPT_OK(mp_connection_send(connection, request, 20));
    mp_object_free(request);
}

static mp_object *ask(mp_connection *connection, const char *ident, const char *method,
                      mp_object *args) {
    send_request(connection, ident, method, args);
    return receive(connection, MP__REPLY_RETURN);
}

static void expect_failure(mp_connection *connection, const char *ident, const char *method,
                           mp_object *args, enum mp__reply_kind kind) {
    send_request(connection, ident, method, args);
    mp_object_free(receive(connection, kind));
}

static mp_object *ask_once(const char *method, mp_object *args) {
    mp_connection *connection = connect_raw();
    mp_object *result = ask(connection, NULL, method, args);
    mp_connection_free(connection);
    return result;
}

static mp_connection *open_channel(const char *name) {
    mp_connection *connection = connect_raw();
    mp_object_free(ask(connection, NULL, "accept_connection", mp_object_build("(s)", name)));
    return connection;
}

/* The ident of a new object; one reference is the connection's process's. */
static void create(const char *type_id, char ident[40]) {
    const char *text;
    mp_object *result = ask_once("create", mp_object_build("(s)", type_id));
    MPT_OK(mp_object_parse(result, "(sO)", &text, &(mp_object *){NULL}));
    snprintf(ident, 40, "%s", text);
    mp_object_free(result);
}

static int64_t integer_of(mp_object *object) {
    int64_t value = -1;
    MPT_OK(mp_integer_get(object, &value));
    mp_object_free(object);
    return value;
}

static int64_t count_objects(void) {
    return integer_of(ask_once("number_of_objects", NULL));
}

/* Captures: without the four bytes of the length. */
static const uint8_t dummy_request[] = "\x80\x04\x95\x10\0\0\0\0\0\0\0(N\x8c\x05"
                                       "dummy\x94)}\x94t\x94.";
static const uint8_t dummy_reply[] = "\x80\x04\x95\x0e\0\0\0\0\0\0\0\x8c\x07#RETURN\x94N\x86\x94.";
static const uint8_t create_request[] = "\x80\x04\x95!\0\0\0\0\0\0\0(N\x8c\x06"
                                        "create\x94\x8c\x04list\x94]\x94(K\x01K\x02"
                                        "e\x86\x94}\x94t\x94.";
static const uint8_t index_reply[] =
    "\x80\x04\x95"
    "D\0\0\0\0\0\0\0\x8c\x06#ERROR\x94\x8c\x08"
    "builtins\x94\x8c\nIndexError\x94\x93\x94\x8c\x17list index out of range\x94\x85\x94R\x94\x86"
    "\x94.";

static void send_bytes(mp_connection *connection, const uint8_t *data, size_t size) {
    MPT_OK(mp_connection_send_bytes(connection, data, size, 20));
}

static void expect_bytes(mp_connection *connection, const uint8_t *expected, size_t size) {
    void *data;
    size_t got;
    MPT_OK(mp_connection_recv_bytes(connection, &data, &got, 0, 20));
    MPT_CHECK(got == size && memcmp(data, expected, size) == 0);
    free(data);
}

static void test_replies_are_cpythons_byte_for_byte(void **state) {
    (void)state;
    char ident[40];
    start();
    mp_connection *connection = connect_raw();
    send_bytes(connection, dummy_request, sizeof dummy_request - 1);
    expect_bytes(connection, dummy_reply, sizeof dummy_reply - 1);
    mp_connection_free(connection);
    create("list", ident);
    connection = open_channel("MainProcess");
    send_request(connection, ident, "__getitem__", mp_object_build("(i)", 99));
    expect_bytes(connection, index_reply, sizeof index_reply - 1);
    mp_connection_free(connection);
    mp_manager_free(manager);
}

static void test_a_captured_create_is_understood(void **state) {
    (void)state;
    const char *ident;
    mp_object *exposed;
    char *text;
    start();
    mp_connection *connection = connect_raw();
    send_bytes(connection, create_request, sizeof create_request - 1);
    mp_object *result = receive(connection, MP__REPLY_RETURN);
    MPT_OK(mp_object_parse(result, "(sO)", &ident, &exposed));
    MPT_OK(mp_object_repr(exposed, &text, NULL));
    assert_string_equal(text,
                        "('__add__', '__contains__', '__delitem__', '__getitem__', '__len__', "
                        "'__mul__', '__reversed__', '__rmul__', '__setitem__', 'append', 'count', "
                        "'extend', 'index', 'insert', 'pop', 'remove', 'reverse', 'sort', "
                        "'__imul__')");
    free(text);
    mp_object_free(result);
    mp_connection_free(connection);
    mp_manager_free(manager);
}

static void test_the_server_counts_references(void **state) {
    (void)state;
    char ident[40];
    start();
    create("dict", ident);
    mp_object_free(ask_once("incref", mp_object_build("(s)", ident)));
    mp_object_free(ask_once("decref", mp_object_build("(s)", ident)));
    assert_int_equal(count_objects(), 1);
    mp_object_free(ask_once("decref", mp_object_build("(s)", ident)));
    assert_int_equal(count_objects(), 0);
    mp_connection *connection = connect_raw();
    expect_failure(connection, NULL, "decref", mp_object_build("(s)", ident), MP__REPLY_TRACEBACK);
    mp_connection_free(connection);
    mp_manager_free(manager);
}

static void test_methods_are_told(void **state) {
    (void)state;
    char ident[40];
    start();
    create("Event", ident);
    mp_object *token = mp__token_new("Event", mp_str_new("elsewhere"), ident);
    mp_object *names = ask_once("get_methods", mp_object_build("(N)", token));
    assert_int_equal(mp_object_length(names), 4);
    mp_object_free(names);
    mp_manager_free(manager);
}

static void test_shutdown_is_told_twice(void **state) {
    (void)state;
    mp_object *reply;
    start();
    mp_connection *connection = connect_raw();
    mp_object_free(ask(connection, NULL, "shutdown", NULL));
    mp_object_free(receive(connection, MP__REPLY_RETURN));
    MPT_CODE(mp_connection_recv(connection, &reply, 20), MP_EEOF);
    mp_connection_free(connection);
    mp_manager_free(manager);
}

static void expect_traceback(const void *data, size_t size) {
    mp_connection *connection = connect_raw();
    send_bytes(connection, data, size);
    mp_object_free(receive(connection, MP__REPLY_TRACEBACK));
    mp_connection_free(connection);
}

static void expect_refused(mp_object *request) {
    void *data;
    size_t size;
    MPT_OK(mp_object_dumps(request, MP_PICKLE_DEFAULT, &data, &size));
    expect_traceback(data, size);
    free(data);
    mp_object_free(request);
}

static void test_bad_requests_get_a_traceback(void **state) {
    (void)state;
    start();
    expect_traceback("", 0);
    expect_traceback("no pickle at all", 16);
    expect_traceback("\x80\x04(", 3);
    expect_refused(mp_none_new());
    expect_refused(mp_object_build("(nsO)", "x", mp_none_new()));
    expect_refused(mp_object_build("(ns[]{})", "dummy"));
    expect_refused(mp_object_build("(ns(){i:i})", "dummy", 1, 1));
    expect_refused(mp_object_build("(ni(){})", 1));
    expect_refused(mp_object_build("(ns(){})", "evil"));
    expect_refused(mp_object_build("(ns(){})", "create"));
    expect_refused(mp_object_build("(ns(i){})", "create", 5));
    expect_refused(mp_object_build("(ns(s){})", "create", "nope"));
    expect_refused(mp_object_build("(ns(s){})", "incref", "deadbeef"));
    expect_refused(mp_object_build("(ns(i){})", "get_methods", 1));
    expect_refused(mp_object_build("(ns(i){})", "dummy", 1));
    assert_int_equal(count_objects(), 0);
    mp_manager_free(manager);
}

static void test_deep_requests_are_refused(void **state) {
    (void)state;
    mp_object *deep = mp_list_new();
    start();
    for (int i = 0; i < 2000; i++) {
        mp_object *outer = mp_list_new();
        MPT_OK(mp_list_append(outer, deep));
        deep = outer;
    }
    expect_refused(mp_object_build("(ns(sN){})", "create", "list", deep));
    mp_manager_free(manager);
}

static void test_long_requests_are_refused(void **state) {
    (void)state;
    static const char text[3000];
    mp_object *reply;
    start_with((mp_manager_options){.request_max = 2000});
    mp_connection *connection = connect_raw();
    MPT_OK(mp_connection_send_bytes(connection, text, sizeof text, 20));
    mp_object_free(receive(connection, MP__REPLY_TRACEBACK));
    /* What was sent is not read any more: the end may come as a reset. */
    MPT_CHECK(mp_connection_recv(connection, &reply, 20) < 0);
    mp_connection_free(connection);
    mp_manager_free(manager);
}

static void test_a_wrong_key_is_told_twice(void **state) {
    (void)state;
    mp_connection *connection;
    start();
    MPT_CODE(mp_client_connect(&connection, mp_manager_address(manager), "xyz", 3, 20), MP_EAUTH);
    assert_int_equal(count_objects(), 0);
    mp_manager_free(manager);
}

/* A connection that says nothing. */
static int connect_silently(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", mp_manager_address(manager) + 5);
    int socket_ = socket(AF_UNIX, SOCK_STREAM, 0);
    MPT_CHECK(connect(socket_, (struct sockaddr *)&address, sizeof address) == 0);
    return socket_;
}

static void test_silent_clients_hold_up_nobody(void **state) {
    (void)state;
    int silent[20];
    char bytes[100];
    start_with((mp_manager_options){.proofs_max = 8});
    for (int i = 0; i < 20; i++)
        silent[i] = connect_silently();
    for (int i = 0; i < 10; i++)
        assert_int_equal(count_objects(), 0);
    /* The first had to make room: a challenge came, then the end. */
    MPT_UNTIL(recv(silent[0], bytes, sizeof bytes, 0) <= 0);
    for (int i = 0; i < 20; i++)
        close(silent[i]);
    mp_manager_free(manager);
}

static void test_silent_clients_are_sent_away(void **state) {
    (void)state;
    char bytes[100];
    start_with((mp_manager_options){.proof_timeout = 0.05});
    int silent = connect_silently();
    while (recv(silent, bytes, sizeof bytes, 0) > 0)
        continue;
    close(silent);
    mp_manager_free(manager);
}

/* Killed clients. */

struct client {
    const char *ident;
    const char *method;
    int ready[2]; /* a byte comes when it waits or has what it wants */
};

/* As clients of libmp, whose connections leave nothing in the arena when they are killed. */
static void open_wire(struct mp__wire *wire) {
    struct mp__site site = {mp_manager_address(manager), "abc", 3};
    mp_object *args = mp_object_build("(s)", "Client"), *reply;
    mp_object *request = mp__request_new(NULL, "accept_connection", args, NULL);
    MPT_CHECK(request && mp__wire_open(wire, &site) == 0);
    MPT_CHECK(mp__wire_send(wire, request) == 0 && mp__wire_receive(wire, &reply, NULL) == 0);
    mp_object_free(reply);
    mp_object_free(request);
}

static void call_by_wire(const char *ident, const char *method) {
    struct mp__wire wire;
    mp_object *reply, *request = mp__request_new(ident, method, NULL, NULL);
    open_wire(&wire);
    MPT_CHECK(mp__wire_send(&wire, request) == 0 && mp__wire_receive(&wire, &reply, NULL) == 0);
}

static void hold_and_wait(void *arg) {
    const struct client *client = arg;
    call_by_wire(client->ident, client->method);
    MPT_CHECK(write(client->ready[1], "", 1) == 1);
    while (pause() < 0)
        continue;
}

/* Have a process call a method, wait until it has the reply, and kill it. */
static void call_and_be_killed(const char *ident, const char *method) {
    char byte;
    struct client client = {.ident = ident, .method = method};
    assert_int_equal(pipe(client.ready), 0);
    pid_t pid = mpt_fork(hold_and_wait, &client);
    assert_int_equal(read(client.ready[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    close(client.ready[0]);
    close(client.ready[1]);
}

static void test_a_lock_of_a_killed_client_can_be_taken(void **state) {
    (void)state;
    static const char *const types[] = {"Lock", "RLock"};
    char ident[40];
    start();
    for (int i = 0; i < 2; i++) {
        create(types[i], ident);
        call_and_be_killed(ident, "acquire");
        mp_connection *channel = open_channel("x");
        mp_object *got =
            ask(channel, ident, "acquire", mp_object_build("(Nd)", mp_bool_new(true), 20.0));
        assert_true(mp_object_is_true(got));
        mp_object_free(got);
        mp_connection_free(channel);
    }
    mp_manager_free(manager);
}

static void test_a_lock_left_locked_is_released_by_others(void **state) {
    (void)state;
    char ident[40];
    start();
    create("Lock", ident);
    mp_connection *first = open_channel("first");
    mp_object_free(ask(first, ident, "acquire", NULL));
    mp_connection_free(first);
    mp_connection *second = open_channel("second");
    mp_object_free(ask(second, ident, "release", NULL));
    expect_failure(second, ident, "release", NULL, MP__REPLY_ERROR);
    mp_connection_free(second);
    mp_manager_free(manager);
}

static void take_reference(void *arg) {
    char ident[40];
    create("list", ident);
    MPT_CHECK(write(*(int *)arg, "", 1) == 1);
    while (pause() < 0)
        continue;
}

static bool system_names_peers(void) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    pid_t pid = mp__peer_pid(pair[0]);
    close(pair[0]);
    close(pair[1]);
    return pid > 0;
}

/* Python's clients do not say who they are; over a Unix socket the system does. */
static void test_references_of_killed_processes_go(void **state) {
    (void)state;
    char byte;
    int ready[2];
    if (!system_names_peers())
        exit(77);
    start();
    assert_int_equal(pipe(ready), 0);
    pid_t pid = mpt_fork(take_reference, &ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(count_objects(), 1);
    kill(pid, SIGKILL);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    MPT_UNTIL(count_objects() == 0);
    close(ready[0]);
    close(ready[1]);
    mp_manager_free(manager);
}

static void wait_for_item(void *arg) {
    const struct client *client = arg;
    struct mp__wire wire;
    mp_object *request = mp__request_new(client->ident, "get", NULL, NULL);
    open_wire(&wire);
    MPT_CHECK(mp__wire_send(&wire, request) == 0 && write(client->ready[1], "", 1) == 1);
    while (pause() < 0)
        continue;
}

static void test_no_item_goes_to_who_was_killed_waiting(void **state) {
    (void)state;
    char ident[40], byte;
    struct client client = {.ident = ident};
    start();
    create("Queue", ident);
    assert_int_equal(pipe(client.ready), 0);
    pid_t pid = mpt_fork(wait_for_item, &client);
    assert_int_equal(read(client.ready[0], &byte, 1), 1);
    kill(pid, SIGKILL);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    mp_connection *channel = open_channel("x");
    for (int i = 0; i < 3; i++) {
        mp_object_free(ask(channel, ident, "put", mp_object_build("(i)", i)));
        assert_int_equal(integer_of(ask(channel, ident, "get", NULL)), i);
    }
    mp_connection_free(channel);
    close(client.ready[0]);
    close(client.ready[1]);
    mp_manager_free(manager);
}

static void put_three(mp_connection *channel, const char *ident) {
    for (int i = 0; i < 3; i++)
        mp_object_free(ask(channel, ident, "put", mp_object_build("(i)", i)));
}

static mp_object *wait_args(void) {
    return mp_object_build("(Nd)", mp_bool_new(true), 20.0);
}

static void test_items_of_a_killed_client_come_again(void **state) {
    (void)state;
    static const char *const types[] = {"leased", "done"};
    char ident[40];
    start();
    for (int i = 0; i < 2; i++) {
        create(types[i], ident);
        mp_connection *channel = open_channel("x");
        put_three(channel, ident);
        call_and_be_killed(ident, "get");
        MPT_UNTIL(integer_of(ask(channel, ident, "qsize", NULL)) == 3);
        assert_int_equal(integer_of(ask(channel, ident, "get", NULL)), 0);
        mp_connection_free(channel);
    }
    mp_manager_free(manager);
}

static void test_items_that_are_done_do_not_come_again(void **state) {
    (void)state;
    char ident[40];
    start();
    create("leased", ident);
    mp_connection *channel = open_channel("x"), *worker = open_channel("worker");
    put_three(channel, ident);
    mp_object_free(ask(worker, ident, "get", NULL));
    mp_object_free(ask(worker, ident, "get", NULL));
    mp_connection_free(worker);
    MPT_UNTIL(integer_of(ask(channel, ident, "qsize", NULL)) == 2);
    assert_int_equal(integer_of(ask(channel, ident, "get", wait_args())), 1);
    mp_connection_free(channel);
    create("done", ident);
    channel = open_channel("x"), worker = open_channel("worker");
    put_three(channel, ident);
    mp_object_free(ask(worker, ident, "get", NULL));
    mp_object_free(ask(worker, ident, "get", NULL));
    mp_object_free(ask(worker, ident, "task_done", NULL));
    mp_connection_free(worker);
    MPT_UNTIL(integer_of(ask(channel, ident, "qsize", NULL)) == 2);
    assert_int_equal(integer_of(ask(channel, ident, "get", wait_args())), 1);
    mp_connection_free(channel);
    mp_manager_free(manager);
}

static void wait_at_barrier(void *arg) {
    call_by_wire(arg, "wait");
}

static int64_t waiting_at(mp_connection *channel, const char *ident) {
    return integer_of(ask(channel, ident, "__getattribute__", mp_object_build("(s)", "n_waiting")));
}

static void test_a_barrier_breaks_when_a_waiter_is_killed(void **state) {
    (void)state;
    char ident[40];
    const char *text;
    start();
    mp_object *made = ask_once("create", mp_object_build("(si)", "Barrier", 3));
    MPT_OK(mp_object_parse(made, "(sO)", &text, &(mp_object *){NULL}));
    snprintf(ident, sizeof ident, "%s", text);
    mp_object_free(made);
    pid_t pid = mpt_fork(wait_at_barrier, ident);
    mp_connection *channel = open_channel("x"), *other = open_channel("y");
    MPT_UNTIL(waiting_at(channel, ident) == 1);
    send_request(other, ident, "wait", NULL);
    MPT_UNTIL(waiting_at(channel, ident) == 2);
    kill(pid, SIGKILL);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    mp_object *exception = receive(other, MP__REPLY_ERROR);
    MPT_CODE(mp__exception_code(exception), MP_EBROKEN);
    mp_object_free(exception);
    mp_connection_free(other);
    mp_connection_free(channel);
    mp_manager_free(manager);
}

static void test_clients_with_an_id_share_their_references(void **state) {
    (void)state;
    char ident[40];
    const char *text;
    start();
    mp_connection *first = open_channel("a|libmp:1"), *second = open_channel("b|libmp:1");
    mp_object *made = ask(first, NULL, "create", mp_object_build("(s)", "list"));
    MPT_OK(mp_object_parse(made, "(sO)", &text, &(mp_object *){NULL}));
    snprintf(ident, sizeof ident, "%s", text);
    mp_object_free(made);
    mp_connection_free(first);
    mp_object_free(ask(second, ident, "append", mp_object_build("(i)", 1)));
    assert_int_equal(count_objects(), 1);
    mp_connection_free(second);
    MPT_UNTIL(count_objects() == 0);
    mp_manager_free(manager);
}

MPT_PROCESS_MAIN(MPT_CASE(test_replies_are_cpythons_byte_for_byte),
                 MPT_CASE(test_a_captured_create_is_understood),
                 MPT_CASE(test_the_server_counts_references), MPT_CASE(test_methods_are_told),
                 MPT_CASE(test_shutdown_is_told_twice), MPT_CASE(test_bad_requests_get_a_traceback),
                 MPT_CASE(test_deep_requests_are_refused), MPT_CASE(test_long_requests_are_refused),
                 MPT_CASE(test_a_wrong_key_is_told_twice),
                 MPT_CASE(test_silent_clients_hold_up_nobody),
                 MPT_CASE(test_silent_clients_are_sent_away),
                 MPT_CASE(test_a_lock_of_a_killed_client_can_be_taken),
                 MPT_CASE(test_a_lock_left_locked_is_released_by_others),
                 MPT_CASE(test_references_of_killed_processes_go),
                 MPT_CASE(test_no_item_goes_to_who_was_killed_waiting),
                 MPT_CASE(test_items_of_a_killed_client_come_again),
                 MPT_CASE(test_items_that_are_done_do_not_come_again),
                 MPT_CASE(test_a_barrier_breaks_when_a_waiter_is_killed),
                 MPT_CASE(test_clients_with_an_id_share_their_references))

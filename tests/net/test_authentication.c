/* Proving that one knows the key: right, wrong, silent and hostile; CPython's bytes as captured.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mp/listener.h"
#include "stream.h"

struct client {
    const char *address;
    const char *key; /* NULL: none */
    int code;        /* out: of connecting */
    pthread_t thread;
};

static void *run_client(void *arg) {
    struct client *client = arg;
    mp_connection *connection;
    size_t size = client->key ? strlen(client->key) : 0;
    client->code = mp_client_connect(&connection, client->address, client->key, size, 20);
    if (client->code == 0) {
        MPT_OK(mp_connection_send_bytes(connection, "me", 2, 20));
        mp_connection_free(connection);
    }
    return NULL;
}

static mp_listener *listen_with(const char *key, double timeout) {
    mp_listener *listener;
    mp_listener_options options = {4, key, strlen(key), timeout};
    MPT_OK(mp_listener_new(&listener, "tcp://127.0.0.1:0", &options));
    return listener;
}

/* A client with that key comes: what the listener's accept says. */
static int let_in(mp_listener *listener, const char *key, int *client_code) {
    struct client client = {mp_listener_address(listener), key, 0, 0};
    mp_connection *connection;
    MPT_CHECK(pthread_create(&client.thread, NULL, run_client, &client) == 0);
    int code = mp_listener_accept(listener, &connection, 20);
    if (code == 0) {
        char text[2];
        MPT_OK(mp_connection_recv_bytes_into(connection, text, 2, NULL, 20));
        mp_connection_free(connection);
    }
    pthread_join(client.thread, NULL);
    *client_code = client.code;
    return code;
}

static void test_who_knows_the_key_comes_in(void **state) {
    (void)state;
    int client_code;
    mp_listener *listener = listen_with("abracadabra", 0);
    MPT_OK(let_in(listener, "abracadabra", &client_code));
    MPT_OK(client_code);
    mp_listener_close(listener);
    listener = listen_with("", 0); /* an empty key is a key */
    MPT_OK(let_in(listener, "", &client_code));
    MPT_OK(client_code);
    mp_listener_close(listener);
}

static void test_a_wrong_key_fails_at_both_ends_and_the_listener_goes_on(void **state) {
    (void)state;
    int client_code;
    mp_listener *listener = listen_with("abracadabra", 0);
    MPT_CODE(let_in(listener, "open sesame", &client_code), MP_EAUTH);
    MPT_CODE(client_code, MP_EAUTH);
    MPT_OK(let_in(listener, "abracadabra", &client_code));
    MPT_OK(client_code);
    mp_listener_close(listener);
}

/* Somebody who sends these bytes, and perhaps hangs up. Nobody waits for more, but where `timeout`
 * is short. */
static void expect_thrown_out(const char *bytes, size_t size, bool hangs_up, double timeout) {
    mp_listener *listener = listen_with("abracadabra", timeout);
    mp_connection *client, *server;
    MPT_OK(mp_client_connect(&client, mp_listener_address(listener), NULL, 0, 20));
    MPT_CHECK(send(mp_connection_fileno(client), bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
    if (hangs_up)
        MPT_OK(mp_connection_close(client));
    MPT_CODE(mp_listener_accept(listener, &server, 20), MP_EAUTH);
    mp_connection_free(client);
    mp_listener_close(listener);
}

static void test_a_silent_client_is_thrown_out(void **state) {
    (void)state;
    expect_thrown_out("", 0, false, 0.2);
    expect_thrown_out("\0\0\0\x28{sha", 8, false, 0.2);
}

static void test_a_client_that_goes_away_is_no_failure_of_the_listener(void **state) {
    (void)state;
    expect_thrown_out("", 0, true, MP_FOREVER);
    expect_thrown_out("\0\0", 2, true, MP_FOREVER);
}

static void test_a_long_message_is_not_received_before_the_proof(void **state) {
    (void)state;
    expect_thrown_out("\0\0\x01\x01xxxx", 8, false, MP_FOREVER);
    expect_thrown_out("\x7f\xff\xff\xffxxxx", 8, false, MP_FOREVER);
    expect_thrown_out("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12, false, MP_FOREVER);
    expect_thrown_out("\xff\xff\xff\xfe", 4, false, MP_FOREVER);
}

static void test_answers_that_are_none_are_refused(void **state) {
    (void)state;
    expect_thrown_out("\0\0\0\0", 4, false, MP_FOREVER);
    expect_thrown_out("\0\0\0\x10xxxxxxxxxxxxxxxx", 20, false, MP_FOREVER);
    expect_thrown_out("\0\0\0\x08{sha256}", 12, false, MP_FOREVER);
    expect_thrown_out("\0\0\0\x07{sha1}x", 11, false, MP_FOREVER);
}

static void expect_bytes(int raw, const void *bytes, size_t size) {
    uint8_t got[128];
    MPT_CHECK(recv(raw, got, size, MSG_WAITALL) == (ssize_t)size && memcmp(got, bytes, size) == 0);
}

/* Captured: what CPython 3.13 challenged and was answered. */
static const uint8_t modern[63] = {
    0x00, 0x00, 0x00, 0x3b, 0x23, 0x43, 0x48, 0x41, 0x4c, 0x4c, 0x45, 0x4e, 0x47, 0x45, 0x23, 0x7b,
    0x73, 0x68, 0x61, 0x32, 0x35, 0x36, 0x7d, 0x0a, 0xe1, 0x10, 0x59, 0xa8, 0x32, 0x3e, 0xfe, 0x91,
    0xfa, 0x46, 0x2d, 0xc0, 0x13, 0x5f, 0xeb, 0xbb, 0x66, 0x38, 0x2c, 0x65, 0x24, 0x99, 0x6b, 0xf3,
    0x04, 0x10, 0x04, 0x7d, 0xe2, 0x4f, 0x5b, 0x67, 0xeb, 0x3b, 0x4d, 0xd9, 0x57, 0x56, 0x0a};
static const uint8_t modern_answer[44] = {
    0x00, 0x00, 0x00, 0x28, 0x7b, 0x73, 0x68, 0x61, 0x32, 0x35, 0x36, 0x7d, 0x3e, 0x5b, 0x5f,
    0x5c, 0x0b, 0x27, 0x70, 0x70, 0x2f, 0xd4, 0x82, 0xba, 0x11, 0xe8, 0x8a, 0x56, 0x4d, 0xe0,
    0x25, 0x6f, 0x3f, 0x5e, 0xe9, 0xe7, 0x1c, 0x1e, 0x8b, 0x3f, 0xf6, 0x4f, 0xf7, 0x37};
/* CPython 3.11. */
static const uint8_t legacy[35] = {0x00, 0x00, 0x00, 0x1f, 0x23, 0x43, 0x48, 0x41, 0x4c,
                                   0x4c, 0x45, 0x4e, 0x47, 0x45, 0x23, 0x7e, 0x8e, 0x58,
                                   0x2f, 0x4c, 0x19, 0x6d, 0xe2, 0x5b, 0xea, 0x06, 0x09,
                                   0x94, 0x57, 0x2f, 0x5c, 0x25, 0x83, 0xe0, 0x16};
static const uint8_t legacy_answer[20] = {0x00, 0x00, 0x00, 0x10, 0xc7, 0x6b, 0xa5,
                                          0xd6, 0x87, 0xaa, 0xc7, 0x4c, 0x79, 0x50,
                                          0xcb, 0xd8, 0x42, 0xcb, 0x5f, 0x4f};

static void test_the_modern_challenge_is_answered_as_cpython_does(void **state) {
    (void)state;
    int raw;
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, modern, sizeof modern);
    mpt_put_raw(raw, "\0\0\0\x09#WELCOME#", 13);
    MPT_OK(mp_connection_answer_challenge(connection, "abracadabra", 11, 20));
    expect_bytes(raw, modern_answer, sizeof modern_answer);
    close(raw);
    mp_connection_free(connection);
}

static void test_the_legacy_challenge_is_answered_as_cpython_does(void **state) {
    (void)state;
    int raw;
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, legacy, sizeof legacy - 1);
    MPT_CODE(mp_connection_answer_challenge(connection, "abracadabra", 11, 0.01), MP_ETIMEDOUT);
    mpt_put_raw(raw, legacy + sizeof legacy - 1, 1); /* what came before the timeout was kept */
    mpt_put_raw(raw, "\0\0\0\x09#WELCOME#", 13);
    MPT_OK(mp_connection_answer_challenge(connection, "abracadabra", 11, 20));
    expect_bytes(raw, legacy_answer, sizeof legacy_answer);
    close(raw);
    mp_connection_free(connection);
}

static void expect_refused_challenge(const char *bytes, size_t size) {
    int raw;
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, bytes, size);
    MPT_CODE(mp_connection_answer_challenge(connection, "k", 1, 20), MP_EAUTH);
    close(raw);
    mp_connection_free(connection);
}

static void test_challenges_that_are_none_are_not_answered(void **state) {
    (void)state;
    expect_refused_challenge("\0\0\0\x05hello", 9);
    expect_refused_challenge("\0\0\0\x0f#CHALLENGE#xxxx", 19); /* too short */
    expect_refused_challenge("\0\0\0\x25#CHALLENGE#{sha1}xxxxxxxxxxxxxxxxxxxx", 41);
}

static void test_a_refused_proof_is_told(void **state) {
    (void)state;
    int raw;
    mp_connection *connection = mpt_open_raw(&raw);
    mpt_put_raw(raw, modern, sizeof modern);
    mpt_put_raw(raw, "\0\0\0\x09#FAILURE#", 13);
    MPT_CODE(mp_connection_answer_challenge(connection, "abracadabra", 11, 20), MP_EAUTH);
    close(raw);
    mp_connection_free(connection);
}

struct proof {
    mp_connection *connection;
    int code; /* out */
};

static void *answer(void *arg) {
    struct proof *proof = arg;
    proof->code = mp_connection_answer_challenge(proof->connection, "k", 1, 20);
    return NULL;
}

static void test_ends_of_a_pipe_can_prove_a_key_too(void **state) {
    (void)state;
    mp_connection *first, *second;
    pthread_t thread;
    MPT_OK(mp_pipe_new(&first, &second, NULL, true));
    struct proof proof = {second, 0};
    MPT_CHECK(pthread_create(&thread, NULL, answer, &proof) == 0);
    MPT_CODE(mp_connection_deliver_challenge(first, "x", 1, 20), MP_EAUTH);
    pthread_join(thread, NULL);
    MPT_CODE(proof.code, MP_EAUTH);
    MPT_CODE(mp_connection_deliver_challenge(first, NULL, 1, 20), MP_EINVAL);
    MPT_CODE(mp_connection_answer_challenge(NULL, "k", 1, 20), MP_EINVAL);
    mp_connection_free(first);
    mp_connection_free(second);
}

MPT_MAIN(MPT_CASE(test_who_knows_the_key_comes_in),
         MPT_CASE(test_a_wrong_key_fails_at_both_ends_and_the_listener_goes_on),
         MPT_CASE(test_a_silent_client_is_thrown_out),
         MPT_CASE(test_a_client_that_goes_away_is_no_failure_of_the_listener),
         MPT_CASE(test_a_long_message_is_not_received_before_the_proof),
         MPT_CASE(test_answers_that_are_none_are_refused),
         MPT_CASE(test_the_modern_challenge_is_answered_as_cpython_does),
         MPT_CASE(test_the_legacy_challenge_is_answered_as_cpython_does),
         MPT_CASE(test_challenges_that_are_none_are_not_answered),
         MPT_CASE(test_a_refused_proof_is_told), MPT_CASE(test_ends_of_a_pipe_can_prove_a_key_too))

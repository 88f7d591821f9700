/* nng, push and pull over ipc://, with buffers of 1024 messages.
 * SPDX-License-Identifier: MIT */
#include <nng/nng.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "channels.h"

#define BUFFER 1024

static nng_socket out, in; /* this process's */

static void name_way(char *name, size_t size, unsigned way) {
    snprintf(name, size, "ipc:///tmp/libmp-bench-nng.%d.%u", (int)getppid(), way);
}

static void open_nothing(const struct bench_stream *stream) {
    (void)stream;
}

/* One word each way, so that both are connected before the time is taken. */
static void begin(unsigned way, unsigned index) {
    char name[96], word[8] = "hello";
    size_t size = sizeof word;
    (void)index;
    BENCH_CHECK(nng_push0_open(&out) == 0 && nng_pull0_open(&in) == 0);
    (void)nng_socket_set_int(out, NNG_OPT_SENDBUF, BUFFER);
    (void)nng_socket_set_int(in, NNG_OPT_RECVBUF, BUFFER);
    BENCH_CHECK(nng_socket_set_ms(out, NNG_OPT_RECONNMINT, 1) == 0);
    BENCH_CHECK(nng_socket_set_size(in, NNG_OPT_RECVMAXSZ, 0) == 0);
    name_way(name, sizeof name, !way);
    BENCH_CHECK(nng_listen(in, name, NULL, 0) == 0);
    name_way(name, sizeof name, way);
    BENCH_CHECK(nng_dial(out, name, NULL, NNG_FLAG_NONBLOCK) == 0);
    BENCH_CHECK(nng_send(out, word, sizeof word, 0) == 0);
    BENCH_CHECK(nng_recv(in, word, &size, 0) == 0);
}

static void send_message(unsigned way, const void *data, size_t size) {
    (void)way;
    BENCH_CHECK(nng_send(out, (void *)(uintptr_t)data, size, 0) == 0);
}

static void receive_message(unsigned way, void *buffer, size_t size) {
    (void)way;
    size_t got = size;
    BENCH_CHECK(nng_recv(in, buffer, &got, 0) == 0 && got == size);
}

static void close_nothing(void) {
    char name[96];
    for (unsigned way = 0; way < 2; way++) {
        snprintf(name, sizeof name, "/tmp/libmp-bench-nng.%d.%u", (int)getpid(), way);
        unlink(name);
    }
}

const struct bench_channel bench_nng = {
    .open = open_nothing,
    .begin = begin,
    .send = send_message,
    .receive = receive_message,
    .close = close_nothing,
};

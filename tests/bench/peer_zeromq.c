/* ZeroMQ, PUSH and PULL over ipc://, with its own limit of 1000 messages.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "channels.h"

static void *context, *out, *in; /* this process's */

static void name_way(char *name, size_t size, unsigned way) {
    snprintf(name, size, "ipc:///tmp/libmp-bench-zmq.%d.%u", (int)getppid(), way);
}

static void open_nothing(const struct bench_stream *stream) {
    (void)stream;
}

/* One word each way, so that both are connected before the time is taken. */
static void begin(unsigned way, unsigned index) {
    char name[96], word[8] = "hello";
    int soon = 1; /* millisecond between attempts to connect */
    (void)index;
    context = zmq_ctx_new();
    out = zmq_socket(context, ZMQ_PUSH);
    in = zmq_socket(context, ZMQ_PULL);
    name_way(name, sizeof name, !way);
    BENCH_CHECK(zmq_bind(in, name) == 0);
    name_way(name, sizeof name, way);
    BENCH_CHECK(zmq_setsockopt(out, ZMQ_RECONNECT_IVL, &soon, sizeof soon) == 0);
    BENCH_CHECK(zmq_connect(out, name) == 0);
    BENCH_CHECK(zmq_send(out, word, sizeof word, 0) == sizeof word);
    BENCH_CHECK(zmq_recv(in, word, sizeof word, 0) == sizeof word);
}

static void send_message(unsigned way, const void *data, size_t size) {
    (void)way;
    BENCH_CHECK(zmq_send(out, data, size, 0) == (int)size);
}

static void receive_message(unsigned way, void *buffer, size_t size) {
    (void)way;
    BENCH_CHECK(zmq_recv(in, buffer, size, 0) == (int)size);
}

static void close_nothing(void) {
    char name[96];
    for (unsigned way = 0; way < 2; way++) {
        snprintf(name, sizeof name, "/tmp/libmp-bench-zmq.%d.%u", (int)getpid(), way);
        unlink(name);
    }
}

const struct bench_channel bench_zeromq = {
    .open = open_nothing,
    .begin = begin,
    .send = send_message,
    .receive = receive_message,
    .close = close_nothing,
};

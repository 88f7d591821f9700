/* Messages from one process to another: queues, pipes and their peers, against a raw ring.
 * SPDX-License-Identifier: MIT */
#include "channels.h"
#include "mp/context.h"

#define KIB 1024
#define MIB ((size_t)1 << 20)

static const struct bench_contender small[] = {
    BENCH_STREAM("raw ring", &bench_ring, 64),
    BENCH_STREAM("libmp queue", &bench_queue, 64),
    BENCH_STREAM("libmp pipe", &bench_connection, 64),
    BENCH_STREAM("pipe(2)", &bench_pipe, 64),
    BENCH_STREAM("socketpair", &bench_sockets, 64),
    BENCH_STREAM("Boost message_queue", &bench_boost, 64),
    BENCH_STREAM("faster-fifo", &bench_faster_fifo, 64),
    BENCH_STREAM("POSIX mq", &bench_mqueue, 64),
    BENCH_STREAM("ZeroMQ ipc", &bench_zeromq, 64),
    BENCH_STREAM("nng ipc", &bench_nng, 64),
    BENCH_PYTHON_STREAM("CPython Queue", 64),
};
static const struct bench_contender kibibyte[] = {
    BENCH_STREAM("raw ring", &bench_ring, KIB),
    BENCH_STREAM("libmp queue", &bench_queue, KIB),
    BENCH_STREAM("libmp pipe", &bench_connection, KIB),
    BENCH_STREAM("pipe(2)", &bench_pipe, KIB),
    BENCH_STREAM("socketpair", &bench_sockets, KIB),
    BENCH_STREAM("Boost message_queue", &bench_boost, KIB),
    BENCH_STREAM("POSIX mq", &bench_mqueue, KIB),
};
#define LARGE(size)                                                  \
    {                                                                \
        BENCH_STREAM("raw ring", &bench_ring, size),                 \
            BENCH_STREAM("libmp queue", &bench_queue, size),         \
            BENCH_STREAM("libmp pipe", &bench_connection, size),     \
            BENCH_STREAM("socketpair", &bench_sockets, size),        \
            BENCH_STREAM("Boost message_queue", &bench_boost, size), \
    }
static const struct bench_contender page[] = LARGE(16 * KIB);
static const struct bench_contender block[] = LARGE(64 * KIB);
static const struct bench_contender mebibyte[] = LARGE(MIB);
static const struct bench_contender costs[] = {
    BENCH_STREAM("raw ring", &bench_ring, 64, .is_cpu = true),
    BENCH_STREAM("libmp queue", &bench_queue, 64, .is_cpu = true),
    BENCH_STREAM("libmp pipe", &bench_connection, 64, .is_cpu = true),
    BENCH_STREAM("Boost message_queue", &bench_boost, 64, .is_cpu = true),
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    BENCH_RUN("stream, 64 B", "M/s", small, 10);
    BENCH_RUN("stream, 1 KiB", "M/s", kibibyte, 10);
    BENCH_RUN("stream, 16 KiB", "M/s", page, 10);
    BENCH_RUN("stream, 64 KiB", "M/s", block, 10);
    BENCH_RUN("stream, 1 MiB", "M/s", mebibyte, 10);
    BENCH_RUN("CPU for 10^6 messages of 64 B", "s", costs, 10);
    return 0;
}

/* There and back with 64 bytes: both sides awake, both asleep, both on one cpu.
 * SPDX-License-Identifier: MIT */
#include "channels.h"
#include "mp/context.h"

#define TRIPS(place)                                                \
    BENCH_TRIP("raw futex", &bench_futex, 64, place),               \
        BENCH_TRIP("libmp queue", &bench_queue, 64, place),         \
        BENCH_TRIP("libmp pipe", &bench_connection, 64, place),     \
        BENCH_TRIP("pipe(2)", &bench_pipe, 64, place),              \
        BENCH_TRIP("socketpair", &bench_sockets, 64, place),        \
        BENCH_TRIP("Boost message_queue", &bench_boost, 64, place), \
        BENCH_TRIP("POSIX mq", &bench_mqueue, 64, place),           \
        BENCH_TRIP("ZeroMQ ipc", &bench_zeromq, 64, place),         \
        BENCH_TRIP("nng ipc", &bench_nng, 64, place)

static const struct bench_contender awake[] = {
    BENCH_TRIP("raw ring", &bench_ring, 64, BENCH_AWAKE),
    TRIPS(BENCH_AWAKE),
};
static const struct bench_contender asleep[] = {TRIPS(BENCH_ASLEEP)};
static const struct bench_contender one_cpu[] = {TRIPS(BENCH_ONE_CPU)};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    BENCH_RUN("round trip, awake", "us", awake, 5);
    BENCH_RUN("round trip, asleep", "us", asleep, 5);
    BENCH_RUN("round trip, one cpu", "us", one_cpu, 5);
    return 0;
}

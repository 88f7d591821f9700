/* Who is measured with streams and round trips: limits, libmp, and peers that may not be installed.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_CHANNELS_H
#define BENCH_CHANNELS_H

#include "bench.h"
#include "stream.h"

/* Limits: nobody may die, nobody is recovered. */
extern const struct bench_channel bench_ring;    /* spins; for each pair one of its own */
extern const struct bench_channel bench_futex;   /* one message at a time, sleeps for each */
extern const struct bench_channel bench_pipe;    /* pipe(2) */
extern const struct bench_channel bench_sockets; /* socketpair(2) */

extern const struct bench_channel bench_queue;      /* mp_queue_put, _get */
extern const struct bench_channel bench_queue_many; /* 64 by mp_queue_put_many, _get_many */
extern const struct bench_channel bench_queue_move; /* built in place: only the first bytes */
extern const struct bench_channel bench_connection; /* mp_pipe_new */

/* Peers: NULL when their headers were not found. */
#define BENCH_PEER __attribute__((weak))
extern const struct bench_channel bench_boost BENCH_PEER;
extern const struct bench_channel bench_mqueue BENCH_PEER;
extern const struct bench_channel bench_zeromq BENCH_PEER;
extern const struct bench_channel bench_nng BENCH_PEER;
extern const struct bench_channel bench_faster_fifo BENCH_PEER;

/* A struct bench_stream, through the multiprocessing.Queue of the python3 that is here. */
double bench_measure_python_stream(const void *subject);

#define BENCH_STREAM(who, ...)                                                            \
    {                                                                                     \
        .name = who, .measure = bench_measure_stream, .subject = &(struct bench_stream) { \
            __VA_ARGS__                                                                   \
        }                                                                                 \
    }
#define BENCH_PYTHON_STREAM(who, ...)                                                            \
    {                                                                                            \
        .name = who, .measure = bench_measure_python_stream, .subject = &(struct bench_stream) { \
            NULL, __VA_ARGS__                                                                    \
        }                                                                                        \
    }
#define BENCH_TRIP(who, channel, size, place)                                               \
    {                                                                                       \
        .name = who, .measure = bench_measure_round_trip, .subject = &(struct bench_trip) { \
            {channel, size}, place                                                          \
        }                                                                                   \
    }
#define BENCH_RUN(metric, unit, list, turns) bench_run(metric, unit, list, BENCH_COUNT(list), turns)

#endif

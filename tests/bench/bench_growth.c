/* What becomes of a queue when messages, their number and the number of processes grow: for
 * plot.py. SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "channels.h"
#include "mp/context.h"

/* One process fills it and then drains it: nobody waits for anybody, only memory is touched. */
static double fill_and_drain(const void *subject) {
    const struct bench_stream *stream = subject;
    char message[64] = {0};
    if (!stream->channel)
        return NAN;
    stream->channel->open(stream);
    int64_t begin = bench_now();
    for (size_t i = 0; i < stream->length; i++)
        stream->channel->send(1, message, stream->size);
    for (size_t i = 0; i < stream->length; i++)
        stream->channel->receive(1, message, stream->size);
    double rate = 2e3 * (double)stream->length / (double)(bench_now() - begin);
    stream->channel->close();
    return rate;
}

static void grow_sizes(void) {
    static const size_t sizes[] = {8,
                                   64,
                                   512,
                                   4096,
                                   32768,
                                   (size_t)1 << 18,
                                   (size_t)1 << 21,
                                   (size_t)1 << 24,
                                   (size_t)1 << 26};
    size_t count = bench_is_smoke() ? 6 : BENCH_COUNT(sizes);
    for (size_t i = 0; i < count; i++) {
        size_t size = sizes[i];
        const struct bench_contender contenders[] = {
            BENCH_STREAM("raw ring", &bench_ring, size),
            BENCH_STREAM("libmp queue", &bench_queue, size),
            BENCH_STREAM("libmp queue, moved", &bench_queue_move, size, .length = 16),
            BENCH_STREAM("pipe(2)", &bench_pipe, size),
            BENCH_STREAM("Boost message_queue", &bench_boost, size),
        };
        char metric[64];
        snprintf(metric, sizeof metric, "by size, %zu B", size);
        BENCH_RUN(metric, "M/s", contenders, 5);
    }
}

static void grow_lengths(void) {
    static const size_t lengths[] = {10, 100, 1000, 10000, 100000, 1000000};
    size_t count = bench_is_smoke() ? 4 : BENCH_COUNT(lengths);
    for (size_t i = 0; i < count; i++) {
        const struct bench_stream ours = {&bench_queue, 64, .length = lengths[i]};
        const struct bench_stream boost = {&bench_boost, 64, .length = lengths[i]};
        const struct bench_contender contenders[] = {
            {"libmp queue", fill_and_drain, &ours},
            {"Boost message_queue", fill_and_drain, &boost},
        };
        char metric[64];
        snprintf(metric, sizeof metric, "by length, %zu messages", lengths[i]);
        BENCH_RUN(metric, "M/s", contenders, 3);
    }
}

static void grow_crowds(void) {
    for (unsigned pairs = 1; pairs <= BENCH_PAIRS_MAX; pairs *= 2) {
        const struct bench_contender contenders[] = {
            BENCH_STREAM("raw rings", &bench_ring, 64, .pairs = pairs),
            BENCH_STREAM("libmp queue", &bench_queue, 64, .pairs = pairs),
            BENCH_STREAM("Boost message_queue", &bench_boost, 64, .pairs = pairs),
        };
        char metric[64];
        snprintf(metric, sizeof metric, "by pairs, %u", pairs);
        BENCH_RUN(metric, "M/s", contenders, 5);
    }
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    grow_sizes();
    grow_lengths();
    grow_crowds();
    return 0;
}

/* Several processes put into one queue, as many get from it; the limit: each pair its own ring.
 * SPDX-License-Identifier: MIT */
#include "channels.h"
#include "mp/context.h"

#define CROWD(bytes, count)                                                           \
    {                                                                                 \
        BENCH_STREAM("raw rings", &bench_ring, bytes, .pairs = count),                \
            BENCH_STREAM("libmp queue", &bench_queue, bytes, .pairs = count),         \
            BENCH_STREAM("Boost message_queue", &bench_boost, bytes, .pairs = count), \
            BENCH_PYTHON_STREAM("CPython Queue", bytes, .pairs = count),              \
    }
static const struct bench_contender ones[] = CROWD(64, 1);
static const struct bench_contender twos[] = CROWD(64, 2);
static const struct bench_contender fours[] = CROWD(64, 4);
static const struct bench_contender eights[] = CROWD(64, 8);
static const struct bench_contender kibibytes[] = CROWD(1024, 2);

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    BENCH_RUN("1 to 1, 64 B", "M/s", ones, 5);
    BENCH_RUN("2 to 2, 64 B", "M/s", twos, 5);
    BENCH_RUN("4 to 4, 64 B", "M/s", fours, 5);
    BENCH_RUN("8 to 8, 64 B", "M/s", eights, 5);
    BENCH_RUN("2 to 2, 1 KiB", "M/s", kibibytes, 5);
    return 0;
}

/* Many messages by one call, and messages that are built in place and move by pointer.
 * SPDX-License-Identifier: MIT */
#include "channels.h"
#include "mp/context.h"

#define MOVES 16 /* messages that fit in, of any size */

static const struct bench_contender batches[] = {
    BENCH_STREAM("raw ring", &bench_ring, 8),
    BENCH_STREAM("libmp queue", &bench_queue, 8),
    BENCH_STREAM("libmp queue, 64 at once", &bench_queue_many, 8),
};
static const struct bench_contender moves[] = {
    BENCH_STREAM("libmp, 64 B copied", &bench_queue, 64, .length = MOVES),
    BENCH_STREAM("libmp, 64 B", &bench_queue_move, 64, .length = MOVES),
    BENCH_STREAM("libmp, 64 KiB", &bench_queue_move, 65536, .length = MOVES),
    BENCH_STREAM("libmp, 1 MiB", &bench_queue_move, (size_t)1 << 20, .length = MOVES),
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    BENCH_RUN("stream, 8 B", "M/s", batches, 10);
    BENCH_RUN("built in place and moved", "M/s", moves, 10);
    return 0;
}

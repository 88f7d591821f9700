/* One-way streams and round trips between two processes, over whatever can send and receive.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stddef.h>
#include <stdint.h>

/* What is measured: two directions, 0 and 1, between the measuring process and a forked child. */
struct bench_channel {
    void (*open)(size_t size); /* before the fork; messages have `size` bytes */
    void (*begin)(int way);    /* in the child (1) and its parent (0), may be NULL */
    void (*send)(int way, const void *data, size_t size);
    void (*receive)(int way, void *buffer, size_t size);
    void (*close)(void); /* in the parent, the child is gone */
};

struct bench_stream {
    const struct bench_channel *channel;
    size_t size; /* bytes of a message, at least 8 */
};

/* Subjects are struct bench_stream. Million messages a second from child to parent; microseconds
 * for there and back. */
double bench_measure_stream(const void *subject);
double bench_measure_round_trip(const void *subject);

#endif

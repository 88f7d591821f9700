/* One-way streams and round trips between processes, over whatever can send and receive.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_PAIRS_MAX 8

struct bench_channel;

struct bench_stream {
    const struct bench_channel *channel; /* NULL: a peer that is not installed */
    size_t size;                         /* bytes of a message, at least 8 */
    unsigned pairs;                      /* as many senders as receivers; 0: 1 */
    size_t length; /* messages that fit in; 0: 1 MiB of them, at least 4, at most 1024 */
    bool is_cpu;   /* wanted: CPU seconds per million messages, instead of messages a second */
};

/* What is measured: two directions, 0 and 1. In a stream all go way 1. */
struct bench_channel {
    void (*open)(const struct bench_stream *stream); /* before the processes are forked */
    /* In each process, before its first message: it sends on `way` and receives on the other (a
     * round trip), or does one of it; the how many-th of its kind. May be NULL. */
    void (*begin)(unsigned way, unsigned index);
    void (*send)(unsigned way, const void *data, size_t size);
    void (*receive)(unsigned way, void *buffer, size_t size);
    void (*flush)(unsigned way); /* what send has gathered goes; may be NULL */
    void (*close)(void);         /* in the parent, all others are gone */
};

enum bench_place { BENCH_AWAKE, BENCH_ASLEEP, BENCH_ONE_CPU };

struct bench_trip {
    struct bench_stream stream;
    enum bench_place place; /* ASLEEP: a pause before each trip sends the other one to sleep */
};

size_t bench_length(const struct bench_stream *stream); /* with its default filled in */

/* Subjects are struct bench_stream. Million messages a second, or the CPU seconds for a million. */
double bench_measure_stream(const void *subject);
/* struct bench_trip. Microseconds for there and back, the median of a few hundred. */
double bench_measure_round_trip(const void *subject);

#endif

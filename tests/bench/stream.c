/* One-way streams and round trips, see stream.h.
 * SPDX-License-Identifier: MIT */
#include "stream.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

#define STREAM_NANOSECONDS                                                                        \
    3000000 /* of one sample: virtual machines take a cpu away from those who are busy for longer \
             */
#define TRIPS_MAX 300
#define END_MARK UINT64_MAX

/* What parent and child have in common besides the channel. */
struct meeting {
    _Atomic int ready; /* how many are at the line */
    int64_t begin;     /* when the sender began */
    uint64_t count;    /* messages it sent */
};

struct child {
    const struct bench_stream *stream;
    struct meeting *meeting;
    unsigned char *buffer;
};

static void meet(struct meeting *meeting) {
    atomic_fetch_add(&meeting->ready, 1);
    while (atomic_load(&meeting->ready) < 2)
        ;
}

static void begin_way(const struct bench_channel *channel, int way) {
    if (channel->begin)
        channel->begin(way);
}

/* The first 8 bytes of each message are its number. */
static void send_stream(void *arg) {
    const struct child *me = arg;
    const struct bench_channel *channel = me->stream->channel;
    begin_way(channel, 1);
    meet(me->meeting);
    int64_t begin = bench_now();
    uint64_t number = 0, end = END_MARK;
    do {
        memcpy(me->buffer, &number, sizeof number);
        channel->send(1, me->buffer, me->stream->size);
    } while (++number % 16 || bench_now() - begin < STREAM_NANOSECONDS);
    me->meeting->begin = begin;
    me->meeting->count = number;
    memcpy(me->buffer, &end, sizeof end);
    channel->send(1, me->buffer, me->stream->size);
}

static void send_back(void *arg) {
    const struct child *me = arg;
    const struct bench_channel *channel = me->stream->channel;
    uint64_t number;
    begin_way(channel, 1);
    meet(me->meeting);
    do {
        channel->receive(0, me->buffer, me->stream->size);
        memcpy(&number, me->buffer, sizeof number);
        channel->send(1, me->buffer, me->stream->size);
    } while (number != END_MARK);
}

static pid_t open_child(struct child *child, void (*body)(void *arg)) {
    child->stream->channel->open(child->stream->size);
    pid_t pid = bench_fork(body, child);
    begin_way(child->stream->channel, 0);
    meet(child->meeting);
    return pid;
}

static struct child new_child(const void *subject) {
    static struct meeting *meeting;
    const struct bench_stream *stream = subject;
    if (!meeting)
        meeting = bench_shared(sizeof *meeting);
    atomic_store(&meeting->ready, 0);
    struct child child = {stream, meeting, calloc(1, stream->size)};
    BENCH_CHECK(child.buffer != NULL);
    return child;
}

static void end_child(struct child *child, pid_t pid) {
    bench_reap(pid);
    child->stream->channel->close();
    free(child->buffer);
}

double bench_measure_stream(const void *subject) {
    struct child child = new_child(subject);
    pid_t pid = open_child(&child, send_stream);
    uint64_t number, expected = 0;
    for (;; expected++) {
        child.stream->channel->receive(1, child.buffer, child.stream->size);
        memcpy(&number, child.buffer, sizeof number);
        if (number == END_MARK)
            break;
        BENCH_CHECK(number == expected);
    }
    int64_t end = bench_now();
    end_child(&child, pid);
    BENCH_CHECK(child.meeting->count == expected);
    return (double)expected * 1e3 / (double)(end - child.meeting->begin);
}

double bench_measure_round_trip(const void *subject) {
    struct child child = new_child(subject);
    const struct bench_channel *channel = child.stream->channel;
    size_t size = child.stream->size;
    pid_t pid = open_child(&child, send_back);
    double microseconds[TRIPS_MAX];
    for (uint64_t i = 0; i <= TRIPS_MAX; i++) {
        uint64_t number = i < TRIPS_MAX ? i : END_MARK;
        int64_t begin = bench_now();
        memcpy(child.buffer, &number, sizeof number);
        channel->send(0, child.buffer, size);
        channel->receive(1, child.buffer, size);
        if (i < TRIPS_MAX)
            microseconds[i] = (double)(bench_now() - begin) / 1e3;
    }
    end_child(&child, pid);
    return bench_median(microseconds, TRIPS_MAX);
}

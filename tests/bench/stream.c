/* One-way streams and round trips, see stream.h.
 * SPDX-License-Identifier: MIT */
#include "stream.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"

#define STREAM_NANOSECONDS \
    3000000 /* of one sample: virtual machines take a cpu away from those who are busy for longer \
             */
#define TRIPS_MAX 300
#define SLEEPY_TRIPS_MAX 60
#define SLEEPY_NANOSECONDS 300000 /* longer than anybody spins */
#define END_MARK UINT64_MAX

/* What one process of a stream did. */
struct share {
    _Alignas(128) int64_t begin, end; /* of its work */
    int64_t cpu;                      /* nanoseconds it took */
    uint64_t count, sum;              /* messages, and their numbers added up */
};

/* What the processes have in common besides the channel. */
static struct meeting {
    _Atomic unsigned ready; /* how many are at the line */
    _Atomic unsigned done;  /* how many have finished: what they have sent may end with them */
    unsigned wanted;        /* how many are to come */
    struct share senders[BENCH_PAIRS_MAX], receivers[BENCH_PAIRS_MAX];
} * meeting;

struct worker {
    const struct bench_stream *stream;
    unsigned index; /* among those who do the same */
};

static void hold_meeting(unsigned wanted) {
    if (!meeting)
        meeting = bench_shared(sizeof *meeting);
    memset(meeting, 0, sizeof *meeting);
    meeting->wanted = wanted;
}

/* Nobody burns the cpu of somebody who is still to come. */
static void wait_for_all(_Atomic unsigned *line) {
    atomic_fetch_add(line, 1);
    for (unsigned i = 0; atomic_load(line) < meeting->wanted; i++)
        if (i % 1000 == 999)
            nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

size_t bench_length(const struct bench_stream *stream) {
    size_t fits = ((size_t)1 << 20) / stream->size;
    return stream->length ? stream->length : fits < 4 ? 4 : fits > 1024 ? 1024 : fits;
}

static unsigned pairs_of(const struct bench_stream *stream) {
    return stream->pairs ? stream->pairs : 1;
}

static void *new_buffer(const struct bench_stream *stream) {
    void *buffer = malloc(stream->size);
    BENCH_CHECK(buffer != NULL);
    return memset(buffer, 0x5a, stream->size);
}

/* A pair has a cpu each; more processes than that are left to the system. */
static void begin_work(const struct worker *me, unsigned way) {
    if (pairs_of(me->stream) == 1)
        bench_pin(way);
    if (me->stream->channel->begin)
        me->stream->channel->begin(way, me->index);
}

/* The first 8 bytes of each message are its number and who sent it. */
static void send_stream(void *arg) {
    const struct worker *me = arg;
    const struct bench_channel *channel = me->stream->channel;
    size_t size = me->stream->size, unlooked = size < 16384 ? 16 : 1;
    unsigned char *buffer = new_buffer(me->stream);
    struct share share = {0};
    begin_work(me, 1);
    wait_for_all(&meeting->ready);
    share.cpu = -bench_cpu();
    share.begin = bench_now();
    do {
        uint64_t number = share.count * BENCH_PAIRS_MAX + me->index;
        memcpy(buffer, &number, sizeof number);
        channel->send(1, buffer, size);
        share.sum += number;
    } while (++share.count % unlooked || bench_now() - share.begin < STREAM_NANOSECONDS);
    memcpy(buffer, &(uint64_t){END_MARK}, 8);
    channel->send(1, buffer, size);
    if (channel->flush)
        channel->flush(1);
    share.cpu += bench_cpu();
    meeting->senders[me->index] = share;
    free(buffer);
    wait_for_all(&meeting->done);
}

/* Messages of one sender come in order. */
static void receive_stream(void *arg) {
    const struct worker *me = arg;
    const struct bench_channel *channel = me->stream->channel;
    unsigned char *buffer = new_buffer(me->stream);
    uint64_t number, next[BENCH_PAIRS_MAX] = {0};
    struct share share = {0};
    begin_work(me, 0);
    wait_for_all(&meeting->ready);
    share.cpu = -bench_cpu();
    for (;; share.count++) {
        channel->receive(1, buffer, me->stream->size);
        memcpy(&number, buffer, sizeof number);
        if (number == END_MARK)
            break;
        BENCH_CHECK(number >= next[number % BENCH_PAIRS_MAX]);
        next[number % BENCH_PAIRS_MAX] = number + 1;
        share.sum += number;
    }
    share.end = bench_now();
    share.cpu += bench_cpu();
    meeting->receivers[me->index] = share;
    free(buffer);
    wait_for_all(&meeting->done);
}

/* Everything that was sent has been received, once. */
static struct share add_up(unsigned pairs) {
    struct share total = {.begin = INT64_MAX};
    for (unsigned i = 0; i < pairs; i++) {
        const struct share *sender = &meeting->senders[i], *receiver = &meeting->receivers[i];
        total.begin = sender->begin < total.begin ? sender->begin : total.begin;
        total.end = receiver->end > total.end ? receiver->end : total.end;
        total.cpu += sender->cpu + receiver->cpu;
        total.count += sender->count - receiver->count;
        total.sum += sender->sum - receiver->sum;
    }
    BENCH_CHECK(total.count == 0 && total.sum == 0);
    for (unsigned i = 0; i < pairs; i++)
        total.count += meeting->senders[i].count;
    return total;
}

double bench_measure_stream(const void *subject) {
    const struct bench_stream *stream = subject;
    if (!stream->channel)
        return NAN;
    unsigned pairs = pairs_of(stream);
    struct worker workers[BENCH_PAIRS_MAX];
    pid_t pids[2 * BENCH_PAIRS_MAX];
    hold_meeting(2 * pairs);
    stream->channel->open(stream);
    for (unsigned i = 0; i < pairs; i++) {
        workers[i] = (struct worker){stream, i};
        pids[2 * i] = bench_fork(send_stream, &workers[i]);
        pids[2 * i + 1] = bench_fork(receive_stream, &workers[i]);
    }
    for (unsigned i = 0; i < 2 * pairs; i++)
        bench_reap(pids[i]);
    stream->channel->close();
    struct share total = add_up(pairs);
    if (stream->is_cpu)
        return (double)total.cpu / 1e3 / (double)total.count;
    return (double)total.count * 1e3 / (double)(total.end - total.begin);
}

static void place_trip(const struct bench_trip *trip, unsigned way) {
    bench_pin(trip->place == BENCH_ONE_CPU ? 0 : way);
    if (trip->stream.channel->begin)
        trip->stream.channel->begin(way, 0);
    wait_for_all(&meeting->ready);
}

static void send_back(void *arg) {
    const struct bench_trip *trip = arg;
    const struct bench_channel *channel = trip->stream.channel;
    unsigned char *buffer = new_buffer(&trip->stream);
    uint64_t number;
    place_trip(trip, 1);
    do {
        channel->receive(0, buffer, trip->stream.size);
        memcpy(&number, buffer, sizeof number);
        channel->send(1, buffer, trip->stream.size);
    } while (number != END_MARK);
    free(buffer);
    wait_for_all(&meeting->done);
}

static void pause_before(enum bench_place place) {
    if (place == BENCH_ASLEEP)
        nanosleep(&(struct timespec){.tv_nsec = SLEEPY_NANOSECONDS}, NULL);
}

static void go_and_come_back(void *arg) {
    const struct bench_trip *trip = arg;
    const struct bench_channel *channel = trip->stream.channel;
    size_t size = trip->stream.size;
    unsigned char *buffer = new_buffer(&trip->stream);
    unsigned count = trip->place == BENCH_ASLEEP ? SLEEPY_TRIPS_MAX : TRIPS_MAX;
    double microseconds[TRIPS_MAX];
    place_trip(trip, 0);
    for (uint64_t i = 0; i <= count; i++) {
        uint64_t number = i < count ? i : END_MARK, answer;
        pause_before(trip->place);
        int64_t begin = bench_now();
        memcpy(buffer, &number, sizeof number);
        channel->send(0, buffer, size);
        channel->receive(1, buffer, size);
        if (i < count)
            microseconds[i] = (double)(bench_now() - begin) / 1e3;
        memcpy(&answer, buffer, sizeof answer);
        BENCH_CHECK(answer == number);
    }
    meeting->senders[0].cpu = (int64_t)(bench_median(microseconds, count) * 1e3);
    free(buffer);
    wait_for_all(&meeting->done);
}

double bench_measure_round_trip(const void *subject) {
    struct bench_trip trip = *(const struct bench_trip *)subject;
    if (!trip.stream.channel)
        return NAN;
    hold_meeting(2);
    trip.stream.channel->open(&trip.stream);
    pid_t there = bench_fork(send_back, &trip), here = bench_fork(go_and_come_back, &trip);
    bench_reap(here);
    bench_reap(there);
    trip.stream.channel->close();
    return (double)meeting->senders[0].cpu / 1e3;
}

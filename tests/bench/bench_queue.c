/* Messages through a queue and a pipe of ours, against a raw ring, pipe(2) and a socket pair.
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mp/connection.h"
#include "mp/context.h"
#include "mp/queue.h"
#include "ring.h"
#include "stream.h"

#define QUEUE_MESSAGES 1024 /* that fit in at most */

static struct ring *rings[2];

static struct ring *new_ring(void) {
    struct ring *ring = bench_shared(sizeof *ring);
    int memory = memfd_create("ring", MFD_CLOEXEC);
    BENCH_CHECK(memory >= 0 && ftruncate(memory, RING_BYTES) == 0);
    char *address = mmap(NULL, 2 * RING_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(address != MAP_FAILED);
    for (int i = 0; i < 2; i++)
        BENCH_CHECK(mmap(address + i * RING_BYTES, RING_BYTES, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_FIXED, memory, 0) != MAP_FAILED);
    close(memory);
    ring->bytes = memset(address, 0, 2 * RING_BYTES);
    return ring;
}

static void open_rings(size_t size) {
    BENCH_CHECK(size <= RING_RECORD_MAX);
    for (int way = 0; way < 2; way++)
        rings[way] = new_ring();
}

static void send_ring(int way, const void *data, size_t size) {
    ring_send(rings[way], data, size);
}

static void receive_ring(int way, void *buffer, size_t size) {
    BENCH_CHECK(ring_receive(rings[way], buffer) == size);
}

static void close_rings(void) {
    for (int way = 0; way < 2; way++) {
        munmap(rings[way]->bytes, 2 * RING_BYTES);
        munmap(rings[way], sizeof *rings[way]);
    }
}

static int descriptors[2][2]; /* way 0, way 1: [0] reads, [1] writes */

static void open_pipes(size_t size) {
    (void)size;
    for (int way = 0; way < 2; way++)
        BENCH_CHECK(pipe(descriptors[way]) == 0);
}

static void open_socketpairs(size_t size) {
    (void)size;
    for (int way = 0; way < 2; way++)
        BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, descriptors[way]) == 0);
}

static void write_descriptor(int way, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = write(descriptors[way][1], (const char *)data + done, size - done);
        BENCH_CHECK(count > 0);
        done += (size_t)count;
    }
}

static void read_descriptor(int way, void *buffer, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = read(descriptors[way][0], (char *)buffer + done, size - done);
        BENCH_CHECK(count > 0);
        done += (size_t)count;
    }
}

static void close_descriptors(void) {
    for (int i = 0; i < 4; i++)
        close(descriptors[i / 2][i % 2]);
}

static mp_queue *queues[2];

static void open_queues(size_t size) {
    (void)size;
    for (int way = 0; way < 2; way++)
        BENCH_CHECK(mp_queue_new(&queues[way], NULL, QUEUE_MESSAGES) == 0);
}

static void put_queue(int way, const void *data, size_t size) {
    BENCH_CHECK(mp_queue_put(queues[way], data, size, MP_FOREVER) == 0);
}

static void get_queue(int way, void *buffer, size_t size) {
    size_t got;
    BENCH_CHECK(mp_queue_get(queues[way], buffer, size, &got, MP_FOREVER) == 0 && got == size);
}

static void close_queues(void) {
    for (int way = 0; way < 2; way++)
        mp_queue_free(queues[way]);
}

static mp_connection *ends[2]; /* the parent's, the child's */
static mp_connection *mine;    /* of them */

static void open_connections(size_t size) {
    (void)size;
    BENCH_CHECK(mp_pipe_new(&ends[0], &ends[1], NULL, true) == 0);
}

static void begin_connection(int way) {
    mine = ends[way];
    BENCH_CHECK(mp_connection_close(ends[!way]) == 0);
}

static void send_connection(int way, const void *data, size_t size) {
    (void)way;
    BENCH_CHECK(mp_connection_send_bytes(mine, data, size, MP_FOREVER) == 0);
}

static void receive_connection(int way, void *buffer, size_t size) {
    (void)way;
    size_t got;
    BENCH_CHECK(mp_connection_recv_bytes_into(mine, buffer, size, &got, MP_FOREVER) == 0 &&
                got == size);
}

static void close_connections(void) {
    mp_connection_free(ends[0]);
    mp_connection_free(ends[1]);
}

static const struct bench_channel ring = {open_rings, NULL, send_ring, receive_ring, close_rings};
static const struct bench_channel pipes = {open_pipes, NULL, write_descriptor, read_descriptor,
                                           close_descriptors};
static const struct bench_channel sockets = {open_socketpairs, NULL, write_descriptor,
                                             read_descriptor, close_descriptors};
static const struct bench_channel queue = {open_queues, NULL, put_queue, get_queue, close_queues};
static const struct bench_channel connection = {open_connections, begin_connection, send_connection,
                                                receive_connection, close_connections};

#define STREAM(name, channel, size)                          \
    {                                                        \
        name, bench_measure_stream, &(struct bench_stream) { \
            &channel, size                                   \
        }                                                    \
    }
#define ROUND_TRIP(name, channel)                                \
    {                                                            \
        name, bench_measure_round_trip, &(struct bench_stream) { \
            &channel, 64                                         \
        }                                                        \
    }
#define STREAMS(size)                                                                \
    {                                                                                \
        STREAM("raw ring", ring, size), STREAM("pipe(2)", pipes, size),              \
            STREAM("socketpair", sockets, size), STREAM("libmp queue", queue, size), \
            STREAM("libmp pipe", connection, size)                                   \
    }

static const struct bench_contender small[] = STREAMS(64);
static const struct bench_contender medium[] = STREAMS(1024);
static const struct bench_contender large[] = STREAMS(RING_RECORD_MAX / 2);
static const struct bench_contender trips[] = {
    ROUND_TRIP("raw ring", ring),         ROUND_TRIP("pipe(2)", pipes),
    ROUND_TRIP("socketpair", sockets),    ROUND_TRIP("libmp queue", queue),
    ROUND_TRIP("libmp pipe", connection),
};

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    bench_run("stream, 64 B", "M/s", small, BENCH_COUNT(small), 20);
    bench_run("stream, 1 KiB", "M/s", medium, BENCH_COUNT(medium), 10);
    bench_run("stream, 16 KiB", "M/s", large, BENCH_COUNT(large), 10);
    bench_run("round trip, 64 B", "us", trips, BENCH_COUNT(trips), 5);
    return 0;
}

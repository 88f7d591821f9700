/* The limits: raw rings, a bare futex, pipe(2), a socket pair.
 * SPDX-License-Identifier: MIT */
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "channels.h"
#include "ring.h"

static struct ring *rings[2][BENCH_PAIRS_MAX];
static unsigned ring_pairs, my_pair;

static struct ring *new_ring(bool may_sleep) {
    struct ring *ring = bench_shared(sizeof *ring);
    int memory = memfd_create("ring", MFD_CLOEXEC);
    BENCH_CHECK(memory >= 0 && ftruncate(memory, RING_BYTES) == 0);
    char *address = mmap(NULL, 2 * RING_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    BENCH_CHECK(address != MAP_FAILED);
    for (int i = 0; i < 2; i++)
        BENCH_CHECK(mmap(address + i * RING_BYTES, RING_BYTES, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_FIXED | MAP_POPULATE, memory, 0) != MAP_FAILED);
    close(memory);
    ring->bytes = memset(address, 0, 2 * RING_BYTES);
    ring->may_sleep = may_sleep;
    return ring;
}

static void open_rings(const struct bench_stream *stream) {
    ring_pairs = stream->pairs ? stream->pairs : 1;
    for (unsigned i = 0; i < 2 * ring_pairs; i++)
        rings[i % 2][i / 2] = new_ring(ring_pairs > 1);
}

static void begin_ring(unsigned way, unsigned index) {
    (void)way;
    my_pair = index;
}

static void send_ring(unsigned way, const void *data, size_t size) {
    const char *bytes = data;
    for (; size > RING_PIECE; bytes += RING_PIECE, size -= RING_PIECE)
        ring_send(rings[way][my_pair], bytes, RING_PIECE);
    ring_send(rings[way][my_pair], bytes, size);
}

static void receive_ring(unsigned way, void *buffer, size_t size) {
    for (size_t done = 0; done < size;)
        done += ring_receive(rings[way][my_pair], (char *)buffer + done);
}

static void close_rings(void) {
    for (unsigned i = 0; i < 2 * ring_pairs; i++) {
        struct ring *ring = rings[i % 2][i / 2];
        munmap(ring->bytes, 2 * RING_BYTES);
        munmap(ring, sizeof *ring);
    }
}

/* A round trip's limit when both sleep: one message each way, nothing else to wait for. */
static struct mailbox {
    _Alignas(128) _Atomic uint32_t sent; /* messages so far */
    unsigned char data[4096 - 128];      /* of the last one */
} * boxes[2];
static uint32_t received[2];

static void open_boxes(const struct bench_stream *stream) {
    BENCH_CHECK(stream->size <= sizeof boxes[0]->data);
    for (int way = 0; way < 2; way++)
        boxes[way] = bench_shared(sizeof *boxes[way]);
}

static void begin_boxes(unsigned way, unsigned index) {
    (void)way;
    (void)index;
    received[0] = received[1] = 0;
}

static void send_box(unsigned way, const void *data, size_t size) {
    struct mailbox *box = boxes[way];
    memcpy(box->data, data, size);
    atomic_fetch_add(&box->sent, 1);
    syscall(SYS_futex, &box->sent, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void receive_box(unsigned way, void *buffer, size_t size) {
    struct mailbox *box = boxes[way];
    while (atomic_load(&box->sent) == received[way])
        syscall(SYS_futex, &box->sent, FUTEX_WAIT, received[way], NULL, NULL, 0);
    received[way]++;
    memcpy(buffer, box->data, size);
}

static void close_boxes(void) {
    for (int way = 0; way < 2; way++)
        munmap(boxes[way], sizeof *boxes[way]);
}

static int descriptors[2][2]; /* way 0, way 1: [0] reads, [1] writes */

static void open_pipes(const struct bench_stream *stream) {
    (void)stream;
    for (int way = 0; way < 2; way++)
        BENCH_CHECK(pipe(descriptors[way]) == 0);
}

static void open_sockets(const struct bench_stream *stream) {
    (void)stream;
    for (int way = 0; way < 2; way++)
        BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, descriptors[way]) == 0);
}

static void write_descriptor(unsigned way, const void *data, size_t size) {
    for (size_t done = 0; done < size;) {
        ssize_t count = write(descriptors[way][1], (const char *)data + done, size - done);
        BENCH_CHECK(count > 0);
        done += (size_t)count;
    }
}

static void read_descriptor(unsigned way, void *buffer, size_t size) {
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

const struct bench_channel bench_ring = {
    .open = open_rings,
    .begin = begin_ring,
    .send = send_ring,
    .receive = receive_ring,
    .close = close_rings,
};
const struct bench_channel bench_futex = {
    .open = open_boxes,
    .begin = begin_boxes,
    .send = send_box,
    .receive = receive_box,
    .close = close_boxes,
};
const struct bench_channel bench_pipe = {
    .open = open_pipes,
    .send = write_descriptor,
    .receive = read_descriptor,
    .close = close_descriptors,
};
const struct bench_channel bench_sockets = {
    .open = open_sockets,
    .send = write_descriptor,
    .receive = read_descriptor,
    .close = close_descriptors,
};

/* The limit of a stream between two processes: a byte ring for one producer and one consumer.
 * Nothing is locked, nobody may die. It spins, or sleeps when there are fewer cpus than processes.
 *
 * It is mapped twice in a row, so that no record wraps; each side keeps a copy of the other's
 * position, and the consumer publishes its own only every quarter of the ring, or when it has read
 * everything. Long messages go through it in pieces. SPDX-License-Identifier: MIT */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <linux/futex.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RING_BYTES (UINT64_C(1) << 19)
#define RING_PIECE 16384 /* longest record */

struct ring {
    _Alignas(128) _Atomic uint64_t tail; /* bytes written, published */
    uint64_t seen_head;                  /* the producer's copy */
    uint64_t own_tail;                   /* the producer's */
    _Alignas(128) _Atomic uint64_t head; /* bytes read, published */
    uint64_t seen_tail;                  /* the consumer's copy */
    uint64_t own_head;                   /* the consumer's */
    _Alignas(128) _Atomic uint32_t consumer_sleeps;
    _Alignas(128) _Atomic uint32_t producer_sleeps;
    _Alignas(128) bool may_sleep; /* constant, like the next */
    unsigned char *bytes;         /* 2 x RING_BYTES, the second half is the first once more */
};

static inline void ring_wake(struct ring *ring, _Atomic uint32_t *sleeps) {
    if (!ring->may_sleep)
        return;
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(sleeps, memory_order_relaxed) && atomic_exchange(sleeps, 0))
        syscall(SYS_futex, sleeps, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Wait until *position, the other side's, is no longer `seen`. */
static inline uint64_t ring_await(struct ring *ring, _Atomic uint64_t *position, uint64_t seen,
                                  _Atomic uint32_t *sleeps) {
    uint64_t now;
    while ((now = atomic_load_explicit(position, memory_order_acquire)) == seen) {
        if (!ring->may_sleep)
            continue;
        atomic_store(sleeps, 1);
        if (atomic_load(position) == seen)
            syscall(SYS_futex, sleeps, FUTEX_WAIT, 1, NULL, NULL, 0);
    }
    return now;
}

static inline void ring_publish_head(struct ring *ring) {
    atomic_store_explicit(&ring->head, ring->own_head, memory_order_release);
    ring_wake(ring, &ring->producer_sleeps);
}

static inline void ring_send(struct ring *ring, const void *data, uint64_t size) {
    uint64_t need = 8 + (size + 7) / 8 * 8;
    while (RING_BYTES - (ring->own_tail - ring->seen_head) < need)
        ring->seen_head = ring_await(ring, &ring->head, ring->seen_head, &ring->producer_sleeps);
    unsigned char *record = ring->bytes + ring->own_tail % RING_BYTES;
    memcpy(record, &size, 8);
    memcpy(record + 8, data, size);
    ring->own_tail += need;
    atomic_store_explicit(&ring->tail, ring->own_tail, memory_order_release);
    ring_wake(ring, &ring->consumer_sleeps);
}

static inline uint64_t ring_receive(struct ring *ring, void *buffer) {
    if (ring->seen_tail == ring->own_head) {
        if (atomic_load_explicit(&ring->head, memory_order_relaxed) != ring->own_head)
            ring_publish_head(ring);
        ring->seen_tail = ring_await(ring, &ring->tail, ring->own_head, &ring->consumer_sleeps);
    }
    unsigned char *record = ring->bytes + ring->own_head % RING_BYTES;
    uint64_t size;
    memcpy(&size, record, 8);
    memcpy(buffer, record + 8, size);
    ring->own_head += 8 + (size + 7) / 8 * 8;
    if (ring->own_head - atomic_load_explicit(&ring->head, memory_order_relaxed) >= RING_BYTES / 4)
        ring_publish_head(ring);
    return size;
}

#endif

/* The limit of a stream between two processes: a byte ring for one producer and one consumer that
 * spin. Nothing is locked, nobody may die, nobody sleeps.
 *
 * It is mapped twice in a row, so that no record wraps; each side keeps a copy of the other's
 * position, and the consumer publishes its own only every quarter of the ring, or when it has read
 * everything. SPDX-License-Identifier: MIT */
#ifndef BENCH_RING_H
#define BENCH_RING_H

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#define RING_BYTES (UINT64_C(1) << 17)
#define RING_RECORD_MAX (RING_BYTES / 4)

struct ring {
    _Alignas(128) _Atomic uint64_t tail; /* bytes written, published */
    uint64_t seen_head;                  /* the producer's copy */
    uint64_t own_tail;                   /* the producer's */
    _Alignas(128) _Atomic uint64_t head; /* bytes read, published */
    uint64_t seen_tail;                  /* the consumer's copy */
    uint64_t own_head;                   /* the consumer's */
    _Alignas(128) unsigned char *bytes; /* 2 x RING_BYTES, the second half is the first once more */
};

static inline void ring_send(struct ring *ring, const void *data, uint64_t size) {
    uint64_t need = 8 + (size + 7) / 8 * 8;
    while (RING_BYTES - (ring->own_tail - ring->seen_head) < need)
        ring->seen_head = atomic_load_explicit(&ring->head, memory_order_acquire);
    unsigned char *record = ring->bytes + ring->own_tail % RING_BYTES;
    memcpy(record, &size, 8);
    memcpy(record + 8, data, size);
    ring->own_tail += need;
    atomic_store_explicit(&ring->tail, ring->own_tail, memory_order_release);
}

static inline uint64_t ring_receive(struct ring *ring, void *buffer) {
    if (ring->seen_tail == ring->own_head) {
        atomic_store_explicit(&ring->head, ring->own_head, memory_order_release);
        while ((ring->seen_tail = atomic_load_explicit(&ring->tail, memory_order_acquire)) ==
               ring->own_head)
            ;
    }
    unsigned char *record = ring->bytes + ring->own_head % RING_BYTES;
    uint64_t size;
    memcpy(&size, record, 8);
    memcpy(buffer, record + 8, size);
    ring->own_head += 8 + (size + 7) / 8 * 8;
    if (ring->own_head - atomic_load_explicit(&ring->head, memory_order_relaxed) >= RING_BYTES / 4)
        atomic_store_explicit(&ring->head, ring->own_head, memory_order_release);
    return size;
}

#endif

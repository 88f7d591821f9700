/* How a message lies in a segment.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CHAN_RECORD_H
#define MP__CHAN_RECORD_H

#include <stdint.h>
#include <string.h>

#include "chan/channel.h"
#include "os/cpu.h"

enum { MP__RECORD_HEAD_BYTES = 8, MP__RECORD_KIND_BITS = 3 };

static inline unsigned char *mp__record_at(struct segment_shared *segment, uint64_t position) {
    return segment->data + (position - segment->start);
}

static inline uint64_t mp__segment_end(const struct segment_shared *segment) {
    return segment->start + segment->size;
}

/* What a side works on: its position, or the start of its segment when it has just moved there. */
static inline uint64_t mp__side_at(const struct channel_side_shared *side) {
    uint64_t position = atomic_load_explicit(&side->position, memory_order_relaxed);
    uint64_t start = atomic_load_explicit(&side->segment, memory_order_relaxed)->start;
    return position > start ? position : start;
}

static inline uint64_t mp__record_header(enum mp__record_kind kind, uint64_t size) {
    return size << MP__RECORD_KIND_BITS | kind;
}
static inline enum mp__record_kind mp__record_kind(uint64_t header) {
    return (enum mp__record_kind)(header & ((1u << MP__RECORD_KIND_BITS) - 1));
}
static inline uint64_t mp__record_size(uint64_t header) {
    return header >> MP__RECORD_KIND_BITS;
}

/* Bytes that the record takes in its segment. */
static inline uint64_t mp__record_bytes(enum mp__record_kind kind, uint64_t size) {
    uint64_t payload = kind == MP__RECORD_INLINE ? size : sizeof(uint64_t);
    return MP__RECORD_HEAD_BYTES + ((payload + 7) & ~UINT64_C(7));
}

/* What a message counts against the channel's limit. An empty one in a pipe weighs something too.
 */
static inline uint64_t mp__record_weight(const struct channel_shared *channel, uint64_t size) {
    return channel->load_is_bytes ? size + MP__RECORD_HEAD_BYTES : 1;
}

static inline uint64_t mp__record_read(const unsigned char *record) {
    uint64_t word;
    memcpy(&word, record, sizeof word);
    return word;
}

static inline struct message_shared *mp__record_block(const unsigned char *payload) {
    struct message_shared *block;
    memcpy(&block, payload, sizeof block);
    return block;
}

static inline void mp__reader_read(struct mp__reader *reader, const unsigned char *record) {
    uint64_t header = mp__record_read(record);
    reader->kind = mp__record_kind(header);
    reader->size = mp__record_size(header);
    reader->payload = record + MP__RECORD_HEAD_BYTES;
}

/* Go to the next record, this one is dealt with. */
static inline void mp__reader_pass(struct mp__reader *reader) {
    reader->at += mp__record_bytes(reader->kind, reader->size);
    reader->load += mp__record_weight(reader->channel, reader->size);
}

/* The lines of the next records are in the cache of who read or wrote there last, and would be
 * waited for one by one: a guard is a fence, before or behind which each must come. So whoever has
 * dealt with a record fetches as much of what lies a little ahead. */
enum { MP__EXPECT_AHEAD = 512, MP__EXPECT_MOST = 1024, MP__EXPECT_LINE = 64 };

static inline void mp__record_expect_write(const unsigned char *next, uint64_t size) {
    for (uint64_t i = 0; i < size && i < MP__EXPECT_MOST; i += MP__EXPECT_LINE)
        mp__cpu_expect_write(next + MP__EXPECT_AHEAD + i);
}

/* Nothing beyond what has been put: that would take it away from who is about to put it. */
static inline void mp__record_expect_read(const unsigned char *next, uint64_t size, uint64_t put) {
    for (uint64_t i = 0; i < size && i < MP__EXPECT_MOST; i += MP__EXPECT_LINE)
        if (MP__EXPECT_AHEAD + i < put)
            __builtin_prefetch(next + MP__EXPECT_AHEAD + i);
}

/* Publish the blocks of the records between two positions of a segment. Doing it again does no
 * harm. */
void mp__record_publish_blocks(struct segment_shared *segment, uint64_t from, uint64_t to);

#define MP__SPARE_READY ((uintptr_t)1)

#endif

/* The head of a channel: looking at records, taking them, leaving segments behind.
 * SPDX-License-Identifier: MIT */
#include <assert.h>

#include "mp/base.h"

#include "base/point.h"
#include "chan/channel.h"
#include "chan/record.h"
#include "shm/heap.h"

void mp__reader_begin(struct mp__reader *reader, struct channel_shared *channel) {
    *reader = (struct mp__reader){
        .channel = channel,
        .at = mp__side_at(&channel->head),
        .load = atomic_load_explicit(&channel->head.load, memory_order_relaxed),
    };
}

/* Keep an empty segment for the next writer that needs one. Not ready yet, it is ours to recover;
 * ready, it is the writers'. */
static void keep_spare(struct channel_shared *channel, struct segment_shared *segment) {
    atomic_store_explicit(&channel->spare, (uintptr_t)segment, memory_order_release);
    MP__POINT("channel.leave.offered");
    mp__heap_publish(segment);
    MP__POINT("channel.leave.published");
    atomic_store_explicit(&channel->spare, (uintptr_t)segment | MP__SPARE_READY,
                          memory_order_release);
    MP__POINT("channel.leave.kept");
}

/* Everything in the segment is got and committed, and there is more behind it. */
static struct segment_shared *leave_segment(struct channel_shared *channel,
                                            struct segment_shared *segment) {
    struct segment_shared *next = atomic_load_explicit(&segment->next, memory_order_acquire);
    assert(next);
    if (segment->is_block)
        mp__heap_take(segment);
    MP__POINT("channel.leave.taken");
    atomic_store_explicit(&channel->head.segment, next, memory_order_release);
    MP__POINT("channel.leave.moved");
    if (!segment->is_block)
        return next;
    if (atomic_load_explicit(&channel->spare, memory_order_acquire) == 0)
        keep_spare(channel, segment);
    else
        mp__heap_free(segment);
    return next;
}

static bool is_at_end(struct mp__reader *reader) {
    struct channel_shared *channel = reader->channel;
    if (reader->at < atomic_load_explicit(&channel->head.seen, memory_order_relaxed))
        return false;
    uint64_t end = atomic_load_explicit(&channel->tail.position, memory_order_acquire);
    atomic_store_explicit(&channel->head.seen, end, memory_order_relaxed);
    MP__POINT("channel.get.seen");
    return reader->at >= end;
}

static void expect_read(const struct mp__reader *reader) {
    struct channel_side_shared *head = &reader->channel->head;
    uint64_t size = mp__record_bytes(reader->kind, reader->size), next = reader->at + size;
    uint64_t seen = atomic_load_explicit(&head->seen, memory_order_relaxed);
    if (next < seen)
        mp__record_expect_read(reader->payload - MP__RECORD_HEAD_BYTES + size, size, seen - next);
}

bool mp__reader_look(struct mp__reader *reader) {
    struct channel_shared *channel = reader->channel;
    struct segment_shared *segment =
        atomic_load_explicit(&channel->head.segment, memory_order_relaxed);
    while (!is_at_end(reader)) {
        if (reader->at < mp__segment_end(segment)) {
            mp__reader_read(reader, mp__record_at(segment, reader->at));
            if (reader->kind != MP__RECORD_SKIP) {
                expect_read(reader);
                return true;
            }
        }
        mp__reader_commit(reader);
        segment = leave_segment(channel, segment);
        reader->at = segment->start;
    }
    return false;
}

/* The lines that say whose the next block is, and what it holds, are where it was put. */
static void expect_next(struct mp__reader *reader) {
    uint64_t next = reader->at + mp__record_bytes(reader->kind, reader->size);
    struct channel_side_shared *head = &reader->channel->head;
    struct segment_shared *segment = atomic_load_explicit(&head->segment, memory_order_relaxed);
    if (next >= atomic_load_explicit(&head->seen, memory_order_relaxed) ||
        next >= mp__segment_end(segment))
        return;
    const unsigned char *record = mp__record_at(segment, next);
    if (mp__record_kind(mp__record_read(record)) == MP__RECORD_BLOCK)
        mp__heap_expect(mp__record_block(record + MP__RECORD_HEAD_BYTES));
}

struct message_shared *mp__reader_take(struct mp__reader *reader) {
    struct message_shared *block = mp__record_block(reader->payload);
    atomic_store_explicit(&reader->channel->head.next_position,
                          reader->at + mp__record_bytes(reader->kind, reader->size),
                          memory_order_release);
    MP__POINT("channel.get.intended");
    mp__heap_take(block);
    MP__POINT("channel.get.block_taken");
    expect_next(reader);
    return block;
}

void mp__reader_commit(struct mp__reader *reader) {
    struct channel_side_shared *head = &reader->channel->head;
    if (atomic_load_explicit(&head->load, memory_order_relaxed) == reader->load)
        return;
    atomic_store_explicit(&head->next_position, reader->at, memory_order_release);
    MP__POINT("channel.get.position_intended");
    atomic_store_explicit(&head->next_load, reader->load, memory_order_release);
    MP__POINT("channel.get.load_intended");
    atomic_store_explicit(&head->position, reader->at, memory_order_release);
    MP__POINT("channel.get.passed");
    atomic_store_explicit(&head->load, reader->load, memory_order_release);
    MP__POINT("channel.get.counted");
}

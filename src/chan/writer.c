/* The tail of a channel: writing records, publishing them, adding segments.
 * SPDX-License-Identifier: MIT */
#include <assert.h>
#include <errno.h>

#include "mp/base.h"

#include "base/point.h"
#include "chan/channel.h"
#include "chan/record.h"
#include "shm/heap.h"

void mp__writer_begin(struct mp__writer *writer, struct channel_shared *channel) {
    *writer = (struct mp__writer){
        .channel = channel,
        .at = mp__side_at(&channel->tail),
        .load = atomic_load_explicit(&channel->tail.load, memory_order_relaxed),
    };
}

bool mp__writer_has_room(struct mp__writer *writer, uint64_t size) {
    struct channel_shared *channel = writer->channel;
    if (channel->limit == 0)
        return true;
    uint64_t weight = mp__record_weight(channel, size);
    uint64_t seen = atomic_load_explicit(&channel->tail.seen, memory_order_relaxed);
    if (writer->load - seen + weight <= channel->limit)
        return true;
    seen = atomic_load_explicit(&channel->head.load, memory_order_acquire);
    atomic_store_explicit(&channel->tail.seen, seen, memory_order_relaxed);
    MP__POINT("channel.put.seen");
    uint64_t load = writer->load - seen;
    return load == 0 || load + weight <= channel->limit;
}

/* The segment that the readers have left behind, ours now. */
static struct segment_shared *take_spare(struct channel_shared *channel) {
    uintptr_t spare = atomic_load_explicit(&channel->spare, memory_order_acquire);
    if (!(spare & MP__SPARE_READY))
        return NULL;
    struct segment_shared *segment = (struct segment_shared *)(spare & ~MP__SPARE_READY);
    mp__heap_take(segment);
    MP__POINT("channel.extend.spare_taken");
    atomic_store_explicit(&channel->spare, 0, memory_order_release);
    MP__POINT("channel.extend.spare_cleared");
    return segment;
}

static struct segment_shared *make_segment(struct channel_shared *channel, uint64_t in_use) {
    struct segment_shared *segment = take_spare(channel);
    if (segment)
        return segment;
    size_t bytes =
        in_use > MP__SEGMENT_SMALL_BYTES ? MP__SEGMENT_LARGE_BYTES : MP__SEGMENT_SMALL_BYTES;
    segment = mp__heap_alloc(bytes);
    if (!segment)
        return NULL;
    MP__POINT("channel.extend.allocated");
    segment->size = bytes - sizeof *segment;
    segment->is_block = 1;
    return segment;
}

/* The next segment, linked; one that somebody linked and died before using it will do. */
static struct segment_shared *link_segment(struct mp__writer *writer, struct segment_shared *last) {
    struct segment_shared *next = atomic_load_explicit(&last->next, memory_order_relaxed);
    if (next)
        return next;
    struct channel_shared *channel = writer->channel;
    next = make_segment(
        channel, writer->at - atomic_load_explicit(&channel->head.position, memory_order_relaxed));
    if (!next)
        return NULL;
    atomic_store_explicit(&next->next, NULL, memory_order_relaxed);
    next->start = mp__segment_end(last);
    atomic_store_explicit(&last->next, next, memory_order_release);
    MP__POINT("channel.extend.linked");
    mp__heap_publish(next);
    MP__POINT("channel.extend.published");
    return next;
}

/* Go on in another segment. What was written is published first, so that what a recovery has to
 * finish always lies in one segment. */
static int extend(struct mp__writer *writer) {
    mp__writer_publish(writer);
    struct channel_side_shared *tail = &writer->channel->tail;
    struct segment_shared *last = atomic_load_explicit(&tail->segment, memory_order_relaxed);
    struct segment_shared *next = link_segment(writer, last);
    if (!next)
        return -ENOMEM;
    if (writer->at < mp__segment_end(last)) {
        uint64_t header = mp__record_header(MP__RECORD_SKIP, 0);
        memcpy(mp__record_at(last, writer->at), &header, sizeof header);
        MP__POINT("channel.extend.skipped");
    }
    atomic_store_explicit(&tail->segment, next, memory_order_release);
    MP__POINT("channel.extend.moved");
    writer->at = next->start;
    return 0;
}

int mp__writer_write(struct mp__writer *writer, const struct mp__outgoing *message) {
    uint64_t need = mp__record_bytes(message->kind, message->size);
    struct channel_side_shared *tail = &writer->channel->tail;
    struct segment_shared *segment = atomic_load_explicit(&tail->segment, memory_order_relaxed);
    if (mp__segment_end(segment) - writer->at < need) {
        int code = extend(writer);
        if (code < 0)
            return code;
        segment = atomic_load_explicit(&tail->segment, memory_order_relaxed);
        assert(segment->size >= need);
    }
    unsigned char *record = mp__record_at(segment, writer->at);
    uint64_t header = mp__record_header(message->kind, message->size);
    memcpy(record, &header, sizeof header);
    if (message->kind == MP__RECORD_BLOCK)
        memcpy(record + MP__RECORD_HEAD_BYTES, &message->data, sizeof message->data);
    else if (message->kind == MP__RECORD_HANDLE)
        memcpy(record + MP__RECORD_HEAD_BYTES, message->data, sizeof(uint64_t));
    else if (message->size > 0)
        memcpy(record + MP__RECORD_HEAD_BYTES, message->data, message->size);
    MP__POINT("channel.put.written");
    mp__record_expect_write(record + need, need);
    writer->at += need;
    writer->load += mp__record_weight(writer->channel, message->size);
    writer->count++;
    writer->has_blocks |= message->kind == MP__RECORD_BLOCK;
    return 0;
}

void mp__writer_publish(struct mp__writer *writer) {
    if (writer->count == 0)
        return;
    struct channel_side_shared *tail = &writer->channel->tail;
    atomic_store_explicit(&tail->next_load, writer->load, memory_order_release);
    MP__POINT("channel.put.load_intended");
    atomic_store_explicit(&tail->next_position, writer->at, memory_order_release);
    MP__POINT("channel.put.intended");
    if (writer->has_blocks)
        mp__record_publish_blocks(atomic_load_explicit(&tail->segment, memory_order_relaxed),
                                  mp__side_at(tail), writer->at);
    atomic_store_explicit(&tail->load, writer->load, memory_order_release);
    MP__POINT("channel.put.counted");
    atomic_store_explicit(&tail->position, writer->at, memory_order_release);
    MP__POINT("channel.put.published");
    writer->count = 0;
    writer->has_blocks = false;
}

/* Giving back the side of a channel in which a process died; checking a whole channel.
 * SPDX-License-Identifier: MIT */
#include "mp/base.h"

#include "base/fail.h"
#include "base/point.h"
#include "chan/channel.h"
#include "chan/record.h"
#include "os/futex.h"
#include "reg/recover.h"
#include "shm/heap.h"

void mp__record_publish_blocks(struct segment_shared *segment, uint64_t from, uint64_t to) {
    while (from < to) {
        const unsigned char *record = mp__record_at(segment, from);
        uint64_t header = mp__record_read(record);
        enum mp__record_kind kind = mp__record_kind(header);
        if (kind == MP__RECORD_BLOCK)
            mp__heap_publish(mp__record_block(record + MP__RECORD_HEAD_BYTES));
        MP__POINT("channel.publish.block");
        from += mp__record_bytes(kind, mp__record_size(header));
    }
}

/* What was meant to be put is all there: finish it. A segment that was linked is the channel's. A
 * spare one still in its place goes back, although the dead one had taken it. */
static void recover_tail(void *object, uint32_t dead_thread) {
    struct channel_shared *channel = object;
    struct channel_side_shared *tail = &channel->tail;
    if (mp__guard_owner(&tail->guard) == dead_thread) {
        struct segment_shared *segment = atomic_load(&tail->segment);
        struct segment_shared *next = atomic_load(&segment->next);
        if (next)
            mp__heap_publish(next);
        uintptr_t spare = atomic_load(&channel->spare);
        if (spare & MP__SPARE_READY)
            mp__heap_publish((void *)(spare & ~MP__SPARE_READY));
        uint64_t position = atomic_load(&tail->next_position);
        bool is_finished = position > atomic_load(&tail->position);
        mp__recover_note("channel", channel,
                         is_finished ? "it died putting; what it put is there"
                                     : "it died putting; a message not all there is discarded");
        if (is_finished) {
            mp__record_publish_blocks(segment, mp__side_at(tail), position);
            atomic_store(&tail->load, atomic_load(&tail->next_load));
            atomic_store(&tail->position, position);
            MP__POINT("channel.recover.finished");
        }
    }
    mp__guard_recover(&tail->guard, dead_thread, false);
    MP__POINT("channel.recover.tail_freed");
    mp__gate_notify(&channel->readable, MP__WAKE_ALL);
    mp__gate_notify(&channel->writable, MP__WAKE_ALL);
}

/* What was being got is still there unless its last store was made: give the blocks back. */
static void undo_get(struct channel_side_shared *head, struct segment_shared *segment) {
    uint64_t position = atomic_load(&head->position);
    uint64_t intended = atomic_load(&head->next_position);
    if (intended == position) {
        atomic_store(&head->load, atomic_load(&head->next_load));
        return;
    }
    mp__record_publish_blocks(segment, mp__side_at(head), intended);
    atomic_store(&head->next_load, atomic_load(&head->load));
    MP__POINT("channel.recover.load_undone");
    atomic_store(&head->next_position, position);
    MP__POINT("channel.recover.undone");
}

static void recover_head(void *object, uint32_t dead_thread) {
    struct channel_shared *channel = object;
    struct channel_side_shared *head = &channel->head;
    if (mp__guard_owner(&head->guard) == dead_thread) {
        struct segment_shared *segment = atomic_load(&head->segment);
        if (segment->is_block)
            mp__heap_publish(segment);
        uintptr_t spare = atomic_load(&channel->spare);
        if (spare != 0 && !(spare & MP__SPARE_READY)) {
            mp__heap_publish((void *)spare);
            atomic_store(&channel->spare, spare | MP__SPARE_READY);
            MP__POINT("channel.recover.spare_kept");
        }
        mp__recover_note("channel", channel, "it died getting; what it has not got is there");
        undo_get(head, segment);
    }
    mp__guard_recover(&head->guard, dead_thread, false);
    MP__POINT("channel.recover.head_freed");
    mp__gate_notify(&channel->readable, MP__WAKE_ALL);
    mp__gate_notify(&channel->writable, MP__WAKE_ALL);
}

MP__RECOVER(MP__HOLDING_CHANNEL_PUT, recover_tail)
MP__RECOVER(MP__HOLDING_CHANNEL_GET, recover_head)

struct walk {
    uint64_t at;   /* position reached */
    uint64_t end;  /* the tail's position */
    uint64_t load; /* of the records passed */
};

static int check_records(struct channel_shared *channel, struct segment_shared *segment,
                         struct walk *walk) {
    while (walk->at < walk->end && walk->at < mp__segment_end(segment)) {
        const unsigned char *record = mp__record_at(segment, walk->at);
        uint64_t header = mp__record_read(record);
        enum mp__record_kind kind = mp__record_kind(header);
        uint64_t bytes = mp__record_bytes(kind, mp__record_size(header));
        if (kind == MP__RECORD_SKIP)
            return 0;
        if (kind > MP__RECORD_SKIP || walk->at + bytes > mp__segment_end(segment))
            return mp__fail(MP_ESTATE, "channel %p: no record at %llu", (void *)channel,
                            (unsigned long long)walk->at);
        if (kind == MP__RECORD_BLOCK &&
            !mp__heap_is_block(mp__record_block(record + MP__RECORD_HEAD_BYTES)))
            return mp__fail(MP_ESTATE, "channel %p: the message at %llu is no block",
                            (void *)channel, (unsigned long long)walk->at);
        walk->load += mp__record_weight(channel, mp__record_size(header));
        walk->at += bytes;
    }
    return 0;
}

int mp__channel_check(struct channel_shared *channel) {
    struct walk walk = {mp__side_at(&channel->head), atomic_load(&channel->tail.position), 0};
    struct segment_shared *segment = atomic_load(&channel->head.segment);
    for (;;) {
        int code = check_records(channel, segment, &walk);
        if (code < 0)
            return code;
        if (walk.at >= walk.end)
            break;
        segment = atomic_load(&segment->next);
        if (!segment)
            return mp__fail(MP_ESTATE, "channel %p ends at %llu, not at %llu", (void *)channel,
                            (unsigned long long)walk.at, (unsigned long long)walk.end);
        walk.at = segment->start;
    }
    if (walk.load != mp__channel_load(channel))
        return mp__fail(MP_ESTATE, "channel %p holds %llu, but counts %llu", (void *)channel,
                        (unsigned long long)walk.load,
                        (unsigned long long)mp__channel_load(channel));
    return 0;
}

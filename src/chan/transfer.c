/* Copies messages, the large ones without holding anybody up.
 * SPDX-License-Identifier: MIT */
#include "chan/transfer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/record.h"
#include "shm/heap.h"

int mp__outgoing_make(struct mp__outgoing *out, const void *data, size_t size) {
    *out = (struct mp__outgoing){MP__RECORD_INLINE, data, size};
    if (size <= MP__CHANNEL_INLINE_MAX)
        return 0;
    struct message_shared *block = mp__message_alloc(size);
    if (!block)
        return -ENOMEM;
    mp__message_fill(block, data, size);
    MP__POINT("channel.put.copied");
    out->kind = MP__RECORD_BLOCK;
    out->data = block;
    return 0;
}

void mp__outgoing_drop(struct mp__outgoing *out) {
    if (out->kind == MP__RECORD_BLOCK)
        mp__heap_free((void *)out->data);
}

/* Where the bytes go: known before anything is taken, so that failing leaves the message. */
int mp__intake_prepare(struct mp__intake *intake, uint64_t size, bool is_copied) {
    intake->size = size;
    intake->block = NULL;
    if (size > intake->capacity)
        return mp__fail(MP_ETOOSHORT, "the next message has %llu bytes, there is room for %llu",
                        (unsigned long long)size, (unsigned long long)intake->capacity);
    if (intake->mode == MP__INTAKE_ALLOC) {
        intake->data = malloc(size > 0 ? size : 1);
        if (!intake->data)
            return mp__fail(-ENOMEM, "no memory for a message of %llu bytes",
                            (unsigned long long)size);
    } else if (intake->mode == MP__INTAKE_MESSAGE && is_copied) {
        intake->block = mp__message_alloc(size);
        if (!intake->block)
            return -ENOMEM;
        intake->data = intake->block->data;
    }
    return 0;
}

int mp__intake_take(struct mp__intake *intake, struct mp__reader *reader) {
    int code = mp__intake_prepare(intake, reader->size, reader->kind == MP__RECORD_INLINE);
    if (code < 0)
        return code;
    if (reader->kind == MP__RECORD_BLOCK)
        intake->block = mp__reader_take(reader);
    else if (reader->size > 0)
        memcpy(intake->data, reader->payload, reader->size);
    MP__POINT("channel.get.copied");
    if (reader->size >= MP__CHANNEL_NOTED_BYTES)
        mp__channel_note_size(reader->size);
    mp__reader_pass(reader);
    mp__reader_commit(reader);
    return 0;
}

void mp__intake_finish(struct mp__intake *intake) {
    if (intake->mode == MP__INTAKE_MESSAGE || !intake->block)
        return;
    if (intake->size > 0)
        memcpy(intake->data, intake->block->data, intake->size);
    MP__POINT("channel.get.block_copied");
    atomic_store_explicit(&intake->block->kind, 0, memory_order_relaxed);
    mp__heap_free(intake->block);
    intake->block = NULL;
}

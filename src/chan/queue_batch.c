/* Many messages under one lock, and messages that move by pointer.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/queue.h"
#include "chan/record.h"
#include "chan/transfer.h"

/* Below that a message is copied into the segment: cheaper than a block for each. */
enum { COPY_BELOW_BYTES = 256 };

enum { COPY_WORDS_BYTES = 32 };

/* Small messages from list[0] on, as many as there is room for: how many, or -ENOMEM with none. */
static int put_run(struct mp__queue_call *call, const mp_bytes *list, size_t count, size_t *put) {
    int code = mp__queue_lock_tail(call);
    if (code < 0)
        return code;
    struct mp__writer writer;
    mp__writer_begin(&writer, call->channel);
    size_t done = 0;
    for (; done < count && list[done].size <= MP__CHANNEL_INLINE_MAX; done++) {
        if (!mp__writer_has_room(&writer, list[done].size))
            break;
        struct mp__outgoing message = {MP__RECORD_INLINE, list[done].data, list[done].size};
        code = mp__writer_write(&writer, &message);
        if (code < 0)
            break;
    }
    mp__writer_publish(&writer);
    mp__queue_unlock_tail(call, done > 0);
    *put += done;
    return code;
}

static int put_block(struct mp__queue_call *call, const mp_bytes *bytes, size_t *put) {
    struct mp__outgoing message;
    int code = call->queue->redelivers ? mp__lease_make(&message, bytes->data, bytes->size)
                                       : mp__outgoing_make(&message, bytes->data, bytes->size);
    if (code < 0)
        return code;
    code = mp__queue_put_item(call, &message);
    if (code < 0)
        mp__outgoing_drop(&message);
    else
        *put += 1;
    return code;
}

static int put_all(struct mp__queue_call *call, const mp_bytes *list, size_t count, size_t *put) {
    unsigned round = 0;
    while (*put < count) {
        size_t before = *put;
        const mp_bytes *next = list + before;
        bool is_block = next->size > MP__CHANNEL_INLINE_MAX || call->queue->redelivers;
        int code = is_block ? put_block(call, next, put) : put_run(call, next, count - before, put);
        if (code == 0 && *put == before)
            code = mp__queue_wait_room(call, round++);
        else
            round = 0;
        if (code < 0)
            return code;
    }
    return 0;
}

int mp_queue_put_many(mp_queue *queue, const mp_bytes *messages, size_t count, size_t *put,
                      double timeout) {
    struct mp__queue_call call;
    size_t done = 0;
    int code = mp__queue_begin(&call, queue, timeout, "mp_queue_put_many");
    if (code == 0 && !messages && count > 0)
        code = mp__fail(MP_EINVAL, "mp_queue_put_many: messages is NULL");
    for (size_t i = 0; i < count && code == 0; i++)
        if (!messages[i].data && messages[i].size > 0)
            code = mp__fail(MP_EINVAL, "mp_queue_put_many: messages[%zu].data is NULL", i);
    if (code == 0)
        code = put_all(&call, messages, count, &done);
    if (put)
        *put = done;
    return code;
}

/* What lies ahead in the reader's segment. */
struct run {
    size_t count;   /* messages */
    size_t small;   /* those of them that are not blocks */
    uint64_t bytes; /* that the small ones need */
};

static struct run measure_run(const struct mp__reader *reader, struct segment_shared *segment,
                              size_t most) {
    struct run run = {0};
    struct mp__reader ahead = *reader;
    uint64_t seen = atomic_load_explicit(&reader->channel->head.seen, memory_order_relaxed);
    uint64_t end = mp__segment_end(segment);
    for (end = seen < end ? seen : end; run.count < most && ahead.at < end; run.count++) {
        mp__reader_read(&ahead, mp__record_at(segment, ahead.at));
        if (ahead.kind == MP__RECORD_SKIP)
            break;
        run.small += ahead.kind == MP__RECORD_INLINE;
        run.bytes += ahead.kind == MP__RECORD_INLINE ? mp__batch_bytes(ahead.size) : 0;
        mp__reader_pass(&ahead);
    }
    return run;
}

/* Small ones word by word: a call would cost more. Records and messages are whole words. */
static inline void copy_words(unsigned char *to, const unsigned char *from, uint64_t size) {
    if (size > COPY_WORDS_BYTES) {
        memcpy(to, from, size);
        return;
    }
    for (uint64_t i = 0; i < size; i += sizeof(uint64_t))
        memcpy(to + i, from + i, sizeof(uint64_t));
}

static inline struct message_shared *take_one(struct mp__reader *reader,
                                              struct batch_shared *batch) {
    if (reader->kind == MP__RECORD_BLOCK)
        return mp__reader_take(reader);
    struct message_shared *message = mp__batch_add(batch, reader->size);
    copy_words(message->data, reader->payload, reader->size);
    return message;
}

/* All of a run, with one block for all that is small. */
static int take_run(struct mp__reader *reader, mp_message **out, size_t capacity, size_t *got) {
    struct segment_shared *segment =
        atomic_load_explicit(&reader->channel->head.segment, memory_order_relaxed);
    struct run run = measure_run(reader, segment, capacity);
    struct batch_shared *batch = NULL;
    if (run.small > 0 && !(batch = mp__batch_alloc(run.bytes)))
        return -ENOMEM;
    for (size_t i = 0; i < run.count; i++) {
        mp__reader_read(reader, mp__record_at(segment, reader->at));
        out[i] = (mp_message *)take_one(reader, batch);
        mp__reader_pass(reader);
    }
    if (batch)
        mp__batch_seal(batch, run.small);
    MP__POINT("queue.get_many.filled");
    mp__reader_commit(reader);
    *got += run.count;
    return 0;
}

/* Each with a lease of its own. */
static int get_leased(struct mp__queue_call *call, mp_message **out, size_t capacity, size_t *got) {
    size_t count = 0;
    int code = 0;
    for (; count < capacity && code == 0; call->deadline = 0) {
        struct mp__intake intake = {MP__INTAKE_MESSAGE, NULL, UINT64_MAX};
        code = mp__lease_get(call, &intake);
        if (code == 0)
            out[count++] = (mp_message *)intake.block;
    }
    if (count == 0)
        return code;
    *got = count;
    return 0;
}

int mp_queue_get_many(mp_queue *queue, mp_message **out, size_t capacity, size_t *got,
                      double timeout) {
    struct mp__queue_call call;
    int code = mp__queue_begin(&call, queue, timeout, "mp_queue_get_many");
    if (code < 0)
        return code;
    if (!out || !got || capacity == 0)
        return mp__fail(MP_EINVAL, "mp_queue_get_many: out or got is NULL, or capacity is 0");
    if (call.queue->redelivers)
        return get_leased(&call, out, capacity, got);
    struct mp__reader reader;
    code = mp__queue_lock_head(&call, &reader);
    if (code < 0)
        return code;
    size_t count = 0;
    do
        code = take_run(&reader, out + count, capacity - count, &count);
    while (code == 0 && count < capacity && mp__reader_look(&reader));
    mp__queue_unlock_head(&call);
    if (count == 0)
        return code;
    *got = count;
    return 0;
}

/* With room for a lease it moves, like others; else a copy that has it. */
static int put_leased(struct mp__queue_call *call, struct message_shared *message) {
    struct mp__outgoing out = {MP__RECORD_BLOCK, message, message->size};
    bool is_copied = !mp__lease_fits(message);
    int code = is_copied ? mp__lease_make(&out, message->data, message->size) : 0;
    if (code < 0)
        return code;
    code = mp__queue_put_item(call, &out);
    if (is_copied && code < 0)
        mp__outgoing_drop(&out);
    if (is_copied && code == 0)
        mp_message_free((mp_message *)message);
    return code;
}

/* A small one, or one of a batch, is copied; the block goes when the copy is in the queue. */
int mp_queue_put_message(mp_queue *queue, mp_message *message, double timeout) {
    struct mp__queue_call call;
    int code = mp__queue_begin(&call, queue, timeout, "mp_queue_put_message");
    if (code < 0)
        return code;
    struct message_shared *shared = (struct message_shared *)message;
    code = mp__kind_check(shared, MP__KIND_MESSAGE, "mp_queue_put_message", "message");
    if (code < 0)
        return code;
    if (call.queue->redelivers)
        return put_leased(&call, shared);
    bool is_copied = shared->batch != 0 || shared->size < COPY_BELOW_BYTES;
    struct mp__outgoing out = {
        .kind = is_copied ? MP__RECORD_INLINE : MP__RECORD_BLOCK,
        .data = is_copied ? (const void *)shared->data : shared,
        .size = shared->size,
    };
    code = mp__queue_put_item(&call, &out);
    if (code == 0 && is_copied)
        mp_message_free(message);
    return code;
}

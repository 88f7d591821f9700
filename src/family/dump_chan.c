/* Lines about queues and pipes.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "chan/local.h"
#include "chan/pipe.h"
#include "chan/queue.h"
#include "chan/stream.h"
#include "family/dump.h"

/* Copies have other addresses: the two loads, not mp__channel_load's order of them. */
static uint64_t load_of(const struct channel_shared *channel) {
    uint64_t head = atomic_load(&channel->head.load), tail = atomic_load(&channel->tail.load);
    return tail > head ? tail - head : 0;
}

/* Who is in the middle of it: of a channel held for moments, unless stopped. */
static void dump_side(FILE *stream, const char *text, const struct mp__guard *guard) {
    uint32_t owner = mp__guard_owner(guard);
    if (owner == 0)
        return;
    fprintf(stream, ", %s by ", text);
    mp__dump_thread(stream, owner);
}

void mp__dump_queue(const struct mp__sight *sight, uint32_t kind) {
    (void)kind;
    const struct queue_shared *queue = sight->object;
    const struct channel_shared *channel = &queue->channel;
    fprintf(sight->stream, "queue %p length %" PRIu64, sight->block, load_of(channel));
    if (channel->limit > 0)
        fprintf(sight->stream, ", limit %" PRIu64, channel->limit);
    if (queue->is_joinable)
        fprintf(sight->stream, ", unfinished %" PRIu64,
                atomic_load(&channel->tail.load) - atomic_load(&queue->done));
    if (mp__local_find(sight->block, queue->serial))
        fputs(", closed here", sight->stream);
    dump_side(sight->stream, "put", &channel->tail.guard);
    dump_side(sight->stream, "got", &channel->head.guard);
    fputc('\n', sight->stream);
    mp__dump_waiters(sight);
}

void mp__dump_pipe(const struct mp__sight *sight, uint32_t kind) {
    (void)kind;
    const struct pipe_shared *pipe = sight->object;
    uint32_t ends = atomic_load(&pipe->ends);
    const char *first = sight->block;
    const char *second = first + offsetof(struct pipe_shared, second);
    size_t whole = sizeof *pipe + 2 * sizeof pipe->channels[0];
    fprintf(sight->stream, "pipe %p ends %u, %" PRIu64 " bytes for connection %p", sight->block,
            ends & MP__PIPE_ENDING ? 0 : (unsigned)__builtin_popcount(ends),
            load_of(&pipe->channels[0]), (const void *)first);
    if (pipe->channel_count == 2 && sight->size >= whole)
        fprintf(sight->stream, ", %" PRIu64 " for %p", load_of(&pipe->channels[1]),
                (const void *)second);
    for (uint32_t i = 0; i < pipe->channel_count && i < 2 && sight->size >= whole; i++) {
        dump_side(sight->stream, "sent", &pipe->channels[i].tail.guard);
        dump_side(sight->stream, "received", &pipe->channels[i].head.guard);
    }
    fputc('\n', sight->stream);
    mp__dump_waiters(sight);
}

void mp__dump_stream(const struct mp__sight *sight, uint32_t kind) {
    (void)kind;
    const struct stream_shared *stream = sight->object;
    fprintf(sight->stream, "connection %p over a socket", sight->block);
    if (stream->head_size > 0)
        fprintf(sight->stream, ", %" PRIu64 " bytes of a message kept", stream->kept_size);
    if (atomic_load(&stream->receive_torn) && mp__guard_owner(&stream->receiving) == 0)
        fputs(", receives no more", sight->stream);
    if (atomic_load(&stream->send_torn) && mp__guard_owner(&stream->sending) == 0)
        fputs(", sends no more", sight->stream);
    dump_side(sight->stream, "sent", &stream->sending);
    dump_side(sight->stream, "received", &stream->receiving);
    fputc('\n', sight->stream);
    mp__dump_waiters(sight);
}

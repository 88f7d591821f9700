/* A stream of messages in the arena, from many writers to many readers: what queues and pipes are.
 * SPDX-License-Identifier: MIT
 *
 *     head.position                                            tail.position
 *          |                                                        |
 *     +----v-----------------------+     +--------------------------v---+
 *     | gone | record | record |skip| -> | record | record | record |   |     segments
 *     +----------------------------+     +------------------------------+
 *     head.segment                       tail.segment
 *
 * Positions count bytes since the beginning and only grow. A record is 8 bytes of header (size << 3
 * | kind) and a payload, rounded up to 8; it never crosses the end of its segment. A position may
 * lie before the start of its side's segment: then the next record is at that start.
 *
 * Each side has its guard. One store of its position is the whole hand-over: before it nothing has
 * been put or got, after it everything.
 *
 *     put: write records; next_load; next_position (from here on recovery finishes it);
 *          publish blocks; load; position
 *     get: next_position (from here on recovery publishes the blocks again); take blocks;
 *          next_load; position; load
 *     so at any time: load of the head <= what was got, what was put <= load of the tail
 *
 *     new segment: a block of ours until it is linked by `next`, then published
 *     left segment: taken (ours), unlinked by head.segment, then freed or kept as the spare one
 *
 * A writer that finds a spare segment takes it, so that two segments serve a channel whose readers
 * keep up, whatever goes through it. */
#ifndef MP__CHAN_CHANNEL_H
#define MP__CHAN_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "reg/thread.h"
#include "sync/gate.h"
#include "sync/guard.h"

#include "chan/message.h"

#define MP__CHANNEL_FIRST_BYTES \
    2368                              /* of the embedded segment: an empty queue stays below 3 KiB \
                                       */
#define MP__CHANNEL_INLINE_MAX 4096   /* larger messages go as blocks */
#define MP__SEGMENT_SMALL_BYTES 16384 /* blocks, their heads included */
#define MP__SEGMENT_LARGE_BYTES 65536

enum mp__record_kind {
    MP__RECORD_INLINE, /* the bytes themselves */
    MP__RECORD_BLOCK,  /* a pointer to a struct message_shared */
    MP__RECORD_HANDLE, /* the number of a descriptor in the socket of a pipe */
    MP__RECORD_SKIP,   /* the rest of the segment is empty */
};

struct segment_shared {
    _Atomic(struct segment_shared *) next; /* NULL: the last; set once, under the tail's guard */
    uint64_t start;                        /* position of data[0]; written before it is linked */
    uint64_t size;                         /* bytes of data, a multiple of 8 */
    uint64_t is_block;                     /* 0: the one embedded in its channel */
    unsigned char data[];                  /* records */
};

/* The first line is this side's own. The other side looks at the second one only, and no more often
 * than it must: each look takes the line away from here. */
struct channel_side_shared {
    struct mp__guard guard; /* guards the rest, as MP__HOLDING_CHANNEL_PUT or _GET */
    uint32_t reserved;      /* 0 */
    _Atomic(struct segment_shared *) segment; /* where the next record is */
    _Atomic uint64_t next_position;           /* what position is about to become, or is */
    _Atomic uint64_t next_load;               /* what load is about to become, or is */
    _Atomic uint64_t seen; /* tail: head.load, head: tail.position as last looked at */
    _Alignas(64) _Atomic uint64_t position; /* bytes put / got since the beginning */
    _Atomic uint64_t load;                  /* put / got: messages, or bytes with load_is_bytes */
    _Atomic uint64_t last_user; /* pipes: mp__member_ref of who received here last; 0 unknown */
};

struct channel_shared {
    _Alignas(64) struct channel_side_shared tail; /* the writers' lines */
    _Alignas(64) struct channel_side_shared head; /* the readers' lines */
    struct mp__gate readable;                     /* readers sleep here while it is empty */
    struct mp__gate writable;                     /* writers sleep here while it is full */
    uint64_t limit;                               /* highest load between the sides; 0: none */
    _Atomic uintptr_t spare;                      /* an empty segment | 1; without 1: being given */
    uint32_t load_is_bytes;                       /* 1: a record weighs its bytes; 0: it weighs 1 */
    uint32_t reserved[7];                         /* 0 */
    unsigned char first[sizeof(struct segment_shared) + MP__CHANNEL_FIRST_BYTES];
};
_Static_assert(sizeof(struct channel_side_shared) == 128, "two lines for each side");

/* In zeroed memory, aligned to 64. */
void mp__channel_init(struct channel_shared *channel, uint64_t limit, bool load_is_bytes);
/* Free all that it holds; nobody uses it any more. The channel's own memory is the caller's. */
void mp__channel_end(struct channel_shared *channel);
/* Before that: make all that it holds the blocks of a member, so that they are freed if it dies. */
void mp__channel_give(struct channel_shared *channel, uint32_t member);
/* Compare everything with everything while nobody uses it: 0, or MP_ESTATE with a detail. */
int mp__channel_check(struct channel_shared *channel);

static inline bool mp__channel_is_empty(const struct channel_shared *channel) {
    return atomic_load_explicit(&channel->head.position, memory_order_acquire) ==
           atomic_load_explicit(&channel->tail.position, memory_order_acquire);
}
/* Do the readers know of messages without looking at the writers' lines? */
static inline bool mp__channel_has_seen(const struct channel_shared *channel) {
    return atomic_load_explicit(&channel->head.next_position, memory_order_relaxed) <
           atomic_load_explicit(&channel->head.seen, memory_order_relaxed);
}
/* Messages, or bytes, between the two sides now. */
uint64_t mp__channel_load(const struct channel_shared *channel);

/* For who has got a message of that size, when it is not a small one. */
#define MP__CHANNEL_NOTED_BYTES 256
void mp__channel_note_size(uint64_t size);
/* For who is about to get: is there a message? May take a moment. */
bool mp__channel_look(const struct channel_shared *channel);
/* Spin as long as that pays: true when a message came. */
bool mp__channel_spin(const struct channel_shared *channel);
/* Sleep until it is not empty: 0; MP_ETIMEDOUT. *slept: a wake-up may have been used up, pass it
 * on. */
int mp__channel_wait_message(struct channel_shared *channel, mp__time deadline, bool *slept);
/* One sleep of that, however it ends: 0, also when it is still empty; MP_ETIMEDOUT. */
int mp__channel_sleep(struct channel_shared *channel, mp__time deadline, bool *slept);
/* Sleep a while, the longer the higher `round` is (0, 1, ...), or until there may be room for
 * something of that weight: 0: look again; MP_ETIMEDOUT. */
int mp__channel_wait_room(struct channel_shared *channel, uint64_t weight, mp__time deadline,
                          unsigned round, bool *slept);

/* If the owner of this side's guard is dead, see that it is given back. */
void mp__channel_heed_death(struct mp__guard *guard);

/* A guard is held for less than this unless its owner is stopped; so also MP_NOWAIT waits for it,
 * lest it tell that a queue is full when only another putter was at work. */
#define MP__CHANNEL_GRACE (MP__SECOND / 5)

/* Take a side's guard. Held for moments only, so that a deadline in the past still waits a little:
 * 0; MP_ETIMEDOUT: somebody is stopped in it; -ENOMEM. */
int mp__channel_lock_tail(struct channel_shared *channel, struct thread_shared *self,
                          mp__time deadline);
int mp__channel_lock_head(struct channel_shared *channel, struct thread_shared *self,
                          mp__time deadline);
void mp__channel_unlock_tail(struct channel_shared *channel, struct thread_shared *self);
void mp__channel_unlock_head(struct channel_shared *channel, struct thread_shared *self);

/* A writer between lock_tail and unlock_tail. */
struct mp__writer {
    struct channel_shared *channel;
    uint64_t at;     /* where the next record goes */
    uint64_t load;   /* of the tail, with what is written but not published */
    uint32_t count;  /* messages written but not published */
    bool has_blocks; /* some of them are blocks */
};
struct mp__outgoing {
    enum mp__record_kind kind;
    const void
        *data; /* INLINE: bytes; BLOCK: the struct message_shared; HANDLE: its number's 8 bytes */
    uint64_t size; /* of the message, as its reader will see it */
};

void mp__writer_begin(struct mp__writer *writer, struct channel_shared *channel);
bool mp__writer_has_room(struct mp__writer *writer,
                         uint64_t size); /* for one more message of that size */
int mp__writer_write(struct mp__writer *writer,
                     const struct mp__outgoing *message); /* 0 or -ENOMEM */
void mp__writer_publish(
    struct mp__writer *writer); /* all that was written: from here on readers see it */

/* After publish and the unlock: wake who waits for a message. */
static inline void mp__writer_notify(struct channel_shared *channel) {
    if (mp__gate_has_sleeper_now(&channel->readable))
        mp__gate_wake(&channel->readable, 1);
}

/* A reader between lock_head and unlock_head. */
struct mp__reader {
    struct channel_shared *channel;
    uint64_t at;                  /* of the record looked at, or of the next one */
    uint64_t load;                /* of the head, with what was passed but not committed */
    enum mp__record_kind kind;    /* of the record looked at */
    uint64_t size;                /* of its message */
    const unsigned char *payload; /* its bytes in the segment */
};

void mp__reader_begin(struct mp__reader *reader, struct channel_shared *channel);
bool mp__reader_look(struct mp__reader *reader); /* at the next record; false: there is none */
/* The block of the record looked at, ours from now on; commit must follow before the unlock. */
struct message_shared *mp__reader_take(struct mp__reader *reader);
/* What was passed (mp__reader_pass, chan/record.h) is gone from the channel. */
void mp__reader_commit(struct mp__reader *reader);
/* After commit and the unlock: wake who waits for room. */
void mp__reader_notify(struct channel_shared *channel);

#endif

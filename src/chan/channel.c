/* A channel's life, its two guards, and sleeping until there is something or room.
 * SPDX-License-Identifier: MIT */
#include "chan/channel.h"

#include <assert.h>

#include "mp/base.h"

#include "base/point.h"
#include "chan/record.h"
#include "os/futex.h"
#include "reg/recover.h"
#include "shm/heap.h"
#include "sync/spin.h"

/* A writer looks again by itself, for it is told only when there is a good deal of room. */
#define FIRST_LOOK (MP__SECOND / 500)
enum { LEAST_LIMIT_TO_BATCH = 64, MOST_ROUNDS = 7 };

/* A reader lets messages gather for the longer, the more bytes they have, up to these. One of so
 * many is far enough ahead alone. */
enum { MOST_TO_GATHER = 4096, LEAST_ALONE = 32768 };

static struct segment_shared *first_segment(struct channel_shared *channel) {
    return (struct segment_shared *)channel->first;
}

void mp__channel_init(struct channel_shared *channel, uint64_t limit, bool load_is_bytes) {
    struct segment_shared *segment = first_segment(channel);
    segment->size = MP__CHANNEL_FIRST_BYTES;
    atomic_store(&channel->tail.segment, segment);
    atomic_store(&channel->head.segment, segment);
    channel->limit = limit;
    channel->load_is_bytes = load_is_bytes;
}

typedef void (*visit_fn)(void *block, uint32_t member);

static void visit_messages(struct segment_shared *segment, uint64_t from, uint64_t to,
                           visit_fn visit, uint32_t member) {
    while (from < to) {
        const unsigned char *record = mp__record_at(segment, from);
        uint64_t header = mp__record_read(record);
        enum mp__record_kind kind = mp__record_kind(header);
        if (kind == MP__RECORD_SKIP)
            return;
        if (kind == MP__RECORD_BLOCK)
            visit(mp__record_block(record + MP__RECORD_HEAD_BYTES), member);
        from += mp__record_bytes(kind, mp__record_size(header));
    }
}

/* All blocks that it holds, each segment after its messages. */
static void visit_blocks(struct channel_shared *channel, visit_fn visit, uint32_t member) {
    uint64_t at = mp__side_at(&channel->head);
    uint64_t end = atomic_load(&channel->tail.position);
    struct segment_shared *segment = atomic_load(&channel->head.segment);
    while (segment) {
        struct segment_shared *next = atomic_load(&segment->next);
        uint64_t segment_end = mp__segment_end(segment);
        visit_messages(segment, at, end < segment_end ? end : segment_end, visit, member);
        if (segment->is_block)
            visit(segment, member);
        segment = next;
        at = segment_end;
    }
    uintptr_t spare = atomic_load(&channel->spare) & ~MP__SPARE_READY;
    if (spare)
        visit((void *)spare, member);
}

static void free_block(void *block, uint32_t member) {
    (void)member;
    mp__heap_free(block);
    MP__POINT("channel.end.freed");
}

void mp__channel_end(struct channel_shared *channel) {
    visit_blocks(channel, free_block, 0);
}

static void give_block(void *block, uint32_t member) {
    mp__heap_give(block, member);
    MP__POINT("channel.end.given");
}

void mp__channel_give(struct channel_shared *channel, uint32_t member) {
    visit_blocks(channel, give_block, member);
}

uint64_t mp__channel_load(const struct channel_shared *channel) {
    uint64_t got = atomic_load_explicit(&channel->head.load, memory_order_acquire);
    return atomic_load_explicit(&channel->tail.load, memory_order_acquire) - got;
}

/* What this thread got lately. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    const struct channel_shared *channel; /* with nothing put anywhere since */
    unsigned run;                         /* messages since the last look at the writers' lines */
    unsigned effort; /* how much longer than small messages they gather: twice as long, ... */
} stream;

void mp__channel_note_size(uint64_t size) {
    uint64_t counted = size < MOST_TO_GATHER ? size : size < LEAST_ALONE ? MOST_TO_GATHER : 0;
    stream.effort = (unsigned)(counted / MP__CHANNEL_NOTED_BYTES);
}

/* is_held: the holding is written, but the guard was not free. */
__attribute__((noinline)) static int
lock_slowly(struct channel_shared *channel, struct mp__guard *guard, struct thread_shared *self,
            enum mp__holding_kind kind, mp__time deadline, bool is_held) {
    int code = is_held ? MP_ETIMEDOUT : mp__guard_try(guard, self, kind, channel);
    if (code != MP_ETIMEDOUT)
        return code;
    mp__time least = mp__now() + MP__CHANNEL_GRACE;
    code = mp__guard_wait(guard, self, deadline > least ? deadline : least);
    if (code == MP_ETIMEDOUT)
        mp__unhold(self, kind, channel);
    return code == MP_EOWNERDEAD ? 0 : code; /* what it left was put in order by recovery */
}

static int lock_side(struct channel_shared *channel, struct mp__guard *guard,
                     struct thread_shared *self, enum mp__holding_kind kind, mp__time deadline) {
    bool is_held = mp__hold_quick(self, kind, channel);
    if (is_held && mp__guard_take(guard, self->index))
        return 0;
    return lock_slowly(channel, guard, self, kind, deadline, is_held);
}

int mp__channel_lock_tail(struct channel_shared *channel, struct thread_shared *self,
                          mp__time deadline) {
    stream.channel = NULL;
    return lock_side(channel, &channel->tail.guard, self, MP__HOLDING_CHANNEL_PUT, deadline);
}

int mp__channel_lock_head(struct channel_shared *channel, struct thread_shared *self,
                          mp__time deadline) {
    return lock_side(channel, &channel->head.guard, self, MP__HOLDING_CHANNEL_GET, deadline);
}

void mp__channel_unlock_tail(struct channel_shared *channel, struct thread_shared *self) {
    mp__guard_release(&channel->tail.guard, self, MP__HOLDING_CHANNEL_PUT, channel);
}

void mp__channel_unlock_head(struct channel_shared *channel, struct thread_shared *self) {
    mp__guard_release(&channel->head.guard, self, MP__HOLDING_CHANNEL_GET, channel);
}

/* Who sleeps here waits for nobody in particular, but what it waits for may be done already but for
 * the last store of one who died in it. */
void mp__channel_heed_death(struct mp__guard *guard) {
    uint32_t owner = mp__guard_owner(guard);
    if (owner)
        (void)mp__recover_thread_owner(owner);
}

/* Each look at the writers' lines takes them away from who is about to put the next message, and
 * both wait some hundred ns for it. So a reader that does nothing but get lets some messages
 * gather before it looks, as long as there are several then. The lines of the messages themselves
 * move the faster, the farther apart the two are. */
static void let_gather(const struct channel_shared *channel) {
    if (stream.channel == channel) {
        struct mp__spin spin = mp__spin_begin(MP__SPIN_GATHER);
        spin.left *= 1 + (int)stream.effort;
        mp__spin_end(&spin, stream.run > 1);
        while (mp__spin_once(&spin))
            ;
    }
    stream.channel = channel;
    stream.run = 0;
    stream.effort = 0;
}

bool mp__channel_look(const struct channel_shared *channel) {
    if (!mp__channel_has_seen(channel))
        let_gather(channel);
    stream.run++;
    return mp__channel_has_seen(channel) || !mp__channel_is_empty(channel);
}

bool mp__channel_spin(const struct channel_shared *channel) {
    struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
    bool has_come = false;
    while (!has_come && mp__spin_once(&spin))
        has_come = !mp__channel_is_empty(channel);
    mp__spin_end(&spin, has_come);
    return has_come;
}

int mp__channel_sleep(struct channel_shared *channel, mp__time deadline, bool *slept) {
    uint32_t ticket = mp__gate_prepare(&channel->readable);
    if (!mp__channel_is_empty(channel)) {
        mp__gate_cancel(&channel->readable, ticket);
        return 0;
    }
    *slept = true;
    int code = mp__gate_sleep(&channel->readable, ticket, deadline);
    mp__channel_heed_death(&channel->tail.guard);
    return code;
}

int mp__channel_wait_message(struct channel_shared *channel, mp__time deadline, bool *slept) {
    if (mp__channel_look(channel))
        return 0;
    mp__channel_heed_death(&channel->tail.guard);
    if (deadline > 0 && mp__channel_spin(channel))
        return 0;
    for (int code = 0;;) {
        if (!mp__channel_is_empty(channel))
            return 0;
        if (deadline <= 0 || code == MP_ETIMEDOUT)
            return MP_ETIMEDOUT;
        code = mp__channel_sleep(channel, deadline, slept);
    }
}

static bool has_room(const struct channel_shared *channel, uint64_t weight) {
    uint64_t load = mp__channel_load(channel);
    return load == 0 || load + weight <= channel->limit;
}

int mp__channel_wait_room(struct channel_shared *channel, uint64_t weight, mp__time deadline,
                          unsigned round, bool *slept) {
    mp__channel_heed_death(&channel->head.guard);
    mp__time now = deadline > 0 ? mp__now() : 0;
    if (now >= deadline)
        return has_room(channel, weight) ? 0 : MP_ETIMEDOUT;
    uint32_t ticket = mp__gate_prepare(&channel->writable);
    if (has_room(channel, weight)) {
        mp__gate_cancel(&channel->writable, ticket);
        return 0;
    }
    *slept = true;
    mp__time look = FIRST_LOOK << (round < MOST_ROUNDS ? round : MOST_ROUNDS);
    mp__time until = deadline - now < look ? deadline : now + look;
    (void)mp__gate_wait(&channel->writable, ticket, until);
    return 0;
}

/* With a long channel a writer is woken only when a quarter is free: not for each single message.
 */
void mp__reader_notify(struct channel_shared *channel) {
    if (channel->limit == 0 || !mp__gate_has_sleeper_now(&channel->writable))
        return;
    if (channel->limit >= LEAST_LIMIT_TO_BATCH &&
        mp__channel_load(channel) > channel->limit - channel->limit / 4)
        return;
    mp__gate_wake(&channel->writable, channel->load_is_bytes ? MP__WAKE_ALL : 1);
}

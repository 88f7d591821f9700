/* Listing the family: its processes, then what lies in its heap.
 * SPDX-License-Identifier: MIT
 *
 * Everything is found by what it is: blocks by the heap's tables, objects by the kind word they
 * begin with, waiters by their thread records. A block may be a user's whose bytes look like one of
 * our objects: so nothing that is read leads anywhere without being checked. */
#include "mp/family.h"

#include <errno.h>
#include <inttypes.h>

#include "base/fail.h"
#include "family/dump.h"
#include "chan/pipe.h"
#include "chan/queue.h"
#include "chan/stream.h"
#include "reg/blocked.h"
#include "reg/label.h"
#include "reg/registry.h"
#include "share/array.h"
#include "share/value.h"
#include "shm/heap.h"
#include "sync/barrier.h"
#include "sync/condition.h"
#include "sync/event.h"
#include "sync/lock.h"
#include "sync/semaphore.h"
#include "sync/waiters.h"

static const struct row {
    uint32_t kind;                                              /* what its first word says */
    size_t size;                                                /* bytes to look at, at least */
    void (*dump)(const struct mp__sight *sight, uint32_t kind); /* one line, and more */
} rows[] = {
    {MP__KIND_LOCK, sizeof(struct lock_shared), mp__dump_sync},
    {MP__KIND_SEMAPHORE, sizeof(struct semaphore_shared), mp__dump_sync},
    {MP__KIND_CONDITION, sizeof(struct condition_shared), mp__dump_sync},
    {MP__KIND_EVENT, sizeof(struct event_shared), mp__dump_sync},
    {MP__KIND_BARRIER, sizeof(struct barrier_shared), mp__dump_sync},
    {MP__KIND_VALUE, sizeof(struct value_shared), mp__dump_share},
    {MP__KIND_ARRAY, sizeof(struct array_shared), mp__dump_share},
    {MP__KIND_QUEUE, sizeof(struct queue_shared), mp__dump_queue},
    {MP__KIND_CONNECTION, sizeof(struct pipe_shared) + sizeof(struct channel_shared),
     mp__dump_pipe},
    {MP__KIND_STREAM, sizeof(struct stream_shared), mp__dump_stream},
    {MP__KIND_POOL, sizeof(mp__kind_word), mp__dump_pool}, /* which looks by itself */
};

#define LARGEST 8192 /* of those sizes */
_Static_assert(sizeof(struct queue_shared) <= LARGEST, "has room");
_Static_assert(sizeof(struct pipe_shared) + 2 * sizeof(struct channel_shared) <= LARGEST,
               "has room");

void mp__dump_member(FILE *stream, mp__member_ref member) {
    fprintf(stream, "'%s' (pid %d)", mp__label_of(member).name, (int)mp__member_pid(member));
}

void mp__dump_thread(FILE *stream, uint32_t thread) {
    mp__member_ref member =
        thread < MP__THREAD_MAX ? atomic_load(&mp__thread_at(thread)->member) : 0;
    fprintf(stream, "'%s' (pid %d, thread %" PRIu32 "%s)", mp__label_of(member).name,
            (int)mp__member_pid(member), thread, mp__member_is_alive(member) ? "" : ", dead");
}

void mp__dump_guard(FILE *stream, const struct mp__guard *guard) {
    uint32_t word = atomic_load(&guard->word);
    if (word & MP__GUARD_OWNER) {
        fprintf(stream, "held by ");
        mp__dump_thread(stream, word & MP__GUARD_OWNER);
    } else {
        fprintf(stream, word & MP__GUARD_DEAD ? "free, its last owner died" : "free");
    }
}

static bool is_inside(const struct mp__sight *sight, const void *pointer) {
    return (uintptr_t)pointer - (uintptr_t)sight->block < sight->size;
}

/* In the list of a condition or barrier; or about to sleep for something in the block. */
static bool waits_for(const struct mp__sight *sight, const struct thread_shared *record) {
    const void *on = (const void *)(uintptr_t)atomic_load(&record->wait_on);
    if (on && on == sight->block && mp__waiter_waits(record))
        return true;
    uint64_t blocked_on = atomic_load(&record->blocked_on);
    return blocked_on != 0 && is_inside(sight, mp__blocked_object(blocked_on));
}

void mp__dump_waiters(const struct mp__sight *sight) {
    uint32_t high = mp__thread_high();
    for (uint32_t i = 1; i <= high; i++) {
        if (atomic_load(&mp__thread_at(i)->member) == 0 || !waits_for(sight, mp__thread_at(i)))
            continue;
        fprintf(sight->stream, "    waits: ");
        mp__dump_thread(sight->stream, i);
        fputc('\n', sight->stream);
    }
}

static void dump_process(FILE *stream, mp__member_ref member, enum mp__member_state state) {
    struct mp__label label = mp__label_of(member);
    mp__member_ref parent = atomic_load(&mp__member_at(mp__member_index(member))->parent);
    pid_t parent_pid = mp__member_pid(parent);
    const char *text = state == MP__MEMBER_STARTING ? "starting" : "running";
    fprintf(stream, "process %d '%s' %s", (int)mp__member_pid(member), label.name,
            mp__member_is_alive(member) ? text : "dead");
    if (parent_pid != 0)
        fprintf(stream, ", parent %d", (int)parent_pid);
    fputs(label.is_daemon ? ", daemon\n" : "\n", stream);
}

static void dump_processes(FILE *stream) {
    uint32_t high = atomic_load(&mp__registry->member_high);
    for (uint32_t i = 1; i <= high; i++) {
        uint64_t status = atomic_load(&mp__member_at(i)->status);
        if (mp__status_state(status) != MP__MEMBER_FREE)
            dump_process(stream, mp__status_ref(status, i), mp__status_state(status));
    }
}

static const struct row *find_row(uint32_t kind) {
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].kind == kind)
            return &rows[i];
    return NULL;
}

/* The kind is read again from the copy, and the block is still one after that was made. */
static void dump_block(const void *block, size_t size, void *stream) {
    _Alignas(64) char copy[LARGEST];
    uint32_t kind;
    mp__heap_peek(&kind, block, sizeof kind);
    const struct row *row = find_row(kind);
    if (!row || size < row->size)
        return;
    mp__heap_peek(copy, block, size < LARGEST ? size : LARGEST);
    if (atomic_load((mp__kind_word *)(void *)copy) != kind || !mp__heap_is_block(block))
        return;
    struct mp__sight sight = {stream, block, size, copy};
    row->dump(&sight, kind);
}

int mp_family_dump(FILE *stream) {
    if (!stream)
        return mp__fail(MP_EINVAL, "mp_family_dump: the stream is NULL");
    if (!mp__registry)
        return 0;
    dump_processes(stream);
    mp__heap_each(dump_block, stream);
    if (fflush(stream) != 0 || ferror(stream))
        return mp__fail(-EIO, "mp_family_dump: the stream cannot be written to");
    return 0;
}

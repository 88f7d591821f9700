/* A task's answer: built in place, handed over so that a death at any instruction loses no block.
 * SPDX-License-Identifier: MIT
 *
 * The worker holds the block until it gives it to the parent. The task's state says how far that
 * is:
 *     NONE    the task's block means nothing yet; the heap frees the block with its holder
 *     LINKED  whoever recovers the worker gives the block to the parent and goes on to
 *     READY   the block is the parent's, freed with the job, or when the parent dies */
#include "pool/pool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "shm/heap.h"

void *mp_reply_alloc(mp_reply *reply, size_t size) {
    if (!reply) {
        mp__fail(MP_EINVAL, "mp_reply_alloc: the reply is NULL");
        return NULL;
    }
    void *block = NULL;
    if (size > MP__POOL_INLINE_REPLY && (!mp__self() || !(block = mp__heap_alloc(size))))
        return NULL;
    mp__heap_free(reply->block);
    reply->block = block;
    reply->size = size;
    return block ? block : reply->task->room;
}

int mp_reply_set(mp_reply *reply, const void *data, size_t size) {
    if (!reply || (!data && size > 0))
        return mp__fail(MP_EINVAL, "mp_reply_set: the %s is NULL", reply ? "data" : "reply");
    void *block = mp_reply_alloc(reply, size);
    if (!block)
        return -ENOMEM;
    if (size > 0)
        memcpy(block, data, size);
    return 0;
}

int mp_reply_fail(mp_reply *reply, int code, const char *format, ...) {
    if (!reply || !format)
        return mp__fail(MP_EINVAL, "mp_reply_fail: the %s is NULL", reply ? "format" : "reply");
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reply->detail, sizeof reply->detail, format, arguments);
    va_end(arguments);
    reply->code = code < 0 ? code : MP_ETASK;
    return reply->code;
}

static void hand_over(const struct mp_reply *reply, uint32_t parent) {
    struct task_shared *task = reply->task;
    task->code = reply->code;
    task->reply_size = reply->size;
    atomic_store_explicit(&task->block, reply->block, memory_order_release);
    MP__POINT("pool.reply.stored");
    if (reply->block) {
        atomic_store_explicit(&task->state, MP__REPLY_LINKED, memory_order_release);
        MP__POINT("pool.reply.linked");
        mp__heap_give(reply->block, parent);
        MP__POINT("pool.reply.given");
    }
    atomic_store_explicit(&task->state, MP__REPLY_READY, memory_order_release);
    MP__POINT("pool.reply.ready");
}

void mp__describe_returned(char *out, size_t capacity, const char *who, int code) {
    if (code < -1) /* -1 is what people return for no reason in particular, not EPERM */
        snprintf(out, capacity, "%s returned %d (%s: %s)", who, code, mp_error_name(code),
                 mp_strerror(code));
    else
        snprintf(out, capacity, "%s returned %d", who, code);
}

/* The function said nothing but a number. */
static void describe(struct mp_reply *reply, int returned) {
    char who[48] = "the task";
    if (reply->number != MP__POOL_NO_ITEM)
        snprintf(who, sizeof who, "item %llu: the function", (unsigned long long)reply->number);
    mp__describe_returned(reply->detail, sizeof reply->detail, who, returned);
    reply->code = MP_ETASK;
}

/* Of a failed task the sentence takes the place of the answer. */
void mp__reply_finish(struct mp_reply *reply, int returned, uint32_t parent) {
    if (reply->code == 0 && returned != 0)
        describe(reply, returned);
    if (reply->code != 0 && mp_reply_set(reply, reply->detail, strlen(reply->detail) + 1) < 0)
        mp_reply_set(reply, NULL, 0);
    hand_over(reply, parent);
}

void mp__reply_recover(struct task_shared *task, uint32_t parent) {
    uint32_t state = atomic_load(&task->state);
    void *block = atomic_load(&task->block);
    if (state == MP__REPLY_NONE)
        atomic_store(&task->block, NULL);
    if (state != MP__REPLY_LINKED)
        return;
    if (block)
        mp__heap_give(block, parent);
    MP__POINT("pool.reply.recovered");
    atomic_store(&task->state, MP__REPLY_READY);
}

void mp__reply_fail_for(struct task_shared *task, int code, const char *sentence) {
    size_t size = strlen(sentence) + 1;
    char *block = size > sizeof task->room ? mp__heap_alloc(size) : NULL;
    task->code = code;
    task->reply_size = block || size <= sizeof task->room ? size : 0;
    memcpy(block ? block : task->room, sentence, task->reply_size);
    atomic_store(&task->block, block);
    atomic_store(&task->state, MP__REPLY_READY);
}

/* A task's answer: built in place, handed over so that a death at any instruction loses no block.
 * SPDX-License-Identifier: MIT
 *
 * The worker holds the block until it gives it to the parent. reply_state says how far that is:
 *     NONE    the job's reply_block means nothing yet; the heap frees the block with its holder
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
    if (size > MP__POOL_INLINE_REPLY && !(block = mp__heap_alloc(size)))
        return NULL;
    mp__heap_free(reply->block);
    reply->block = block;
    reply->size = size;
    return block ? block : reply->job->reply_inline;
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

static void hand_over(const struct mp_reply *reply) {
    struct job_shared *job = reply->job;
    job->reply_size = reply->size;
    atomic_store(&job->reply_block, reply->block);
    MP__POINT("pool.reply.stored");
    atomic_store(&job->reply_state, MP__REPLY_LINKED);
    MP__POINT("pool.reply.linked");
    if (reply->block)
        mp__heap_give(reply->block, mp__member_index(job->owner));
    MP__POINT("pool.reply.given");
    atomic_store(&job->reply_state, MP__REPLY_READY);
    MP__POINT("pool.reply.ready");
}

/* Of a failed task the sentence takes the place of the answer. It fails first, so that the sentence
 * is never taken for an answer. */
void mp__reply_finish(struct mp_reply *reply, int returned) {
    if (reply->code != 0 || returned != 0) {
        reply->job->reply_code = reply->code;
        mp__job_fail_item(reply->job, 0, returned ? returned : reply->code, MP__FAILED_TASK);
        MP__POINT("pool.reply.failed");
        size_t size = reply->code != 0 ? strlen(reply->detail) + 1 : 0;
        if (mp_reply_set(reply, reply->detail, size) < 0)
            mp_reply_set(reply, NULL, 0);
    }
    hand_over(reply);
}

void mp__reply_recover(struct job_shared *job) {
    uint32_t state = atomic_load(&job->reply_state);
    void *block = atomic_load(&job->reply_block);
    if (state == MP__REPLY_NONE)
        atomic_store(&job->reply_block, NULL);
    if (state != MP__REPLY_LINKED)
        return;
    if (block)
        mp__heap_give(block, mp__member_index(job->owner));
    MP__POINT("pool.reply.recovered");
    atomic_store(&job->reply_state, MP__REPLY_READY);
}

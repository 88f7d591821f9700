/* Queues: their life, putting and getting one message.
 * SPDX-License-Identifier: MIT */
#include "chan/queue.h"

#include <errno.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "chan/local.h"
#include "chan/transfer.h"
#include "reg/recover.h"
#include "shm/heap.h"

static int make_queue(mp_queue **out, const struct mp_queue_options *options, const char *name) {
    if (!out)
        return mp__fail(MP_EINVAL, "%s: out is NULL", name);
    if (!mp__self())
        return -ENOMEM;
    struct queue_shared *queue = mp__heap_zalloc(sizeof *queue);
    if (!queue)
        return -ENOMEM;
    MP__POINT("queue.new.allocated");
    queue->serial = mp__local_serial();
    queue->is_joinable = options->joinable;
    queue->redelivers = options->redeliver;
    mp__channel_init(&queue->channel, options->maxsize, false);
    atomic_store(&queue->kind, MP__KIND_QUEUE);
    mp__heap_publish(queue);
    MP__POINT("queue.new.published");
    mp__log_held(MP_LOG_DEBUG, "created queue with handle %p", (void *)queue);
    *out = (mp_queue *)queue;
    return 0;
}

int mp_queue_new(mp_queue **out, mp_context *context, size_t maxsize) {
    (void)context;
    return make_queue(out, &(struct mp_queue_options){maxsize, false, false}, "mp_queue_new");
}

int mp_queue_new_with(mp_queue **out, mp_context *context, const mp_queue_options *options) {
    (void)context;
    static const struct mp_queue_options defaults;
    if (!options)
        options = &defaults;
    if (options->redeliver && !options->joinable)
        return mp__fail(MP_EINVAL, "mp_queue_new_with: redeliver needs joinable: what is never "
                                   "done would be kept for ever");
    return make_queue(out, options, "mp_queue_new_with");
}

int mp_joinable_queue_new(mp_queue **out, mp_context *context, size_t maxsize) {
    (void)context;
    return make_queue(out, &(struct mp_queue_options){maxsize, true, false},
                      "mp_joinable_queue_new");
}

int mp_simple_queue_new(mp_queue **out, mp_context *context) {
    (void)context;
    return make_queue(out, &(struct mp_queue_options){0}, "mp_simple_queue_new");
}

/* All of it becomes that member's: freed when it dies. The kind says until then that it is to. */
static void give_queue(struct queue_shared *queue, uint32_t member) {
    mp__channel_give(&queue->channel, member);
    mp__lease_give_all(queue, member);
    mp__heap_give(queue, member);
    MP__POINT("queue.free.given");
    atomic_store(&queue->kind, 0);
    MP__POINT("queue.free.cleared");
}

static void recover_free(void *object, uint32_t dead_thread) {
    if (mp__heap_is_block(object) && mp__kind_is(object, (enum mp__kind)MP__KIND_QUEUE_ENDING))
        give_queue(object, mp__member_index(atomic_load(&mp__thread_at(dead_thread)->member)));
}

MP__RECOVER(MP__HOLDING_QUEUE_FREE, recover_free)

static bool mark_ending(struct queue_shared *queue) {
    uint32_t kind = MP__KIND_QUEUE;
    bool is_ours = atomic_compare_exchange_strong(&queue->kind, &kind, MP__KIND_QUEUE_ENDING);
    MP__POINT("queue.free.marked");
    return is_ours;
}

/* The dead are recovered first: they may have died in this queue. */
void mp_queue_free(mp_queue *queue) {
    struct queue_shared *shared = (struct queue_shared *)queue;
    struct thread_shared *self = mp__kind_is(shared, MP__KIND_QUEUE) ? mp__self() : NULL;
    if (!self)
        return;
    mp__recover_all();
    (void)mp__hold(self, MP__HOLDING_QUEUE_FREE, shared);
    bool is_ours = mark_ending(shared);
    if (is_ours)
        give_queue(shared, mp__member_index(atomic_load(&self->member)));
    mp__unhold(self, MP__HOLDING_QUEUE_FREE, shared);
    if (!is_ours)
        return;
    mp__local_remove(shared, shared->serial);
    mp__channel_end(&shared->channel);
    mp__lease_free_all(shared);
    mp__heap_free(shared);
    mp__log_held(MP_LOG_DEBUG, "freed queue with handle %p", (void *)queue);
}

static bool is_closed(const struct queue_shared *queue) {
    return mp__local_find(queue, queue->serial) != NULL;
}

int mp__queue_begin(struct mp__queue_call *call, mp_queue *queue, double timeout,
                    const char *name) {
    struct queue_shared *shared = (struct queue_shared *)queue;
    int code = mp__kind_check(shared, MP__KIND_QUEUE, name, "queue");
    if (code < 0)
        return code;
    *call = (struct mp__queue_call){.queue = shared, .channel = &shared->channel, .name = name};
    code = mp__deadline(&call->deadline, timeout);
    if (code < 0)
        return code;
    if (is_closed(shared))
        return mp__fail(MP_ECLOSED, "%s: queue %p was closed by this process", name, (void *)queue);
    call->self = mp__self();
    return call->self ? 0 : -ENOMEM;
}

static int full(const struct mp__queue_call *call) {
    return mp__fail(MP_EFULL, "%s: queue %p holds %llu messages, its maxsize is %llu", call->name,
                    (void *)call->queue, (unsigned long long)mp__channel_load(call->channel),
                    (unsigned long long)call->channel->limit);
}

int mp__queue_wait_room(struct mp__queue_call *call, unsigned round) {
    int code = mp__channel_wait_room(call->channel, 1, call->deadline, round, &call->slept);
    return code == MP_ETIMEDOUT ? full(call) : code;
}

int mp__queue_lock_tail(struct mp__queue_call *call) {
    int code = mp__channel_lock_tail(call->channel, call->self, call->deadline);
    if (code == MP_ETIMEDOUT)
        return mp__fail(MP_EFULL, "%s: another putter of queue %p is stopped", call->name,
                        (void *)call->queue);
    return code;
}

/* Who slept may have used up the only wake-up for the room that is left. */
void mp__queue_unlock_tail(struct mp__queue_call *call, bool has_put) {
    mp__channel_unlock_tail(call->channel, call->self);
    if (!has_put)
        return;
    mp__writer_notify(call->channel);
    if (call->slept && mp__channel_load(call->channel) < call->channel->limit)
        mp__gate_notify(&call->channel->writable, 1);
}

int mp__queue_put_item(struct mp__queue_call *call, const struct mp__outgoing *message) {
    for (unsigned round = 0;; round++) {
        int code = mp__queue_lock_tail(call);
        if (code < 0)
            return code;
        struct mp__writer writer;
        mp__writer_begin(&writer, call->channel);
        bool has_room = mp__writer_has_room(&writer, message->size);
        code = has_room ? mp__writer_write(&writer, message) : 0;
        mp__writer_publish(&writer);
        mp__queue_unlock_tail(call, has_room && code == 0);
        if (has_room)
            return code;
        code = mp__queue_wait_room(call, round);
        if (code < 0)
            return code;
    }
}

int mp_queue_put(mp_queue *queue, const void *data, size_t size, double timeout) {
    struct mp__queue_call call;
    int code = mp__queue_begin(&call, queue, timeout, "mp_queue_put");
    if (code < 0)
        return code;
    if (!data && size > 0)
        return mp__fail(MP_EINVAL, "mp_queue_put: data is NULL, but size is %zu", size);
    struct mp__outgoing message;
    code = call.queue->redelivers ? mp__lease_make(&message, data, size)
                                  : mp__outgoing_make(&message, data, size);
    if (code < 0)
        return code;
    code = mp__queue_put_item(&call, &message);
    if (code < 0)
        mp__outgoing_drop(&message);
    return code;
}

int mp__queue_lock_head(struct mp__queue_call *call, struct mp__reader *reader) {
    for (;;) {
        int code = mp__channel_wait_message(call->channel, call->deadline, &call->slept);
        if (code == 0)
            code = mp__channel_lock_head(call->channel, call->self, call->deadline);
        if (code == MP_ETIMEDOUT)
            return mp__fail(MP_EEMPTY, "%s: queue %p stayed empty", call->name,
                            (void *)call->queue);
        if (code < 0)
            return code;
        mp__reader_begin(reader, call->channel);
        if (mp__reader_look(reader))
            return 0;
        mp__channel_unlock_head(call->channel, call->self);
    }
}

void mp__queue_unlock_head(struct mp__queue_call *call) {
    mp__channel_unlock_head(call->channel, call->self);
    mp__reader_notify(call->channel);
    if (call->slept && !mp__channel_is_empty(call->channel))
        mp__gate_notify(&call->channel->readable, 1);
}

static int get_item(struct mp__queue_call *call, struct mp__intake *intake) {
    if (call->queue->redelivers)
        return mp__lease_get(call, intake);
    struct mp__reader reader;
    int code = mp__queue_lock_head(call, &reader);
    if (code < 0)
        return code;
    code = mp__intake_take(intake, &reader);
    mp__queue_unlock_head(call);
    if (code == 0)
        mp__intake_finish(intake);
    return code;
}

int mp_queue_get(mp_queue *queue, void *buffer, size_t capacity, size_t *size, double timeout) {
    struct mp__queue_call call;
    int code = mp__queue_begin(&call, queue, timeout, "mp_queue_get");
    if (code < 0)
        return code;
    if (!buffer && capacity > 0)
        return mp__fail(MP_EINVAL, "mp_queue_get: buffer is NULL, but capacity is %zu", capacity);
    struct mp__intake intake = {MP__INTAKE_INTO, buffer, capacity};
    code = get_item(&call, &intake);
    if (size && (code == 0 || code == MP_ETOOSHORT))
        *size = intake.size;
    return code;
}

int mp_queue_get_alloc(mp_queue *queue, void **data, size_t *size, double timeout) {
    struct mp__queue_call call;
    int code = mp__queue_begin(&call, queue, timeout, "mp_queue_get_alloc");
    if (code < 0)
        return code;
    if (!data || !size)
        return mp__fail(MP_EINVAL, "mp_queue_get_alloc: data or size is NULL");
    struct mp__intake intake = {MP__INTAKE_ALLOC, NULL, UINT64_MAX};
    code = get_item(&call, &intake);
    if (code < 0)
        return code;
    *data = intake.data;
    *size = intake.size;
    return 0;
}

int mp_queue_get_message(mp_queue *queue, mp_message **out, double timeout) {
    struct mp__queue_call call;
    int code = mp__queue_begin(&call, queue, timeout, "mp_queue_get_message");
    if (code < 0)
        return code;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_queue_get_message: out is NULL");
    struct mp__intake intake = {MP__INTAKE_MESSAGE, NULL, UINT64_MAX};
    code = get_item(&call, &intake);
    if (code == 0)
        *out = (mp_message *)intake.block;
    return code;
}

long mp_queue_qsize(const mp_queue *queue) {
    const struct queue_shared *shared = (const void *)queue;
    int code = mp__kind_check(shared, MP__KIND_QUEUE, "mp_queue_qsize", "queue");
    return code < 0 ? code
                    : (long)(mp__channel_load(&shared->channel) +
                             mp__lease_waiting((struct queue_shared *)shared));
}

bool mp_queue_empty(const mp_queue *queue) {
    const struct queue_shared *shared = (const void *)queue;
    return !mp__kind_is(shared, MP__KIND_QUEUE) ||
           (mp__channel_is_empty(&shared->channel) &&
            mp__lease_waiting((struct queue_shared *)shared) == 0);
}

bool mp_queue_full(const mp_queue *queue) {
    const struct queue_shared *shared = (const void *)queue;
    return mp__kind_is(shared, MP__KIND_QUEUE) && shared->channel.limit > 0 &&
           mp__channel_load(&shared->channel) >= shared->channel.limit;
}

int mp_queue_close(mp_queue *queue) {
    struct queue_shared *shared = (struct queue_shared *)queue;
    int code = mp__kind_check(shared, MP__KIND_QUEUE, "mp_queue_close", "queue");
    if (code < 0)
        return code;
    return mp__local_add(shared, shared->serial, -1) ? 0 : -ENOMEM;
}

int mp_queue_join_thread(mp_queue *queue) {
    struct queue_shared *shared = (struct queue_shared *)queue;
    int code = mp__kind_check(shared, MP__KIND_QUEUE, "mp_queue_join_thread", "queue");
    if (code == 0 && !is_closed(shared))
        return mp__fail(MP_ESTATE, "mp_queue_join_thread: queue %p was not closed before",
                        (void *)queue);
    return code;
}

int mp_queue_cancel_join_thread(mp_queue *queue) {
    return mp__kind_check(queue, MP__KIND_QUEUE, "mp_queue_cancel_join_thread", "queue");
}

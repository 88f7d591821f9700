/* Counting finished tasks.
 * SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/queue.h"
#include "os/futex.h"

static int check_joinable(const struct queue_shared *queue, const char *function) {
    int code = mp__kind_check(queue, MP__KIND_QUEUE, function, "queue");
    if (code == 0 && !queue->is_joinable)
        return mp__fail(MP_ETYPE, "%s: queue %p was not made by mp_joinable_queue_new", function,
                        (const void *)queue);
    return code;
}

/* The load of the tail is counted before a message can be seen, so a task that was got is in it. */
static bool is_finished(const struct queue_shared *queue) {
    uint64_t done = atomic_load_explicit(&queue->done, memory_order_acquire);
    return done == atomic_load_explicit(&queue->channel.tail.load, memory_order_acquire);
}

static int count_done(struct queue_shared *queue) {
    uint64_t done = atomic_load_explicit(&queue->done, memory_order_relaxed);
    do
        if (done >= atomic_load_explicit(&queue->channel.tail.load, memory_order_acquire))
            return mp__fail(MP_EINVAL,
                            "mp_queue_task_done: called more often than messages were put "
                            "into queue %p",
                            (void *)queue);
    while (!atomic_compare_exchange_weak(&queue->done, &done, done + 1));
    MP__POINT("queue.task_done.counted");
    return 0;
}

static int end_lease(struct queue_shared *queue) {
    struct thread_shared *self = mp__self();
    return self ? mp__lease_end(queue, self) : -ENOMEM;
}

int mp_queue_task_done(mp_queue *queue) {
    struct queue_shared *shared = (struct queue_shared *)queue;
    int code = check_joinable(shared, "mp_queue_task_done");
    if (code == 0)
        code = shared->redelivers ? end_lease(shared) : count_done(shared);
    if (code < 0)
        return code;
    if (is_finished(shared))
        mp__gate_notify(&shared->finished, MP__WAKE_ALL);
    return 0;
}

long mp_queue_redelivered(const mp_queue *queue) {
    const struct queue_shared *shared = (const void *)queue;
    int code = mp__kind_check(shared, MP__KIND_QUEUE, "mp_queue_redelivered", "queue");
    return code < 0 ? code : (long)atomic_load(&shared->leases.redelivered);
}

int mp_queue_join(mp_queue *queue, double timeout) {
    struct queue_shared *shared = (struct queue_shared *)queue;
    int code = check_joinable(shared, "mp_queue_join");
    mp__time deadline;
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    while (!is_finished(shared)) {
        if (code == MP_ETIMEDOUT)
            return mp__fail(MP_ETIMEDOUT, "mp_queue_join: %llu tasks of queue %p are not done",
                            (unsigned long long)(atomic_load(&shared->channel.tail.load) -
                                                 atomic_load(&shared->done)),
                            (void *)queue);
        uint32_t ticket = mp__gate_prepare(&shared->finished);
        if (is_finished(shared)) {
            mp__gate_cancel(&shared->finished, ticket);
            break;
        }
        code = mp__gate_wait(&shared->finished, ticket, deadline);
    }
    return 0;
}

/* Python's queues: a pipe, a lock for each of its ends, a semaphore for what still goes in.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>

#include "base/fail.h"
#include "chan/stream.h"
#include "mp/pickle.h"
#include "os/descriptor.h"
#include "python/semlock.h"
#include "python/shape.h"

struct mp_python_queue {
    mp_connection *reader; /* the pipe's ends */
    mp_connection *writer;
    mp_python_lock *read_lock;            /* around receiving */
    mp_python_lock *write_lock;           /* around sending */
    mp_python_lock *room;                 /* counts what still goes in; NULL: a SimpleQueue */
    int capacity;                         /* of room in the beginning */
    mp_python_lock *unfinished;           /* counts what is not done; NULL: not joinable */
    struct mp_python_condition condition; /* around it, and notified when it is 0 */
};

int mp_python_connection_open(mp_connection **out, const mp_object *object) {
    mp_object *descriptor, *readable, *writable;
    int code = mp__shape_check(out, object, "mp_python_connection_open");
    if (code < 0)
        return code;
    if (!mp__shape_is(object, "multiprocessing.connection", "rebuild_connection"))
        return mp__shape_refuse(object, "connection", "mp_python_connection_open");
    if (mp_object_parse(mp__shape_args(object), "(OOO)", &descriptor, &readable, &writable) < 0)
        return mp__shape_broken("connection", "mp_python_connection_open");
    int taken = mp__shape_take_descriptor(descriptor);
    if (taken < 0)
        return taken;
    code = mp__stream_new(out, taken);
    if (code < 0)
        mp__descriptor_close(taken);
    return code;
}

static int open_pipe(mp_python_queue *queue, mp_object *const parts[4]) {
    int code = mp_python_connection_open(&queue->reader, parts[0]);
    if (code == 0)
        code = mp_python_connection_open(&queue->writer, parts[1]);
    if (code == 0)
        code = mp_python_lock_open(&queue->read_lock, parts[2]);
    return code < 0 ? code : mp_python_lock_open(&queue->write_lock, parts[3]);
}

static int open_simple(mp_python_queue *queue, const mp_object *state) {
    mp_object *parts[4];
    if (mp_object_parse(state, "(OOOO)", &parts[0], &parts[1], &parts[2], &parts[3]) < 0)
        return mp__shape_broken("queue", "mp_python_queue_open");
    return open_pipe(queue, parts);
}

static int open_counted(mp_python_queue *queue, const mp_object *state, bool is_joinable) {
    mp_object *parts[4], *room, *ignored, *condition, *unfinished;
    int code = is_joinable
                   ? mp_object_parse(state, "(OiOOOOOOOO)", &ignored, &queue->capacity, &parts[0],
                                     &parts[1], &parts[2], &parts[3], &room, &ignored, &condition,
                                     &unfinished)
                   : mp_object_parse(state, "(OiOOOOOO)", &ignored, &queue->capacity, &parts[0],
                                     &parts[1], &parts[2], &parts[3], &room, &ignored);
    if (code < 0)
        return mp__shape_broken("queue", "mp_python_queue_open");
    code = open_pipe(queue, parts);
    if (code == 0)
        code = mp_python_lock_open(&queue->room, room);
    if (code == 0 && is_joinable)
        code = mp__python_condition_init(&queue->condition, condition);
    return code == 0 && is_joinable ? mp_python_lock_open(&queue->unfinished, unfinished) : code;
}

static int fill_queue(mp_python_queue *queue, const mp_object *object) {
    static const char module[] = "multiprocessing.queues";
    const mp_object *state = mp_call_get_state(object);
    if (mp__shape_is(object, module, "SimpleQueue"))
        return open_simple(queue, state);
    if (mp__shape_is(object, module, "Queue"))
        return open_counted(queue, state, false);
    if (mp__shape_is(object, module, "JoinableQueue"))
        return open_counted(queue, state, true);
    return mp__shape_refuse(object, "queue", "mp_python_queue_open");
}

int mp_python_queue_open(mp_python_queue **out, const mp_object *object) {
    int code = mp__shape_check(out, object, "mp_python_queue_open");
    if (code < 0)
        return code;
    mp_python_queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        return mp__fail(-ENOMEM, "mp_python_queue_open");
    code = fill_queue(queue, object);
    if (code < 0)
        mp_python_queue_free(queue);
    else
        *out = queue;
    return code;
}

static double seconds_until(mp__time deadline) {
    if (deadline == MP__NEVER)
        return MP_FOREVER;
    mp__time left = deadline == 0 ? 0 : deadline - mp__now();
    return left > 0 ? (double)left / (double)MP__SECOND : 0;
}

static int count_unfinished(mp_python_queue *queue) {
    if (!queue->unfinished)
        return 0;
    int code = mp__semlock_acquire(queue->condition.lock, MP__NEVER);
    if (code < 0)
        return code;
    code = mp__semlock_release(queue->unfinished);
    mp__semlock_release(queue->condition.lock);
    return code;
}

/* Once a part has gone the rest must follow, or nobody could use the queue any more. */
static int send(mp_python_queue *queue, const void *data, size_t size, mp__time deadline) {
    int code = mp__semlock_acquire(queue->write_lock, deadline);
    if (code < 0)
        return code;
    int ready = mp__descriptor_poll(mp_connection_fileno(queue->writer), POLLOUT, deadline);
    if (ready > 0)
        code = mp_connection_send_bytes(queue->writer, data, size, MP_FOREVER);
    else
        code = ready < 0 ? mp__fail(ready, "mp_python_queue_put: waiting") : MP_ETIMEDOUT;
    mp__semlock_release(queue->write_lock);
    return code;
}

static int put_bytes(mp_python_queue *queue, const void *data, size_t size, mp__time deadline) {
    int code = queue->room ? mp__semlock_acquire(queue->room, deadline) : 0;
    if (code < 0)
        return code;
    code = count_unfinished(queue);
    if (code == 0) {
        code = send(queue, data, size, deadline);
        if (code < 0 && queue->unfinished)
            (void)mp_python_queue_task_done(queue);
    }
    if (code < 0 && queue->room)
        mp__semlock_release(queue->room);
    return code;
}

int mp_python_queue_put(mp_python_queue *queue, const mp_object *object, double timeout) {
    mp__time deadline;
    void *data;
    size_t size;
    if (!queue || !object)
        return mp__fail(MP_EINVAL, "mp_python_queue_put: an argument is NULL");
    int code = mp__deadline(&deadline, timeout);
    if (code == 0)
        code = mp_object_dumps(object, MP_PICKLE_DEFAULT, &data, &size);
    if (code < 0)
        return code;
    code = put_bytes(queue, data, size, deadline);
    free(data);
    return code == MP_ETIMEDOUT
               ? mp__fail(MP_EFULL, "mp_python_queue_put: no room within %g seconds", timeout)
               : code;
}

/* Under the lock; whoever puts has the rest of a message that has begun. */
static int receive(mp_python_queue *queue, void **data, size_t *size, mp__time deadline) {
    int ready = mp_connection_poll(queue->reader, seconds_until(deadline));
    if (ready <= 0)
        return ready < 0 ? ready : MP_ETIMEDOUT;
    return mp_connection_recv_bytes(queue->reader, data, size, 0, MP_FOREVER);
}

int mp_python_queue_get(mp_python_queue *queue, mp_object **out, double timeout) {
    mp__time deadline;
    void *data;
    size_t size;
    if (!queue || !out)
        return mp__fail(MP_EINVAL, "mp_python_queue_get: an argument is NULL");
    int code = mp__deadline(&deadline, timeout);
    if (code == 0)
        code = mp__semlock_acquire(queue->read_lock, deadline);
    if (code == 0) {
        code = receive(queue, &data, &size, deadline);
        mp__semlock_release(queue->read_lock);
    }
    if (code == MP_ETIMEDOUT)
        return mp__fail(MP_EEMPTY, "mp_python_queue_get: nothing came within %g seconds", timeout);
    if (code < 0)
        return code;
    if (queue->room)
        mp__semlock_release(queue->room);
    code = mp_object_loads(out, data, size);
    free(data);
    return code;
}

/* -1: it does not count. */
static int count_room(mp_python_queue *queue, const char *function) {
    if (!queue)
        return mp__fail(MP_EINVAL, "%s: queue is NULL", function);
    if (!queue->room)
        return mp__fail(MP_ETYPE, "%s: a SimpleQueue counts nothing", function);
    return mp_python_lock_value(queue->room);
}

int mp_python_queue_qsize(mp_python_queue *queue) {
    int room = count_room(queue, "mp_python_queue_qsize");
    return room < 0 ? room : queue->capacity - room;
}

int mp_python_queue_full(mp_python_queue *queue) {
    int room = count_room(queue, "mp_python_queue_full");
    return room < 0 ? room : room == 0;
}

int mp_python_queue_empty(mp_python_queue *queue) {
    if (!queue)
        return mp__fail(MP_EINVAL, "mp_python_queue_empty: queue is NULL");
    int ready = mp_connection_poll(queue->reader, 0);
    return ready < 0 ? ready : !ready;
}

static int lock_unfinished(mp_python_queue *queue, const char *function) {
    if (!queue)
        return mp__fail(MP_EINVAL, "%s: queue is NULL", function);
    if (!queue->unfinished)
        return mp__fail(MP_ETYPE, "%s: the queue is no JoinableQueue", function);
    return mp__semlock_acquire(queue->condition.lock, MP__NEVER);
}

int mp_python_queue_task_done(mp_python_queue *queue) {
    int code = lock_unfinished(queue, "mp_python_queue_task_done");
    if (code < 0)
        return code;
    if (mp__semlock_acquire(queue->unfinished, 0) < 0)
        code = mp__fail(MP_EINVAL, "mp_python_queue_task_done: called too many times");
    else if (mp__semlock_is_zero(queue->unfinished))
        code = mp__python_condition_notify(&queue->condition, UINT_MAX);
    mp__semlock_release(queue->condition.lock);
    return code;
}

int mp_python_queue_join(mp_python_queue *queue, double timeout) {
    mp__time deadline;
    int code = mp__deadline(&deadline, timeout);
    if (code == 0)
        code = lock_unfinished(queue, "mp_python_queue_join");
    if (code < 0)
        return code;
    while (code == 0 && !mp__semlock_is_zero(queue->unfinished))
        code = mp__python_condition_wait(&queue->condition, deadline);
    mp__semlock_release(queue->condition.lock);
    return code == MP_ETIMEDOUT
               ? mp__fail(code, "mp_python_queue_join: not all is done within %g seconds", timeout)
               : code;
}

void mp_python_queue_free(mp_python_queue *queue) {
    if (!queue)
        return;
    mp_connection_free(queue->reader);
    mp_connection_free(queue->writer);
    mp_python_lock_free(queue->read_lock);
    mp_python_lock_free(queue->write_lock);
    mp_python_lock_free(queue->room);
    mp_python_lock_free(queue->unfinished);
    mp__python_condition_fini(&queue->condition);
    free(queue);
}

/* Queue and JoinableQueue, as Python's queue.Queue, for clients of a manager.
 * SPDX-License-Identifier: MIT
 *
 * A queue may lease what it gives: an item that was got stays with the connection that got it, and
 * is in front again when the connection ends before it was dealt with. */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mgr/managed.h"
#include "mgr/session.h"

struct queue;

struct leases {           /* of one connection in one queue: what it has got, the oldest first */
    struct mp__held held; /* in its session's list */
    struct leases *next;  /* of the queue's */
    struct queue *queue;  /* holds it */
    struct mp__session *session;
    mp_object *items; /* a list */
};

struct queue {
    struct mp__referent referent;
    mp_object **items; /* a ring, from malloc */
    size_t first;      /* where the oldest is */
    size_t count;
    size_t capacity;   /* a power of two, or 0 */
    size_t maxsize;    /* 0: no limit */
    size_t unfinished; /* put and not yet task_done */
    bool is_shut_down;
    mp_redeliver redeliver;
    struct leases *leases;
    pthread_cond_t filled;   /* there is an item, or an end */
    pthread_cond_t emptied;  /* there is room, or an end */
    pthread_cond_t finished; /* nothing is unfinished */
};

static struct queue *queue_of(const struct mp__invocation *call) {
    return (struct queue *)call->referent;
}

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *argument;
    ptrdiff_t maxsize = 0;
    if (!mp__call_bind(call, "maxsize=", &argument) ||
        (argument && !mp__call_index(call, argument, &maxsize)))
        return NULL;
    struct queue *queue = mp__referent_new(call->server, call->class_, sizeof *queue);
    if (!queue)
        return NULL;
    queue->maxsize = maxsize > 0 ? (size_t)maxsize : 0;
    queue->redeliver = call->registered ? call->registered->type.redeliver : MP_REDELIVER_NEVER;
    mp__condition_init(&queue->filled);
    mp__condition_init(&queue->emptied);
    mp__condition_init(&queue->finished);
    return &queue->referent;
}

static mp_object *take_first(struct queue *queue) {
    mp_object *item = queue->items[queue->first];
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    return item;
}

static int grow(struct queue *queue) {
    size_t capacity = queue->capacity ? queue->capacity * 2 : 16;
    mp_object **items = malloc(capacity * sizeof *items);
    if (!items)
        return mp__fail(-ENOMEM, "a queue of %zu items", queue->count);
    for (size_t i = 0; i < queue->count; i++)
        items[i] = queue->items[(queue->first + i) & (queue->capacity - 1)];
    free(queue->items);
    queue->items = items;
    queue->first = 0;
    queue->capacity = capacity;
    return 0;
}

/* The item is taken over, also on failure. */
static int add(struct queue *queue, mp_object *item, bool is_front) {
    int code = queue->count == queue->capacity ? grow(queue) : 0;
    if (code < 0) {
        mp_object_free(item);
        return code;
    }
    size_t mask = queue->capacity - 1;
    if (is_front)
        queue->first = (queue->first - 1) & mask;
    queue->items[is_front ? queue->first : (queue->first + queue->count) & mask] = item;
    queue->count++;
    (void)pthread_cond_signal(&queue->filled);
    return 0;
}

static void drop_items(struct queue *queue) {
    while (queue->count > 0)
        mp_object_free(take_first(queue));
}

static void end_leases(struct mp__server *server, struct leases *leases) {
    struct queue *queue = leases->queue;
    struct leases **place = &queue->leases;
    while (*place != leases)
        place = &(*place)->next;
    *place = leases->next;
    mp__held_remove(&leases->held);
    mp_object_free(leases->items);
    free(leases);
    if (server)
        mp__referent_unhold(server, &queue->referent);
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    struct queue *queue = (struct queue *)referent;
    (void)server;
    while (queue->leases)
        end_leases(NULL, queue->leases);
    drop_items(queue);
    (void)pthread_cond_destroy(&queue->filled);
    (void)pthread_cond_destroy(&queue->emptied);
    (void)pthread_cond_destroy(&queue->finished);
    free(queue->items);
    free(queue);
}

/* The connection has ended: what it had is in front again, in its order. */
static void orphan_leases(struct mp__server *server, struct mp__held *held) {
    struct leases *leases = (struct leases *)held;
    mp_object *item;
    while (mp_list_pop(&item, leases->items, -1) == 0)
        (void)add(leases->queue, item, true);
    end_leases(server, leases);
}

static struct leases *find_leases(const struct mp__invocation *call, const struct queue *queue) {
    struct leases *leases = queue->leases;
    while (leases && leases->session != call->session)
        leases = leases->next;
    return leases;
}

static int lease(struct mp__invocation *call, struct queue *queue, const mp_object *item) {
    struct leases *leases = find_leases(call, queue);
    if (!leases) {
        leases = calloc(1, sizeof *leases);
        mp_object *items = leases ? mp_list_new() : NULL;
        if (!items) {
            free(leases);
            return -ENOMEM;
        }
        *leases = (struct leases){.held.orphan = orphan_leases,
                                  .next = queue->leases,
                                  .queue = queue,
                                  .session = call->session,
                                  .items = items};
        queue->leases = leases;
        mp__session_hold(call->session, &leases->held);
        mp__referent_hold(call->server, &queue->referent);
    }
    return mp_list_append(leases->items, mp_object_ref(item));
}

/* The oldest, or all, of what the connection has is dealt with. */
static void settle(struct mp__invocation *call, struct queue *queue, bool is_all) {
    struct leases *leases = find_leases(call, queue);
    if (!leases)
        return;
    if (is_all)
        (void)mp_object_clear(leases->items);
    else
        (void)mp_list_delete(leases->items, 0);
    if (mp_object_length(leases->items) == 0)
        end_leases(call->server, leases);
}

/* block and timeout, as put and get have them. */
static bool take_deadline(struct mp__invocation *call, const mp_object *block,
                          const mp_object *timeout, mp__time *deadline) {
    double seconds = 0;
    if (!mp__call_deadline(call, timeout, deadline))
        return false;
    bool is_blocking = !block || mp_object_is_true(block);
    if (timeout && mp_object_get_kind(timeout) != MP_OBJECT_NONE)
        (void)mp_float_get(timeout, &seconds);
    if (is_blocking && seconds < 0)
        return mp__raise(call, "builtins", "ValueError", "'timeout' must be a non-negative number");
    if (!is_blocking)
        *deadline = 0;
    return true;
}

static mp_object *put_until(struct mp__invocation *call, const mp_object *item, mp__time deadline) {
    struct queue *queue = queue_of(call);
    while (!queue->is_shut_down && queue->maxsize > 0 && queue->count >= queue->maxsize) {
        int code = mp__call_wait(call, &queue->emptied, deadline);
        if (code < 0)
            (void)pthread_cond_signal(&queue->emptied);
        if (code == MP_ETIMEDOUT)
            return mp__raise_object(call, "queue", "Full", NULL);
        if (code < 0)
            return NULL;
    }
    if (queue->is_shut_down)
        return mp__raise_object(call, "queue", "ShutDown", NULL);
    int code = add(queue, mp_object_ref(item), false);
    queue->unfinished += code == 0;
    return mp__call_done(call, code);
}

static mp_object *put(struct mp__invocation *call) {
    const mp_object *arguments[3];
    mp__time deadline;
    if (!mp__call_bind(call, "item block= timeout=", arguments) ||
        !take_deadline(call, arguments[1], arguments[2], &deadline))
        return NULL;
    return put_until(call, arguments[0], deadline);
}

static mp_object *put_nowait(struct mp__invocation *call) {
    const mp_object *item;
    return mp__call_bind(call, "item", &item) ? put_until(call, item, 0) : NULL;
}

static void undo_get(struct mp__invocation *call) {
    (void)add((struct queue *)call->undo_referent, call->undo_object, true);
    call->undo_object = NULL;
}

static mp_object *get_until(struct mp__invocation *call, mp__time deadline) {
    struct queue *queue = queue_of(call);
    if (queue->redeliver == MP_REDELIVER_NEXT)
        settle(call, queue, true);
    while (queue->count == 0 && !queue->is_shut_down) {
        int code = mp__call_wait(call, &queue->filled, deadline);
        if (code < 0)
            (void)pthread_cond_signal(&queue->filled);
        if (code == MP_ETIMEDOUT)
            return mp__raise_object(call, "queue", "Empty", NULL);
        if (code < 0)
            return NULL;
    }
    if (queue->count == 0)
        return mp__raise_object(call, "queue", "ShutDown", NULL);
    mp_object *item = take_first(queue);
    (void)pthread_cond_signal(&queue->emptied);
    if (queue->redeliver == MP_REDELIVER_NEVER) {
        mp__call_undo(call, undo_get, mp_object_ref(item));
    } else if (lease(call, queue, item) < 0) {
        (void)add(queue, item, true);
        return NULL;
    }
    return item;
}

static mp_object *get(struct mp__invocation *call) {
    const mp_object *arguments[2];
    mp__time deadline;
    if (!mp__call_bind(call, "block= timeout=", arguments) ||
        !take_deadline(call, arguments[0], arguments[1], &deadline))
        return NULL;
    return get_until(call, deadline);
}

static mp_object *get_nowait(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? get_until(call, 0) : NULL;
}

static mp_object *qsize(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_integer_new_unsigned(queue_of(call)->count) : NULL;
}

static mp_object *empty(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_bool_new(queue_of(call)->count == 0) : NULL;
}

static mp_object *full(struct mp__invocation *call) {
    const struct queue *queue = queue_of(call);
    return mp__call_bind_none(call)
               ? mp_bool_new(queue->maxsize > 0 && queue->count >= queue->maxsize)
               : NULL;
}

static mp_object *task_done(struct mp__invocation *call) {
    struct queue *queue = queue_of(call);
    if (!mp__call_bind_none(call))
        return NULL;
    if (queue->unfinished == 0)
        return mp__raise(call, "builtins", "ValueError", "task_done() called too many times");
    settle(call, queue, false);
    if (--queue->unfinished == 0)
        (void)pthread_cond_broadcast(&queue->finished);
    return mp_none_new();
}

static mp_object *join(struct mp__invocation *call) {
    struct queue *queue = queue_of(call);
    if (!mp__call_bind_none(call))
        return NULL;
    while (queue->unfinished > 0)
        if (mp__call_wait(call, &queue->finished, MP__NEVER) < 0)
            return NULL;
    return mp_none_new();
}

/* Python 3.13: nothing more is put; what is there can be got, or goes, too. */
static mp_object *shut_down(struct mp__invocation *call) {
    struct queue *queue = queue_of(call);
    const mp_object *immediate;
    if (!mp__call_bind(call, "immediate=", &immediate))
        return NULL;
    queue->is_shut_down = true;
    if (mp_object_is_true(immediate)) {
        queue->unfinished -= queue->count < queue->unfinished ? queue->count : queue->unfinished;
        drop_items(queue);
    }
    (void)pthread_cond_broadcast(&queue->filled);
    (void)pthread_cond_broadcast(&queue->emptied);
    if (queue->unfinished == 0)
        (void)pthread_cond_broadcast(&queue->finished);
    return mp_none_new();
}

static mp_object *repr(struct mp__invocation *call) {
    return mp__str_format("<queue.Queue object at 0x%llx>",
                          (unsigned long long)call->referent->number);
}

/* First what waits, then what is leased. */
static const mp_object *next_root(const struct mp__referent *referent, size_t *cursor) {
    const struct queue *queue = (const struct queue *)referent;
    size_t number = (*cursor)++;
    if (number < queue->count)
        return queue->items[(queue->first + number) & (queue->capacity - 1)];
    const struct leases *leases = queue->leases;
    for (number -= queue->count; leases && number > 0; number--)
        leases = leases->next;
    return leases ? leases->items : NULL;
}

static const struct mp__method methods[] = {
    {"put", put},     {"put_nowait", put_nowait}, {"get", get},   {"get_nowait", get_nowait},
    {"qsize", qsize}, {"empty", empty},           {"full", full}, {"task_done", task_done},
    {"join", join},   {"shutdown", shut_down},
};

#define QUEUE_CLASS(type_id)                                                                 \
    {                                                                                        \
        .name = type_id, .proxy_name = "AutoProxy",                                          \
        .exposed = "empty full get get_nowait join put put_nowait qsize shutdown task_done", \
        MP__METHODS(methods), .create = create, .destroy = destroy, .repr = repr,            \
        .next_root = next_root                                                               \
    }

const struct mp__class mp__queue_class = QUEUE_CLASS("Queue");
const struct mp__class mp__joinable_queue_class = QUEUE_CLASS("JoinableQueue");

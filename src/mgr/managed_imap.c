/* Iterating over the results of a managed pool's imap or imap_unordered.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mgr/managed_result.h"
#include "mp/imap.h"

struct imap {
    struct mp__referent referent;
    mp_imap *results;
    struct mp__referent *pool; /* held; NULL: not needed any more */
    bool is_unordered;
    bool is_asked;           /* a call waits for a task's answer */
    pthread_cond_t answered; /* none does any more */
    const void *data;        /* the answer, until the next one is asked for */
    size_t size;             /* of data, in bytes */
    mp_object *items;        /* what is left of the last answer, in reverse; NULL: nothing */
};

static const struct mp__class imap_class;

/* Tasks as a pool's inputs. */
struct source {
    struct mp__tasks *tasks;
    void *task; /* given last, from malloc */
};

static int next_task(void *user, const void **data, size_t *size) {
    struct source *source = user;
    free(source->task);
    source->task = NULL;
    int code = mp__tasks_next(source->tasks, &source->task, size);
    *data = source->task;
    return code;
}

static struct imap *imap_of(const struct mp__invocation *call) {
    return (struct imap *)call->referent;
}

/* A window that no task fills: all are on their way at once, and the source is not needed later. */
struct mp__referent *mp__imap_new(struct mp__invocation *call, mp_pool *pool,
                                  struct mp__tasks *tasks, bool is_unordered) {
    struct source source = {.tasks = tasks};
    mp_imap_options options = {
        .unordered = is_unordered, .window = mp__tasks_count(tasks) + 1, .user = &source};
    struct imap *imap = mp__referent_new(call->server, &imap_class, sizeof *imap);
    if (!imap)
        return NULL;
    mp__condition_init(&imap->answered);
    imap->is_unordered = is_unordered;
    int code = mp_pool_imap(&imap->results, pool, mp__task_run, next_task, &options);
    free(source.task);
    if (code < 0) {
        mp__raise_pool(call, code);
        mp__referent_unhold(call->server, &imap->referent);
        return NULL;
    }
    mp__referent_hold(call->server, call->referent);
    imap->pool = call->referent;
    return &imap->referent;
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    struct imap *imap = (struct imap *)referent;
    mp__referent_leave(server, &imap->pool);
    mp_imap_free(imap->results);
    mp_object_free(imap->items);
    pthread_cond_destroy(&imap->answered);
    free(imap);
}

static int wait_for_answer(void *arg, double timeout) {
    struct imap *imap = arg;
    return mp_imap_next(imap->results, &imap->data, &imap->size, timeout);
}

/* Only one call at a time may ask. 0: there are items; else raised, or MP_EEOF. */
static int ask(struct mp__invocation *call, struct imap *imap, mp__time deadline) {
    imap->is_asked = true;
    int code = mp__call_wait_outside(call, wait_for_answer, imap, deadline);
    imap->is_asked = false;
    (void)pthread_cond_broadcast(&imap->answered);
    if (code == MP_EEND)
        mp__referent_leave(call->server, &imap->pool);
    if (code < 0)
        return code;
    mp_object_free(imap->items);
    imap->items = mp__answer_value(call, imap->data, imap->size);
    (void)mp_list_reverse(imap->items);
    return imap->items ? 0 : MP_EREMOTE;
}

static mp_object *fail(struct mp__invocation *call, int code) {
    if (call->exception || code == MP_EEOF)
        return NULL;
    if (code == MP_EEND)
        return mp__raise_object(call, "builtins", "StopIteration", NULL);
    if (code == MP_ETIMEDOUT)
        return mp__raise_object(call, "multiprocessing.context", "TimeoutError", NULL);
    return mp__raise_code(call, code);
}

static mp_object *next(struct mp__invocation *call) {
    struct imap *imap = imap_of(call);
    mp__time deadline;
    mp_object *item;
    int code = 0;
    if (!mp__call_bind_timeout(call, &deadline))
        return NULL;
    while (code == 0 && (imap->is_asked || mp_object_length(imap->items) == 0))
        code = imap->is_asked ? mp__call_wait(call, &imap->answered, deadline)
                              : ask(call, imap, deadline);
    if (code < 0)
        return fail(call, code);
    (void)mp_list_pop(&item, imap->items, -1);
    return item;
}

static mp_object *repr(struct mp__invocation *call) {
    return mp__str_format("<multiprocessing.pool.%s object at 0x%llx>",
                          imap_of(call)->is_unordered ? "IMapUnorderedIterator" : "IMapIterator",
                          (unsigned long long)call->referent->number);
}

static const struct mp__method methods[] = {{"__next__", next}, {"next", next}};

static const struct mp__class imap_class = {
    .name = "Iterator",
    .proxy_name = "IteratorProxy",
    .exposed = "__next__ send throw close",
    MP__METHODS(methods),
    .destroy = destroy,
    .repr = repr,
};

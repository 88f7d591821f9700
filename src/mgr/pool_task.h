/* Tasks of a managed pool: what goes to a worker process, and what comes back.
 * SPDX-License-Identifier: MIT
 *
 *     task   := the function, and a pickle of (kind, args, kwds)
 *     answer := a pickle of a reply: (#RETURN, value) or (#ERROR, exception) */
#ifndef MP__MGR_POOL_TASK_H
#define MP__MGR_POOL_TASK_H

#include "mp/manager.h"
#include "mp/pool.h"

enum mp__task_kind {
    MP__TASK_CALL,    /* function(*args, **kwds) */
    MP__TASK_MAP,     /* [function(item) for item in args] */
    MP__TASK_STARMAP, /* [function(*item) for item in args] */
};

/* The bytes of a task, from malloc. 0; MP_EINVAL: the function is of no loaded object; -ENOMEM. */
int mp__task_new(void **out, size_t *size, mp_method_fn function, enum mp__task_kind kind,
                 const mp_object *args, const mp_object *kwds);

/* Calls of a map, cut into tasks of some items each. */
struct mp__tasks {
    mp_method_fn function;
    enum mp__task_kind kind;
    mp_object *items; /* a list */
    size_t chunk;     /* items of a task, at least 1 */
    size_t at;        /* the first item of the next task */
};

size_t mp__tasks_count(const struct mp__tasks *tasks);
/* Make the next one as mp__task_new. 1; 0: there is none; its codes. */
int mp__tasks_next(struct mp__tasks *tasks, void **out, size_t *size);

/* In a worker: an mp_apply_fn, and an mp_worker_init_fn for an initializer as a task. */
int mp__task_run(const void *task, size_t size, mp_reply *reply, void *state);
int mp__task_initialize(void *task, size_t size, void **state);

#endif

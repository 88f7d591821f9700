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

/* In a worker: an mp_apply_fn, and an mp_worker_init_fn for an initializer as a task. */
int mp__task_run(const void *task, size_t size, mp_reply *reply, void *state);
int mp__task_initialize(void *task, size_t size, void **state);

#endif

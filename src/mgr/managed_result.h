/* What became of a managed pool's tasks: an AsyncResult, or an iterator over results.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_MANAGED_RESULT_H
#define MP__MGR_MANAGED_RESULT_H

#include "mgr/managed.h"
#include "mgr/pool_task.h"

/* A result with room for `count` parts, which mp__result_add gives it: call->referent, the pool,
 * stays until they are done. */
struct mp__referent *mp__result_new(struct mp__invocation *call, size_t count, bool is_map);
void mp__result_add(struct mp__referent *referent, mp_async_result *part);

/* Wait for all of it and give the value, as AsyncResult.get does. */
mp_object *mp__result_get(struct mp__invocation *call, struct mp__referent *referent,
                          mp__time deadline);

/* What a task gave, from its answer; NULL: what it raised is raised. */
mp_object *mp__answer_value(struct mp__invocation *call, const void *data, size_t size);

/* An iterator over what the tasks give, which begin at once: in their order, or as they are done.
 * NULL: the tasks could not be made, or the pool is closed: raised. */
struct mp__referent *mp__imap_new(struct mp__invocation *call, mp_pool *pool,
                                  struct mp__tasks *tasks, bool is_unordered);

/* Why the pool takes no task, by the code of its functions. NULL. */
void *mp__raise_pool(struct mp__invocation *call, int code);

#endif

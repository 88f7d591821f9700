/* What became of a managed pool's task: an AsyncResult, or an iterator over results.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_MANAGED_RESULT_H
#define MP__MGR_MANAGED_RESULT_H

#include "mgr/managed.h"
#include "mgr/pool_task.h"

/* A referent of one of these classes with room for `count` parts, which mp__result_add gives it. */
struct mp__referent *mp__result_new(struct mp__invocation *call, const struct mp__class *class_,
                                    size_t count, bool is_map);
void mp__result_add(struct mp__referent *referent, mp_async_result *part);

/* Wait for all of it and give the value, as AsyncResult.get does. */
mp_object *mp__result_get(struct mp__invocation *call, struct mp__referent *referent,
                          mp__time deadline);

extern const struct mp__class mp__result_iterator_class;

#endif

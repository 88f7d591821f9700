/* What a thread that cannot go on waits for: for those who look for deadlocks, or just look.
 * SPDX-License-Identifier: MIT
 *
 * Written before a sleep, never on the way of those who need not wait. A thread waits for one thing
 * at a time; a signal handler that waits for another one in between puts the first one back. The
 * count is raised first: the same count before and after reading blocked_on means that wait. */
#ifndef MP__REG_BLOCKED_H
#define MP__REG_BLOCKED_H

#include "reg/thread.h"

#define MP__BLOCKED_GUARD UINT64_C(1) /* at a struct mp__guard, until its owner lets go, for ever */
#define MP__BLOCKED_TELLS UINT64_C(2) /* whose waiter can be told of a deadlock */

/* `object`: 4-byte aligned. self NULL: nothing is written. What to give to end. */
static inline uint64_t mp__blocked_begin(struct thread_shared *self, const void *object,
                                         uint64_t marks) {
    if (!self)
        return 0;
    uint64_t before = atomic_load_explicit(&self->blocked_on, memory_order_relaxed);
    uint64_t count = atomic_load_explicit(&self->blocked_count, memory_order_relaxed);
    atomic_store_explicit(&self->blocked_count, count + 1, memory_order_relaxed);
    atomic_store(&self->blocked_on, (uint64_t)(uintptr_t)object | marks);
    return before;
}

static inline void mp__blocked_end(struct thread_shared *self, uint64_t before) {
    if (self)
        atomic_store(&self->blocked_on, before);
}

static inline const void *mp__blocked_object(uint64_t blocked_on) {
    return (const void *)(uintptr_t)(blocked_on & ~(MP__BLOCKED_GUARD | MP__BLOCKED_TELLS));
}

#endif

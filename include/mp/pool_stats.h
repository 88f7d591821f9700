/* mp/pool_stats.h: what the workers of a pool did, and what they took for it.
 * SPDX-License-Identifier: MIT
 *
 *     mp_worker_stats stats[8];
 *     int count = mp_pool_stats(pool, stats, 8);
 *     for (int i = 0; i < count && i < 8; i++)
 *         printf("worker %d: %zu tasks in %.1f s, idle for %.1f s\n", (int)stats[i].pid,
 *                stats[i].tasks, stats[i].busy_seconds, stats[i].idle_seconds);
 *
 * Workers count as they go: a store for each chunk, and a look at the clock when they have nothing
 * to do.
 *
 * Who may call what at once
 *     mp_pool_stats      any thread of the process that made the pool, until it is freed
 *
 * If a process dies in the middle of
 *     a task             it is not counted; the time is
 *     a call here        nothing is changed by it
 */
#ifndef MP_POOL_STATS_H
#define MP_POOL_STATS_H

#include "mp/pool.h"

/* What the workers of one seat did: the present one and those that it replaced. */
typedef struct mp_worker_stats {
    pid_t pid;           /* of the present one; 0: none, or not begun yet */
    size_t tasks;        /* items and tasks that they ended, well or not */
    double busy_seconds; /* with work, from when they were ready */
    double idle_seconds; /* without */
    unsigned restarts;   /* how often one was replaced */
    double cpu_seconds;  /* of processor time */
    size_t peak_bytes;   /* of memory, shared included: the largest of theirs; of who was killed: 0.
                            Of threads: the program's */
} mp_worker_stats;

MP_BEGIN_DECLS

/* What each worker did so far, near enough while they go on.
 *   out      room for `capacity`, in a fixed order; NULL with 0
 *   returns  how many workers the pool has, perhaps more than capacity; MP_EINVAL */
int mp_pool_stats(mp_pool *pool, mp_worker_stats *out, int capacity);

MP_END_DECLS
#endif

/* Lines about pools: the workers and what each of them runs.
 * SPDX-License-Identifier: MIT */
#include <inttypes.h>

#include "family/dump.h"
#include "pool/pool.h"
#include "shm/heap.h"

static const char *const pool_states[] = {
    [MP__POOL_OPEN] = "open",
    [MP__POOL_CLOSED] = "closed",
    [MP__POOL_STOPPING] = "stopping",
    [MP__POOL_TERMINATED] = "terminated",
};

static const char *const shapes[] = {[MP__JOB_MAP] = "map",
                                     [MP__JOB_STARMAP] = "starmap",
                                     [MP__JOB_TASKS] = "apply",
                                     [MP__JOB_TRAY] = "applies"};

static bool is_in_heap(const void *pointer, size_t size) {
    return mp__arena_contains(pointer, size) && (uintptr_t)pointer % 16 == 0;
}

/* The job whose batch the record names. */
static void dump_work(FILE *stream, const struct worker_shared *worker) {
    uint64_t item = atomic_load(&worker->item);
    const void *batch = (const void *)(uintptr_t)(atomic_load(&worker->batch) & ~MP__POOL_LEAVING);
    struct batch_shared what;
    struct job_shared job;
    if (!is_in_heap(batch, sizeof what) || item == MP__POOL_NO_ITEM || !(item & 1)) {
        fputs(batch ? " between items" : " idle", stream);
        return;
    }
    mp__heap_peek(&what, batch, sizeof what);
    fprintf(stream, " runs item %" PRIu64, item >> 1);
    if (!is_in_heap(what.job, sizeof job))
        return;
    mp__heap_peek(&job, what.job, sizeof job);
    fprintf(stream, " of %s %p of %" PRIu64, job.shape <= MP__JOB_TRAY ? shapes[job.shape] : "-",
            (void *)what.job, job.count);
    mp__time since = atomic_load(&worker->since);
    if (job.time_limit > 0 && since > 0)
        fprintf(stream, " for %.1f s", (double)(mp__now() - since) / (double)MP__SECOND);
}

static void dump_worker(FILE *stream, uint32_t seat, const struct worker_shared *worker) {
    mp__member_ref member = atomic_load(&worker->member);
    fprintf(stream, "    worker %" PRIu32 " ", seat);
    if (member == 0) {
        fputs("starting\n", stream);
        return;
    }
    mp__dump_member(stream, member);
    if (!mp__member_is_alive(member))
        fputs(" dead", stream);
    if (atomic_load(&worker->state) == MP__WORKER_INIT_FAILED)
        fputs(" failed to begin", stream);
    else
        dump_work(stream, worker);
    fputc('\n', stream);
}

void mp__dump_pool(const struct mp__sight *sight, uint32_t kind) {
    (void)kind;
    const struct pool_shared *pool = sight->object;
    if (sight->size < sizeof *pool)
        return;
    uint32_t state = atomic_load(&pool->state), count = pool->worker_count;
    uint64_t room = (sight->size - sizeof *pool) / sizeof pool->workers[0];
    fprintf(sight->stream, "pool %p %s, %" PRIu32 " workers of ", sight->block,
            state <= MP__POOL_TERMINATED ? pool_states[state] : "-", count);
    mp__dump_member(sight->stream, pool->owner);
    fputc('\n', sight->stream);
    for (uint32_t i = 0; i < count && i < room; i++) {
        struct worker_shared copy;
        const char *records = (const char *)sight->block + offsetof(struct pool_shared, workers);
        mp__heap_peek(&copy, records + i * sizeof copy, sizeof copy);
        dump_worker(sight->stream, i, &copy);
    }
    mp__dump_waiters(sight);
}

/* A job that is not wanted any more, begun or not.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

/* Nobody enters it any more, and nobody in it gets another chunk. */
static void close_batch(struct pool_shared *pool, struct batch_shared *batch) {
    if (!atomic_load(&batch->is_unlinked) && mp__batch_unlink(pool, batch) < 0)
        return; /* it is done for nothing */
    atomic_store(&batch->cursor, batch->chunk_count);
    mp__batch_finish(pool, batch);
}

/* Mutex held, as when the keeper makes batches of what a dead worker left. */
static int abandon_locked(struct pool_local *local, struct job_shared *job) {
    struct pool_shared *pool = local->shared;
    int code = 0;
    if (!atomic_load(&job->batch.is_unlinked))
        code = mp__batch_unlink(pool, &job->batch);
    if (code < 0)
        return code;
    if (!mp__job_abandon_locked(local, job, MP_ECANCELED, "it was cancelled"))
        return MP_ESTATE;
    job->errand.is_canceled = true;
    for (struct batch_shared *batch = &job->batch; batch; batch = atomic_load(&batch->sibling))
        close_batch(pool, batch);
    return 0;
}

static int begin_cancel(struct pool_local *local, struct job_shared *job) {
    pthread_mutex_lock(&local->mutex);
    int code = abandon_locked(local, job);
    local->timed_jobs += code == 0;
    pthread_mutex_unlock(&local->mutex);
    if (code == 0)
        mp__pool_poke(local);
    return code;
}

/* The keeper kills who is still in it. */
static void await_workers(struct pool_local *local, struct job_shared *job) {
    while (!mp__job_is_closed(job)) {
        uint32_t ticket = mp__gate_prepare(&job->gate);
        if (!mp__job_is_closed(job))
            mp__gate_wait(&job->gate, ticket, MP__NEVER);
    }
    pthread_mutex_lock(&local->mutex);
    local->timed_jobs--;
    pthread_mutex_unlock(&local->mutex);
}

int mp__job_cancel(struct job_shared *job) {
    int code = mp__job_begin_settling(job) ? 0 : MP_ESTATE;
    if (code == 0) {
        code = job->pool ? begin_cancel(job->pool->local, job) : MP_ESTATE;
        if (code == 0)
            await_workers(job->pool->local, job);
        mp__job_end_settling(job, code == 0);
    }
    return code == MP_ESTATE && job->errand.is_canceled ? 0 : code;
}

/* Turning a call of the user into a job.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "shm/arena.h"
#include "shm/heap.h"

static int pack_function(struct pool_local *local, mp__any_fn function, struct mp__function *out) {
    pthread_mutex_lock(&local->mutex);
    for (unsigned i = 0; i < MP__POOL_KNOWN_FUNCTIONS; i++)
        if (local->known[i].function == function) {
            *out = local->known[i].packed;
            pthread_mutex_unlock(&local->mutex);
            return 0;
        }
    int code = mp__function_pack(function, out);
    if (code == 0)
        local->known[local->known_next++ % MP__POOL_KNOWN_FUNCTIONS] =
            (struct mp__known_function){function, *out};
    pthread_mutex_unlock(&local->mutex);
    return code;
}

/* A block that is freed with the job; zero bytes need none. */
static void *add_block(struct job_shared *job, size_t size) {
    void *block = mp__heap_alloc(size);
    if (block)
        job->errand.blocks[job->errand.block_count++] = block;
    return block;
}

static int bring_items(struct job_shared *job, const struct mp__submission *order) {
    size_t size = order->count * order->item_size;
    job->items = order->items;
    if (size == 0 || (!order->is_apply && mp__arena_contains(order->items, size)))
        return 0;
    char *copy = add_block(job, size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, order->items, size);
    job->items = copy;
    return 0;
}

static int make_room_for_results(struct job_shared *job, const struct mp__submission *order) {
    size_t size = order->count * order->result_size;
    job->results = order->results;
    if (size == 0 || mp__arena_contains(order->results, size))
        return 0;
    job->errand.results = order->results;
    job->results = add_block(job, size);
    return job->results ? 0 : -ENOMEM;
}

static int make_room_for_codes(struct job_shared *job, const struct mp__submission *order) {
    int *codes = order->map ? order->map->codes : NULL;
    size_t size = order->count * sizeof(int);
    if (!codes || size == 0)
        return 0;
    if (!mp__arena_contains(codes, size)) {
        job->errand.codes = codes;
        codes = add_block(job, size);
        if (!codes)
            return -ENOMEM;
    }
    memset(codes, 0, size);
    job->codes = (_Atomic int *)codes;
    return 0;
}

static int make_batch(struct pool_shared *pool, struct job_shared *job,
                      const struct mp__submission *order) {
    size_t chunk = order->map ? order->map->chunk : 0;
    size_t wanted = 4 * (size_t)pool->worker_count;
    if (chunk == 0)
        chunk = order->count / wanted + (order->count % wanted != 0);
    mp__batch_init(&job->batch, job, 0, order->count, chunk ? chunk : 1);
    if (job->batch.chunk_count <= MP__POOL_INLINE_CHUNKS)
        return 0;
    job->batch.claimed = mp__heap_zalloc(job->batch.chunk_count);
    if (job->batch.claimed)
        return 0;
    job->batch.claimed = job->batch.claimed_inline;
    return -ENOMEM;
}

static void note_callbacks(struct job_shared *job, const struct mp__submission *order) {
    struct job_errand *errand = &job->errand;
    if (order->map) {
        errand->map_callback = order->map->callback;
        errand->progress = order->map->progress;
        errand->user = order->map->user;
    }
    if (order->apply) {
        errand->apply_callback = order->apply->callback;
        errand->error_callback = order->apply->error_callback;
        errand->user = order->apply->user;
    }
    job->has_callback = errand->map_callback || errand->progress || errand->apply_callback ||
                        errand->error_callback;
    errand->references = (unsigned)order->is_wanted + (unsigned)job->has_callback;
}

static mp__time time_limit_of(const struct pool_local *local, const struct mp__submission *order) {
    double seconds = order->apply ? order->apply->timeout : 0;
    if (!(seconds > 0))
        return local->time_limit;
    return seconds < 1e9 ? (mp__time)(seconds * (double)MP__SECOND) + 1 : 0;
}

static int make_job(struct job_shared **out, struct pool_local *local,
                    const struct mp__submission *order) {
    struct job_shared *job = mp__heap_zalloc(sizeof *job);
    if (!job)
        return -ENOMEM;
    job->pool = local->shared;
    job->owner = local->shared->owner;
    job->is_apply = order->is_apply;
    job->count = order->count;
    job->item_size = order->item_size;
    job->result_size = order->result_size;
    job->time_limit = time_limit_of(local, order);
    job->failure = MP__POOL_NO_FAILURE;
    job->errand.detail_item = MP__POOL_NO_ITEM;
    atomic_store(&job->kind, MP__KIND_ASYNC_RESULT);
    note_callbacks(job, order);
    mp__batch_init(&job->batch, job, 0, 0, 1);
    int code = pack_function(local, order->function, &job->function);
    if (code == 0)
        code = bring_items(job, order);
    if (code == 0)
        code = make_room_for_results(job, order);
    if (code == 0)
        code = make_room_for_codes(job, order);
    if (code == 0)
        code = make_batch(local->shared, job, order);
    if (code < 0)
        mp__job_erase(job);
    else
        *out = job;
    return code;
}

/* Does the pool still take work? Mutex held, so that close and terminate come before or after. */
static int check_open(struct pool_local *local, const char *name) {
    if (local->broken_code)
        return mp__fail(local->broken_code, "%s: %s", name, local->broken_detail);
    if (atomic_load(&local->shared->state) != MP__POOL_OPEN)
        return mp__fail(MP_EINVAL, "%s: the pool is closed and takes no more work", name);
    return 0;
}

static void add_to_jobs(struct pool_local *local, struct job_shared *job) {
    struct job_errand *errand = &job->errand;
    errand->following = local->jobs;
    if (local->jobs)
        local->jobs->errand.previous = job;
    local->jobs = job;
    if (job->has_callback)
        local->callbacks_due++;
    if (errand->progress)
        local->progress_jobs++;
    errand->is_timed = job->time_limit > 0;
    if (errand->is_timed && local->timed_jobs++ == 0)
        mp__pool_poke(local);
}

static int enter_job(struct pool_local *local, struct job_shared *job, const char *name) {
    int code = check_open(local, name);
    if (code == 0 && local->has_threads && job->time_limit)
        code =
            mp__fail(MP_EINVAL, "%s: a timeout needs processes: a thread cannot be killed", name);
    if (code == 0 && job->has_callback)
        code = mp__callback_start(local);
    if (code == 0 && job->count > 0)
        code = mp__batch_push(local->shared, &job->batch, false);
    if (code == 0)
        add_to_jobs(local, job);
    return code;
}

/* All of it under the parent's mutex: whoever goes through the jobs finds this one with its batch
 * in the list, or not at all. */
int mp__job_submit(struct job_shared **out, mp_pool *pool, const struct mp__submission *order) {
    struct pool_local *local = mp__pool_of(pool)->local;
    struct job_shared *job;
    int code = make_job(&job, local, order);
    if (code < 0)
        return code;
    pthread_mutex_lock(&local->mutex);
    mp__job_free_orphans(local, 4);
    code = enter_job(local, job, order->name);
    bool is_empty = code == 0 && job->count == 0;
    if (is_empty)
        atomic_store(&job->state, MP__JOB_DONE);
    if (code == 0 && job->errand.references == 0)
        mp__job_add_orphan(local, job);
    else if (is_empty)
        mp__job_announce(local->shared, job);
    pthread_mutex_unlock(&local->mutex);
    if (code < 0)
        mp__job_erase(job);
    else
        *out = job;
    return code;
}

/* Turning a call of the user into a job.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "pool/bar.h"
#include "shm/arena.h"
#include "shm/heap.h"

int mp__job_pack_function(struct pool_local *local, mp__any_fn function, struct mp__function *out) {
    for (unsigned i = 0; i < MP__POOL_KNOWN_FUNCTIONS; i++)
        if (local->known[i].function == function) {
            *out = local->known[i].packed;
            return 0;
        }
    int code = mp__function_pack(function, out);
    if (code == 0)
        local->known[local->known_next++ % MP__POOL_KNOWN_FUNCTIONS] =
            (struct mp__known_function){function, *out};
    return code;
}

static int pack_function(struct pool_local *local, mp__any_fn function, struct mp__function *out) {
    pthread_mutex_lock(&local->mutex);
    int code = mp__job_pack_function(local, function, out);
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
    job->item_size = order->item_size;
    if (size == 0 || mp__arena_contains(order->items, size))
        return 0;
    char *copy = add_block(job, size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, order->items, size);
    job->items = copy;
    return 0;
}

static size_t bytes_to_copy(const struct mp__submission *order, size_t i) {
    size_t size = order->count * order->columns[i].item_size;
    return mp__arena_contains(order->columns[i].items, size) ? 0 : (size + 63) & ~(size_t)63;
}

/* The table and all copies in one block. */
static int bring_columns(struct job_shared *job, const struct mp__submission *order) {
    size_t table_size = (order->column_count * sizeof *job->columns + 63) & ~(size_t)63;
    size_t size = table_size;
    for (size_t i = 0; i < order->column_count; i++)
        if (__builtin_add_overflow(size, bytes_to_copy(order, i), &size))
            return mp__fail(-ENOMEM, "%s: the columns are larger than memory", order->name);
    struct column_shared *table = add_block(job, size);
    if (!table)
        return -ENOMEM;
    char *copy = (char *)table + table_size;
    for (size_t i = 0; i < order->column_count; i++) {
        const mp_column *column = &order->columns[i];
        size_t copied = bytes_to_copy(order, i);
        table[i] = (struct column_shared){copied ? copy : column->items, column->item_size};
        if (copied)
            memcpy(copy, column->items, order->count * column->item_size);
        copy += copied;
    }
    job->columns = table;
    job->item_size = order->column_count;
    return 0;
}

static int bring_argument(struct job_shared *job, const struct mp__submission *order) {
    job->tasks = &job->task;
    job->task.size = order->item_size;
    if (order->item_size == 0)
        return 0;
    void *copy = add_block(job, order->item_size);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, order->items, order->item_size);
    job->task.data = copy;
    return 0;
}

static int bring(struct job_shared *job, const struct mp__submission *order) {
    if (order->shape == MP__JOB_MAP)
        return bring_items(job, order);
    if (order->shape == MP__JOB_STARMAP)
        return bring_columns(job, order);
    if (!order->is_imap)
        return bring_argument(job, order);
    job->tasks = order->tasks;
    job->first_number = order->first_number;
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
    for (uint64_t i = 0; i < order->count; i++)
        codes[i] = MP_ECANCELED;
    job->codes = (_Atomic int *)codes;
    return 0;
}

static int make_batch(struct pool_shared *pool, struct job_shared *job,
                      const struct mp__submission *order) {
    size_t chunk = order->shape == MP__JOB_TASKS ? order->count : 0;
    if (order->map)
        chunk = order->map->chunk;
    size_t wanted = 4 * (size_t)pool->worker_count;
    if (chunk == 0)
        chunk = order->count / wanted + (order->count % wanted != 0);
    mp__batch_init(&job->batch, job, 0, order->count, chunk ? chunk : 1);
    return mp__batch_make_table(&job->batch, pool->worker_count);
}

static void note_callbacks(struct job_shared *job, const struct mp__submission *order) {
    struct job_errand *errand = &job->errand;
    if (order->map) {
        errand->map_callback = order->map->callback;
        errand->progress = order->map->progress;
        errand->bar = order->map->progress_bar ? mp__bar_new(order->count) : NULL;
        errand->user = order->map->user;
    }
    if (order->apply) {
        errand->apply_callback = order->apply->callback;
        errand->error_callback = order->apply->error_callback;
        errand->user = order->apply->user;
    }
    job->has_callback = errand->map_callback || errand->progress || errand->bar ||
                        errand->apply_callback || errand->error_callback;
    errand->references = (unsigned)order->is_wanted + (unsigned)job->has_callback;
}

static mp__time time_limit_of(const struct pool_local *local, const struct mp__submission *order) {
    double seconds = order->apply ? order->apply->timeout : 0;
    if (!(seconds > 0))
        return local->time_limit;
    return seconds < 1e9 ? (mp__time)(seconds * (double)MP__SECOND) + 1 : 0;
}

/* What an imap gave us is its own again. */
static void discard(struct job_shared *job) {
    job->tasks = &job->task;
    job->count = 1;
    mp__job_erase(job);
}

static int make_job(struct job_shared **out, struct pool_local *local,
                    const struct mp__submission *order) {
    struct job_shared *job = mp__heap_zalloc(sizeof *job);
    if (!job)
        return -ENOMEM;
    job->pool = local->shared;
    job->owner = local->shared->owner;
    job->shape = order->shape;
    job->is_of_imap = order->is_imap;
    job->count = order->count;
    job->tasks = &job->task;
    job->result_size = order->result_size;
    job->time_limit = time_limit_of(local, order);
    job->failure = MP__POOL_NO_FAILURE;
    job->errand.detail_item = MP__POOL_NO_ITEM;
    atomic_store(&job->kind, MP__KIND_ASYNC_RESULT);
    note_callbacks(job, order);
    mp__batch_init(&job->batch, job, 0, 0, 1);
    int code = pack_function(local, order->function, &job->function);
    if (code == 0)
        code = bring(job, order);
    if (code == 0)
        code = make_room_for_results(job, order);
    if (code == 0)
        code = make_room_for_codes(job, order);
    if (code == 0)
        code = make_batch(local->shared, job, order);
    if (code < 0)
        discard(job);
    else
        *out = job;
    return code;
}

/* Does the pool still take work? Mutex held, so that close and terminate come before or after. */
int mp__job_check_submission(struct pool_local *local, const struct mp__submission *order) {
    uint32_t state = atomic_load(&local->shared->state);
    if (local->broken_code)
        return mp__fail(local->broken_code, "%s: %s", order->name, local->broken_detail);
    if (state == MP__POOL_OPEN || (state == MP__POOL_CLOSED && order->is_imap))
        return 0;
    if (order->is_imap)
        return mp__fail(MP_ECANCELED, "%s: the pool was terminated", order->name);
    return mp__fail(MP_EINVAL, "%s: the pool is closed and takes no more work", order->name);
}

int mp__job_check_open(struct pool_local *local, const char *name) {
    struct mp__submission order = {.name = name};
    pthread_mutex_lock(&local->mutex);
    int code = mp__job_check_submission(local, &order);
    pthread_mutex_unlock(&local->mutex);
    return code;
}

void mp__job_add(struct pool_local *local, struct job_shared *job) {
    struct job_errand *errand = &job->errand;
    errand->following = local->jobs;
    if (local->jobs)
        local->jobs->errand.previous = job;
    local->jobs = job;
    if (job->has_callback)
        local->callbacks_due++;
    if (errand->progress || errand->bar)
        local->progress_jobs++;
    errand->is_timed = job->time_limit > 0;
    if (errand->is_timed && local->timed_jobs++ == 0)
        mp__pool_poke(local);
}

static int enter_job(struct pool_local *local, struct job_shared *job,
                     const struct mp__submission *order) {
    int code = mp__job_check_submission(local, order);
    if (code == 0 && local->has_threads && job->time_limit)
        code = mp__fail(MP_EINVAL, "%s: a timeout needs processes: a thread cannot be killed",
                        order->name);
    if (code == 0 && job->has_callback)
        code = mp__callback_start(local);
    if (code == 0)
        mp__tray_close(local);
    if (code == 0 && job->count > 0)
        code = mp__batch_push(local->shared, &job->batch, false);
    if (code == 0)
        mp__job_add(local, job);
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
    code = enter_job(local, job, order);
    bool is_empty = code == 0 && job->count == 0;
    if (code == 0 && order->is_imap) {
        job->errand.inputs = order->inputs;
        job->errand.blocks[job->errand.block_count++] = order->tasks;
    }
    if (is_empty)
        atomic_store(&job->state, MP__JOB_DONE);
    if (code == 0 && job->errand.references == 0)
        mp__job_add_orphan(local, job);
    else if (is_empty)
        mp__job_announce(local->shared, job);
    pthread_mutex_unlock(&local->mutex);
    if (code < 0) {
        discard(job);
        return code;
    }
    *out = job;
    return 0;
}

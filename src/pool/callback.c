/* The callback thread: calls the user back when jobs end, and tells how far they are.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <errno.h>

#include "base/fail.h"
#include "os/futex.h"
#include "os/threads.h"
#include "pool/bar.h"

#define PAUSE (MP__SECOND / 10) /* between calls of a progress callback, and before trying again */

/* Items that are not done: those of chunks not given out, and what is left of chunks in work. */
static uint64_t count_undone(const struct pool_shared *pool, const struct batch_shared *batch) {
    uint64_t given = atomic_load(&batch->cursor);
    uint64_t undone = 0;
    if (given < batch->chunk_count)
        undone = batch->end - mp__batch_chunk_first(batch, given);
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        uint64_t item = atomic_load(&pool->workers[i].item);
        if (atomic_load(&pool->workers[i].batch) != (uintptr_t)batch || item == MP__POOL_NO_ITEM)
            continue;
        item >>= 1;
        if (item >= batch->first && item < batch->end)
            undone += mp__batch_chunk_end(batch, (item - batch->first) / batch->chunk) - item;
    }
    return undone;
}

/* Read while workers go on, so it is near the truth only; never told to go back. */
static void tell_progress(const struct pool_shared *pool, struct job_shared *job) {
    struct job_errand *errand = &job->errand;
    uint64_t undone = 0;
    if (mp__job_is_pending(job))
        for (struct batch_shared *batch = &job->batch; batch; batch = atomic_load(&batch->sibling))
            undone += count_undone(pool, batch);
    size_t done = undone < job->count ? job->count - undone : 0;
    if (done < errand->progress_told)
        done = errand->progress_told;
    if (errand->bar && atomic_load(&job->state) != MP__JOB_ABANDONED)
        mp__bar_draw(errand->bar, done, job->count, atomic_load(&job->failed_count));
    if (!errand->progress || (done == errand->progress_told && done < job->count))
        return;
    errand->progress_told = done;
    errand->progress(errand->user, done, job->count);
}

static bool has_progress(const struct job_errand *errand) {
    return errand->progress || errand->bar;
}

static void call_back(struct job_shared *job) {
    struct job_errand *errand = &job->errand;
    int code = mp__job_code(job);
    if (has_progress(errand) && code != MP_ECANCELED)
        tell_progress(job->pool, job);
    if (errand->map_callback)
        errand->map_callback(errand->user, code);
    if (code == 0 && errand->apply_callback)
        errand->apply_callback(errand->user, mp__task_answer(job->tasks), job->tasks->reply_size);
    if (code < 0 && errand->error_callback)
        errand->error_callback(errand->user, code, mp__job_detail(job));
}

/* Who had no memory to list one said so. */
static int list_missing(struct pool_local *local) {
    if (!atomic_exchange(&local->shared->has_unlisted, 0))
        return 0;
    pthread_mutex_lock(&local->mutex);
    int code = mp__job_list_missing(local->shared, local->jobs);
    pthread_mutex_unlock(&local->mutex);
    if (code < 0)
        atomic_store(&local->shared->has_unlisted, 1);
    return code;
}

/* In the order in which they were done; the list is the other way round. -ENOMEM: try again. */
static int take_done(struct pool_local *local, struct job_shared **out) {
    struct pool_shared *pool = local->shared;
    struct job_shared *oldest = NULL;
    if (list_missing(local) < 0 || mp__pool_lock(pool) < 0)
        return -ENOMEM;
    struct job_shared *job = pool->done;
    pool->done = NULL;
    mp__pool_unlock(pool);
    while (job) {
        struct job_shared *next = job->next_done;
        job->next_done = oldest;
        oldest = job;
        job = next;
    }
    *out = oldest;
    return 0;
}

static void call_back_all(struct pool_local *local, struct job_shared *job) {
    while (job) {
        struct job_shared *next = job->next_done;
        bool is_told = has_progress(&job->errand);
        mp__job_settle(job);
        call_back(job);
        mp__job_unrefer(job);
        pthread_mutex_lock(&local->mutex);
        local->callbacks_due--;
        local->progress_jobs -= is_told;
        pthread_mutex_unlock(&local->mutex);
        job = next;
    }
}

/* A job in the list that has a progress callback lives on until we have called its last one. */
static void tell_all_progress(struct pool_local *local) {
    pthread_mutex_lock(&local->mutex);
    for (struct job_shared *job = local->jobs; job;) {
        if (!has_progress(&job->errand) || !mp__job_is_pending(job)) {
            job = job->errand.following;
            continue;
        }
        pthread_mutex_unlock(&local->mutex);
        tell_progress(local->shared, job);
        pthread_mutex_lock(&local->mutex);
        job = job->errand.following;
    }
    pthread_mutex_unlock(&local->mutex);
}

struct duties {
    bool is_over;      /* the pool stops and nobody waits for a callback */
    bool has_progress; /* somebody wants to know how far it is */
};

static struct duties look_at_duties(struct pool_local *local) {
    pthread_mutex_lock(&local->mutex);
    struct duties duties = {.is_over = local->callbacks_due == 0 &&
                                       atomic_load(&local->shared->state) >= MP__POOL_STOPPING,
                            .has_progress = local->progress_jobs > 0};
    pthread_mutex_unlock(&local->mutex);
    return duties;
}

static void *run_callbacks(void *argument) {
    struct pool_local *local = argument;
    struct pool_shared *pool = local->shared;
    for (;;) {
        uint32_t ticket = mp__gate_prepare(&pool->callback_gate);
        struct job_shared *done = NULL;
        int code = take_done(local, &done);
        call_back_all(local, done);
        struct duties duties = look_at_duties(local);
        if (duties.is_over)
            break;
        if (!done)
            mp__gate_wait(&pool->callback_gate, ticket,
                          duties.has_progress || code < 0 ? mp__now() + PAUSE : MP__NEVER);
        if (!done && duties.has_progress)
            tell_all_progress(local);
    }
    atomic_store(&local->callbacks_ended, 1);
    mp__futex_wake(&local->callbacks_ended, MP__WAKE_ALL);
    return NULL;
}

int mp__callback_start(struct pool_local *local) {
    if (local->has_callback_thread)
        return 0;
    atomic_store(&local->callbacks_ended, 0);
    int code = mp__thread_start(&local->callback_thread, run_callbacks, local);
    if (code < 0) {
        atomic_store(&local->callbacks_ended, 1);
        return mp__fail(code, "starting the pool's callback thread");
    }
    local->has_callback_thread = true;
    return 0;
}

bool mp__callback_is_me(struct pool_local *local) {
    pthread_mutex_lock(&local->mutex);
    bool is_me =
        local->has_callback_thread && pthread_equal(local->callback_thread, pthread_self());
    pthread_mutex_unlock(&local->mutex);
    return is_me;
}

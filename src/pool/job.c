/* Jobs from the parent's side: made, ended, given back.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/futex.h"
#include "pool/bar.h"
#include "shm/heap.h"

static int failed_code(uint64_t failure) {
    uint32_t bits = (uint32_t)(failure >> 2) & 0x7fffff;
    return bits & 0x400000 ? (int)(bits | 0xff800000) : (int)bits;
}

int mp__job_code(const struct job_shared *job) {
    static const int codes[] = {[MP__FAILED_TASK] = MP_ETASK,
                                [MP__FAILED_WORKER] = MP_EWORKER,
                                [MP__FAILED_TIMEOUT] = MP_ETIMEDOUT};
    if (atomic_load(&job->state) == MP__JOB_ABANDONED)
        return job->errand.abandoned_code;
    if (job->shape == MP__JOB_TASKS)
        return job->tasks[0].code;
    uint64_t failure = atomic_load(&job->failure);
    return failure == MP__POOL_NO_FAILURE ? 0 : codes[failure & 3];
}

void mp__job_explain(struct job_shared *job, const char *format, ...) {
    char sentence[MP__POOL_DETAIL_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    free(job->errand.detail);
    job->errand.detail = strdup(sentence);
}

/* Deaths were explained by the keeper, tasks by themselves. The count comes first: whoever failed
 * an item raised it last, so that what the keeper wrote is here, though another process ended the
 * job. */
static void explain(struct job_shared *job) {
    atomic_load(&job->failed_count);
    uint64_t failure = atomic_load(&job->failure);
    if (failure == MP__POOL_NO_FAILURE || (failure & 3) != MP__FAILED_TASK)
        return;
    char who[48], sentence[MP__POOL_DETAIL_BYTES];
    snprintf(who, sizeof who, "item %llu: the function", (unsigned long long)(failure >> 25));
    mp__describe_returned(sentence, sizeof sentence, who, failed_code(failure));
    mp__job_explain(job, "%s", sentence);
}

/* Codes first: of a cancelled map somebody may still write, and what has code 0 is complete. */
static void copy_results_out(struct job_shared *job) {
    const struct job_errand *errand = &job->errand;
    for (uint64_t i = 0; errand->codes && i < job->count; i++)
        errand->codes[i] = atomic_load_explicit(&job->codes[i], memory_order_acquire);
    if (errand->results)
        memcpy(errand->results, job->results, job->count * job->result_size);
}

int mp__job_wait(struct job_shared *job, mp__time deadline) {
    while (mp__job_is_pending(job)) {
        uint32_t ticket = mp__gate_prepare(&job->gate);
        if (!mp__job_is_pending(job))
            break;
        if (mp__gate_wait(&job->gate, ticket, deadline) < 0 && mp__job_is_pending(job))
            return MP_ETIMEDOUT;
    }
    return 0;
}

static void wait_while_busy(struct job_shared *job) {
    while (atomic_load(&job->settled) == MP__SETTLE_BUSY) {
        uint32_t ticket = mp__gate_prepare(&job->gate);
        if (atomic_load(&job->settled) == MP__SETTLE_BUSY)
            mp__gate_wait(&job->gate, ticket, MP__NEVER);
    }
}

/* false: somebody else has settled it. */
bool mp__job_begin_settling(struct job_shared *job) {
    for (;;) {
        uint32_t state = MP__SETTLE_NOT;
        if (atomic_compare_exchange_strong(&job->settled, &state, MP__SETTLE_BUSY))
            return true;
        if (state == MP__SETTLE_DONE)
            return false;
        wait_while_busy(job);
    }
}

/* Before anybody goes on who waits for the job, and perhaps prints something. */
static void end_bar(struct job_shared *job) {
    if (atomic_load(&job->state) == MP__JOB_DONE)
        mp__bar_draw(job->errand.bar, job->count, job->count, atomic_load(&job->failed_count));
    mp__bar_end(job->errand.bar);
}

void mp__job_end_settling(struct job_shared *job, bool has_results) {
    if (job->errand.bar && !mp__job_is_pending(job))
        end_bar(job);
    if (has_results)
        copy_results_out(job);
    atomic_store(&job->settled, has_results ? MP__SETTLE_DONE : MP__SETTLE_NOT);
    mp__gate_notify(&job->gate, MP__WAKE_ALL);
}

void mp__job_settle(struct job_shared *job) {
    if (!mp__job_begin_settling(job))
        return;
    bool is_done = atomic_load(&job->state) == MP__JOB_DONE;
    if (is_done)
        explain(job);
    mp__job_end_settling(job, is_done);
}

void mp__job_forget_arrays(struct job_shared *job) {
    if (!mp__job_begin_settling(job))
        return;
    job->errand.results = NULL;
    job->errand.codes = NULL;
    mp__job_end_settling(job, false);
}

/* A worker that has the job in its record, or a list of the keeper, may still touch it. */
static bool is_touched(const struct pool_shared *pool, struct job_shared *job) {
    for (struct batch_shared *batch = &job->batch; batch; batch = atomic_load(&batch->sibling)) {
        if (atomic_load(&batch->is_suspect))
            return true;
        for (uint32_t i = 0; i < pool->worker_count; i++)
            if ((atomic_load(&pool->workers[i].batch) & ~MP__POOL_LEAVING) == (uintptr_t)batch)
                return true;
    }
    return false;
}

void mp__inputs_free(struct input_shared *inputs) {
    while (inputs) {
        struct input_shared *next = inputs->next;
        mp__heap_free(inputs);
        inputs = next;
    }
}

void mp__job_erase(struct job_shared *job) {
    for (struct batch_shared *batch = &job->batch; batch;) {
        struct batch_shared *sibling = atomic_load(&batch->sibling);
        mp__heap_free((void *)batch->claimed);
        if (batch != &job->batch)
            mp__heap_free(batch);
        batch = sibling;
    }
    for (uint64_t i = 0; i < job->count && mp__job_has_tasks(job); i++)
        mp__heap_free(atomic_load(&mp__job_task(job, i)->block));
    for (uint64_t i = 0; i < job->count && job->shape == MP__JOB_TRAY; i++)
        mp__ticket_free_argument(&job->tickets[i]);
    for (unsigned i = 0; i < job->errand.block_count; i++)
        mp__heap_free(job->errand.blocks[i]);
    mp__inputs_free(job->errand.inputs);
    free(job->errand.detail);
    free(job->errand.abandoned_detail);
    mp__bar_free(job->errand.bar);
    atomic_store(&job->kind, 0);
    mp__heap_free(job);
}

static void remove_from_jobs(struct pool_local *local, struct job_shared *job) {
    const struct job_errand *errand = &job->errand;
    if (errand->previous)
        errand->previous->errand.following = errand->following;
    else
        local->jobs = errand->following;
    if (errand->following)
        errand->following->errand.previous = errand->previous;
    if (errand->is_timed)
        local->timed_jobs--;
}

/* Unlinked first: nobody can enter a batch that is not in the list, so that what no record names
 * then will be named by none. */
static bool try_to_free(struct pool_local *local, struct job_shared *job) {
    if (mp__job_is_pending(job) || job->errand.references > 0)
        return false;
    for (struct batch_shared *batch = &job->batch; batch; batch = atomic_load(&batch->sibling))
        if (!atomic_load(&batch->is_unlinked) && mp__batch_unlink(local->shared, batch) < 0)
            return false;
    if (is_touched(local->shared, job))
        return false;
    remove_from_jobs(local, job);
    mp__job_erase(job);
    return true;
}

void mp__job_add_orphan(struct pool_local *local, struct job_shared *job) {
    job->errand.next_orphan = NULL;
    job->errand.is_orphan = true;
    if (local->orphans)
        local->last_orphan->errand.next_orphan = job;
    else
        local->orphans = job;
    local->last_orphan = job;
}

void mp__job_unrefer_locked(struct pool_local *local, struct job_shared *job) {
    assert(job->errand.references > 0);
    if (--job->errand.references == 0 && !job->errand.is_orphan && !try_to_free(local, job))
        mp__job_add_orphan(local, job);
}

void mp__job_unrefer(struct job_shared *job) {
    struct pool_local *local = job->pool->local;
    pthread_mutex_lock(&local->mutex);
    mp__job_unrefer_locked(local, job);
    pthread_mutex_unlock(&local->mutex);
}

/* Those that cannot be freed yet go to the end, so that one long job keeps no others. */
void mp__job_free_orphans(struct pool_local *local, unsigned limit) {
    while (limit-- > 0 && local->orphans) {
        struct job_shared *job = local->orphans;
        local->orphans = job->errand.next_orphan;
        if (!try_to_free(local, job))
            mp__job_add_orphan(local, job);
    }
}

/* Nobody reads code and detail unless the job was abandoned, by us. */
bool mp__job_abandon_locked(struct pool_local *local, struct job_shared *job, int code,
                            const char *detail) {
    uint32_t pending = MP__JOB_PENDING;
    if (!mp__job_is_pending(job))
        return false;
    job->errand.abandoned_code = code;
    free(job->errand.abandoned_detail);
    job->errand.abandoned_detail = detail ? strdup(detail) : NULL;
    bool is_ours = atomic_compare_exchange_strong(&job->state, &pending, MP__JOB_ABANDONED);
    if (is_ours && job->shape == MP__JOB_TRAY)
        mp__tray_abandon(job);
    if (is_ours)
        mp__job_announce(local->shared, job);
    return is_ours;
}

void mp__job_abandon(struct pool_local *local, struct job_shared *job, int code,
                     const char *detail) {
    pthread_mutex_lock(&local->mutex);
    mp__job_abandon_locked(local, job, code, detail);
    pthread_mutex_unlock(&local->mutex);
}

void mp__job_abandon_all(struct pool_local *local, int code, const char *detail) {
    pthread_mutex_lock(&local->mutex);
    for (struct job_shared *job = local->jobs; job; job = job->errand.following)
        mp__job_abandon_locked(local, job, code, detail);
    pthread_mutex_unlock(&local->mutex);
}

void mp__job_detach_all(struct pool_local *local) {
    pthread_mutex_lock(&local->mutex);
    for (struct job_shared *job = local->jobs; job;) {
        struct job_shared *following = job->errand.following;
        job->pool = NULL;
        if (job->errand.references == 0)
            mp__job_erase(job);
        job = following;
    }
    local->jobs = local->orphans = NULL;
    mp__imap_detach_all(local);
    pthread_mutex_unlock(&local->mutex);
}

const char *mp__job_detail(const struct job_shared *job) {
    int code = mp__job_code(job);
    const char *detail = job->errand.abandoned_detail;
    if (code == 0)
        return "";
    if (atomic_load(&job->state) == MP__JOB_DONE)
        detail = job->shape == MP__JOB_TASKS ? mp__task_sentence(job->tasks) : job->errand.detail;
    else if (code == MP_ECANCELED && !detail)
        detail = "the pool was terminated";
    return detail ? detail : mp_strerror(code); /* no memory for a sentence */
}

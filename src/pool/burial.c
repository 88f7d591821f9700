/* What a dead worker leaves: the item it ran, the rest of its chunk, perhaps a chunk nobody knows
 * of. SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/point.h"
#include "os/futex.h"
#include "proc/process.h"
#include "reg/recover.h"
#include "shm/heap.h"

enum { JOINS_MAX = 10 }; /* workers in a row that cannot join, before the pool is broken */

/* Who died, how, in which batch. */
struct death {
    struct pool_local *local;     /* of which pool */
    struct mp__seat *seat;        /* where it sat */
    struct worker_shared *record; /* what it said it does */
    struct batch_shared *batch;   /* in which batch it was */
    pid_t pid;                    /* who */
    int code;                     /* its exit code, -signal */
};

static void describe_end(const struct death *death, char *out, size_t capacity) {
    const char *name = death->code < 0 ? sigabbrev_np(-death->code) : NULL;
    if (name)
        snprintf(out, capacity, "died of SIG%s", name);
    else if (death->code < 0)
        snprintf(out, capacity, "died of signal %d", -death->code);
    else
        snprintf(out, capacity, "exited with code %d", death->code);
}

/* Sentences are kept for the lowest item of a map only, as its code is what get returns. */
static void explain_item(struct job_shared *job, uint64_t item, const char *sentence) {
    if (item >= job->errand.detail_item || !mp__job_is_pending(job))
        return;
    job->errand.detail_item = item;
    mp__job_explain(job, "%s", sentence);
}

/* Its worker died in it, or nobody can take it. */
static void fail_item(struct job_shared *job, uint64_t item, int code, const char *why) {
    char who[32] = "the task", sentence[MP__POOL_DETAIL_BYTES];
    if (!mp__job_has_tasks(job) || job->is_of_imap)
        snprintf(who, sizeof who, "item %llu", (unsigned long long)(job->first_number + item));
    snprintf(sentence, sizeof sentence, "%s: %s", who, why);
    if (mp__job_has_tasks(job)) {
        mp__reply_fail_for(mp__job_task(job, item), code, sentence);
        if (job->shape == MP__JOB_TRAY)
            mp__ticket_end(&job->tickets[item]);
        return;
    }
    explain_item(job, item, sentence);
    mp__job_fail_item(job, item, code,
                      code == MP_ETIMEDOUT ? MP__FAILED_TIMEOUT : MP__FAILED_WORKER);
}

/* Nobody is in them; tickets that somebody has begun meanwhile are left to him. */
static void fail_range(struct job_shared *job, uint64_t first, uint64_t end, const char *why) {
    for (uint64_t item = first; item < end; item++)
        if (job->shape != MP__JOB_TRAY || mp__ticket_begin(&job->tickets[item], MP__TICKET_SEAT))
            fail_item(job, item, MP_EWORKER, why);
}

/* A batch of its own for items that were claimed and not done. Linked to the job before it is
 * pushed, so that the job cannot end without it. */
static void push_leftover(struct death *death, struct batch_shared *from, uint64_t first,
                          uint64_t end, uint32_t attempt) {
    struct job_shared *job = from->job;
    if (first >= end || !mp__job_is_pending(job))
        return;
    uint32_t seat = death->record ? death->record->seat : MP__TICKET_SEAT;
    if (job->shape == MP__JOB_TRAY && !mp__ticket_take_back(&job->tickets[first], seat))
        return;
    struct batch_shared *batch = mp__heap_zalloc(sizeof *batch);
    if (!batch) {
        fail_range(job, first, end, "its worker died and the arena has no room to try again");
        return;
    }
    mp__batch_init(batch, job, first, end, end - first);
    batch->attempt = attempt;
    atomic_store(&batch->sibling, atomic_load(&job->batch.sibling));
    atomic_store(&job->batch.sibling, batch);
    if (mp__batch_push(death->local->shared, batch, true) < 0) {
        fail_range(job, first, end, "its worker died and could not be relieved");
        atomic_store(&batch->cursor, batch->chunk_count);
        atomic_store(&batch->is_closed, 1);
    }
}

static void fail_dead_item(const struct death *death, uint64_t item) {
    struct job_shared *job = death->batch->job;
    const struct mp__function *function = &job->function;
    char how[40], what[80], why[160];
    describe_end(death, how, sizeof how);
    if (job->shape == MP__JOB_TRAY)
        function = &job->tickets[item].function;
    mp__function_describe(function, what, sizeof what);
    snprintf(why, sizeof why, "worker %d %s in %s", (int)death->pid, how, what);
    fail_item(job, item, MP_EWORKER, why);
}

static void fail_overdue_item(const struct death *death, uint64_t item) {
    struct job_shared *job = death->batch->job;
    char why[160];
    snprintf(why, sizeof why, "worker %d was killed after %g seconds, the time limit",
             (int)death->pid, (double)job->time_limit / (double)MP__SECOND);
    fail_item(job, item, MP_ETIMEDOUT, why);
}

static bool was_overdue(const struct death *death, uint64_t item) {
    const struct mp__seat *seat = death->seat;
    return seat->is_overdue && seat->overdue_item == item &&
           seat->overdue_batch == (uintptr_t)death->batch;
}

/* An item that was not the one to be killed for its time, or that has tries left, is begun again.
 */
static void judge_item(struct death *death, uint64_t item) {
    struct batch_shared *batch = death->batch;
    uint32_t attempt = batch->end - batch->first == 1 ? batch->attempt : 0;
    if (mp__job_has_tasks(batch->job) && mp__task_has_ended(mp__job_task(batch->job, item))) {
        if (batch->job->shape == MP__JOB_TRAY)
            mp__ticket_end(&batch->job->tickets[item]);
        return;
    }
    if (was_overdue(death, item))
        fail_overdue_item(death, item);
    else if (death->seat->is_overdue)
        push_leftover(death, batch, item, item + 1, attempt);
    else if (attempt < death->local->retries)
        push_leftover(death, batch, item, item + 1, attempt + 1);
    else
        fail_dead_item(death, item);
}

/* It claimed, but its record cannot tell which chunk, or that it got one at all. */
static void suspect(struct death *death) {
    struct batch_shared *batch = death->batch;
    if (atomic_load(&batch->is_suspect))
        return;
    batch->next_suspect = death->local->suspects;
    death->local->suspects = batch;
    atomic_store(&batch->is_suspect, 1);
}

/* Of a tray the tickets tell what was lost. One that another worker is just taking is pushed in
 * vain, for only one can begin it. */
static void save_tickets(struct death *death) {
    struct batch_shared *tray = death->batch;
    uint64_t given = atomic_load(&tray->cursor);
    for (uint64_t i = 0; i < given && i < tray->end; i++)
        if (!mp__batch_is_claimed(death->local->shared, tray, i))
            push_leftover(death, tray, i, i + 1, 0);
}

static void settle_chunk(struct death *death) {
    struct batch_shared *batch = death->batch;
    uint64_t word = atomic_load(&death->record->item);
    if (word == MP__POOL_NO_ITEM && batch->is_tray) {
        save_tickets(death);
        return;
    }
    if (word == MP__POOL_NO_ITEM) {
        suspect(death);
        return;
    }
    uint64_t item = word >> 1, is_running = word & 1;
    uint64_t chunk = (item - batch->first) / batch->chunk;
    if (!batch->is_tray)
        mp__batch_mark(batch, death->record->seat, chunk);
    if (!mp__job_is_pending(batch->job))
        return;
    if (is_running)
        judge_item(death, item);
    push_leftover(death, batch, item + is_running, mp__batch_chunk_end(batch, chunk),
                  is_running ? 0 : batch->attempt);
}

/* It could not join the family, or did not come that far; not killed. That may pass. */
static void count_failed_join(struct death *death) {
    const struct worker_shared *record = death->record;
    bool has_told = atomic_load(&record->state) == MP__WORKER_INIT_FAILED;
    if (death->code >= 0 &&
        atomic_fetch_add(&death->local->shared->failed_inits, 1) + 1 >= JOINS_MAX)
        mp__pool_break(death->local, has_told ? record->init_code : MP_EWORKER,
                       "no worker can begin: the last one exited with code %d%s%.150s", death->code,
                       has_told ? ", " : "", has_told ? record->init_detail : "");
}

static void count_failed_init(struct death *death) {
    struct pool_shared *pool = death->local->shared;
    const struct worker_shared *record = death->record;
    char how[80];
    death->local->next_start = mp__now() + MP__SECOND / 100;
    if (atomic_load(&pool->state) >= MP__POOL_STOPPING)
        return;
    if (!pool->initializer.image) {
        count_failed_join(death);
        return;
    }
    if (atomic_fetch_add(&pool->failed_inits, 1) + 1 < 3)
        return;
    describe_end(death, how, sizeof how);
    if (atomic_load(&record->state) != MP__WORKER_INIT_FAILED)
        mp__pool_break(death->local, MP_EWORKER,
                       "the initializer failed three times in a row: worker %d %s in it",
                       (int)death->pid, how);
    else
        mp__pool_break(death->local, record->init_code < 0 ? record->init_code : MP_ETASK,
                       "the initializer failed three times in a row: it returned %d%s%.100s",
                       record->init_code, record->init_detail[0] ? ", " : "", record->init_detail);
}

static void clear_record(struct worker_shared *record) {
    atomic_store(&record->thread, 0);
    atomic_store(&record->item, MP__POOL_NO_ITEM);
    atomic_store(&record->state, MP__WORKER_STARTING);
}

/* Who, how; false: its things are not recovered yet. A thread gave back its things itself. */
static bool identify(struct death *death) {
    mp_process *process = death->seat->process;
    death->pid = process ? mp_process_pid(process) : getpid();
    return !process ||
           (mp_process_exitcode(process, &death->code) == 0 &&
            mp__recover_member_until(mp__process_member(process), mp__now() + MP__SECOND / 50));
}

static void leave_seat(struct mp__seat *seat) {
    if (seat->process)
        mp_process_close(seat->process);
    else
        pthread_join(seat->thread, NULL);
    *seat = (struct mp__seat){0};
}

bool mp__burial_try(struct pool_local *local, uint32_t seat) {
    struct death death = {
        .local = local, .seat = &local->seats[seat], .record = &local->shared->workers[seat]};
    if (!identify(&death))
        return false;
    mp__stats_bury(local, seat);
    uint64_t word = atomic_load(&death.record->batch);
    death.batch = (struct batch_shared *)(uintptr_t)(word & ~MP__POOL_LEAVING);
    if (word && !(word & MP__POOL_LEAVING)) {
        pthread_mutex_lock(&local->mutex);
        settle_chunk(&death);
        pthread_mutex_unlock(&local->mutex);
    }
    if (word)
        mp__batch_leave(local->shared, death.record);
    if (atomic_load(&death.record->state) != MP__WORKER_READY)
        count_failed_init(&death);
    clear_record(death.record);
    mp__log(MP_LOG_DEBUG, "cleaning up worker %d", (int)death.pid);
    leave_seat(death.seat);
    return true;
}

/* Under the mutex: as soon as it is no suspect any more, its job may be freed. */
static void sweep_batch(struct pool_local *local, struct batch_shared *batch) {
    struct death nobody = {.local = local};
    pthread_mutex_lock(&local->mutex);
    for (uint64_t chunk = 0; chunk < batch->chunk_count; chunk++)
        if (!mp__batch_is_claimed(local->shared, batch, chunk))
            push_leftover(&nobody, batch, mp__batch_chunk_first(batch, chunk),
                          mp__batch_chunk_end(batch, chunk), batch->attempt);
    atomic_store(&batch->is_suspect, 0);
    mp__batch_finish(local->shared, batch);
    pthread_mutex_unlock(&local->mutex);
}

/* Only when all of it is given out and nobody is in it, a chunk that nobody marked is one that died
 * with its claimer. */
void mp__burial_sweep(struct pool_local *local) {
    struct batch_shared **link = &local->suspects;
    while (*link) {
        struct batch_shared *batch = *link;
        if (!mp__batch_is_given_out(batch) || mp__batch_is_worked_on(local->shared, batch)) {
            link = &batch->next_suspect;
            continue;
        }
        *link = batch->next_suspect;
        sweep_batch(local, batch);
    }
}

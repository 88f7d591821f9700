/* Giving out work chunk by chunk, and finding out that all of it is done.
 * SPDX-License-Identifier: MIT */
#include "pool/pool.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>

#include "base/point.h"
#include "os/futex.h"
#include "reg/recover.h"
#include "shm/heap.h"
#include "sync/spin.h"

int mp__pool_lock(struct pool_shared *pool) {
    struct thread_shared *self = mp__self();
    if (!self)
        return -ENOMEM;
    int code = mp__guard_acquire(&pool->guard, self, MP__HOLDING_POOL, pool, MP__NEVER);
    return code == MP_EOWNERDEAD ? 0 : code;
}

void mp__pool_unlock(struct pool_shared *pool) {
    mp__guard_release(&pool->guard, mp__self(), MP__HOLDING_POOL, pool);
}

void mp__batch_init(struct batch_shared *batch, struct job_shared *job, uint64_t first,
                    uint64_t end, uint64_t chunk) {
    batch->job = job;
    batch->first = first;
    batch->end = end;
    batch->chunk = chunk;
    batch->chunk_count = (end - first) / chunk + ((end - first) % chunk != 0);
}

int mp__batch_make_table(struct batch_shared *batch, uint32_t seats) {
    if (batch->chunk_count <= MP__POOL_FEW_CHUNKS)
        return 0;
    uint64_t stride = ((batch->chunk_count + 63) / 64 + 7) & ~UINT64_C(7);
    batch->claimed = mp__heap_zalloc(seats * stride * sizeof *batch->claimed);
    batch->claimed_stride = stride;
    return batch->claimed ? 0 : -ENOMEM;
}

bool mp__batch_is_claimed(const struct pool_shared *pool, const struct batch_shared *batch,
                          uint64_t chunk) {
    if (batch->is_tray)
        return atomic_load(&batch->job->tickets[chunk].state) != MP__TICKET_WAITS;
    uint64_t words = atomic_load(&batch->few_claimed);
    for (uint32_t i = 0; batch->claimed && i < pool->worker_count; i++)
        words |= atomic_load(&batch->claimed[i * batch->claimed_stride + chunk / 64]);
    return words >> chunk % 64 & 1;
}

static void link_batch(struct pool_shared *pool, struct batch_shared *batch, bool at_front) {
    struct batch_shared *head = atomic_load(&pool->head);
    batch->is_leftover = at_front;
    if (!head || !at_front)
        atomic_store(&batch->next, NULL);
    if (!head) {
        pool->tail = batch;
        atomic_store(&pool->head, batch);
    } else if (at_front) {
        atomic_store(&batch->next, head);
        atomic_store(&pool->head, batch);
    } else {
        atomic_store(&pool->tail->next, batch);
        pool->tail = batch;
    }
}

int mp__batch_push(struct pool_shared *pool, struct batch_shared *batch, bool at_front) {
    int code = mp__pool_lock(pool);
    if (code < 0)
        return code;
    link_batch(pool, batch, at_front);
    mp__pool_unlock(pool);
    uint64_t wanted = batch->chunk_count < pool->worker_count ? batch->chunk_count : MP__WAKE_ALL;
    mp__gate_notify(&pool->work, (int)wanted);
    return 0;
}

/* Batches are entered from the front only: behind the first one that is fresh, and was not put
 * before the others, all are fresh. So for a batch that was entered the walk is short, however long
 * the list. */
static bool is_search_over(const struct batch_shared *at, const struct batch_shared *wanted) {
    return !at->is_leftover && at != wanted && atomic_load(&at->cursor) == 0 &&
           atomic_load(&wanted->cursor) > 0;
}

int mp__batch_unlink(struct pool_shared *pool, struct batch_shared *batch) {
    int code = mp__pool_lock(pool);
    if (code < 0)
        return code;
    _Atomic(struct batch_shared *) *link = &pool->head;
    struct batch_shared *before = NULL, *at;
    while ((at = atomic_load(link)) && at != batch && !is_search_over(at, batch)) {
        before = at;
        link = &at->next;
    }
    if (at == batch) {
        atomic_store(link, atomic_load(&batch->next));
        if (pool->tail == batch)
            pool->tail = before;
    }
    atomic_store(&batch->is_unlinked, 1);
    mp__pool_unlock(pool);
    return 0;
}

int mp__batch_unlink_all(struct pool_shared *pool) {
    int code = mp__pool_lock(pool);
    if (code < 0)
        return code;
    atomic_store(&pool->head, NULL);
    mp__pool_unlock(pool);
    return 0;
}

static bool is_stopping(struct pool_shared *pool) {
    return atomic_load(&pool->state) >= MP__POOL_STOPPING;
}

static void unlink_head(struct pool_shared *pool, struct batch_shared *head) {
    atomic_store(&pool->head, atomic_load(&head->next));
    MP__POINT("pool.take.unlinked");
    atomic_store(&head->is_unlinked, 1);
}

/* Unlinks what is given out. Returns whether a chunk was claimed; entered without one (the others
 * were quicker) the worker has to leave again. An open tray stays, and has no more for us when it
 * is dry: it is the last one, then. */
static bool take_locked(struct pool_shared *pool, struct worker_shared *worker,
                        struct batch_shared **out, uint64_t *chunk) {
    struct batch_shared *batch;
    while ((batch = atomic_load(&pool->head)) && mp__batch_is_given_out(batch))
        unlink_head(pool, batch);
    if (is_stopping(pool) || (batch && mp__batch_is_dry(batch)))
        batch = NULL;
    *out = batch;
    if (!batch)
        return false;
    worker->seen_ready = 0;
    atomic_store(&worker->item, MP__POOL_NO_ITEM);
    atomic_store(&worker->batch, (uintptr_t)batch);
    MP__POINT("pool.take.entered");
    bool is_claimed = mp__batch_claim(worker, batch, chunk);
    if (mp__batch_is_given_out(batch))
        unlink_head(pool, batch);
    return is_claimed;
}

/* Who always has work looks at no clock. */
static void sleep_on(struct pool_shared *pool, struct worker_shared *worker, uint32_t ticket) {
    mp__time since = mp__now();
    atomic_store_explicit(&worker->idle_since, since, memory_order_relaxed);
    mp__gate_wait(&pool->work, ticket, MP__NEVER);
    MP__POINT("pool.sleep.ended");
    atomic_store_explicit(&worker->idle, atomic_load(&worker->idle) + mp__now() - since,
                          memory_order_relaxed);
    atomic_store_explicit(&worker->idle_since, 0, memory_order_relaxed);
}

/* The one wake-up that we had may have been meant for several submissions. */
static void pass_on_wake(struct pool_shared *pool, const struct batch_shared *taken) {
    const struct batch_shared *head = atomic_load(&pool->head);
    if (head && (head != taken || !mp__batch_is_dry(taken)))
        mp__gate_notify(&pool->work, 1);
}

/* 1 got one; 0 there was nothing; -ENOMEM. */
static int try_to_take(struct pool_shared *pool, struct worker_shared *worker,
                       struct batch_shared **out, uint64_t *chunk) {
    *out = NULL;
    while (!is_stopping(pool) && atomic_load(&pool->head)) {
        int code = mp__pool_lock(pool);
        if (code < 0)
            return code;
        bool is_claimed = take_locked(pool, worker, out, chunk);
        mp__pool_unlock(pool);
        if (is_claimed)
            return 1;
        if (!*out)
            return 0;
        mp__batch_leave(pool, worker);
        *out = NULL;
    }
    return 0;
}

/* Submissions come in quick succession: better to sleep a little later than to be woken for each.
 */
static void gather(void) {
    struct mp__spin spin = mp__spin_begin(MP__SPIN_GATHER);
    while (mp__spin_once(&spin))
        ;
    mp__spin_end(&spin, true);
}

int mp__batch_take(struct pool_shared *pool, struct worker_shared *worker,
                   struct batch_shared **out, uint64_t *chunk) {
    bool has_slept = false;
    for (;;) {
        int code = try_to_take(pool, worker, out, chunk);
        if (code == 0 && !is_stopping(pool)) {
            gather();
            uint32_t ticket = mp__gate_prepare(&pool->work);
            code = try_to_take(pool, worker, out, chunk);
            if (code == 0 && !is_stopping(pool)) {
                sleep_on(pool, worker, ticket);
                has_slept = true;
                continue;
            }
            mp__gate_cancel(&pool->work, ticket);
        }
        if (code > 0 && has_slept)
            pass_on_wake(pool, *out);
        return code < 0 ? code : 0;
    }
}

bool mp__batch_is_worked_on(const struct pool_shared *pool, const struct batch_shared *batch) {
    for (uint32_t i = 0; i < pool->worker_count; i++)
        if (atomic_load(&pool->workers[i].batch) == (uintptr_t)batch)
            return true;
    return false;
}

bool mp__job_is_closed(struct job_shared *job) {
    for (struct batch_shared *batch = &job->batch; batch; batch = atomic_load(&batch->sibling))
        if (!atomic_load(&batch->is_closed))
            return false;
    return true;
}

/* The order of the looks matters: a dead worker's record stays until the keeper has made a batch of
 * what it left, or called the batch suspect. */
void mp__batch_finish(struct pool_shared *pool, struct batch_shared *batch) {
    if (!mp__batch_is_given_out(batch) || mp__batch_is_worked_on(pool, batch) ||
        atomic_load(&batch->is_suspect))
        return;
    struct job_shared *job = batch->job;
    atomic_store(&batch->is_closed, 1);
    MP__POINT("pool.finish.closed");
    if (!mp__job_is_closed(job))
        return;
    uint32_t pending = MP__JOB_PENDING;
    atomic_compare_exchange_strong(&job->state, &pending, MP__JOB_DONE);
    MP__POINT("pool.finish.done");
    mp__job_announce(pool, job);
}

void mp__batch_leave(struct pool_shared *pool, struct worker_shared *worker) {
    uint64_t word = atomic_load_explicit(&worker->batch, memory_order_relaxed) & ~MP__POOL_LEAVING;
    struct batch_shared *batch = (struct batch_shared *)(uintptr_t)word;
    atomic_store_explicit(&worker->item, MP__POOL_NO_ITEM, memory_order_release);
    atomic_store(&worker->batch, word | MP__POOL_LEAVING);
    MP__POINT("pool.leave.leaving");
    mp__batch_finish(pool, batch);
    MP__POINT("pool.leave.finished");
    atomic_store(&worker->batch, 0);
    MP__POINT("pool.leave.left");
}

/* Pool locked. */
static void list_done(struct pool_shared *pool, struct job_shared *job) {
    if (job->is_in_done_list)
        return;
    job->next_done = pool->done;
    pool->done = job;
    MP__POINT("pool.announce.linked");
    job->is_in_done_list = true;
}

void mp__job_announce(struct pool_shared *pool, struct job_shared *job) {
    if (job->has_callback) {
        if (mp__pool_lock(pool) == 0) {
            list_done(pool, job);
            mp__pool_unlock(pool);
        } else {
            atomic_store(&pool->has_unlisted, 1);
        }
        mp__gate_notify(&pool->callback_gate, MP__WAKE_ALL);
    }
    mp__gate_notify(&job->gate, MP__WAKE_ALL);
    if (job->is_of_imap)
        mp__gate_notify(&pool->imap_gate, MP__WAKE_ALL);
}

int mp__job_list_missing(struct pool_shared *pool, struct job_shared *jobs) {
    int code = mp__pool_lock(pool);
    if (code < 0)
        return code;
    for (struct job_shared *job = jobs; job; job = job->errand.following)
        if (job->has_callback && !mp__job_is_pending(job))
            list_done(pool, job);
    mp__pool_unlock(pool);
    return 0;
}

/* The code keeps 23 bits: a code of the library or the system is never cut. */
static uint64_t failure_word(uint64_t item, int code, enum mp__failure_origin origin) {
    return item << 25 | ((uint64_t)(uint32_t)code & 0x7fffff) << 2 | (uint64_t)origin;
}

void mp__job_fail_item(struct job_shared *job, uint64_t item, int code,
                       enum mp__failure_origin origin) {
    if (job->codes)
        atomic_store_explicit(&job->codes[item], code, memory_order_relaxed);
    uint64_t mine = failure_word(item, code, origin);
    uint64_t lowest = atomic_load(&job->failure);
    while (mine < lowest && !atomic_compare_exchange_weak(&job->failure, &lowest, mine))
        ;
    atomic_fetch_add(&job->failed_count, 1);
}

/* Its thread record, 0: none any more. After a death that one may have become a stranger's. */
static uint32_t thread_of(struct worker_shared *worker) {
    uint32_t thread = atomic_load(&worker->thread);
    bool is_its = atomic_load(&mp__thread_at(thread)->member) == atomic_load(&worker->member);
    return is_its ? thread : 0;
}

/* The parent died: its workers, which are daemons, must be gone before its blocks are freed, for
 * they work in them; and nobody may ask us about the pool when they are recovered later. */
static void end_orphaned_workers(struct pool_shared *pool) {
    mp__time deadline = mp__now() + MP__SECOND;
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        uint32_t thread = thread_of(&pool->workers[i]);
        if (!thread)
            continue;
        mp__member_ref member = atomic_load(&pool->workers[i].member);
        pid_t pid = mp__member_pid(member);
        if (pid > 0 && mp__member_is_alive(member))
            kill(pid, SIGKILL);
        while (mp__member_is_alive(member) && mp__now() < deadline)
            ;
        mp__unhold_of(thread, MP__HOLDING_POOL, pool);
        mp__unhold_of(thread, MP__HOLDING_POOL, pool);
        MP__POINT("pool.recover.unheld");
        atomic_store(&pool->workers[i].thread, 0);
    }
}

static void recover_pool(void *object, uint32_t dead_thread) {
    struct pool_shared *pool = object;
    if (atomic_load(&mp__thread_at(dead_thread)->member) == pool->owner)
        end_orphaned_workers(pool);
    if (mp__guard_owner(&pool->guard) == dead_thread && pool->done)
        pool->done->is_in_done_list = true;
    mp__guard_recover(&pool->guard, dead_thread, false);
    for (uint32_t i = 0; i < pool->worker_count; i++) {
        uint64_t word = atomic_load(&pool->workers[i].batch);
        if (thread_of(&pool->workers[i]) != dead_thread || !word || (word & MP__POOL_LEAVING))
            continue;
        struct job_shared *job = ((struct batch_shared *)(uintptr_t)word)->job;
        uint64_t item = atomic_load(&pool->workers[i].item);
        if (mp__job_has_tasks(job) && item != MP__POOL_NO_ITEM && (item & 1)) /* else another's */
            mp__reply_recover(mp__job_task(job, item >> 1), mp__member_index(pool->owner));
    }
}
MP__RECOVER(MP__HOLDING_POOL, recover_pool)

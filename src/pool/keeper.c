/* The keeper: a thread of the parent that sees workers die, replaces them, and ends them in the
 * end. SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "os/futex.h"
#include "os/threads.h"
#include "proc/process.h"
#include "reg/holding.h"

enum {
    TICK_TIMED = 5,     /* ms between looks at the time limits of tasks */
    TICK_TROUBLE = 10,  /* ms, while something has to be tried again */
    STARTS_MAX = 10,    /* failed ones in a row before a pool without workers is broken */
    GRACE_MS = 500,     /* from SIGTERM to SIGKILL */
    ANSWER_SECONDS = 60 /* for a worker to come up */
};

static uint32_t state_of(const struct pool_local *local) {
    return atomic_load(&local->shared->state);
}

int mp__keeper_launch(struct pool_local *local, uint32_t seat) {
    static _Atomic unsigned last_number;
    if (local->has_threads)
        return mp__seat_start_thread(local, seat);
    char name[64];
    snprintf(name, sizeof name, "%s-%u", local->worker_name, atomic_fetch_add(&last_number, 1) + 1);
    struct mp__worker_argument told = {local->shared, local->shared->owner, seat, false};
    mp_process_options options = {.target = mp__pool_worker,
                                  .arg = &told,
                                  .arg_size = sizeof told,
                                  .name = name,
                                  .daemon = MP_DAEMON};
    mp_process *process;
    int code = mp_process_new(&process, local->context, &options);
    if (code < 0)
        return code;
    mp__process_of(process)->may_have_children = true;
    code = mp__process_launch(process);
    mp__log(MP_LOG_DEBUG, code == 0 ? "added worker" : "no worker could be added");
    if (code == 0)
        local->seats[seat] =
            (struct mp__seat){.process = process, .is_unconfirmed = true, .launch_time = mp__now()};
    else
        mp_process_close(process);
    return code;
}

static void end_terminated(struct pool_local *local) {
    mp__time now = mp__now();
    bool is_first = local->kill_time == 0;
    if (is_first)
        local->kill_time = now + GRACE_MS * (MP__SECOND / 1000);
    for (uint32_t i = 0; i < local->shared->worker_count; i++) {
        struct mp__seat *seat = &local->seats[i];
        if (seat->process && is_first)
            mp_process_terminate(seat->process);
        else if (seat->process && now >= local->kill_time)
            mp_process_kill(seat->process);
    }
}

static void bury_dead(struct pool_local *local) {
    for (uint32_t i = 0; i < local->shared->worker_count; i++)
        if (mp__seat_has_ended(&local->seats[i]))
            mp__burial_try(local, i);
}

static unsigned count_workers(const struct pool_local *local) {
    unsigned count = 0;
    for (uint32_t i = 0; i < local->shared->worker_count; i++)
        count += mp__seat_is_taken(&local->seats[i]);
    return count;
}

/* Others go on with the work meanwhile; only when there is nobody left the pool gives up. */
static void note_failed_start(struct pool_local *local, int code) {
    char detail[MP__POOL_DETAIL_BYTES];
    snprintf(detail, sizeof detail, "%s", mp_error_detail());
    unsigned doublings = local->failed_starts < 6 ? local->failed_starts : 6;
    local->next_start = mp__now() + (MP__SECOND / 200 << doublings);
    if (++local->failed_starts >= STARTS_MAX && count_workers(local) == 0)
        mp__pool_break(local, code, "no worker can be started: %.150s", detail);
}

/* Not waited for: a replacement that is stopped on its way must not stop us, too. */
static void confirm_worker(struct pool_local *local, struct mp__seat *seat) {
    if (!mp__process_has_answered(seat->process)) {
        if (state_of(local) < MP__POOL_STOPPING &&
            mp__now() - seat->launch_time < ANSWER_SECONDS * MP__SECOND)
            return;
        mp__process_kill_unconfirmed(seat->process);
    }
    int code = mp__process_confirm(seat->process);
    seat->is_unconfirmed = false;
    if (code == 0) {
        local->failed_starts = 0;
        return;
    }
    note_failed_start(local, code);
    if (mp_process_close(seat->process) == 0)
        seat->process = NULL;
}

static void fill_seats(struct pool_local *local) {
    uint32_t count = local->shared->worker_count;
    for (uint32_t i = 0; i < count; i++) {
        if (mp__seat_is_taken(&local->seats[i]) || state_of(local) >= MP__POOL_STOPPING ||
            mp__now() < local->next_start)
            continue;
        int code = mp__keeper_launch(local, i);
        if (code < 0)
            note_failed_start(local, code);
    }
    for (uint32_t i = 0; i < count; i++)
        if (local->seats[i].is_unconfirmed)
            confirm_worker(local, &local->seats[i]);
}

/* The job is only freed under the mutex, and only when no record names a batch of it. Whoever runs
 * what was cancelled has no time at all. */
static mp__time find_time_limit(struct pool_local *local, uint64_t *batch,
                                const struct worker_shared *record, uint64_t item) {
    mp__time limit = 0;
    pthread_mutex_lock(&local->mutex);
    uint64_t word = *batch = atomic_load(&record->batch);
    if (word && !(word & MP__POOL_LEAVING)) {
        const struct job_shared *job = ((const struct batch_shared *)(uintptr_t)word)->job;
        bool is_canceled = job->errand.is_canceled;
        if (job->shape == MP__JOB_TRAY && item < job->count)
            is_canceled =
                atomic_load(&job->tickets[item].state) == (MP__TICKET_ABANDONED | record->seat);
        limit = is_canceled ? 1 : job->time_limit;
    }
    pthread_mutex_unlock(&local->mutex);
    return limit;
}

static void check_time_limit(struct pool_local *local, uint32_t i) {
    const struct worker_shared *record = &local->shared->workers[i];
    struct mp__seat *seat = &local->seats[i];
    uint64_t item = atomic_load(&record->item);
    if (!seat->process || seat->is_unconfirmed || seat->is_overdue || item == MP__POOL_NO_ITEM ||
        !(item & 1))
        return;
    uint64_t batch;
    mp__time limit = find_time_limit(local, &batch, record, item >> 1),
             since = atomic_load(&record->since);
    if (limit == 0 || mp__now() - since < limit || atomic_load(&record->item) != item ||
        atomic_load(&record->batch) != batch)
        return;
    MP__POINT("pool.overdue.judged");
    seat->is_overdue = true;
    seat->overdue_item = item >> 1;
    seat->overdue_batch = batch;
    mp_process_kill(seat->process);
}

static bool has_timed_jobs(struct pool_local *local) {
    pthread_mutex_lock(&local->mutex);
    bool has_some = local->timed_jobs > 0;
    pthread_mutex_unlock(&local->mutex);
    return has_some;
}

static bool has_unconfirmed(const struct pool_local *local) {
    for (uint32_t i = 0; i < local->shared->worker_count; i++)
        if (local->seats[i].is_unconfirmed)
            return true;
    return false;
}

/* Milliseconds until the next look, -1: until something happens. Threads are not signalled, and say
 * when they end. */
static int choose_tick(struct pool_local *local, bool is_timed) {
    bool is_ending = state_of(local) >= MP__POOL_TERMINATED && !local->has_threads;
    if (is_ending || local->suspects || has_unconfirmed(local))
        return TICK_TROUBLE;
    if (state_of(local) < MP__POOL_STOPPING && count_workers(local) < local->shared->worker_count)
        return TICK_TROUBLE;
    return is_timed ? TICK_TIMED : -1;
}

static void wait_for_event(struct pool_local *local, int tick) {
    uint32_t count = local->shared->worker_count;
    struct pollfd *polls = local->polls + 1;
    local->polls[0] = (struct pollfd){.fd = local->wake[0], .events = POLLIN};
    for (uint32_t i = 0; i < count; i++) {
        mp_process *process = local->seats[i].process;
        polls[i] =
            (struct pollfd){.fd = process ? mp_process_sentinel(process) : -1, .events = POLLIN};
    }
    if (poll(local->polls, count + 1, tick) <= 0)
        return;
    for (uint32_t i = 0; i < count; i++)
        if (polls[i].revents) {
            mp__stats_see_end(local, i);
            mp__process_await_code(local->seats[i].process);
        }
    if (!(local->polls[0].revents & POLLIN))
        return;
    char bytes[64];
    ssize_t taken = read(local->wake[0], bytes, sizeof bytes);
    (void)taken;
}

static bool is_over(struct pool_local *local) {
    return state_of(local) >= MP__POOL_STOPPING && count_workers(local) == 0;
}

static void keep(struct pool_local *local) {
    while (!is_over(local)) {
        bool is_timed = has_timed_jobs(local);
        for (uint32_t i = 0; is_timed && i < local->shared->worker_count; i++)
            check_time_limit(local, i);
        if (state_of(local) == MP__POOL_TERMINATED)
            end_terminated(local);
        bury_dead(local);
        fill_seats(local);
        mp__burial_sweep(local);
        if (!is_over(local))
            wait_for_event(local, choose_tick(local, is_timed));
    }
}

/* The holding lasts as long as the workers do: whoever recovers this process ends them before its
 * blocks, in which they work, are given away. */
static void *run_keeper(void *argument) {
    struct pool_local *local = argument;
    struct thread_shared *self = mp__self();
    bool is_held = self && mp__hold(self, MP__HOLDING_POOL, local->shared);
    atomic_store(&local->keeper_began, is_held ? MP__KEEPER_BEGAN : MP__KEEPER_REFUSED);
    mp__futex_wake(&local->keeper_began, MP__WAKE_ALL);
    if (!is_held)
        return NULL;
    keep(local);
    mp__unhold(self, MP__HOLDING_POOL, local->shared);
    atomic_store(&local->keeper_ended, 1);
    mp__futex_wake(&local->keeper_ended, MP__WAKE_ALL);
    return NULL;
}

/* Its stack is of the usual size: forked workers run tasks on it. Until it has written its holding
 * the caller's must be there. */
int mp__keeper_start(struct pool_local *local) {
    int code = mp__thread_start(&local->keeper, run_keeper, local);
    if (code < 0)
        return mp__fail(code, "mp_pool_new: starting the pool's thread");
    while (atomic_load(&local->keeper_began) == 0)
        (void)mp__futex_wait(&local->keeper_began, 0, MP__NEVER);
    local->has_keeper = atomic_load(&local->keeper_began) == MP__KEEPER_BEGAN;
    if (local->has_keeper)
        return 0;
    pthread_join(local->keeper, NULL);
    return mp__fail(-ENOMEM, "mp_pool_new: no place in the family for the pool's thread");
}

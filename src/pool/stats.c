/* What workers did: counted by themselves, put together for who asks.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include "mp/pool_stats.h"

#include "base/fail.h"
#include "os/usage.h"
#include "proc/process.h"

static double seconds_of(mp__time time) {
    return (double)time / (double)MP__SECOND;
}

/* Of the chunk in work. What the record names lives on, for the mutex is held. */
static uint64_t count_begun(const struct worker_shared *record) {
    uint64_t word = atomic_load(&record->batch), item = atomic_load(&record->item);
    if (!word || (word & MP__POOL_LEAVING) || item == MP__POOL_NO_ITEM)
        return 0;
    const struct batch_shared *batch = (const struct batch_shared *)(uintptr_t)word;
    item >>= 1;
    return item < batch->first || item >= batch->end ? 0 : (item - batch->first) % batch->chunk;
}

/* The past of its seat and what this one did until now. */
static struct mp__worker_past sum_up(const struct worker_shared *record) {
    struct mp__worker_past sum = record->past;
    mp__time ready = atomic_load(&record->ready_since), now = mp__now();
    mp__time idle = atomic_load(&record->idle), idle_since = atomic_load(&record->idle_since);
    if (ready == 0)
        return sum;
    if (idle_since > 0 && idle_since < now)
        idle += now - idle_since;
    sum.tasks += atomic_load(&record->tasks) + count_begun(record);
    sum.idle += idle;
    if (now - ready > idle)
        sum.busy += now - ready - idle;
    return sum;
}

static void add_usage(struct mp__worker_past *sum, mp__time cpu, uint64_t peak) {
    sum->cpu += cpu;
    if (peak > sum->peak)
        sum->peak = peak;
}

void mp__stats_see_end(struct pool_local *local, uint32_t seat) {
    struct worker_shared *record = &local->shared->workers[seat];
    if (atomic_load(&record->cpu) == 0)
        atomic_store(&record->cpu,
                     mp__usage_of_process(mp_process_pid(local->seats[seat].process)));
}

void mp__stats_bury(struct pool_local *local, uint32_t seat) {
    struct worker_shared *record = &local->shared->workers[seat];
    const mp_process *process = local->seats[seat].process;
    mp__time cpu = atomic_load(&record->cpu);
    if (cpu == 0 && process) /* the fork server was quicker than mp__stats_see_end */
        cpu = atomic_load(&mp__process_of(process)->cpu);
    pthread_mutex_lock(&local->mutex);
    record->past = sum_up(record);
    record->past.count++;
    add_usage(&record->past, cpu, atomic_load(&record->peak));
    atomic_store(&record->ready_since, 0);
    atomic_store(&record->tasks, 0);
    atomic_store(&record->idle, 0);
    atomic_store(&record->idle_since, 0);
    atomic_store(&record->cpu, 0);
    atomic_store(&record->peak, 0);
    pthread_mutex_unlock(&local->mutex);
}

/* Of who has ended and is not buried yet, too. */
static void add_present_usage(struct mp__worker_past *sum, const struct pool_local *local,
                              const struct worker_shared *record, pid_t pid) {
    mp__time cpu = atomic_load(&record->cpu);
    if (cpu == 0 && atomic_load(&record->ready_since) > 0)
        cpu = local->has_threads ? mp__usage_read(atomic_load(&record->cpu_clock))
                                 : mp__usage_of_process(pid);
    add_usage(sum, cpu, local->has_threads ? mp__usage_own_peak() : mp__usage_peak_of(pid));
}

static mp_worker_stats look_at(const struct pool_local *local, const struct worker_shared *record) {
    pid_t pid = 0;
    struct mp__worker_past sum = sum_up(record);
    if (atomic_load(&record->state) == MP__WORKER_READY)
        pid = mp__member_pid(atomic_load(&record->member));
    if (pid > 0)
        add_present_usage(&sum, local, record, pid);
    return (mp_worker_stats){.pid = pid,
                             .tasks = sum.tasks,
                             .busy_seconds = seconds_of(sum.busy),
                             .idle_seconds = seconds_of(sum.idle),
                             .restarts = sum.count,
                             .cpu_seconds = seconds_of(sum.cpu),
                             .peak_bytes = sum.peak};
}

int mp_pool_stats(mp_pool *pool, mp_worker_stats *out, int capacity) {
    int code = mp__pool_check(pool, "mp_pool_stats");
    if (code < 0)
        return code;
    if (capacity < 0 || (!out && capacity > 0))
        return mp__fail(MP_EINVAL, "mp_pool_stats: room for %d at %p", capacity, (void *)out);
    struct pool_shared *shared = mp__pool_of(pool);
    struct pool_local *local = shared->local;
    pthread_mutex_lock(&local->mutex);
    for (int i = 0; i < capacity && (uint32_t)i < shared->worker_count; i++)
        out[i] = look_at(local, &shared->workers[i]);
    pthread_mutex_unlock(&local->mutex);
    return (int)shared->worker_count;
}

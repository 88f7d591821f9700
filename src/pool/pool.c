/* A pool's beginning and end.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "os/cpu.h"
#include "os/descriptor.h"
#include "os/futex.h"
#include "proc/context.h"
#include "proc/exit.h"
#include "proc/process.h"
#include "reg/holding.h"
#include "shm/heap.h"

/* The pools of this process, for its end. */
static struct {
    pthread_mutex_t mutex;    /* guards the list */
    struct pool_local *first; /* newest */
} pools = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static void lock_pools(void) {
    pthread_mutex_lock(&pools.mutex);
}
static void unlock_pools(void) {
    pthread_mutex_unlock(&pools.mutex);
}
bool mp__pool_is_ours(mp__member_ref owner) {
    struct thread_shared *self = mp__self();
    return self && atomic_load_explicit(&self->member, memory_order_relaxed) == owner;
}

int mp__pool_check(mp_pool *pool, const char *function) {
    int code = mp__kind_check(pool, MP__KIND_POOL, function, "pool");
    if (code == 0 && !mp__pool_is_ours(mp__pool_of(pool)->owner))
        code = mp__fail(MP_EFOREIGN, "%s: the pool belongs to the process that made it", function);
    return code;
}

void mp__pool_poke(struct pool_local *local) {
    ssize_t written = write(local->wake[1], "", 1); /* full: it will look anyway */
    (void)written;
}

void mp__pool_advance(struct pool_local *local, enum mp__pool_state state) {
    struct pool_shared *shared = local->shared;
    uint32_t now = atomic_load(&shared->state);
    while (now < (uint32_t)state && !atomic_compare_exchange_weak(&shared->state, &now, state))
        ;
    mp__gate_notify(&shared->work, MP__WAKE_ALL);
    mp__gate_notify(&shared->callback_gate, MP__WAKE_ALL);
    mp__pool_poke(local);
}

/* No more submissions first, then all jobs, then the workers: what they are killed in was abandoned
 * before. */
static void end_all_jobs(struct pool_local *local, int code, const char *detail) {
    pthread_mutex_lock(&local->mutex);
    mp__pool_advance(local, MP__POOL_CLOSED);
    mp__tray_close(local);
    pthread_mutex_unlock(&local->mutex);
    mp__job_abandon_all(local, code, detail);
    mp__pool_advance(local, MP__POOL_TERMINATED);
    mp__batch_unlink_all(local->shared);
}

void mp__pool_break(struct pool_local *local, int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&local->mutex);
    vsnprintf(local->broken_detail, sizeof local->broken_detail, format, arguments);
    local->broken_code = code;
    pthread_mutex_unlock(&local->mutex);
    va_end(arguments);
    end_all_jobs(local, code, local->broken_detail);
}

static const char *find_fault(const mp_pool_options *options) {
    if (options->processes < 0 || options->processes >= MP__MEMBER_MAX)
        return "processes must lie between 0 and 4095";
    if (!options->init_arg && options->init_arg_size > 0)
        return "init_arg is NULL, but not its size";
    if (isnan(options->task_timeout) || options->task_timeout < 0)
        return "task_timeout must be 0 or more seconds";
    if (options->pin_cpus && !mp__cpu_can_pin())
        return "pin_cpus: this system cannot keep a worker on one processor";
    if (options->nice < -40 || options->nice > 40)
        return "nice must lie between -40 and 40, which is added to the parent's";
    return NULL;
}

static bool has_threads(const mp_context *context) {
    return context && context == mp_get_context(MP_THREAD);
}

/* A thread cannot be ended from outside, nor have limits of its own. */
static const char *find_fault_with_threads(const mp_pool_options *options) {
    if (options->task_timeout > 0)
        return "task_timeout needs processes: a thread cannot be killed";
    if (options->nice || options->memory_limit || options->max_rss)
        return "nice, memory_limit and max_rss need processes: threads share all that";
    return NULL;
}

static int check_options(mp_pool **out, mp_context *context, const mp_pool_options *options) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_pool_new: out is NULL");
    int code = mp__context_check(context, "mp_pool_new");
    if (code < 0)
        return code;
    const char *fault = find_fault(options);
    if (!fault && has_threads(context))
        fault = find_fault_with_threads(options);
    return fault ? mp__fail(MP_EINVAL, "mp_pool_new: %s", fault) : 0;
}

/* Python's names: ForkPoolWorker-1 and so on. */
static const char *choose_worker_name(mp_context *context) {
    if (!context || context == mp_get_context(MP_DEFAULT))
        context = mp_get_context(mp_get_start_method(false));
    if (context == mp_get_context(MP_SPAWN))
        return "SpawnPoolWorker";
    return context == mp_get_context(MP_FORKSERVER) ? "ForkServerPoolWorker" : "ForkPoolWorker";
}

static void free_shared(struct pool_shared *shared) {
    if (!shared)
        return;
    atomic_store(&shared->kind, 0);
    mp__heap_free(shared->init_arg);
    mp__heap_free(shared);
}

static int make_shared(struct pool_shared **out, uint32_t count, const mp_pool_options *options) {
    const struct thread_shared *self = mp__self();
    if (!self)
        return -ENOMEM;
    struct pool_shared *shared =
        mp__heap_zalloc(sizeof *shared + count * sizeof shared->workers[0]);
    if (!shared)
        return -ENOMEM;
    shared->owner = atomic_load(&self->member);
    shared->worker_count = count;
    shared->tasks_per_child =
        options->max_tasks_per_child ? options->max_tasks_per_child : UINT64_MAX;
    shared->init_arg_size = options->init_arg_size;
    shared->pin_cpus = options->pin_cpus;
    shared->nice = options->nice;
    shared->memory_limit = options->memory_limit;
    shared->max_rss = options->max_rss;
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(&shared->workers[i].item, MP__POOL_NO_ITEM);
        shared->workers[i].seat = i;
    }
    int code = mp__function_pack((mp__any_fn)options->initializer, &shared->initializer);
    if (code == 0 && options->init_arg_size > 0) {
        shared->init_arg = mp__heap_alloc(options->init_arg_size);
        code = shared->init_arg ? 0 : -ENOMEM;
    }
    if (code < 0) {
        free_shared(shared);
        return code;
    }
    if (shared->init_arg)
        memcpy(shared->init_arg, options->init_arg, options->init_arg_size);
    *out = shared;
    return 0;
}

static void free_local(struct pool_local *local) {
    mp__descriptor_close(local->wake[0]);
    mp__descriptor_close(local->wake[1]);
    pthread_mutex_destroy(&local->mutex);
    free(local->seats);
    free(local->polls);
    free(local);
}

static int open_wake(struct pool_local *local) {
    int code = mp__descriptor_pipe(local->wake);
    if (code < 0) {
        local->wake[0] = local->wake[1] = -1;
        return mp__fail(code, "mp_pool_new: making a pipe");
    }
    for (int i = 0; i < 2 && code == 0; i++)
        code = mp__descriptor_set_blocking(local->wake[i], 0);
    return code < 0 ? mp__fail(code, "mp_pool_new: setting up a pipe") : 0;
}

static int make_local(struct pool_local **out, uint32_t count, mp_context *context,
                      const mp_pool_options *options) {
    struct pool_local *local = calloc(1, sizeof *local);
    if (!local)
        return mp__fail(-ENOMEM, "mp_pool_new");
    local->wake[0] = local->wake[1] = -1;
    local->pid = getpid();
    local->context = context;
    local->has_threads = has_threads(context);
    local->worker_name = choose_worker_name(context);
    local->retries = options->retries;
    if (options->task_timeout > 0 && options->task_timeout < 1e9)
        local->time_limit = (mp__time)(options->task_timeout * (double)MP__SECOND) + 1;
    atomic_store(&local->callbacks_ended, 1);
    pthread_mutex_init(&local->mutex, NULL);
    local->seats = calloc(count, sizeof *local->seats);
    local->polls = calloc(count + 1, sizeof *local->polls);
    int code = local->seats && local->polls ? 0 : mp__fail(-ENOMEM, "mp_pool_new");
    if (code == 0)
        code = open_wake(local);
    if (code < 0)
        free_local(local);
    else
        *out = local;
    return code;
}

static void end_at_exit(void);

static void list_pool(struct pool_local *local) {
    mp__exit_before(end_at_exit);
    lock_pools();
    local->next = pools.first;
    pools.first = local;
    unlock_pools();
}

static void unlist_pool(struct pool_local *local) {
    lock_pools();
    struct pool_local **link = &pools.first;
    while (*link && *link != local)
        link = &(*link)->next;
    if (*link)
        *link = local->next;
    unlock_pools();
}

static int fail_start(struct pool_local *local, int code) {
    char detail[MP__POOL_DETAIL_BYTES];
    snprintf(detail, sizeof detail, "%s", mp_error_detail());
    mp__seat_end_all(local);
    return mp__fail(code, "%s", detail);
}

static int start_workers(struct pool_local *local) {
    uint32_t count = local->shared->worker_count;
    int code = 0;
    if (!local->has_threads)
        mp__process_flush();
    for (uint32_t i = 0; i < count && code == 0; i++)
        code = mp__keeper_launch(local, i);
    for (uint32_t i = 0; i < count && code == 0 && !local->has_threads; i++) {
        code = mp__process_confirm(local->seats[i].process);
        local->seats[i].is_unconfirmed = false;
    }
    if (code == 0)
        code = mp__keeper_start(local);
    return code < 0 ? fail_start(local, code) : 0;
}

/* Workers are there before the keeper: until it holds the pool this thread does. */
static int start_held(struct pool_local *local) {
    struct thread_shared *self = mp__self();
    if (!mp__hold(self, MP__HOLDING_POOL, local->shared))
        return -ENOMEM;
    int code = start_workers(local);
    mp__unhold(self, MP__HOLDING_POOL, local->shared);
    return code;
}

int mp_pool_new(mp_pool **out, mp_context *context, const mp_pool_options *options) {
    static const mp_pool_options defaults;
    options = options ? options : &defaults;
    int code = check_options(out, context, options);
    if (code < 0)
        return code;
    uint32_t count = (uint32_t)(options->processes ? options->processes : mp_usable_cpu_count());
    struct pool_shared *shared = NULL;
    struct pool_local *local = NULL;
    if ((code = make_shared(&shared, count, options)) < 0)
        return code;
    if ((code = make_local(&local, count, context, options)) < 0)
        goto fail;
    local->shared = shared;
    shared->local = local;
    if ((code = start_held(local)) < 0)
        goto fail;
    list_pool(local);
    mp__exit_watch();
    atomic_store(&shared->kind, MP__KIND_POOL);
    *out = (mp_pool *)(void *)shared;
    return 0;
fail:
    if (local)
        free_local(local);
    free_shared(shared);
    return code;
}

int mp_pool_close(mp_pool *pool) {
    int code = mp__pool_check(pool, "mp_pool_close");
    if (code < 0)
        return code;
    struct pool_local *local = mp__pool_of(pool)->local;
    mp__log(MP_LOG_DEBUG, "closing pool");
    pthread_mutex_lock(&local->mutex);
    mp__pool_advance(local, MP__POOL_CLOSED);
    mp__tray_close(local);
    pthread_mutex_unlock(&local->mutex);
    return 0;
}

static int wait_for_word(_Atomic uint32_t *ended, mp__time deadline) {
    while (atomic_load(ended) == 0)
        if (mp__futex_wait(ended, 0, deadline) == MP_ETIMEDOUT && atomic_load(ended) == 0)
            return MP_ETIMEDOUT;
    return 0;
}

static int terminate(struct pool_local *local, mp__time deadline) {
    mp__log(MP_LOG_DEBUG, "terminating pool");
    end_all_jobs(local, MP_ECANCELED, NULL);
    return wait_for_word(&local->keeper_ended, deadline);
}

int mp_pool_terminate(mp_pool *pool) {
    int code = mp__pool_check(pool, "mp_pool_terminate");
    if (code < 0)
        return code;
    struct pool_local *local = mp__pool_of(pool)->local;
    if (mp__seat_is_mine(local))
        return mp__fail(MP_ESTATE, "mp_pool_terminate: a task cannot wait for its own end");
    return terminate(local, MP__NEVER);
}

static struct job_shared *find_pending(struct pool_local *local) {
    struct job_shared *job = local->jobs;
    while (job && !mp__job_is_pending(job))
        job = job->errand.following;
    if (job)
        job->errand.references++;
    return job;
}

/* Referred to while waited for; orphans stay in their list, which frees nothing that is pending. */
static int wait_for_jobs(struct pool_local *local, mp__time deadline) {
    for (int code = 0; code == 0;) {
        pthread_mutex_lock(&local->mutex);
        struct job_shared *job = find_pending(local);
        pthread_mutex_unlock(&local->mutex);
        if (!job)
            return 0;
        code = mp__job_wait(job, deadline);
        mp__job_unrefer(job);
        if (code < 0)
            return code;
    }
    return 0;
}

/* Those that have ended; whoever comes first. */
static void join_threads(struct pool_local *local) {
    pthread_mutex_lock(&local->mutex);
    bool has_keeper = local->has_keeper;
    bool has_callbacks = local->has_callback_thread && atomic_load(&local->callbacks_ended);
    local->has_keeper = false;
    local->has_callback_thread &= !has_callbacks;
    pthread_mutex_unlock(&local->mutex);
    if (has_keeper)
        pthread_join(local->keeper, NULL);
    if (has_callbacks)
        pthread_join(local->callback_thread, NULL);
}

static int join_pool(struct pool_local *local, mp__time deadline) {
    if (wait_for_jobs(local, deadline) < 0)
        return MP_ETIMEDOUT;
    mp__pool_advance(local, MP__POOL_STOPPING);
    if (wait_for_word(&local->keeper_ended, deadline) < 0 ||
        wait_for_word(&local->callbacks_ended, deadline) < 0)
        return MP_ETIMEDOUT;
    join_threads(local);
    return 0;
}

/* Its inputs are drawn by who reads it, perhaps the thread that is about to wait. */
static bool has_open_imap(struct pool_local *local) {
    pthread_mutex_lock(&local->mutex);
    bool has_one =
        atomic_load(&local->shared->state) == MP__POOL_CLOSED && mp__imap_wants_more(local);
    pthread_mutex_unlock(&local->mutex);
    return has_one;
}

int mp_pool_join(mp_pool *pool, double timeout) {
    mp__time deadline;
    int code = mp__pool_check(pool, "mp_pool_join");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    struct pool_local *local = mp__pool_of(pool)->local;
    if (atomic_load(&local->shared->state) == MP__POOL_OPEN)
        return mp__fail(MP_EINVAL, "mp_pool_join: close or terminate the pool first");
    if (mp__callback_is_me(local) || mp__seat_is_mine(local))
        return mp__fail(MP_ESTATE, "mp_pool_join: a callback or task cannot wait for itself");
    if (has_open_imap(local))
        return mp__fail(MP_ESTATE,
                        "mp_pool_join: an imap has more inputs; read it to its end or free it");
    mp__log(MP_LOG_DEBUG, "joining pool");
    if (join_pool(local, deadline) < 0)
        return mp__fail(MP_ETIMEDOUT, "mp_pool_join: not done within %g seconds", timeout);
    return 0;
}

void mp_pool_free(mp_pool *pool) {
    if (!pool || mp__pool_check(pool, "mp_pool_free") < 0)
        return;
    struct pool_shared *shared = mp__pool_of(pool);
    struct pool_local *local = shared->local;
    if (mp__seat_is_mine(local) || mp__callback_is_me(local))
        return; /* it would wait for itself for ever */
    terminate(local, MP__NEVER);
    join_pool(local, MP__NEVER);
    unlist_pool(local);
    mp__job_detach_all(local);
    free_local(local);
    free_shared(shared);
}

/* Pools that were forgotten, before the process layer ends our daemons: their keepers must not
 * replace the workers that end now. A thread in a long task is left to end with the process. A
 * forked child has copies of what is the parent's. */
static void end_at_exit(void) {
    lock_pools();
    struct pool_local *local = pools.first;
    unlock_pools();
    for (; local && local->pid == getpid(); local = local->next) {
        mp__time deadline = local->has_threads ? mp__now() + MP__SECOND / 2 : MP__NEVER;
        if (terminate(local, deadline) == 0)
            join_threads(local);
    }
}

/* A forked child looks at the list at its end, too. */
__attribute__((constructor)) static void guard_fork(void) {
    pthread_atfork(lock_pools, unlock_pools, unlock_pools);
}

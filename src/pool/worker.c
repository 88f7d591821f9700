/* A worker: takes chunks, writes down which item it runs, runs it.
 * SPDX-License-Identifier: MIT */
#include "pool/pool.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "os/cpu.h"
#include "os/usage.h"
#include "reg/holding.h"
#include "reg/recover.h"

enum { KNOWN_FUNCTIONS = 8 };

struct known_function {
    struct mp__function packed; /* as the parent wrote it */
    mp__any_fn function;        /* the same here */
};

struct work {
    struct pool_shared *pool;                     /* whose worker we are */
    struct worker_shared *record;                 /* what others know of us */
    void *state;                                  /* the initializer's */
    uint64_t tasks_left;                          /* until somebody else takes our seat */
    uint64_t tasks_given;                         /* what that was in the beginning */
    bool is_full;                                 /* it has more memory than max_rss allows */
    bool has_entered;                             /* the holding is written */
    bool is_thread;                               /* nobody can kill us: look when to stop */
    struct known_function known[KNOWN_FUNCTIONS]; /* finding one costs a search */
    unsigned known_next;                          /* which one to replace */
};

static int find_function(struct work *work, const struct mp__function *packed, mp__any_fn *out) {
    for (unsigned i = 0; i < KNOWN_FUNCTIONS; i++) {
        struct known_function *known = &work->known[i];
        if (known->packed.image == packed->image && known->packed.offset == packed->offset) {
            *out = known->function;
            return 0;
        }
    }
    int code = mp__function_find(packed, out);
    if (code == 0)
        work->known[work->known_next++ % KNOWN_FUNCTIONS] = (struct known_function){*packed, *out};
    return code;
}

static void begin_item(struct worker_shared *record, const struct job_shared *job, uint64_t item) {
    if (job->time_limit)
        atomic_store_explicit(&record->since, mp__now(), memory_order_release);
    atomic_store_explicit(&record->item, item << 1 | 1, memory_order_release);
    MP__POINT("pool.item.begun");
}

/* A process is killed when its work is not wanted any more, a thread has to see it. */
static inline bool is_cut_short(const struct work *work, const struct job_shared *job) {
    return __builtin_expect(work->is_thread, 0) &&
           atomic_load_explicit(&job->state, memory_order_relaxed) != MP__JOB_PENDING;
}

/* false: we are to be replaced; the record says where to go on. */
static inline bool begin_next(struct work *work, const struct job_shared *job, uint64_t item) {
    if (work->tasks_left-- == 0) {
        atomic_store(&work->record->item, item << 1);
        return false;
    }
    begin_item(work->record, job, item);
    return true;
}

static inline void end_item(struct job_shared *job, uint64_t item, int code) {
    if (__builtin_expect(code != 0, 0))
        mp__job_fail_item(job, item, code, MP__FAILED_TASK);
    else if (job->codes)
        atomic_store_explicit(&job->codes[item], 0, memory_order_release);
}

static bool may_go_on(const struct work *work) {
    return work->tasks_left > 0 && !work->is_full;
}

/* The chunk is done; is there another one for us? */
static inline bool claim_next(struct work *work, struct batch_shared *batch, uint64_t *chunk) {
    struct worker_shared *record = work->record;
    atomic_store_explicit(&record->item, MP__POOL_NO_ITEM, memory_order_release);
    MP__POINT("pool.chunk.done");
    atomic_store_explicit(&record->tasks, work->tasks_given - work->tasks_left,
                          memory_order_relaxed);
    if (__builtin_expect(work->pool->max_rss > 0, 0))
        work->is_full = mp__usage_private() > work->pool->max_rss;
    return may_go_on(work) && mp__batch_claim(record, batch, chunk);
}

/* The loop that has to be short: what is the same for all items is looked at before. */
static bool run_items(struct work *work, struct batch_shared *batch, uint64_t chunk,
                      mp__any_fn function) {
    struct job_shared *job = batch->job;
    struct worker_shared *record = work->record;
    mp_map_fn map = (mp_map_fn)function;
    void *state = work->state;
    size_t step = job->item_size, result_step = job->result_size;
    bool is_plain = !work->is_thread && !job->time_limit && !job->codes;
    do {
        uint64_t item = mp__batch_chunk_first(batch, chunk);
        uint64_t end = mp__batch_chunk_end(batch, chunk);
        const char *from = job->items + item * step;
        char *to = job->results + item * result_step;
        if (is_plain && end - item <= work->tasks_left) {
            work->tasks_left -= end - item;
            for (; item < end; item++, from += step, to += result_step) {
                atomic_store_explicit(&record->item, item << 1 | 1, memory_order_release);
                MP__POINT("pool.item.begun");
                int code = map(from, to, state);
                if (__builtin_expect(code != 0, 0))
                    mp__job_fail_item(job, item, code, MP__FAILED_TASK);
            }
        }
        for (; item < end && !is_cut_short(work, job); item++, from += step, to += result_step) {
            if (!begin_next(work, job, item))
                return false;
            end_item(job, item, map(from, to, state));
        }
    } while (claim_next(work, batch, &chunk));
    return true;
}

static bool run_rows(struct work *work, struct batch_shared *batch, uint64_t chunk,
                     mp__any_fn function) {
    const void *row[MP__POOL_COLUMNS_MAX];
    struct job_shared *job = batch->job;
    mp_starmap_fn map = (mp_starmap_fn)function;
    do {
        uint64_t item = mp__batch_chunk_first(batch, chunk);
        uint64_t end = mp__batch_chunk_end(batch, chunk);
        char *to = job->results + item * job->result_size;
        for (; item < end && !is_cut_short(work, job); item++, to += job->result_size) {
            for (size_t i = 0; i < job->item_size; i++)
                row[i] = job->columns[i].items + item * job->columns[i].size;
            if (!begin_next(work, job, item))
                return false;
            end_item(job, item, map(row, job->item_size, to, work->state));
        }
    } while (claim_next(work, batch, &chunk));
    return true;
}

static void run_task(struct work *work, const struct job_shared *job, struct task_shared *task,
                     uint64_t number, mp__any_fn function) {
    struct mp_reply reply;
    mp__reply_begin(&reply, task, number);
    int code = MP_EINVAL;
    if (function)
        code = ((mp_apply_fn)function)(task->data, task->size, &reply, work->state);
    else
        mp_reply_fail(&reply, MP_EINVAL, "%s", mp_error_detail());
    mp__reply_finish(&reply, code, mp__member_index(job->owner));
}

/* What nobody asks for any more is left out. */
static bool run_tasks(struct work *work, struct batch_shared *batch, uint64_t chunk,
                      mp__any_fn function) {
    struct job_shared *job = batch->job;
    do {
        uint64_t item = mp__batch_chunk_first(batch, chunk);
        uint64_t end = mp__batch_chunk_end(batch, chunk);
        for (; item < end && mp__job_is_pending(job); item++) {
            uint64_t number = job->is_of_imap ? job->first_number + item : MP__POOL_NO_ITEM;
            if (!begin_next(work, job, item))
                return false;
            run_task(work, job, &job->tasks[item], number, function);
        }
    } while (claim_next(work, batch, &chunk));
    return true;
}

static bool run_tickets(struct work *work, struct batch_shared *batch, uint64_t chunk,
                        mp__any_fn unused) {
    struct job_shared *tray = batch->job;
    (void)unused;
    do {
        uint64_t item = mp__batch_chunk_first(batch, chunk);
        struct ticket_shared *ticket = &tray->tickets[item];
        mp__any_fn function = NULL;
        if (!mp__ticket_begin(ticket, work->record->seat))
            continue;
        MP__POINT("pool.ticket.begun");
        if (!begin_next(work, tray, item))
            return false;
        (void)find_function(work, &ticket->function, &function);
        run_task(work, tray, &ticket->task, MP__POOL_NO_ITEM, function);
        mp__ticket_end(ticket);
    } while (claim_next(work, batch, &chunk));
    return true;
}

static int fail_unfound(const void *item, void *result, void *state) {
    (void)item, (void)result, (void)state;
    return MP_EINVAL;
}

static int fail_unfound_row(const void *const *row, size_t count, void *result, void *state) {
    (void)row, (void)count, (void)result, (void)state;
    return MP_EINVAL;
}

/* false: we are to be replaced within a chunk. */
static bool run_batch(struct work *work, struct batch_shared *batch, uint64_t chunk) {
    static const struct {
        bool (*run)(struct work *work, struct batch_shared *batch, uint64_t chunk,
                    mp__any_fn function);
        mp__any_fn unfound; /* in place of a function that is not found here */
    } shapes[] = {[MP__JOB_MAP] = {run_items, (mp__any_fn)fail_unfound},
                  [MP__JOB_STARMAP] = {run_rows, (mp__any_fn)fail_unfound_row},
                  [MP__JOB_TASKS] = {run_tasks, NULL},
                  [MP__JOB_TRAY] = {run_tickets, NULL}};
    mp__any_fn function = NULL;
    if (find_function(work, &batch->job->function, &function) < 0)
        function = shapes[batch->job->shape].unfound;
    return shapes[batch->job->shape].run(work, batch, chunk, function);
}

static int run_initializer(struct work *work) {
    struct pool_shared *pool = work->pool;
    if (!pool->initializer.image)
        return 0;
    mp__any_fn function;
    int code = mp__function_find(&pool->initializer, &function);
    if (code < 0)
        return code;
    mp_worker_init_fn initializer = (mp_worker_init_fn)function;
    return initializer(pool->init_arg, pool->init_arg_size, &work->state);
}

/* Ctrl-C is the parent's business. The thread that forked us may have blocked every signal. */
static void set_up_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void report_failure(struct worker_shared *record, int code) {
    record->init_code = code;
    snprintf(record->init_detail, sizeof record->init_detail, "%s", mp_error_detail());
    atomic_store(&record->state, MP__WORKER_INIT_FAILED);
    MP__POINT("pool.begin.failed");
}

/* As the options say; threads have no limits of their own. */
static int set_limits(const struct work *work) {
    const struct pool_shared *pool = work->pool;
    int code = 0;
    if (pool->pin_cpus)
        mp__cpu_pin((unsigned)(work->record - pool->workers));
    if (pool->memory_limit)
        code = mp__usage_limit(pool->memory_limit);
    if (code < 0)
        return mp__fail(code, "the memory limit cannot be set");
    if (pool->nice)
        code = mp__usage_be_nice(pool->nice);
    return code < 0 ? mp__fail(code, "the nice value cannot be changed by %d", pool->nice) : 0;
}

static bool begin_work(struct work *work) {
    struct worker_shared *record = work->record;
    int code = set_limits(work);
    if (code == 0)
        code = run_initializer(work);
    if (code == 0) {
        atomic_store(&work->pool->failed_inits, 0);
        atomic_store(&record->ready_since, mp__now());
        atomic_store(&record->state, MP__WORKER_READY);
        MP__POINT("pool.begin.ready");
        return true;
    }
    report_failure(record, code);
    return false;
}

static void work_on(struct work *work) {
    struct batch_shared *batch;
    uint64_t chunk = 0;
    while (may_go_on(work) && mp__batch_take(work->pool, work->record, &batch, &chunk) == 0 &&
           batch) {
        if (!run_batch(work, batch, chunk))
            return;
        mp__batch_leave(work->pool, work->record);
    }
}

/* For life, so that whoever recovers us comes by what we did here. The parent cannot be recovered
 * meanwhile: afterwards its recovery ends us before the pool's memory is given away. The record
 * first: without it the holding would outlive the pool. */
static void enter_pool(void *argument) {
    struct work *work = argument;
    struct thread_shared *self = mp__self();
    atomic_store(&work->record->member, atomic_load(&self->member));
    atomic_store(&work->record->thread, self->index);
    MP__POINT("pool.enter.recorded");
    work->has_entered = mp__hold(self, MP__HOLDING_POOL, work->pool) != NULL;
    MP__POINT("pool.enter.held");
}

/* Nobody can ask for it later. */
static void note_usage(const struct work *work) {
    struct worker_shared *record = work->record;
    atomic_store(&record->cpu,
                 work->is_thread ? mp__usage_read(record->cpu_clock) : mp__usage_of_self());
    atomic_store(&record->peak, mp__usage_own_peak());
    MP__POINT("pool.end.noted");
}

int mp__pool_work(const struct mp__worker_argument *told) {
    struct thread_shared *self = mp__self();
    struct pool_shared *pool = told->pool;
    struct work work = {
        .pool = pool, .record = &pool->workers[told->seat], .is_thread = told->is_thread};
    if (!self)
        report_failure(work.record, -ENOMEM);
    if (!self || !mp__recover_shut_out(told->owner, enter_pool, &work) || !work.has_entered)
        return 1;
    work.tasks_left = work.tasks_given = pool->tasks_per_child;
    if (work.is_thread)
        atomic_store(&work.record->cpu_clock, mp__usage_clock_of_thread());
    bool is_ready = begin_work(&work);
    if (is_ready)
        work_on(&work);
    note_usage(&work);
    mp__unhold(self, MP__HOLDING_POOL, pool);
    mp__log(MP_LOG_DEBUG, is_ready ? "worker exiting" : "worker failed to begin");
    return is_ready ? 0 : 1;
}

int mp__pool_worker(void *argument, size_t argument_size) {
    const struct mp__worker_argument *told = argument;
    assert(argument_size == sizeof *told);
    (void)argument_size;
    set_up_signals();
    return mp__pool_work(told);
}

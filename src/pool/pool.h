/* What a pool is made of, as workers and parent share it in the arena.
 * SPDX-License-Identifier: MIT
 *
 *     pool_shared                              job_shared (one submission = mp_async_result)
 *     +------------------------+               +------------------------------+
 *     | list of work (FIFO) ---+--> batch ---> | function, items, results ... |
 *     | workers[]: batch, item |    batch      | first batch, more batches    |
 *     +------------------------+               +------------------------------+
 *
 * A batch is a range of items that is given out chunk by chunk: a worker's fetch-and-add of
 * `cursor` claims one. Most jobs have one batch; when a worker dies, the keeper (a thread of the
 * parent) makes another one from what was left of its chunk.
 *
 * Workers may die at any instruction, so whatever must survive that is a single store into the
 * worker's own record: which batch it is in, which item it runs. Only the parent makes, links and
 * frees batches and jobs; if the parent dies, its pools die too.
 *
 * A batch is finished when its cursor is at the end and no record says a worker is in it. Finding
 * that is idempotent: several may find it, and after a death the keeper looks again. A record that
 * names a batch, even as "leaving", keeps its job from being freed. */
#ifndef MP__POOL_POOL_H
#define MP__POOL_POOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mp/pool.h"
#include "base/point.h"
#include "os/clock.h"
#include "reg/member.h"
#include "shm/function.h"
#include "sync/gate.h"
#include "sync/guard.h"
#include "sync/kind.h"

#define MP__POOL_FEW_CHUNKS 64         /* that need no table of their own */
#define MP__POOL_INLINE_REPLY 64       /* bytes of an answer that need no block of their own */
#define MP__POOL_INLINE_ARGUMENT 40    /* bytes of an argument, likewise */
#define MP__POOL_TRAY_TICKETS 38       /* tasks of a tray: it fills a block of 8 KiB */
#define MP__POOL_COLUMNS_MAX 64        /* arguments of a function of a starmap */
#define MP__POOL_DETAIL_BYTES 192      /* of a sentence */
#define MP__POOL_NO_ITEM UINT64_MAX    /* nothing is claimed that the record could tell */
#define MP__POOL_LEAVING UINT64_C(1)   /* in a record's batch word: works on it no more */
#define MP__POOL_NO_FAILURE UINT64_MAX /* no item has failed */
#define MP__POOL_ITEMS_MAX (UINT64_C(1) << 38) /* so that an item's number fits a failure word */

struct job_shared;
struct mp__bar;

struct batch_shared {
    struct job_shared *job;       /* whose items */
    uint64_t first, end;          /* its items are [first, end) */
    uint64_t chunk;               /* items given out at once */
    _Atomic uint64_t chunk_count; /* how many times; of a tray less, when it is closed early */
    uint32_t attempt;             /* how often its only item was begun before (retries) */
    _Atomic uint32_t is_suspect;  /* a worker died while claiming: a chunk may be lost */
    _Atomic uint32_t is_closed;   /* every item of it is done or failed */
    _Atomic uint32_t is_unlinked; /* surely not in the list of work */
    bool is_tray;                 /* only those below `ready` can be claimed yet */
    bool is_leftover;             /* was put at the front of the list */
    _Atomic(struct batch_shared *) next; /* in the list of work; the pool's guard */
    _Atomic(struct batch_shared *)
        sibling;                       /* next batch of the job; complete before it is linked */
    struct batch_shared *next_suspect; /* the keeper's list */
    /* A bit for each chunk that some record has said it has. More than a few: for each seat a table
     * of its own, whose lines no other worker writes. */
    _Atomic uint64_t few_claimed;
    _Atomic uint64_t *claimed; /* [seat * claimed_stride + chunk / 64]; NULL: few_claimed */
    uint64_t claimed_stride;   /* words of one seat */
    _Alignas(64) _Atomic uint64_t cursor; /* chunks given out; a line of its own: all pull at it */
    _Alignas(64) _Atomic uint64_t ready;  /* of a tray: tickets on it; the parent's */
};

enum mp__job_state { MP__JOB_PENDING, MP__JOB_DONE, MP__JOB_ABANDONED };
enum mp__reply_state { MP__REPLY_NONE, MP__REPLY_LINKED, MP__REPLY_READY };
enum mp__settle_state { MP__SETTLE_NOT, MP__SETTLE_BUSY, MP__SETTLE_DONE };
enum mp__failure_origin { MP__FAILED_TASK, MP__FAILED_WORKER, MP__FAILED_TIMEOUT };
enum mp__job_shape {
    MP__JOB_MAP,     /* an mp_map_fn over an array */
    MP__JOB_STARMAP, /* an mp_starmap_fn over several */
    MP__JOB_TASKS,   /* an mp_apply_fn: one task of an apply, or a chunk of an imap */
    MP__JOB_TRAY     /* tickets: tasks of many applies, of any mp_apply_fn */
};
enum mp__ticket_state {
    MP__TICKET_WAITS = 0,      /* nobody has begun it */
    MP__TICKET_RUNS = 1 << 24, /* | seat: of whoever makes this of WAITS */
    MP__TICKET_DONE = 2 << 24, /* its task has ended; this and the next: the user's end of it */
    MP__TICKET_ABANDONED = 3 << 24, /* | seat: cancelled, but that worker is still in it */
    MP__TICKET_LEFT = 4 << 24,      /* cancelled */
    MP__TICKET_SEAT = (1 << 24) - 1 /* mask; itself: of nobody */
};

/* One call of an mp_apply_fn: what goes in, what comes out. An item of a job of tasks. */
struct task_shared {
    const void *data;       /* the argument */
    uint64_t size;          /* its bytes */
    _Atomic uint32_t state; /* enum mp__reply_state, see reply.c */
    int code;               /* 0, or why it failed: then the answer is a sentence, or nothing */
    uint64_t reply_size;    /* bytes of the answer */
    _Atomic(void *) block;  /* where it is; NULL: in room */
    _Alignas(16) char room[MP__POOL_INLINE_REPLY]; /* short answers */
};

/* A task of an apply, three lines long, in a tray with many others: submitting one is no job of its
 * own. What the user gets; the tray lives until the last one is given back. */
struct ticket_shared {
    mp__kind_word kind;           /* MP__KIND_TICKET while the user has it */
    _Atomic uint32_t state;       /* enum mp__ticket_state, with a seat */
    struct mp__gate gate;         /* opens when it is DONE or later, and again when LEFT */
    bool is_canceled;             /* by itself, not with the pool */
    struct job_shared *tray;      /* where it lies */
    struct mp__function function; /* mp_apply_fn */
    char argument[MP__POOL_INLINE_ARGUMENT]; /* a short one; others are blocks, freed with it */
    struct task_shared task;                 /* what goes in and comes out */
};

/* One array of a starmap. */
struct column_shared {
    const char *items; /* in the arena */
    uint64_t size;     /* bytes of one */
};

/* What the items of an imap point to; owned by their job. */
struct input_shared {
    struct input_shared *next; /* another one of the job */
    size_t used, capacity;     /* of bytes */
    _Alignas(16) char bytes[]; /* copies, one after the other */
};

/* What belongs to the parent alone, guarded by its pool's mutex unless said otherwise. */
struct job_errand {
    struct job_shared *previous, *following; /* in the pool's list of jobs */
    struct job_shared *next_orphan;          /* in its list of jobs that nobody refers to */
    struct job_shared *next_of_imap;         /* in the list of its imap, which needs no lock */
    unsigned references;                     /* the user's result, a callback to come */
    bool is_orphan;                          /* in that list */
    bool is_released;                        /* a tray whose tickets are no reference any more */
    bool is_timed;                           /* counted in timed_jobs */
    bool is_canceled;                        /* who still runs it is killed */
    int abandoned_code;                      /* of MP__JOB_ABANDONED: what get returns */
    char *abandoned_detail;                  /* and its sentence; malloc'd, NULL: none */
    char *detail; /* of a failure that no task explained; malloc'd, the keeper's, then settle's */
    uint64_t detail_item;        /* which item the keeper's speaks of; MP__POOL_NO_ITEM none */
    void *results;               /* copy results here; NULL: they are in place */
    int *codes;                  /* copy codes here; NULL: they are in place */
    struct input_shared *inputs; /* copies of what an imap was given, freed with the job */
    void *blocks[4];             /* copies in the arena, freed with the job */
    unsigned block_count;        /* of them */
    void (*map_callback)(void *user, int code);                        /* of mp_map_options */
    void (*progress)(void *user, size_t done, size_t total);           /* of mp_map_options */
    void (*apply_callback)(void *user, const void *data, size_t size); /* of mp_apply_options */
    void (*error_callback)(void *user, int code, const char *detail);  /* of mp_apply_options */
    void *user;                                                        /* for the four */
    size_t progress_told; /* the last progress; the callback thread's */
    struct mp__bar *bar;  /* on the terminal; NULL none; the callback thread's */
};

struct job_shared {
    mp__kind_word kind;           /* MP__KIND_ASYNC_RESULT */
    _Atomic uint32_t state;       /* enum mp__job_state; leaves PENDING once */
    struct mp__gate gate;         /* opens when the state leaves PENDING, and when settled */
    uint32_t shape;               /* enum mp__job_shape */
    bool is_of_imap;              /* a chunk of one: its end opens the pool's imap_gate, too */
    bool has_callback;            /* goes to the pool's list of done jobs */
    bool is_in_done_list;         /* was put there, perhaps taken since; the pool's guard */
    struct job_shared *next_done; /* in that list; the pool's guard */
    struct pool_shared *pool;     /* where it runs; NULL: the pool was freed */
    mp__member_ref owner;         /* the parent */
    struct mp__function function; /* mp_map_fn or mp_apply_fn */
    mp__time time_limit;          /* for one item, 0 none */

    const char *items;                   /* of a map: item i is at items + i * item_size */
    const struct column_shared *columns; /* of a starmap */
    struct task_shared *tasks;           /* of tasks: [count] */
    struct ticket_shared *tickets;       /* of a tray: [count] */
    uint32_t given_tickets;              /* to the user; the pool's mutex */
    _Atomic uint32_t final_tickets;      /* the same when it is closed, before 0 */
    _Atomic uint32_t freed_tickets;      /* by the user */
    uint64_t first_number;               /* what the first item is called in sentences */
    uint64_t count;                      /* of items */
    uint64_t item_size;                  /* bytes of a map's item; of a starmap: columns */
    char *results;                       /* NULL: none wanted */
    uint64_t result_size;                /* bytes of one */
    _Atomic int *codes;                  /* per item, MP_ECANCELED at first; NULL: not wanted */
    _Atomic uint64_t failure;            /* lowest failed item << 25 | code << 2 | origin */
    _Atomic uint64_t failed_count;       /* items that failed, for the bar */

    _Atomic uint32_t settled;  /* enum mp__settle_state: are results where the user wants them? */
    struct job_errand errand;  /* the parent's part */
    struct batch_shared batch; /* the first one */
    struct task_shared task;   /* of an apply: its only one */
};

enum mp__worker_state { MP__WORKER_STARTING, MP__WORKER_READY, MP__WORKER_INIT_FAILED };

/* What the earlier workers of a seat did; the parent's, guarded by its mutex. */
struct mp__worker_past {
    uint64_t tasks; /* items and tasks done */
    mp__time busy;  /* time with work */
    mp__time idle;  /* time without */
    mp__time cpu;   /* processor time, as far as it was seen */
    uint64_t peak;  /* the largest peak of memory, bytes */
    unsigned count; /* how many there were */
};

/* A worker's record: written by the worker alone, after its death by the keeper alone. */
struct worker_shared {
    /* pointer | MP__POOL_LEAVING; 0 none: keeps its job alive. Each record has lines of its own. */
    _Alignas(64) _Atomic uint64_t batch;
    _Atomic uint64_t item;   /* next item << 1 | it runs, or MP__POOL_NO_ITEM; before it is begun */
    _Atomic int64_t since;   /* when it was begun; kept only when the job has a time limit */
    _Atomic uint64_t member; /* mp__member_ref of its process; before thread is known */
    _Atomic uint32_t thread; /* index of its thread record, 0 unknown; another's after it died */
    _Atomic uint32_t state;  /* enum mp__worker_state */
    _Atomic uint64_t tasks;  /* items done, those of the chunk in work left out */
    _Atomic int64_t idle;    /* ns without work, this time left out */
    _Atomic int64_t idle_since;  /* it has no work; 0: it has */
    _Atomic int64_t ready_since; /* it began to look for work; 0: not yet */
    _Atomic int64_t cpu;         /* ns that it took, at its end; 0: not known */
    _Atomic uint64_t peak;       /* bytes that it had at most, at its end; 0: not known */
    _Atomic int32_t cpu_clock;   /* of a thread: the clockid_t of its processor time */
    struct mp__worker_past past; /* of those who sat there before */
    uint32_t seat;               /* which record this is; constant */
    uint64_t seen_ready;         /* of the tray it is in: so many were ready; its own */
    int init_code;               /* what the initializer returned; before state says it failed */
    char init_detail[MP__POOL_DETAIL_BYTES]; /* and its sentence */
};

enum mp__pool_state { MP__POOL_OPEN, MP__POOL_CLOSED, MP__POOL_STOPPING, MP__POOL_TERMINATED };

struct pool_shared {
    mp__kind_word kind;              /* MP__KIND_POOL */
    _Atomic uint32_t state;          /* enum mp__pool_state; only grows */
    mp__member_ref owner;            /* the parent */
    struct pool_local *local;        /* the parent's side; means something there only */
    struct mp__function initializer; /* of the options */
    void *init_arg;                  /* copy in the arena; NULL none */
    uint64_t init_arg_size;          /* its bytes */
    uint64_t tasks_per_child;        /* UINT64_MAX: no limit */
    bool pin_cpus;                   /* of the options, as the next three */
    int nice;                        /* 0: none */
    uint64_t memory_limit;           /* bytes, 0: none */
    uint64_t max_rss;                /* bytes, 0: none */
    uint32_t worker_count;           /* records */
    _Atomic uint32_t failed_inits;   /* in a row: counted by the keeper, cleared by workers */
    struct mp__gate callback_gate;   /* the callback thread sleeps here */
    _Atomic uint32_t has_unlisted;   /* a job that has ended may be missing among the done ones */
    struct mp__gate imap_gate;       /* and here who waits for any chunk of an imap */

    _Alignas(64) struct mp__guard guard; /* of the two lists; MP__HOLDING_POOL */
    _Atomic(struct batch_shared *) head; /* oldest batch; unlinking it is this one store */
    struct batch_shared *tail;           /* newest, when head is not NULL; the parent's */
    struct job_shared *done;             /* newest of the done jobs that want a callback */

    _Alignas(64) struct mp__gate work; /* idle workers sleep here */
    struct worker_shared workers[];    /* worker_count */
};

/* What a worker is told. */
struct mp__worker_argument {
    struct pool_shared *pool; /* its pool */
    mp__member_ref owner;     /* of it */
    uint32_t seat;            /* which record is its own */
    bool is_thread;           /* of the owner: whoever terminates the pool waits for it */
};

/* batch.c: giving out work; called by workers and by the parent. */

int mp__pool_lock(struct pool_shared *pool); /* its guard: 0 or -ENOMEM */
void mp__pool_unlock(struct pool_shared *pool);

void mp__batch_init(struct batch_shared *batch, struct job_shared *job, uint64_t first,
                    uint64_t end, uint64_t chunk);
/* Parent: put it at the end of the list of work, or at its front, and wake workers. 0 or -ENOMEM.
 */
int mp__batch_push(struct pool_shared *pool, struct batch_shared *batch, bool at_front);
/* Parent: out of the list, if it is there. 0 or -ENOMEM. */
int mp__batch_unlink(struct pool_shared *pool, struct batch_shared *batch);
/* Parent, when the pool is terminated: nothing is in the list any more, nothing will be taken. */
int mp__batch_unlink_all(struct pool_shared *pool);
/* Worker: enter the next batch and claim a chunk of it. *out NULL: the pool stops. 0 or -ENOMEM. */
int mp__batch_take(struct pool_shared *pool, struct worker_shared *worker,
                   struct batch_shared **out, uint64_t *chunk);
/* Its table of claims; before it is pushed. 0 or -ENOMEM. */
int mp__batch_make_table(struct batch_shared *batch, uint32_t seats);
/* Keeper: has a record said that it has this chunk? */
bool mp__batch_is_claimed(const struct pool_shared *pool, const struct batch_shared *batch,
                          uint64_t chunk);
/* Worker, or keeper for a dead one: leave the batch its record names; the last one ends the job. */
void mp__batch_leave(struct pool_shared *pool, struct worker_shared *worker);
/* End batch and job, if all of it is given out and nobody is in it. */
void mp__batch_finish(struct pool_shared *pool, struct batch_shared *batch);
bool mp__batch_is_worked_on(const struct pool_shared *pool, const struct batch_shared *batch);
/* All that was not given out or is worked on is done, or will not be. */
bool mp__job_is_closed(struct job_shared *job);
static inline bool mp__job_is_pending(const struct job_shared *job) {
    return atomic_load(&job->state) == MP__JOB_PENDING;
}
/* Note that an item failed; the lowest number wins. */
void mp__job_fail_item(struct job_shared *job, uint64_t item, int code,
                       enum mp__failure_origin origin);
/* The job has left PENDING: wake who waits and, once, queue its callback. */
void mp__job_announce(struct pool_shared *pool, struct job_shared *job);
/* Parent, mutex held: queue the callbacks of those for which that could not be done. 0 or -ENOMEM.
 */
int mp__job_list_missing(struct pool_shared *pool, struct job_shared *jobs);

static inline bool mp__batch_is_given_out(const struct batch_shared *batch) {
    return atomic_load(&batch->cursor) >= batch->chunk_count;
}
static inline uint64_t mp__batch_chunk_first(const struct batch_shared *batch, uint64_t chunk) {
    return batch->first + chunk * batch->chunk;
}
static inline uint64_t mp__batch_chunk_end(const struct batch_shared *batch, uint64_t chunk) {
    uint64_t first = mp__batch_chunk_first(batch, chunk);
    return batch->end - first < batch->chunk ? batch->end : first + batch->chunk;
}

/* Note that it is claimed. A seat's words have one writer: who sits there, or the keeper for a dead
 * one. */
static inline void mp__batch_mark(struct batch_shared *batch, uint32_t seat, uint64_t chunk) {
    uint64_t bit = UINT64_C(1) << chunk % 64;
    if (!batch->claimed) {
        atomic_fetch_or_explicit(&batch->few_claimed, bit, memory_order_release);
        return;
    }
    _Atomic uint64_t *word = &batch->claimed[seat * batch->claimed_stride + chunk / 64];
    uint64_t old = atomic_load_explicit(word, memory_order_relaxed);
    atomic_store_explicit(word, old | bit, memory_order_release);
}

/* How many have been or could be claimed; more than chunk_count when workers tried in vain. */
static inline bool mp__batch_count_claim(struct worker_shared *worker, struct batch_shared *batch,
                                         uint64_t *out) {
    if (!batch->is_tray) {
        *out = atomic_fetch_add_explicit(&batch->cursor, 1, memory_order_relaxed);
        return *out < atomic_load_explicit(&batch->chunk_count, memory_order_relaxed);
    }
    *out = atomic_load_explicit(&batch->cursor, memory_order_relaxed);
    do {
        if (*out >= worker->seen_ready)
            worker->seen_ready = atomic_load_explicit(&batch->ready, memory_order_acquire);
        if (*out >= worker->seen_ready)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&batch->cursor, out, *out + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* Worker: claim one more chunk of the batch it is in; false: there is none. The record first: a
 * chunk that it does not name at our death is found by the table. The other way round, a chunk that
 * is in the table but in no record would be lost. */
static inline bool mp__batch_claim(struct worker_shared *worker, struct batch_shared *batch,
                                   uint64_t *chunk) {
    uint64_t claimed;
    bool is_ours = mp__batch_count_claim(worker, batch, &claimed);
    MP__POINT("pool.claim.counted");
    if (!is_ours)
        return false;
    uint64_t first = mp__batch_chunk_first(batch, claimed);
    atomic_store_explicit(&worker->item, first << 1, memory_order_release);
    MP__POINT("pool.claim.recorded");
    if (!batch->is_tray)
        mp__batch_mark(batch, worker->seat, claimed);
    MP__POINT("pool.claim.marked");
    *chunk = claimed;
    return true;
}
/* Nothing can be claimed now; of an open tray later perhaps. */
static inline bool mp__batch_is_dry(const struct batch_shared *batch) {
    return atomic_load(&batch->cursor) >=
           (batch->is_tray ? atomic_load(&batch->ready) : atomic_load(&batch->chunk_count));
}

/* ticket.c: a ticket in the worker's or keeper's hands. */

/* true: it waited, and is that worker's now. */
static inline bool mp__ticket_begin(struct ticket_shared *ticket, uint32_t seat) {
    uint32_t waits = MP__TICKET_WAITS;
    return atomic_compare_exchange_strong(&ticket->state, &waits, MP__TICKET_RUNS | seat);
}
/* Its task has ended, or was cancelled and nobody is in it any more: tell who waits. */
void mp__ticket_end(struct ticket_shared *ticket);
/* The worker of that seat died before it began it: it can be taken again; false: another worker
 * is in it, or it was cancelled. */
bool mp__ticket_take_back(struct ticket_shared *ticket, uint32_t seat);
/* Its task is not wanted any more; false: it has ended. */
bool mp__ticket_abandon(struct ticket_shared *ticket);

static inline struct task_shared *mp__job_task(struct job_shared *job, uint64_t item) {
    return job->shape == MP__JOB_TRAY ? &job->tickets[item].task : &job->tasks[item];
}
static inline bool mp__job_has_tasks(const struct job_shared *job) {
    return job->shape == MP__JOB_TASKS || job->shape == MP__JOB_TRAY;
}

/* worker.c */

int mp__pool_worker(void *argument, size_t argument_size); /* a worker process's whole life */
int mp__pool_work(const struct mp__worker_argument *told); /* the same without its signals */

/* reply.c: a task's answer while the task runs. */

struct mp_reply {
    struct task_shared *task; /* whose */
    uint64_t number;          /* of the task in sentences; MP__POOL_NO_ITEM: it has none */
    void *block;              /* the answer, held by this process; NULL: in the room */
    size_t size;              /* its bytes */
    int code;                 /* of mp_reply_fail; 0 none */
    char detail[MP__POOL_DETAIL_BYTES]; /* of mp_reply_fail */
};
static inline void mp__reply_begin(struct mp_reply *reply, struct task_shared *task,
                                   uint64_t number) {
    reply->task = task;
    reply->number = number;
    reply->block = NULL;
    reply->size = 0;
    reply->code = 0;
}
/* "<who> returned <code>", with what the code means if it means something. */
void mp__describe_returned(char *out, size_t capacity, const char *who, int code);
/* Hand it to the parent, in an order that a death may cut anywhere. */
void mp__reply_finish(struct mp_reply *reply, int returned, uint32_t parent);
/* Its worker died: finish that or undo it, before the dead one's blocks are freed. */
void mp__reply_recover(struct task_shared *task, uint32_t parent);
/* The parent, for a task whose worker died in it. */
void mp__reply_fail_for(struct task_shared *task, int code, const char *sentence);

static inline bool mp__task_has_ended(const struct task_shared *task) {
    return atomic_load(&task->state) == MP__REPLY_READY;
}
static inline const void *mp__task_answer(const struct task_shared *task) {
    const void *block = atomic_load(&task->block);
    return block ? block : task->room;
}
/* Of a failed one; NULL: nobody said why. */
static inline const char *mp__task_sentence(const struct task_shared *task) {
    return task->code != 0 && task->reply_size > 0 ? mp__task_answer(task) : NULL;
}

#endif

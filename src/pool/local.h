/* The parent's side of a pool: its threads, its workers' processes, its jobs.
 * SPDX-License-Identifier: MIT */
#ifndef MP__POOL_LOCAL_H
#define MP__POOL_LOCAL_H

#include <poll.h>
#include <pthread.h>

#include "mp/process.h"
#include "pool/pool.h"

#define MP__POOL_KNOWN_FUNCTIONS 8

enum mp__keeper_begin { MP__KEEPER_NOT_YET, MP__KEEPER_BEGAN, MP__KEEPER_REFUSED };

struct mp__known_function {
    mp__any_fn function;        /* as the user gave it */
    struct mp__function packed; /* the same for every process */
};

enum mp__seat_thread { MP__SEAT_NO_THREAD, MP__SEAT_THREAD_RUNS, MP__SEAT_THREAD_ENDED };

/* One worker's process or thread, in the order of the records. */
struct mp__seat {
    mp_process *process; /* NULL: no process sits here */
    pthread_t thread;    /* means something when one sits here */
    _Atomic uint32_t
        thread_state;       /* enum mp__seat_thread; ENDED by the thread itself, at its end */
    bool is_unconfirmed;    /* launched, but nobody looked whether it came up */
    mp__time launch_time;   /* of it, then */
    bool is_overdue;        /* was killed for its time limit, in ... */
    uint64_t overdue_item;  /* ... this item */
    uint64_t overdue_batch; /* ... of this batch, as the record names it */
};

struct pool_local {
    struct pool_shared *shared; /* the other side */
    pid_t pid;                  /* whose it is, for the handler at exit */
    struct pool_local *next;    /* in the list of this process's pools */
    mp_context *context;        /* for workers */
    bool has_threads;           /* workers are threads of this process */
    const char *worker_name;    /* "ForkPoolWorker" or so */
    unsigned retries;           /* of the options */
    mp__time time_limit;        /* task_timeout of the options, 0 none */

    pthread_mutex_t mutex;   /* guards this paragraph and the parent's part of jobs */
    struct job_shared *jobs; /* all that were submitted and not freed, newest first */
    struct job_shared *orphans, *last_orphan; /* those nobody refers to, oldest first */
    struct mp__known_function known[MP__POOL_KNOWN_FUNCTIONS]; /* packing costs a search */
    unsigned known_next;                                       /* which one to replace */
    struct job_shared *open_tray;              /* takes more tickets; NULL: none does */
    struct imap_shared *imaps;                 /* that are not freed */
    unsigned callbacks_due;                    /* jobs whose callback was not called yet */
    unsigned progress_jobs;                    /* jobs with a progress callback, among them */
    unsigned timed_jobs;                       /* jobs with a time limit, or being cancelled */
    bool has_callback_thread;                  /* it was started and not joined */
    bool has_keeper;                           /* it was started and not joined */
    int broken_code;                           /* of a broken pool, else 0 */
    char broken_detail[MP__POOL_DETAIL_BYTES]; /* its sentence */

    pthread_t keeper;                 /* replaces the dead */
    pthread_t callback_thread;        /* calls back */
    _Atomic uint32_t keeper_began;    /* enum mp__keeper_begin; a futex word */
    _Atomic uint32_t keeper_ended;    /* 1: no worker is left, none will be; a futex word */
    _Atomic uint32_t callbacks_ended; /* 1: none is left to call; a futex word */
    int wake[2];                      /* pipe: a byte into [1] wakes the keeper */

    struct mp__seat
        *seats;           /* worker_count; the keeper's (before it starts mp_pool_new's), as is: */
    struct pollfd *polls; /* worker_count + 1 */
    struct batch_shared *suspects; /* batches that a worker died in while it claimed */
    unsigned failed_starts;        /* in a row */
    mp__time next_start;           /* no replacement before */
    mp__time kill_time;            /* when terminated workers are killed; 0 none was signalled */
};

static inline struct pool_shared *mp__pool_of(mp_pool *pool) {
    return (struct pool_shared *)(void *)pool;
}
bool mp__pool_is_ours(mp__member_ref owner);
int mp__pool_check(mp_pool *pool, const char *function); /* 0, MP_EINVAL, MP_EFOREIGN */
void mp__pool_poke(struct pool_local *local);            /* wake the keeper */
/* Raise the state and tell workers, keeper and callback thread. */
void mp__pool_advance(struct pool_local *local, enum mp__pool_state state);
/* No more work ever: pending and later jobs end with this code, workers are ended. */
__attribute__((format(printf, 3, 4))) void mp__pool_break(struct pool_local *local, int code,
                                                          const char *format, ...);

/* job.c: what was submitted, from the parent's side. */

struct mp__submission {
    const char *name;              /* of the public function, for details */
    mp__any_fn function;           /* the user's */
    enum mp__job_shape shape;      /* which kind of work */
    bool is_wanted;                /* the user gets a result */
    bool is_imap;                  /* a chunk of one, which goes on when the pool is closed */
    const void *items;             /* of a map, or the argument */
    size_t count, item_size;       /* of an apply: 1 and the argument's bytes */
    const mp_column *columns;      /* of a starmap */
    size_t column_count;           /* of them */
    struct task_shared *tasks;     /* of an imap: the chunk's, in the arena, now the job's */
    struct input_shared *inputs;   /* and what they point to, likewise; both only on success */
    uint64_t first_number;         /* of the first of them in the imap */
    void *results;                 /* of a map; NULL none */
    size_t result_size;            /* bytes of one */
    const mp_map_options *map;     /* NULL none */
    const mp_apply_options *apply; /* NULL none */
};
int mp__job_check_open(struct pool_local *local, const char *name); /* does it take work? */
int mp__job_submit(struct job_shared **out, mp_pool *pool, const struct mp__submission *order);
int mp__job_wait(struct job_shared *job, mp__time deadline); /* until it has: 0 or MP_ETIMEDOUT */
/* It has ended: write results and codes to where the user wants them, once. */
void mp__job_settle(struct job_shared *job);
/* The two halves of it. begin: false: that was done before; else nobody else does it until end. */
bool mp__job_begin_settling(struct job_shared *job);
void mp__job_end_settling(struct job_shared *job, bool has_results);
/* The user's arrays may be gone from now on. */
void mp__job_forget_arrays(struct job_shared *job);
/* Of an ended one: 0 or the code that get returns. */
int mp__job_code(const struct job_shared *job);
/* Leave a sentence on its failure; the keeper, then settle. */
__attribute__((format(printf, 2, 3))) void mp__job_explain(struct job_shared *job,
                                                           const char *format, ...);
const char *mp__job_detail(const struct job_shared *job); /* of a settled one */
void mp__job_unrefer(struct job_shared *job);             /* the last one frees it, in time */
void mp__job_unrefer_locked(struct pool_local *local, struct job_shared *job);
void mp__job_add(struct pool_local *local, struct job_shared *job); /* to the list; mutex held */
/* What the workers call it; mutex held. */
int mp__job_pack_function(struct pool_local *local, mp__any_fn function, struct mp__function *out);
/* Does the pool take this work? Mutex held. */
int mp__job_check_submission(struct pool_local *local, const struct mp__submission *order);
void mp__job_erase(struct job_shared *job);        /* at once: nobody knows it */
void mp__inputs_free(struct input_shared *inputs); /* NULL: nothing */
void mp__job_add_orphan(struct pool_local *local, struct job_shared *job); /* mutex held */
/* Free those at the front that nobody touches any more, `limit` of them at most; mutex held. */
void mp__job_free_orphans(struct pool_local *local, unsigned limit);
/* What is pending ends with this code; `detail` may be NULL when that says it all. locked: the
 * mutex is held; false: it has ended before. */
bool mp__job_abandon_locked(struct pool_local *local, struct job_shared *job, int code,
                            const char *detail);
void mp__job_abandon(struct pool_local *local, struct job_shared *job, int code,
                     const char *detail);
void mp__job_abandon_all(struct pool_local *local, int code, const char *detail);
/* Workers and threads are gone, the pool will be: free all jobs but those that the user still has.
 */
void mp__job_detach_all(struct pool_local *local);

/* imap.c; mutex held */

bool mp__imap_wants_more(const struct pool_local *local); /* are there inputs not drawn yet? */
void mp__imap_detach_all(struct pool_local *local);       /* the pool is freed, they are not */

/* tray.c: many small tasks in one job. */

/* A task without options of its own. *out NULL unless it is wanted. */
int mp__tray_submit(struct ticket_shared **out, mp_pool *pool, const struct mp__submission *order);
void mp__tray_close(struct pool_local *local); /* what comes next is behind it; mutex held */
void mp__tray_release(struct pool_local *local, struct job_shared *tray); /* mutex held */
void mp__tray_abandon(struct job_shared *tray); /* tell all who wait; mutex held */

/* ticket.c: what the user does with one. */

void mp__ticket_free_argument(struct ticket_shared *ticket);
int mp__ticket_wait(struct ticket_shared *ticket, mp__time deadline); /* 0 or MP_ETIMEDOUT */
bool mp__ticket_has_ended(const struct ticket_shared *ticket);
int mp__ticket_code(const struct ticket_shared *ticket);           /* of an ended one */
const char *mp__ticket_detail(const struct ticket_shared *ticket); /* likewise */
int mp__ticket_cancel(struct ticket_shared *ticket);
void mp__ticket_free(struct ticket_shared *ticket);

/* cancel.c */

int mp__job_cancel(struct job_shared *job); /* 0; MP_ESTATE: it has ended */

/* keeper.c: the thread that watches the workers. */

int mp__keeper_launch(struct pool_local *local, uint32_t seat); /* a process for that seat */
int mp__keeper_start(struct pool_local *local);                 /* the thread */

/* seat.c: who sits there, a process or a thread. */

bool mp__seat_is_taken(const struct mp__seat *seat);
bool mp__seat_has_ended(struct mp__seat *seat); /* it is taken, by one that is no more */
int mp__seat_start_thread(struct pool_local *local, uint32_t seat);
/* Nobody works yet, nobody will: end who was launched. */
void mp__seat_end_all(struct pool_local *local);
bool mp__seat_is_mine(struct pool_local *local); /* this thread is a worker of that pool */

/* stats.c: what workers did. */

void mp__stats_see_end(struct pool_local *local, uint32_t seat); /* its process has just ended */
void mp__stats_bury(struct pool_local *local, uint32_t seat);    /* it goes to the past */

/* burial.c: what a dead worker leaves. */

/* Its process has ended: settle what it was doing. false: try again later. */
bool mp__burial_try(struct pool_local *local, uint32_t seat);
/* Look for chunks that died together with their claimers. */
void mp__burial_sweep(struct pool_local *local);

/* callback.c: the thread that calls the user. */

int mp__callback_start(struct pool_local *local); /* unless it runs already; mutex held */
bool mp__callback_is_me(struct pool_local *local);

#endif

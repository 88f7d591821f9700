/* mp/pool.h: a function over many items, by a set of worker processes; a crash costs one item.
 * SPDX-License-Identifier: MIT
 *
 *     static int square(const void *item, void *result, void *state) {
 *         *(int *)result = *(const int *)item * *(const int *)item;
 *         return 0;
 *     }
 *     int main(int argc, char **argv) {
 *         mp_freeze_support(argc, argv);
 *         mp_pool *pool;
 *         int items[] = {1, 2, 3, 4}, results[4];
 *         mp_pool_new(&pool, NULL, NULL);
 *         mp_pool_map(pool, square, items, 4, sizeof(int), results, sizeof(int), NULL);
 *         mp_pool_free(pool);
 *     }
 *
 * Workers pull chunks of a map, or single tasks, from one list in the order of submission. Items
 * and results that lie in the arena (mp_shared_alloc, arrays) are used in place, others are copied
 * once. Task functions may be any function of the program, under every start method. Workers ignore
 * SIGINT: Ctrl-C is the parent's to decide on.
 *
 * ThreadPool: with the MP_THREAD context workers are threads of this process. Tasks reach all of
 * its memory, a crash or exit() ends the program, and what ends a running task is refused
 * (task_timeout, timeout) or waits for it (terminate, free).
 *
 * Who may call what at once
 *     new, map, apply, *_async, close, terminate   any thread of the process that made the pool
 *     mp_async_result_*                            any thread of that process; free: once, last
 *     mp_pool_join                                 any thread but the callbacks' (MP_ESTATE);
 *                                                  join, terminate: not in a task of its threads
 *     mp_pool_free                                 one thread, when no other uses the pool or a
 *                                                  result of it; results may be freed later
 *     mp_reply_*                                   the task, in its worker, until it returns
 *     callbacks, progress                          are called by one thread of the pool
 *     all of it in another process (a fork)        MP_EFOREIGN; free does nothing there
 *
 * If a process dies in the middle of
 *     a task (killed, crash, exit)   that item or task alone fails: MP_EWORKER, with a detail as
 *                                    "item 13: worker 4711 died of SIGSEGV in parse_row" (the
 *                                    task's function, or file+0xoffset when it has no symbol);
 *                                    the rest of its chunk is done by others, it is replaced
 *     taking work, or idle           nothing is lost, the worker is replaced
 *     the initializer                it is tried again; after three failures in a row the pool is
 *                                    broken: what is pending, and what is submitted later, fails
 *                                    with the initializer's error
 *     any call here (the parent)     its workers die with it
 */
#ifndef MP_POOL_H
#define MP_POOL_H

#include "mp/base.h"
#include "mp/context.h"

typedef struct mp_pool mp_pool;                 /* the workers and their list of work */
typedef struct mp_async_result mp_async_result; /* what was submitted, and what becomes of it */
typedef struct mp_reply mp_reply;               /* where a task of mp_pool_apply puts its answer */

/* Run once in each worker before its first task; `*state` goes to all tasks. Non-zero: failed. */
typedef int (*mp_worker_init_fn)(void *arg, size_t arg_size, void **state);
/* One item of a map: read `item`, write `result`. Non-zero, of either sign: this item failed. */
typedef int (*mp_map_fn)(const void *item, void *result, void *state);
/* One row of a starmap: `args` points to an item of each column. Non-zero: this row failed. */
typedef int (*mp_starmap_fn)(const void *const *args, size_t n_args, void *result, void *state);
/* One task of an apply or imap: answer by mp_reply_set or mp_reply_alloc (none: 0 bytes). Non-zero:
 * failed; better `return mp_reply_fail(...)`, which says why. */
typedef int (*mp_apply_fn)(const void *arg, size_t arg_size, mp_reply *reply, void *state);

typedef struct mp_pool_options {
    int processes;                 /* workers; 0: mp_usable_cpu_count() */
    mp_worker_init_fn initializer; /* NULL: none, state is NULL */
    const void *init_arg;          /* copied */
    size_t init_arg_size;          /* its bytes */
    unsigned max_tasks_per_child;  /* items and tasks until a worker is replaced; 0: no limit */
    double task_timeout;           /* seconds for one item or task; 0: none. Past it the worker is
                                      killed and the item gets MP_ETIMEDOUT */
    unsigned retries;              /* how often an item whose worker died is begun again */
    bool pin_cpus;                 /* each worker stays on one processor, in turn; where the system
                                      cannot: MP_EINVAL */
    int nice;                      /* added to the nice value of workers; 0: none */
    size_t memory_limit;           /* bytes of private memory (what a fork inherits included, shared
                                      memory not) past which malloc fails in a worker; 0: none */
    size_t max_rss;                /* bytes of private memory past which a worker is replaced, when
                                      it ends a chunk or task; 0: none */
} mp_pool_options;

typedef struct mp_map_options {
    size_t chunk; /* items that a worker takes at once; 0: n / (4 * workers), rounded up */
    int *codes;   /* room for n codes: 0, what the function returned, MP_EWORKER, MP_ETIMEDOUT;
                     MP_ECANCELED: not done when the map was cancelled */
    void (*callback)(void *user, int code);                  /* once, when all is done */
    void (*progress)(void *user, size_t done, size_t total); /* 10 a second at most; at the end */
    void *user;                                              /* goes to both */
    bool progress_bar; /* a line on stderr when that is a terminal, else nothing: how far, rate,
                          time left, failures; of several at once the first one's */
} mp_map_options;

/* One argument of a starmap: the array it comes from. */
typedef struct mp_column {
    const void *items; /* n of them; as the items of a map */
    size_t item_size;  /* bytes of one */
} mp_column;

typedef struct mp_apply_options {
    void (*callback)(void *user, const void *data, size_t size);      /* on success: the answer */
    void (*error_callback)(void *user, int code, const char *detail); /* on failure */
    void *user;                                                       /* goes to both */
    double timeout; /* as task_timeout, for this task; 0: the pool's */
} mp_apply_options;

MP_BEGIN_DECLS

/* Make a pool and start its workers: daemons, named "ForkPoolWorker-1" and so on, which may have
 * children and pools all the same (Python's may not). Initializers run while you go on.
 * mp_active_children lists them too; such a handle is good until its worker ends.
 *   context  NULL: the default; MP_THREAD: workers are threads, also in a daemon
 *   options  NULL: as many workers as usable processors
 *   returns  0; MP_EINVAL: a bad or unsupported option; MP_EDAEMON: this process is a daemon;
 *            whatever mp_process_start returns; -errno
 *   owns     end it with mp_pool_free
 *   python   Pool(processes, initializer, initargs, maxtasksperchild), ThreadPool */
int mp_pool_new(mp_pool **out, mp_context *context, const mp_pool_options *options);

/* Call `fn` for each of `n` items, wait for all, find the results in the order of the items.
 *   items    n * item_size bytes, read by the workers until the call returns
 *   results  n * result_size bytes, or NULL with 0; what a failed item's place holds is unspecified
 *   options  NULL: chunks chosen, no codes
 *   returns  0; MP_ETASK, MP_EWORKER or MP_ETIMEDOUT: of the lowest item that failed, named in the
 *            detail; every other item is done nevertheless. MP_EINVAL: bad argument, pool closed;
 *            MP_ECANCELED: terminated meanwhile; the error of a broken pool; -ENOMEM
 *   blocks   until all is done
 *   python   Pool.map */
int mp_pool_map(mp_pool *pool, mp_map_fn fn, const void *items, size_t n, size_t item_size,
                void *results, size_t result_size, const mp_map_options *options);

/* The same without waiting. Items outside the arena are copied at once; results and codes outside
 * it are written before the callback, or when wait, get, ready or successful first finds all done;
 * never after the result was freed.
 *   out      NULL: nobody will ask (then give a callback, or arrays in the arena)
 *   returns  0; MP_EINVAL; the error of a broken pool; -ENOMEM
 *   owns     *out is yours: mp_async_result_free
 *   python   Pool.map_async */
int mp_pool_map_async(mp_async_result **out, mp_pool *pool, mp_map_fn fn, const void *items,
                      size_t n, size_t item_size, void *results, size_t result_size,
                      const mp_map_options *options);

/* The same with several arrays: item i of each makes the arguments of call i; 64 columns at most.
 *   python   Pool.starmap over zip(columns...) */
int mp_pool_starmap(mp_pool *pool, mp_starmap_fn fn, const mp_column *columns, size_t n_columns,
                    size_t n, void *results, size_t result_size, const mp_map_options *options);

/* As mp_pool_map_async. Python: Pool.starmap_async */
int mp_pool_starmap_async(mp_async_result **out, mp_pool *pool, mp_starmap_fn fn,
                          const mp_column *columns, size_t n_columns, size_t n, void *results,
                          size_t result_size, const mp_map_options *options);

/* Call `fn(arg)` in one worker and wait for its answer.
 *   arg      copied; NULL with size 0
 *   buffer   takes the answer, `capacity` bytes; NULL with 0 when none is wanted
 *   size     takes the answer's bytes, also with MP_ETOOSHORT; NULL: not wanted
 *   returns  0; MP_ETOOSHORT: the answer is longer than capacity, and lost; the code given to
 *            mp_reply_fail; MP_ETASK: the function returned non-zero; MP_EWORKER; MP_ETIMEDOUT; and
 *            as mp_pool_map
 *   python   Pool.apply */
int mp_pool_apply(mp_pool *pool, mp_apply_fn fn, const void *arg, size_t arg_size, void *buffer,
                  size_t capacity, size_t *size);

/* The same without waiting. One of the two callbacks is called, by the pool's callback thread.
 *   out      NULL: nobody will ask
 *   returns  0; MP_EINVAL; the error of a broken pool; -ENOMEM
 *   owns     *out is yours: mp_async_result_free
 *   python   Pool.apply_async */
int mp_pool_apply_async(mp_async_result **out, mp_pool *pool, mp_apply_fn fn, const void *arg,
                        size_t arg_size, const mp_apply_options *options);

/* In a task: answer with a copy of `data`; a later answer takes the place of an earlier one.
 *   returns  0; MP_EINVAL: NULL; -ENOMEM: the arena is full */
int mp_reply_set(mp_reply *reply, const void *data, size_t size);

/* In a task: answer with `size` bytes to be written in place until the task returns. NULL: the
 * arena is full. */
void *mp_reply_alloc(mp_reply *reply, size_t size);

/* In a task: fail with a code and a sentence, which get and the error callback give to the parent.
 * Code 0 or positive counts as MP_ETASK. Returns the code, for `return mp_reply_fail(...)`. */
int mp_reply_fail(mp_reply *reply, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Wait until it is done and take what came out.
 *   buffer, capacity, size   as in mp_pool_apply; of a map: NULL, 0, NULL (see its arrays)
 *   returns  as mp_pool_map and mp_pool_apply; MP_ETOOSHORT: *size says what it needs, the answer
 *            can be asked for again; MP_ETIMEDOUT: not done in time (mp_async_result_ready tells it
 *            from a task that took too long)
 *   python   AsyncResult.get */
int mp_async_result_get(mp_async_result *result, void *buffer, size_t capacity, size_t *size,
                        double timeout);

/* Wait until it is done, well or not: 0; MP_ETIMEDOUT; MP_EINVAL. Python: AsyncResult.wait */
int mp_async_result_wait(mp_async_result *result, double timeout);

/* Is it done, well or not? false also for what is no result. Python: AsyncResult.ready */
bool mp_async_result_ready(const mp_async_result *result);

/* Did it end well? 1, 0; MP_EINVAL: not ready. Python: AsyncResult.successful */
int mp_async_result_successful(const mp_async_result *result);

/* What went wrong, in a sentence; "" while it is not ready and when nothing did. Valid until the
 * result is freed. */
const char *mp_async_result_detail(const mp_async_result *result);

/* Undo it: what is not begun is left out, a worker that runs it is killed and replaced (a thread is
 * waited for). It ends with MP_ECANCELED; of a map, codes and results of the items done are there.
 *   returns  0, also the second time; MP_ESTATE: it has ended already, or called in a task of the
 *            pool's threads; MP_EINVAL; -ENOMEM
 *   blocks   until no worker is in it, some milliseconds */
int mp_async_result_cancel(mp_async_result *result);

/* Give it back, before or after its pool. Not done yet: it runs to its end all the same, and arrays
 * in the arena must stay until then. NULL: nothing. */
void mp_async_result_free(mp_async_result *result);

/* Take no more work; what was submitted is still done. Twice is once.
 *   returns  0; MP_EINVAL
 *   python   Pool.close */
int mp_pool_close(mp_pool *pool);

/* Stop now: pending results give MP_ECANCELED, workers get SIGTERM and half a second later SIGKILL.
 *   returns  0; MP_EINVAL; MP_ESTATE: in a task of its threads
 *   blocks   until the workers are gone, about half a second at most; threads end their item first
 *   python   Pool.terminate */
int mp_pool_terminate(mp_pool *pool);

/* Wait until all work is done, all callbacks were called and all workers have ended.
 *   returns  0; MP_EINVAL: neither closed nor terminated; MP_ETIMEDOUT; MP_ESTATE: in a callback
 *            or a task of its threads; or an imap has inputs left: read them or free it first
 *   python   Pool.join */
int mp_pool_join(mp_pool *pool, double timeout);

/* Terminate, join, and give everything back; nothing when in a callback, or in a task of its
 * threads, which would wait for itself. NULL: nothing. Python: leaving
 * `with Pool()` */
void mp_pool_free(mp_pool *pool);

MP_END_DECLS
#endif

/* The limits of a pool: forked workers that share an atomic counter, or a ring of tasks.
 * SPDX-License-Identifier: MIT */
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pools.h"

#define RING_SLOTS 1024
#define QUIT UINT32_MAX /* as a task's number */

struct slot {
    _Alignas(32) _Atomic uint64_t turn; /* position + 1: full; position + RING_SLOTS: empty again */
    uint32_t number;                    /* of the task, */
    int argument;                       /* its argument */
};

static struct {
    _Alignas(128) _Atomic uint32_t job;  /* counts maps; workers sleep on it */
    _Alignas(128) _Atomic uint32_t idle; /* of them, so many sleep there */
    _Alignas(128) _Atomic uint64_t next; /* item that is not given out */
    _Alignas(128) _Atomic uint32_t left; /* workers in the map; the parent sleeps on it */
    uint64_t count, chunk;               /* of the map */
    bool is_over;                        /* workers may go */

    _Alignas(128) _Atomic uint64_t put;          /* tasks submitted */
    _Alignas(128) _Atomic uint64_t taken;        /* by a worker */
    _Alignas(128) _Atomic uint32_t takers;       /* that sleep, */
    _Atomic uint32_t taker_event;                /* on this word */
    _Alignas(128) _Atomic uint32_t putter;       /* the parent sleeps for room in the ring */
    _Alignas(128) _Atomic uint32_t done;         /* tasks; the parent sleeps on it, */
    _Atomic uint32_t done_wanted;                /* until it is that */
    _Alignas(128) struct slot slots[RING_SLOTS]; /* the ring */
    _Alignas(128) int items[POOL_ITEMS_MAX];
    int results[POOL_ITEMS_MAX];
} * raw;
static pid_t workers[2 * POOL_WORKERS];
static int (*volatile task)(int) = bench_square; /* called by a pointer, as a pool has to */

static void sleep_on(_Atomic uint32_t *word, uint32_t value) {
    syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

static void map_for_ever(void *arg) {
    uint32_t last = 0;
    (void)arg;
    for (;;) {
        while (atomic_load(&raw->job) == last) {
            atomic_fetch_add(&raw->idle, 1);
            sleep_on(&raw->job, last);
            atomic_fetch_sub(&raw->idle, 1);
        }
        last = atomic_load(&raw->job);
        if (raw->is_over)
            return;
        uint64_t count = raw->count, chunk = raw->chunk, i;
        int (*function)(int) = task;
        while ((i = atomic_fetch_add_explicit(&raw->next, chunk, memory_order_relaxed)) < count)
            for (uint64_t end = i + chunk < count ? i + chunk : count; i < end; i++)
                raw->results[i] = function(raw->items[i]);
        if (atomic_fetch_sub(&raw->left, 1) == 1)
            wake(&raw->left, 1);
    }
}

static void map_raw(uint64_t count, uint64_t chunk) {
    raw->count = count;
    raw->chunk = chunk;
    atomic_store(&raw->next, 0);
    atomic_store(&raw->left, POOL_WORKERS);
    atomic_fetch_add(&raw->job, 1);
    if (atomic_load(&raw->idle))
        wake(&raw->job, POOL_WORKERS);
    for (uint32_t left; (left = atomic_load(&raw->left)) > 0;)
        sleep_on(&raw->left, left);
}

static void wake_taker(void) {
    uint32_t takers = atomic_load(&raw->takers);
    while (takers > 0)
        if (atomic_compare_exchange_weak(&raw->takers, &takers, takers - 1)) {
            atomic_fetch_add(&raw->taker_event, 1);
            wake(&raw->taker_event, 1);
            return;
        }
}

static bool has_task(void) {
    uint64_t position = atomic_load(&raw->taken);
    return atomic_load(&raw->slots[position % RING_SLOTS].turn) == position + 1;
}

static void put(uint32_t number, int argument) {
    uint64_t position = atomic_load_explicit(&raw->put, memory_order_relaxed);
    struct slot *slot = &raw->slots[position % RING_SLOTS];
    while (atomic_load_explicit(&slot->turn, memory_order_acquire) != position) {
        atomic_store(&raw->putter, 1);
        if (atomic_load(&slot->turn) != position)
            sleep_on(&raw->putter, 1);
    }
    slot->number = number;
    slot->argument = argument;
    atomic_store_explicit(&raw->put, position + 1, memory_order_relaxed);
    atomic_exchange(&slot->turn, position + 1);
    if (atomic_load_explicit(&raw->takers, memory_order_relaxed))
        wake_taker();
}

static bool try_take(uint32_t *number, int *argument) {
    uint64_t position = atomic_load(&raw->taken);
    for (;;) {
        struct slot *slot = &raw->slots[position % RING_SLOTS];
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);
        if (turn == position + 1) {
            if (!atomic_compare_exchange_weak(&raw->taken, &position, position + 1))
                continue;
            *number = slot->number;
            *argument = slot->argument;
            atomic_exchange(&slot->turn, position + RING_SLOTS);
            return true;
        }
        uint64_t now = atomic_load(&raw->taken);
        if (now == position)
            return false;
        position = now;
    }
}

/* Room is told of when half of the ring is empty: one wake-up for many tasks. */
static void take(uint32_t *number, int *argument) {
    while (!try_take(number, argument)) {
        uint32_t event = atomic_load(&raw->taker_event);
        atomic_fetch_add(&raw->takers, 1);
        if (!has_task())
            sleep_on(&raw->taker_event, event);
    }
    if (atomic_load_explicit(&raw->putter, memory_order_relaxed) &&
        atomic_load(&raw->put) - atomic_load(&raw->taken) <= RING_SLOTS / 2 &&
        atomic_exchange(&raw->putter, 0))
        wake(&raw->putter, 1);
    if (atomic_load_explicit(&raw->takers, memory_order_relaxed) && has_task())
        wake_taker();
}

static void work_for_ever(void *arg) {
    uint32_t number;
    int argument;
    (void)arg;
    for (;;) {
        take(&number, &argument);
        if (number == QUIT)
            return;
        raw->results[number] = task(argument);
        if (atomic_fetch_add(&raw->done, 1) + 1 == atomic_load(&raw->done_wanted))
            wake(&raw->done, 1);
    }
}

static void do_tasks(uint32_t count) {
    atomic_store(&raw->done, 0);
    atomic_store(&raw->done_wanted, count);
    for (uint32_t i = 0; i < count; i++)
        put(i, (int)i);
    for (uint32_t done; (done = atomic_load(&raw->done)) < count;)
        sleep_on(&raw->done, done);
}

void bench_raw_start(void) {
    raw = bench_shared(sizeof *raw);
    for (uint64_t i = 0; i < RING_SLOTS; i++)
        atomic_store(&raw->slots[i].turn, i);
    for (int i = 0; i < POOL_ITEMS_MAX; i++)
        raw->items[i] = i;
    for (int i = 0; i < 2 * POOL_WORKERS; i++)
        workers[i] = bench_fork(i % 2 ? work_for_ever : map_for_ever, NULL);
}

void bench_raw_stop(void) {
    raw->is_over = true;
    atomic_fetch_add(&raw->job, 1);
    wake(&raw->job, POOL_WORKERS);
    for (int i = 0; i < POOL_WORKERS; i++)
        put(QUIT, 0);
    for (int i = 0; i < 2 * POOL_WORKERS; i++)
        bench_reap(workers[i]);
}

static void check(size_t count) {
    for (size_t i = 0; i < count; i++)
        BENCH_CHECK(raw->results[i] == bench_square((int)i));
    for (size_t i = 0; i < count; i++)
        raw->results[i] = 0;
}

double bench_map_raw(const struct bench_work *work) {
    map_raw(work->count, work->chunk);
    int64_t begin = bench_now();
    map_raw(work->count, work->chunk);
    double elapsed = (double)(bench_now() - begin);
    check(work->count);
    return elapsed / (double)work->count;
}

double bench_tasks_raw(const struct bench_work *work) {
    int64_t begin = bench_now();
    do_tasks((uint32_t)work->count);
    double elapsed = (double)(bench_now() - begin);
    check(work->count);
    return elapsed / (double)work->count;
}

double bench_apply_raw(const struct bench_work *work) {
    int64_t begin = bench_now();
    for (size_t i = 0; i < work->count; i++)
        do_tasks(1);
    return (double)(bench_now() - begin) / (double)work->count / 1e3;
}

/* Trays: many small tasks in one job, so that submitting one is filling in a ticket.
 * SPDX-License-Identifier: MIT
 *
 *     job_shared | ticket 0 | ticket 1 | ... | ticket 63
 *
 * A tray is in the list of work like any other batch, and workers claim its tickets one by one, but
 * only those that are ready. It is open while it is the last one in the list: any other submission
 * closes it, so that work is begun in the order of submission. */
#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "pool/local.h"
#include "shm/heap.h"

#define TRAY_BYTES \
    (sizeof(struct job_shared) + MP__POOL_TRAY_TICKETS * sizeof(struct ticket_shared))

_Static_assert(sizeof(struct ticket_shared) == 192, "a ticket fills three lines");
_Static_assert(sizeof(struct job_shared) % 64 == 0, "and begins on one");

/* The tickets are cleared when they are filled in. */
static struct job_shared *make_tray(struct pool_local *local) {
    struct job_shared *tray = mp__heap_alloc(TRAY_BYTES);
    if (!tray)
        return NULL;
    memset(tray, 0, sizeof *tray);
    tray->pool = local->shared;
    tray->owner = local->shared->owner;
    tray->shape = MP__JOB_TRAY;
    tray->tickets = (struct ticket_shared *)(tray + 1);
    tray->failure = MP__POOL_NO_FAILURE;
    tray->errand.references = 1; /* all of its tickets */
    mp__batch_init(&tray->batch, tray, 0, MP__POOL_TRAY_TICKETS, 1);
    tray->batch.is_tray = true;
    atomic_store(&tray->kind, MP__KIND_ASYNC_RESULT);
    return tray;
}

static int open_tray(struct pool_local *local) {
    mp__job_free_orphans(local, 4);
    struct job_shared *tray = make_tray(local);
    if (!tray)
        return -ENOMEM;
    int code = mp__batch_push(local->shared, &tray->batch, false);
    if (code < 0) {
        mp__heap_free(tray);
        return code;
    }
    mp__job_add(local, tray);
    local->open_tray = tray;
    return 0;
}

/* Closed, and no ticket is the user's any more. */
void mp__tray_release(struct pool_local *local, struct job_shared *tray) {
    if (tray == local->open_tray || tray->errand.is_released ||
        atomic_load(&tray->freed_tickets) < tray->given_tickets)
        return;
    tray->errand.is_released = true;
    mp__job_unrefer_locked(local, tray);
}

/* Workers may all have left it before. */
void mp__tray_close(struct pool_local *local) {
    struct job_shared *tray = local->open_tray;
    if (!tray)
        return;
    local->open_tray = NULL;
    atomic_store(&tray->final_tickets, tray->given_tickets);
    atomic_store(&tray->batch.chunk_count, tray->count);
    mp__batch_finish(local->shared, &tray->batch);
    mp__tray_release(local, tray);
}

void mp__tray_abandon(struct job_shared *tray) {
    for (uint64_t i = 0; i < tray->count; i++) {
        struct ticket_shared *ticket = &tray->tickets[i];
        if (mp__ticket_abandon(ticket))
            mp__gate_notify(&ticket->gate, MP__WAKE_ALL);
    }
}

static int fill_in(struct ticket_shared *ticket, struct job_shared *tray,
                   const struct mp__submission *order) {
    size_t size = order->item_size;
    void *argument = ticket->argument;
    if (size > sizeof ticket->argument && !(argument = mp__heap_alloc(size)))
        return -ENOMEM;
    memset(ticket, 0, sizeof *ticket);
    if (size > 0)
        memcpy(argument, order->items, size);
    ticket->tray = tray;
    ticket->task.data = size > 0 ? argument : NULL;
    ticket->task.size = size;
    return 0;
}

static int add_ticket(struct ticket_shared **out, struct pool_local *local,
                      const struct mp__submission *order) {
    struct mp__function function;
    int code = mp__job_check_submission(local, order);
    if (code == 0)
        code = mp__job_pack_function(local, order->function, &function);
    if (code == 0 && !local->open_tray)
        code = open_tray(local);
    if (code < 0)
        return code;
    struct job_shared *tray = local->open_tray;
    struct ticket_shared *ticket = &tray->tickets[tray->count];
    code = fill_in(ticket, tray, order);
    if (code < 0)
        return code;
    ticket->function = function;
    if (order->is_wanted) {
        atomic_store_explicit(&ticket->kind, MP__KIND_TICKET, memory_order_relaxed);
        tray->given_tickets++;
    }
    atomic_store_explicit(&tray->batch.ready, ++tray->count, memory_order_release);
    if (tray->count == MP__POOL_TRAY_TICKETS)
        mp__tray_close(local);
    *out = ticket;
    return 0;
}

int mp__tray_submit(struct ticket_shared **out, mp_pool *pool, const struct mp__submission *order) {
    struct pool_local *local = mp__pool_of(pool)->local;
    pthread_mutex_lock(&local->mutex);
    int code = add_ticket(out, local, order);
    pthread_mutex_unlock(&local->mutex);
    if (code == 0 && mp__gate_has_sleeper_now(&local->shared->work))
        mp__gate_wake(&local->shared->work, 1);
    return code;
}

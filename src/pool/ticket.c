/* Tickets: what becomes of a task in a tray.
 * SPDX-License-Identifier: MIT
 *
 *     WAITS --> RUNS --> DONE          a worker begins and ends it
 *       |        |
 *       |        +-----> ABANDONED     cancelled in it; its worker is being killed
 *       |                    |
 *       +--------------------+--> LEFT
 *
 * Beginning is one exchange of the state, so that a task is begun once however many were told to.
 * The state names the seat of who began it: only his own death takes it back.
 */
#include "base/fail.h"
#include "base/point.h"
#include "os/futex.h"
#include "pool/local.h"
#include "shm/heap.h"

static uint32_t kind_of(uint32_t state) {
    return state & ~(uint32_t)MP__TICKET_SEAT;
}

void mp__ticket_end(struct ticket_shared *ticket) {
    uint32_t state = atomic_load(&ticket->state);
    bool is_done = kind_of(state) == MP__TICKET_RUNS &&
                   atomic_compare_exchange_strong(&ticket->state, &state, MP__TICKET_DONE);
    if (!is_done && kind_of(state) == MP__TICKET_ABANDONED)
        atomic_compare_exchange_strong(&ticket->state, &state, MP__TICKET_LEFT);
    MP__POINT("pool.ticket.ended");
    if (mp__gate_has_sleeper_now(&ticket->gate))
        mp__gate_wake(&ticket->gate, MP__WAKE_ALL);
}

bool mp__ticket_take_back(struct ticket_shared *ticket, uint32_t seat) {
    uint32_t state = MP__TICKET_RUNS | seat;
    if (atomic_compare_exchange_strong(&ticket->state, &state, MP__TICKET_WAITS) ||
        state == MP__TICKET_WAITS)
        return true;
    if (state == (MP__TICKET_ABANDONED | seat))
        mp__ticket_end(ticket);
    return false;
}

bool mp__ticket_abandon(struct ticket_shared *ticket) {
    uint32_t state = MP__TICKET_WAITS;
    return atomic_compare_exchange_strong(&ticket->state, &state, MP__TICKET_LEFT) ||
           (kind_of(state) == MP__TICKET_RUNS &&
            atomic_compare_exchange_strong(&ticket->state, &state,
                                           MP__TICKET_ABANDONED | (state & MP__TICKET_SEAT)));
}

bool mp__ticket_has_ended(const struct ticket_shared *ticket) {
    return atomic_load_explicit(&ticket->state, memory_order_acquire) >= MP__TICKET_DONE;
}

int mp__ticket_wait(struct ticket_shared *ticket, mp__time deadline) {
    while (!mp__ticket_has_ended(ticket)) {
        uint32_t before = mp__gate_prepare(&ticket->gate);
        if (mp__ticket_has_ended(ticket))
            break;
        if (mp__gate_wait(&ticket->gate, before, deadline) < 0 && !mp__ticket_has_ended(ticket))
            return MP_ETIMEDOUT;
    }
    return 0;
}

int mp__ticket_code(const struct ticket_shared *ticket) {
    if (atomic_load(&ticket->state) == MP__TICKET_DONE)
        return ticket->task.code;
    return ticket->is_canceled ? MP_ECANCELED : ticket->tray->errand.abandoned_code;
}

const char *mp__ticket_detail(const struct ticket_shared *ticket) {
    int code = mp__ticket_code(ticket);
    if (code == 0)
        return "";
    if (atomic_load(&ticket->state) != MP__TICKET_DONE)
        return ticket->is_canceled ? "it was cancelled" : mp__job_detail(ticket->tray);
    const char *sentence = mp__task_sentence(&ticket->task);
    return sentence ? sentence : mp_strerror(code); /* no memory for a sentence */
}

static bool cancel_locked(struct pool_local *local, struct ticket_shared *ticket) {
    if (mp__ticket_has_ended(ticket))
        return false;
    ticket->is_canceled = true;
    bool is_ours = mp__ticket_abandon(ticket);
    ticket->is_canceled = is_ours;
    local->timed_jobs += is_ours;
    return is_ours;
}

/* The keeper kills who is in it; with the mutex it neither gives it back nor begins it again. */
int mp__ticket_cancel(struct ticket_shared *ticket) {
    const struct pool_shared *pool = ticket->tray->pool;
    bool was_canceled = ticket->is_canceled;
    if (!pool || was_canceled)
        return was_canceled ? 0 : MP_ESTATE;
    struct pool_local *local = pool->local;
    pthread_mutex_lock(&local->mutex);
    bool is_ours = cancel_locked(local, ticket);
    pthread_mutex_unlock(&local->mutex);
    if (!is_ours)
        return MP_ESTATE;
    mp__gate_notify(&ticket->gate, MP__WAKE_ALL);
    mp__pool_poke(local);
    while (kind_of(atomic_load(&ticket->state)) == MP__TICKET_ABANDONED) {
        uint32_t before = mp__gate_prepare(&ticket->gate);
        if (kind_of(atomic_load(&ticket->state)) == MP__TICKET_ABANDONED)
            mp__gate_wait(&ticket->gate, before, MP__NEVER);
    }
    pthread_mutex_lock(&local->mutex);
    local->timed_jobs--;
    pthread_mutex_unlock(&local->mutex);
    return 0;
}

void mp__ticket_free_argument(struct ticket_shared *ticket) {
    const void *data = ticket->task.data;
    if (data && data != ticket->argument)
        mp__heap_free((void *)(uintptr_t)data);
    ticket->task.data = NULL;
}

/* While the tray is open it is not known how many there will be. When it is closed, only the last
 * one to be freed may touch it again. */
static void give_up(struct job_shared *tray, struct pool_local *local) {
    uint32_t final = atomic_load(&tray->final_tickets);
    if (final > 0 && atomic_fetch_add(&tray->freed_tickets, 1) + 1 < final)
        return;
    if (!local) {
        mp__job_erase(tray);
        return;
    }
    pthread_mutex_lock(&local->mutex);
    if (final == 0)
        atomic_fetch_add(&tray->freed_tickets, 1);
    mp__tray_release(local, tray);
    pthread_mutex_unlock(&local->mutex);
}

void mp__ticket_free(struct ticket_shared *ticket) {
    struct job_shared *tray = ticket->tray;
    atomic_store_explicit(&ticket->kind, 0, memory_order_relaxed);
    if (atomic_load(&ticket->state) == MP__TICKET_DONE) {
        mp__heap_free(atomic_load_explicit(&ticket->task.block, memory_order_relaxed));
        atomic_store_explicit(&ticket->task.block, NULL, memory_order_relaxed);
        mp__ticket_free_argument(ticket);
    }
    give_up(tray, tray->pool ? tray->pool->local : NULL);
}

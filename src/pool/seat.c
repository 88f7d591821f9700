/* Who sits in a worker's seat: a process, or a thread of this one (ThreadPool).
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "os/threads.h"
#include "proc/process.h"
#include "reg/holding.h"

static _Thread_local struct pool_local *my_pool; /* whose worker this thread is */

/* What a thread is told; it frees it. */
struct errand {
    struct pool_local *local;        /* its pool */
    struct mp__worker_argument work; /* as a process is told */
};

bool mp__seat_is_taken(const struct mp__seat *seat) {
    return seat->process || atomic_load(&seat->thread_state) != MP__SEAT_NO_THREAD;
}

bool mp__seat_has_ended(struct mp__seat *seat) {
    if (seat->process)
        return !seat->is_unconfirmed && !mp_process_is_alive(seat->process);
    return atomic_load(&seat->thread_state) == MP__SEAT_THREAD_ENDED;
}

bool mp__seat_is_mine(struct pool_local *local) {
    return my_pool == local;
}

/* Also when a task calls pthread_exit: then the record says which one. */
static void end_thread(void *argument) {
    struct errand *errand = argument;
    struct pool_local *local = errand->local;
    struct mp__seat *seat = &local->seats[errand->work.seat];
    struct thread_shared *self = mp__self();
    if (self)
        mp__unhold(self, MP__HOLDING_POOL, local->shared);
    free(errand);
    atomic_store(&seat->thread_state, MP__SEAT_THREAD_ENDED);
    mp__pool_poke(local);
}

static void *run_thread(void *argument) {
    struct errand *errand = argument;
    my_pool = errand->local;
    pthread_cleanup_push(end_thread, errand);
    (void)mp__pool_work(&errand->work);
    pthread_cleanup_pop(1);
    return NULL;
}

int mp__seat_start_thread(struct pool_local *local, uint32_t number) {
    struct mp__seat *seat = &local->seats[number];
    struct errand *errand = malloc(sizeof *errand);
    if (!errand)
        return mp__fail(-ENOMEM, "starting a worker thread");
    *errand = (struct errand){local, {local->shared, local->shared->owner, number, true}};
    atomic_store(&seat->thread_state, MP__SEAT_THREAD_RUNS);
    int code = mp__thread_start(&seat->thread, run_thread, errand);
    if (code == 0)
        return 0;
    free(errand);
    atomic_store(&seat->thread_state, MP__SEAT_NO_THREAD);
    return mp__fail(code, "starting a worker thread");
}

/* Also those of whom nobody knows yet whether they came up: they would work on in a freed pool. */
static void end_process(struct mp__seat *seat) {
    if (seat->is_unconfirmed) {
        mp__process_kill_unconfirmed(seat->process);
        (void)mp__process_confirm(seat->process);
    }
    if (mp_process_kill(seat->process) == 0)
        mp_process_join(seat->process, MP_FOREVER);
    mp_process_close(seat->process);
}

void mp__seat_end_all(struct pool_local *local) {
    mp__pool_advance(local, MP__POOL_TERMINATED);
    for (uint32_t i = 0; i < local->shared->worker_count; i++) {
        struct mp__seat *seat = &local->seats[i];
        if (seat->process)
            end_process(seat);
        else if (mp__seat_is_taken(seat))
            pthread_join(seat->thread, NULL);
    }
}

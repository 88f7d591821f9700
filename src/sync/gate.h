/* Waiting until something is so: an event count.
 * SPDX-License-Identifier: MIT
 *
 *     waiter                                         who makes it so
 *     for (;;) {                                     make it so;
 *         if (it is so) break;                       mp__gate_notify(gate, 1);
 *         uint32_t ticket = mp__gate_prepare(gate);
 *         if (it is so) {                   // look again: notify skips when nobody is announced
 *             mp__gate_cancel(gate, ticket);
 *             break;
 *         }
 *         if (mp__gate_wait(gate, ticket, deadline) < 0) time ran out;
 *     }
 *     if (slept and there is more) mp__gate_notify(gate, 1);   // one wake-up may serve many
 *
 * Word: sequence << 2 | several have slept here at once << 1 | somebody sleeps. Notify without
 * sleepers costs a fence and a load. A spurious wake is allowed; a wake whose receiver or sender
 * died is found by the slices of mp__sleep, within a second. Keeps no count of sleepers, so that
 * nobody's death makes one wrong. */
#ifndef MP__SYNC_GATE_H
#define MP__SYNC_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/cpu.h"

#define MP__GATE_SLEEPER UINT32_C(1)
#define MP__GATE_SEVERAL UINT32_C(2)
#define MP__GATE_STEP UINT32_C(4)

struct mp__gate {
    _Atomic uint32_t word; /* as above */
};

uint32_t mp__gate_prepare(struct mp__gate *gate);
/* 0 look again; MP_ETIMEDOUT. Spins a little first when that pays. */
int mp__gate_wait(struct mp__gate *gate, uint32_t ticket, mp__time deadline);
int mp__gate_sleep(struct mp__gate *gate, uint32_t ticket, mp__time deadline); /* spins not */
/* Instead of wait: take the announcement back. Optional: without it the next notify costs a system
 * call. */
void mp__gate_cancel(struct mp__gate *gate, uint32_t ticket);
void mp__gate_wake(struct mp__gate *gate, int count); /* the slow half of notify */
/* After prepare and sleeping on the word by other means than wait, woken or not. */
void mp__gate_mark_again(struct mp__gate *gate);

/* Between making it so and looking for sleepers. ThreadSanitizer knows no fences, but an exchange.
 */
static inline void mp__gate_fence(struct mp__gate *gate) {
#ifdef __SANITIZE_THREAD__
    atomic_fetch_add(&gate->word, 0);
#else
    (void)gate;
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

/* Instead of notify, by who has released a guard since it made it so, which is a fence already. Is
 * somebody to be woken by mp__gate_wake? */
static inline bool mp__gate_has_sleeper_now(struct mp__gate *gate) {
#ifdef __SANITIZE_THREAD__
    mp__gate_fence(gate);
#endif
    mp__cpu_fence_after_exchange();
    return atomic_load_explicit(&gate->word, memory_order_relaxed) & MP__GATE_SLEEPER;
}

static inline void mp__gate_notify(struct mp__gate *gate, int count) {
    mp__gate_fence(gate);
    if (atomic_load_explicit(&gate->word, memory_order_relaxed) & MP__GATE_SLEEPER)
        mp__gate_wake(gate, count);
}

#endif

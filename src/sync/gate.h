/* Waiting until something is so: an event count.
 * SPDX-License-Identifier: MIT
 *
 *     waiter                                         who makes it so
 *     for (;;) {                                     make it so;
 *         if (it is so) break;                       mp__gate_notify(gate, 1);
 *         uint32_t ticket = mp__gate_prepare(gate);
 *         if (it is so) break;                       // look again: notify skips when nobody is announced
 *         if (mp__gate_wait(gate, ticket, deadline) < 0) time ran out;
 *     }
 *     if (slept and there is more) mp__gate_notify(gate, 1);   // pass on: one wake-up may serve many
 *
 * Word: sequence << 1 | somebody sleeps. Notify without sleepers costs a fence and a load. A spurious wake is allowed; a wake
 * whose receiver died is found by the slices of mp__sleep. */
#ifndef MP__SYNC_GATE_H
#define MP__SYNC_GATE_H

#include <stdatomic.h>
#include <stdint.h>

#include "os/clock.h"

struct mp__gate {
    _Atomic uint32_t word; /* sequence << 1 | sleepers */
};

uint32_t mp__gate_prepare(struct mp__gate *gate);
int mp__gate_wait(struct mp__gate *gate, uint32_t ticket, mp__time deadline); /* 0 look again; MP_ETIMEDOUT; spins a little first when that pays */
void mp__gate_wake(struct mp__gate *gate, int count); /* the slow half of notify */

static inline void mp__gate_notify(struct mp__gate *gate, int count) {
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&gate->word, memory_order_relaxed) & 1)
        mp__gate_wake(gate, count);
}

#endif

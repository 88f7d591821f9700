/* The slow halves of a gate: announcing, sleeping, waking.
 * SPDX-License-Identifier: MIT */
#include "sync/gate.h"

#include "mp/base.h"

#include "base/point.h"
#include "os/futex.h"
#include "reg/blocked.h"
#include "reg/sleep.h"
#include "sync/spin.h"

uint32_t mp__gate_prepare(struct mp__gate *gate) {
    uint32_t old = atomic_fetch_or(&gate->word, MP__GATE_SLEEPER);
    if (old & MP__GATE_SLEEPER)
        old = atomic_fetch_or(&gate->word, MP__GATE_SEVERAL) | MP__GATE_SEVERAL;
    mp__gate_fence(gate); /* the caller's second look must not come before the mark */
    return old | MP__GATE_SLEEPER;
}

void mp__gate_cancel(struct mp__gate *gate, uint32_t ticket) {
    if (!(ticket & MP__GATE_SEVERAL))
        atomic_compare_exchange_strong(&gate->word, &ticket, ticket & ~MP__GATE_SLEEPER);
}

static bool spin_changes(struct mp__gate *gate, uint32_t ticket) {
    bool has_changed = false;
    struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
    while (!has_changed && mp__spin_once(&spin))
        has_changed = atomic_load_explicit(&gate->word, memory_order_acquire) != ticket;
    mp__spin_end(&spin, has_changed);
    return has_changed;
}

/* Whoever wakes one of several takes the mark of all away, for it cannot know how many there are.
 * So the woken one sets it again: at worst the next notify finds nobody. */
void mp__gate_mark_again(struct mp__gate *gate) {
    if (atomic_load_explicit(&gate->word, memory_order_relaxed) & MP__GATE_SEVERAL)
        atomic_fetch_or(&gate->word, MP__GATE_SLEEPER);
}

int mp__gate_wait(struct mp__gate *gate, uint32_t ticket, mp__time deadline) {
    if (deadline > 0 && spin_changes(gate, ticket)) {
        mp__gate_mark_again(gate);
        return 0;
    }
    return mp__gate_sleep(gate, ticket, deadline);
}

int mp__gate_sleep(struct mp__gate *gate, uint32_t ticket, mp__time deadline) {
    MP__POINT("gate.wait.announced");
    uint64_t before = mp__blocked_begin(mp__self_cached, gate, 0);
    int code = mp__sleep(&gate->word, ticket, 0, deadline);
    mp__blocked_end(mp__self_cached, before);
    MP__POINT("gate.wait.woken");
    if (code == MP_ETIMEDOUT && atomic_load(&gate->word) == ticket)
        mp__gate_cancel(gate, ticket);
    else
        mp__gate_mark_again(gate);
    return code;
}

void mp__gate_wake(struct mp__gate *gate, int count) {
    uint32_t gone = MP__GATE_SLEEPER | (count == MP__WAKE_ALL ? MP__GATE_SEVERAL : 0);
    uint32_t word = atomic_load_explicit(&gate->word, memory_order_relaxed);
    while (!atomic_compare_exchange_weak(&gate->word, &word, (word & ~gone) + MP__GATE_STEP))
        ;
    MP__POINT("gate.wake.counted");
    mp__futex_wake(&gate->word, count);
}

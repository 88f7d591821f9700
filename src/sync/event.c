/* Event: one word, so that setting it is a single store and a wake-up, in a signal handler too.
 * SPDX-License-Identifier: MIT
 *
 *      31 ............ 2       1        0
 *    +------------------+----------+--------+
 *    | times it was set | sleepers | is set |
 *    +------------------+----------+--------+
 *
 * The number lets a waiter see that it was set and cleared again before the waiter ran. */
#include "mp/sync.h"

#include <errno.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/futex.h"
#include "reg/blocked.h"
#include "reg/sleep.h"
#include "shm/heap.h"
#include "sync/event.h"
#include "sync/spin.h"

#define IS_SET UINT32_C(1)
#define SLEEPERS UINT32_C(2)
#define STEP UINT32_C(4)

_Static_assert(sizeof(struct event_shared) <= 64, "an event is small");

int mp_event_new(mp_event **out, mp_context *context) {
    (void)context;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_event_new: out is NULL");
    struct event_shared *event = mp__self() ? mp__heap_alloc(sizeof *event) : NULL;
    if (!event)
        return -ENOMEM;
    atomic_init(&event->word, 0);
    atomic_store(&event->kind, MP__KIND_EVENT);
    MP__POINT("event.new.filled");
    mp__heap_publish(event);
    *out = event;
    return 0;
}

int mp_event_set(mp_event *event) {
    int code = mp__kind_check(event, MP__KIND_EVENT, __func__, "event");
    if (code < 0)
        return code;
    uint32_t word = atomic_load(&event->word);
    do {
        if (word & IS_SET)
            return 0;
    } while (
        !atomic_compare_exchange_weak(&event->word, &word, ((word & ~SLEEPERS) | IS_SET) + STEP));
    MP__POINT("event.set.set");
    if (word & SLEEPERS)
        mp__futex_wake(&event->word, MP__WAKE_ALL);
    return 0;
}

int mp_event_clear(mp_event *event) {
    int code = mp__kind_check(event, MP__KIND_EVENT, __func__, "event");
    if (code == 0)
        atomic_fetch_and(&event->word, ~IS_SET);
    MP__POINT("event.clear.cleared");
    return code;
}

bool mp_event_is_set(const mp_event *event) {
    return mp__kind_check(event, MP__KIND_EVENT, __func__, "event") == 0 &&
           (atomic_load_explicit(&event->word, memory_order_acquire) & IS_SET);
}

/* Is it set, or has it been since `first` was read? */
static bool was_set(uint32_t word, uint32_t first) {
    return (word & IS_SET) || word / STEP != first / STEP;
}

static uint32_t spin_while_clear(mp_event *event, uint32_t first) {
    uint32_t word = first;
    struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
    while (!was_set(word, first) && mp__spin_once(&spin))
        word = atomic_load_explicit(&event->word, memory_order_acquire);
    mp__spin_end(&spin, was_set(word, first));
    return word;
}

static int wait_for_set(mp_event *event, uint32_t first, mp__time deadline) {
    uint32_t word = spin_while_clear(event, first);
    while (!was_set(word, first)) {
        if (!(word & SLEEPERS) &&
            !atomic_compare_exchange_weak(&event->word, &word, word | SLEEPERS))
            continue;
        MP__POINT("event.wait.announced");
        int code = mp__sleep(&event->word, word | SLEEPERS, 0, deadline);
        word = atomic_load_explicit(&event->word, memory_order_acquire);
        if (code == MP_ETIMEDOUT && !was_set(word, first))
            return code;
    }
    return 0;
}

static int wait_on_record(mp_event *event, uint32_t first, mp__time deadline) {
    struct thread_shared *self = mp__self();
    uint64_t before = mp__blocked_begin(self, event, 0);
    int code = wait_for_set(event, first, deadline);
    mp__blocked_end(self, before);
    return code;
}

int mp_event_wait(mp_event *event, double timeout) {
    mp__time deadline;
    int code = mp__kind_check(event, MP__KIND_EVENT, __func__, "event");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    uint32_t word = atomic_load_explicit(&event->word, memory_order_acquire);
    if (word & IS_SET)
        return 0;
    code = deadline > 0 ? wait_on_record(event, word, deadline) : MP_ETIMEDOUT;
    if (code == MP_ETIMEDOUT)
        mp__fail(code, "mp_event_wait: not set within %g seconds", timeout);
    return code;
}

void mp_event_free(mp_event *event) {
    if (event && mp__kind_check(event, MP__KIND_EVENT, __func__, "event") == 0 && mp__self())
        mp__object_free(event);
}

/* Its word can have any value: all that can be wrong is what it is. */
int mp__event_check(const mp_event *event) {
    return mp__kind_is(event, MP__KIND_EVENT)
               ? 0
               : mp__fail(MP_ESTATE, "event %p: not an event", (const void *)event);
}

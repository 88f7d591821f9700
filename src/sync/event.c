/* Event: a flag, set and cleared by an exchange, in a signal handler too; a word for who waits.
 * SPDX-License-Identifier: MIT
 *
 *      31 ................... 2       1         0
 *    +-------------------------+----------+---------+
 *    | times they were told of | sleepers | watched |
 *    +-------------------------+----------+---------+
 *
 * Who sets it looks for the two marks, takes them away and counts. The number lets a waiter see
 * that it was set and cleared again before the waiter ran. */
#define MP__IN_LIBRARY
#include "mp/inline.h"

#include <errno.h>
#include <stddef.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/futex.h"
#include "reg/blocked.h"
#include "reg/sleep.h"
#include "shm/heap.h"
#include "sync/event.h"
#include "sync/spin.h"

#define WATCHED UINT32_C(1)
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
    atomic_init(&event->is_set, 0);
    atomic_init(&event->word, 0);
    atomic_store(&event->kind, MP__KIND_EVENT);
    MP__POINT("event.new.filled");
    mp__heap_publish(event);
    *out = event;
    return 0;
}

_Static_assert((int)MP__KIND_EVENT == (int)MP__INLINE_EVENT &&
                   offsetof(struct event_shared, is_set) == 4 &&
                   offsetof(struct event_shared, word) == 8,
               "events are as mp/inline.h has them");

/* Marks of waiters that are gone cost one more exchange, and no system call. */
void mp_inline_set_end(mp_event *event) {
    uint32_t word = atomic_load(&event->word);
    while (
        !atomic_compare_exchange_weak(&event->word, &word, (word & ~(WATCHED | SLEEPERS)) + STEP))
        ;
    MP__POINT("event.set.counted");
    if (word & SLEEPERS)
        mp__futex_wake(&event->word, MP__WAKE_ALL);
}

int mp_event_set(mp_event *event) {
    int code = mp__kind_check(event, MP__KIND_EVENT, __func__, "event");
    if (code < 0 || atomic_exchange(&event->is_set, 1))
        return code;
    MP__POINT("event.set.set");
    if (__builtin_expect(atomic_load(&event->word) & (WATCHED | SLEEPERS), 0))
        mp_inline_set_end(event);
    return 0;
}

int mp_event_clear(mp_event *event) {
    int code = mp__kind_check(event, MP__KIND_EVENT, __func__, "event");
    if (code == 0)
        atomic_exchange(&event->is_set, 0);
    MP__POINT("event.clear.cleared");
    return code;
}

bool mp_event_is_set(const mp_event *event) {
    return mp__kind_check(event, MP__KIND_EVENT, __func__, "event") == 0 &&
           atomic_load_explicit(&event->is_set, memory_order_acquire);
}

/* Is it set, or has it been since `first` was read? *word is what was seen. */
static bool was_set(mp_event *event, uint32_t first, uint32_t *word) {
    *word = atomic_load(&event->word);
    return *word / STEP != first / STEP || atomic_load(&event->is_set);
}

static bool spin_while_clear(mp_event *event, uint32_t first, uint32_t *word) {
    bool is_over = false;
    struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
    while (!(is_over = was_set(event, first, word)) && mp__spin_once(&spin))
        ;
    mp__spin_end(&spin, is_over);
    return is_over;
}

static int wait_for_set(mp_event *event, mp__time deadline) {
    uint32_t first = atomic_fetch_or(&event->word, WATCHED), word;
    bool is_over = spin_while_clear(event, first, &word);
    while (!is_over) {
        uint32_t marked = word | SLEEPERS;
        if (word != marked && !atomic_compare_exchange_strong(&event->word, &word, marked)) {
            is_over = was_set(event, first, &word);
            continue;
        }
        MP__POINT("event.wait.announced");
        int code = mp__sleep(&event->word, marked, 0, deadline);
        is_over = was_set(event, first, &word);
        if (code == MP_ETIMEDOUT && !is_over)
            return code;
    }
    return 0;
}

static int wait_on_record(mp_event *event, mp__time deadline) {
    struct thread_shared *self = mp__self();
    uint64_t before = mp__blocked_begin(self, event, 0);
    int code = wait_for_set(event, deadline);
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
    if (atomic_load_explicit(&event->is_set, memory_order_acquire))
        return 0;
    code = deadline > 0 ? wait_on_record(event, deadline) : MP_ETIMEDOUT;
    if (code == MP_ETIMEDOUT)
        mp__fail(code, "mp_event_wait: not set within %g seconds", timeout);
    return code;
}

void mp_event_free(mp_event *event) {
    if (event && mp__kind_check(event, MP__KIND_EVENT, __func__, "event") == 0 && mp__self())
        mp__object_free(event);
}

/* Its words can have any value: all that can be wrong is what it is. */
int mp__event_check(const mp_event *event) {
    return mp__kind_is(event, MP__KIND_EVENT)
               ? 0
               : mp__fail(MP_ESTATE, "event %p: not an event", (const void *)event);
}

/* Event: one word, set by an exchange and cleared by a compare-and-swap, in a signal handler too.
 * SPDX-License-Identifier: MIT
 *
 *     0            clear, nobody waits
 *     1            set
 *     otherwise    clear, and waited for: number of the wait << 2 | somebody sleeps << 1
 *
 * The first who waits puts a number there that was not there before, others join. Whoever finds
 * another word than that number knows that it was set meanwhile, perhaps cleared again, perhaps
 * waited for once more. So nothing is to be written after the exchange, nor looked at before. */
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

#define IS_SET UINT32_C(1)
#define SLEEPERS UINT32_C(2)
#define STEP UINT32_C(4)

_Static_assert(sizeof(struct event_shared) <= 64, "an event is small");
_Static_assert((int)MP__KIND_EVENT == (int)MP__INLINE_EVENT &&
                   offsetof(struct event_shared, word) == 4,
               "events are as mp/inline.h has them");

int mp_event_new(mp_event **out, mp_context *context) {
    (void)context;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_event_new: out is NULL");
    struct event_shared *event = mp__self() ? mp__heap_alloc(sizeof *event) : NULL;
    if (!event)
        return -ENOMEM;
    atomic_init(&event->word, 0);
    atomic_init(&event->waits, 0);
    atomic_store(&event->kind, MP__KIND_EVENT);
    MP__POINT("event.new.filled");
    mp__heap_publish(event);
    *out = event;
    return 0;
}

void mp_inline_set_end(mp_event *event) {
    mp__futex_wake(&event->word, MP__WAKE_ALL);
}

int mp_event_set(mp_event *event) {
    int code = mp__kind_check(event, MP__KIND_EVENT, __func__, "event");
    if (code < 0)
        return code;
    uint32_t word = atomic_exchange(&event->word, IS_SET);
    MP__POINT("event.set.set");
    if (__builtin_expect(word & SLEEPERS, 0))
        mp_inline_set_end(event);
    return 0;
}

int mp_event_clear(mp_event *event) {
    int code = mp__kind_check(event, MP__KIND_EVENT, __func__, "event");
    uint32_t word = IS_SET;
    if (code == 0)
        atomic_compare_exchange_strong(&event->word, &word, 0);
    MP__POINT("event.clear.cleared");
    return code;
}

bool mp_event_is_set(const mp_event *event) {
    return mp__kind_check(event, MP__KIND_EVENT, __func__, "event") == 0 &&
           atomic_load_explicit(&event->word, memory_order_acquire) == IS_SET;
}

/* The number of this wait: a new one, or that of those who wait already. IS_SET: it is. */
static uint32_t join_wait(mp_event *event) {
    uint32_t word = 0, number = 0;
    while (word == 0) {
        while (number == 0)
            number = (atomic_fetch_add(&event->waits, 1) + 1) * STEP;
        MP__POINT("event.wait.numbered");
        if (atomic_compare_exchange_strong(&event->word, &word, number))
            word = number;
        MP__POINT("event.wait.marked");
    }
    return word & ~SLEEPERS;
}

static uint32_t look(mp_event *event) {
    return atomic_load_explicit(&event->word, memory_order_acquire);
}

static bool is_over(uint32_t word, uint32_t number) {
    return (word & ~SLEEPERS) != number;
}

static uint32_t spin_while_clear(mp_event *event, uint32_t number) {
    uint32_t word = look(event);
    struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
    while (!is_over(word, number) && mp__spin_once(&spin))
        word = look(event);
    mp__spin_end(&spin, is_over(word, number));
    return word;
}

static int wait_for_set(mp_event *event, mp__time deadline) {
    uint32_t number = join_wait(event);
    if (number == IS_SET)
        return 0;
    uint32_t word = spin_while_clear(event, number);
    while (!is_over(word, number)) {
        uint32_t marked = number | SLEEPERS;
        if (word != marked && !atomic_compare_exchange_strong(&event->word, &word, marked))
            continue;
        MP__POINT("event.wait.announced");
        int code = mp__sleep(&event->word, marked, 0, deadline);
        word = look(event);
        if (code == MP_ETIMEDOUT && !is_over(word, number))
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
    if (look(event) == IS_SET)
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

/* Its words can have almost any value: what can be wrong is what it is. */
int mp__event_check(const mp_event *event) {
    return mp__kind_is(event, MP__KIND_EVENT)
               ? 0
               : mp__fail(MP_ESTATE, "event %p: not an event", (const void *)event);
}

/* Sleeping on words by looking at them with growing pauses.
 * SPDX-License-Identifier: MIT */
#include "os/futex_poll.h"

#include <sched.h>
#include <stdbool.h>
#include <time.h>

#include "mp/base.h"

#define YIELDS 32                      /* looks before the first pause */
#define SHORTEST_PAUSE INT64_C(2000)   /* ns */
#define LONGEST_PAUSE INT64_C(2000000) /* ns: how late a change may be noticed */

static bool is_unchanged(const struct mp__wait_word *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (atomic_load_explicit(list[i].word, memory_order_acquire) != list[i].expected)
            return false;
    return true;
}

/* The next pause: half as long again, so that waking late costs at most a third of what was slept.
 */
static mp__time pause_for(mp__time pause, mp__time left) {
    mp__time length = pause < left ? pause : left;
    nanosleep(&(struct timespec){.tv_nsec = (long)length}, NULL);
    pause += pause / 2;
    return pause < LONGEST_PAUSE ? pause : LONGEST_PAUSE;
}

int mp__futex_poll(const struct mp__wait_word *list, size_t count, mp__time deadline) {
    mp__time pause = SHORTEST_PAUSE;
    for (unsigned turn = 0; is_unchanged(list, count); turn++) {
        mp__time left = deadline <= 0           ? 0
                        : deadline == MP__NEVER ? MP__NEVER
                                                : deadline - mp__now();
        if (left <= 0)
            return MP_ETIMEDOUT;
        if (turn < YIELDS)
            sched_yield();
        else
            pause = pause_for(pause, left);
    }
    return 0;
}

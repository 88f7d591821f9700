/* Sleep until a word changes; the words may lie in memory shared by processes.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_FUTEX_H
#define MP__OS_FUTEX_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/clock.h"

#define MP__WAKE_ALL INT_MAX
#define MP__WAIT_ANY_MAX 128 /* words that one call can wait on */

struct mp__wait_word {
    _Atomic uint32_t *word; /* sleep while */
    uint32_t expected;      /* it has this value */
};

/* Sleep while *word == expected. 0: woken, changed, or for no reason (look again); MP_ETIMEDOUT.
 * Signals are waited out. A deadline in the past does not sleep. */
int mp__futex_wait(_Atomic uint32_t *word, uint32_t expected, mp__time deadline);

/* Sleep while all of `count` (1..MP__WAIT_ANY_MAX) words have their values. As above. */
int mp__futex_wait_any(const struct mp__wait_word *list, size_t count, mp__time deadline);
/* Does the system wake it, or must it look at the words by itself all the time? */
bool mp__futex_can_wait_any(void);

/* Wake at most `count` sleepers of the word. */
void mp__futex_wake(_Atomic uint32_t *word, int count);

#endif

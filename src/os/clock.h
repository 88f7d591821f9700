/* Time that only goes forward, and deadlines.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_CLOCK_H
#define MP__OS_CLOCK_H

#include <stdint.h>

#include "mp/base.h"

typedef int64_t mp__time; /* nanoseconds of CLOCK_MONOTONIC, the same clock in every process */

#define MP__NEVER INT64_MAX /* a deadline that does not come */
#define MP__SECOND INT64_C(1000000000)

mp__time mp__now(void);

int mp__deadline_reckon(mp__time *out, double timeout); /* the next one, where it takes longer */

/* Turn a public timeout in seconds into a deadline: negative is now, MP_FOREVER (and whatever
 * exceeds the clock) is MP__NEVER, NaN is MP_EINVAL with its detail set. NOWAIT gives 0; both
 * without asking the clock. */
static inline int mp__deadline(mp__time *out, double timeout) {
    if (timeout != MP_FOREVER)
        return mp__deadline_reckon(out, timeout);
    *out = MP__NEVER;
    return 0;
}

#endif

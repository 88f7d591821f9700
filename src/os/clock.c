/* The clock that only goes forward, and deadlines on it.
 * SPDX-License-Identifier: MIT */
#include "os/clock.h"

#include <math.h>
#include <time.h>

#include "base/fail.h"

mp__time mp__now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (mp__time)now.tv_sec * MP__SECOND + now.tv_nsec;
}

int mp__deadline_reckon(mp__time *out, double timeout) {
    if (isnan(timeout))
        return mp__fail(MP_EINVAL,
                        "the timeout is not a number; give seconds, MP_NOWAIT or MP_FOREVER");
    if (timeout <= 0 || timeout >= (double)MP__NEVER / (double)MP__SECOND) {
        *out = timeout <= 0 ? 0 : MP__NEVER;
        return 0;
    }
    mp__time now = mp__now();
    double room_seconds = (double)(MP__NEVER - now) / (double)MP__SECOND;
    *out = timeout >= room_seconds ? MP__NEVER : now + (mp__time)(timeout * (double)MP__SECOND);
    return 0;
}

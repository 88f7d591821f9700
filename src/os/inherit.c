/* Marks all descriptors close-on-exec where the system has no call for it.
 * SPDX-License-Identifier: MIT */
#include "os/inherit.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>

#define BATCH 1024          /* descriptors asked for at once */
#define UNLIMITED (1 << 20) /* how far to look when the limit is none */

static int descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > UNLIMITED)
        return UNLIMITED;
    return (int)limit.rlim_cur;
}

/* poll says POLLNVAL for numbers that are not open. When it refuses, each number is tried. */
static void mark_batch(int first, int count) {
    struct pollfd list[BATCH];
    for (int i = 0; i < count; i++)
        list[i] = (struct pollfd){.fd = first + i};
    int known = poll(list, (nfds_t)count, 0) >= 0;
    for (int i = 0; i < count; i++)
        if (!known || !(list[i].revents & POLLNVAL))
            fcntl(first + i, F_SETFD, FD_CLOEXEC);
}

void mp__inherit_nothing(void) {
    int limit = descriptor_limit();
    for (int first = 3; first < limit; first += BATCH)
        mark_batch(first, limit - first < BATCH ? limit - first : BATCH);
}

/* The part of the arena that belongs to this layer.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_SECTION_H
#define MP__PROC_SECTION_H

#include "proc/forkserver.h"
#include "proc/launch.h"
#include "shm/arena.h"

#define MP__LAUNCH_MAX MP__MEMBER_MAX
#define MP__FORKSERVER_MAX 256 /* processes with a fork server of their own at once */

struct processes_shared { /* all zero is right to begin with */
    struct launch_shared launches[MP__LAUNCH_MAX];
    struct forkserver_shared servers[MP__FORKSERVER_MAX];
};

static inline struct processes_shared *mp__section(void) {
    return mp__arena_section(MP__SECTION_PROCESSES);
}

#endif

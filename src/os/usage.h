/* What a process uses of processor and memory, and what it may use.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_USAGE_H
#define MP__OS_USAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "os/clock.h"

/* A clock that another thread (of this process only, when it is a thread's) can read. */
clockid_t mp__usage_clock_of_thread(void); /* of the calling one */
/* Processor time that it counted; 0: nobody with that clock is left, or the system cannot tell. */
mp__time mp__usage_read(clockid_t clock);
mp__time mp__usage_of_process(pid_t pid); /* also of a zombie */
mp__time mp__usage_of_self(void);         /* of the calling process */

uint64_t mp__usage_own_peak(void);         /* bytes of memory that this process had at most */
uint64_t mp__usage_peak_of(pid_t process); /* the same of another one; 0: not known */
/* Bytes of memory that this process shares with nobody; where that cannot be told, its peak. */
uint64_t mp__usage_private(void);

/* Let malloc and the like fail in this process when it has that much private memory; a lower limit
 * stays. 0 or -errno. */
int mp__usage_limit(uint64_t bytes);
/* Add to this process's nice value: 0 or -errno (-EPERM: only the administrator may go down). */
int mp__usage_be_nice(int increment);

#endif

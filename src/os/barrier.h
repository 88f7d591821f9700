/* A fence that one thread passes for all others: those who pass often have none, who needs it pays.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_BARRIER_H
#define MP__OS_BARRIER_H

#include <stdbool.h>

/* Is there such a thing here, as far as this process can see? */
bool mp__barrier_exists(void);

/* From now on the threads of this process are among "all others". Costs a system call the first
 * time, and 10 ms in a process that has several threads already. false: the system cannot. */
bool mp__barrier_join(void);
void mp__barrier_join_early(void); /* if there is but one thread yet */

/* Each thread of each process that has joined passes a full fence between begin and return of this
 * call, wherever it is in its program. false: the system cannot. */
bool mp__barrier_everywhere(void);

#endif

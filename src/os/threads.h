/* The threads of this process, as the system counts them.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_THREADS_H
#define MP__OS_THREADS_H

#include <stdbool.h>

/* Is this thread the only one of its process? false also where nobody can tell. */
bool mp__thread_is_only(void);

#endif

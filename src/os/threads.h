/* The threads of this process, as the system counts them.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_THREADS_H
#define MP__OS_THREADS_H

#include <pthread.h>
#include <stdbool.h>

/* Is this thread the only one of its process? false also where nobody can tell. */
bool mp__thread_is_only(void);

/* Start one of the library's own: it blocks all signals, which are for the program's threads. 0 or
 * -errno. */
int mp__thread_start(pthread_t *out, void *(*body)(void *argument), void *argument);

#endif

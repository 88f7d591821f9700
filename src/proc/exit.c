/* The end of a process that has children.
 * SPDX-License-Identifier: MIT */
#include "proc/exit.h"

#include <pthread.h>
#include <stdlib.h>

#include "proc/children.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void register_handler(void) {
    (void)atexit(mp__children_end);
}

void mp__exit_watch(void) {
    pthread_once(&once, register_handler);
}

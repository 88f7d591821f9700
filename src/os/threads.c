/* The threads of this process: the C library's word where it gives one, else the system's.
 * SPDX-License-Identifier: MIT */
#include "os/threads.h"

#include <signal.h>
#include <sys/stat.h>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#else
enum { __libc_single_threaded = 0 };
#endif

/* The library does not notice when there is only one again; a folder has as many links as folders
 * in it, and two. */
bool mp__thread_is_only(void) {
    struct stat tasks;
    return __libc_single_threaded || (stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3);
}

int mp__thread_start(pthread_t *out, void *(*body)(void *argument), void *argument) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(out, NULL, body, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

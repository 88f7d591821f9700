/* The threads of this process: the C library's word where it gives one, else the system's.
 * SPDX-License-Identifier: MIT */
#include "os/threads.h"

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

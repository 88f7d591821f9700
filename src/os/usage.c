/* Processor time, peaks and limits as POSIX has them.
 * SPDX-License-Identifier: MIT */
#include "os/usage.h"

#include <errno.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

clockid_t mp__usage_clock_of_thread(void) {
    clockid_t clock;
    return pthread_getcpuclockid(pthread_self(), &clock) == 0 ? clock : CLOCK_THREAD_CPUTIME_ID;
}

mp__time mp__usage_read(clockid_t clock) {
    struct timespec time;
    return clock_gettime(clock, &time) == 0 ? time.tv_sec * MP__SECOND + time.tv_nsec : 0;
}

mp__time mp__usage_of_process(pid_t pid) {
    clockid_t clock;
    return clock_getcpuclockid(pid, &clock) == 0 ? mp__usage_read(clock) : 0;
}

mp__time mp__usage_of_self(void) {
    return mp__usage_read(CLOCK_PROCESS_CPUTIME_ID);
}

/* The unit is the kibibyte nearly everywhere. */
uint64_t mp__usage_own_peak(void) {
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

/* Not RLIMIT_AS: the arena is sparse, it counts there with all its addresses. */
int mp__usage_limit(uint64_t bytes) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) < 0)
        return -errno;
    if (limit.rlim_cur <= bytes)
        return 0;
    limit.rlim_cur = (rlim_t)bytes;
    return setrlimit(RLIMIT_DATA, &limit) == 0 ? 0 : -errno;
}

int mp__usage_be_nice(int increment) {
    errno = 0;
    return nice(increment) == -1 && errno != 0 ? -errno : 0;
}

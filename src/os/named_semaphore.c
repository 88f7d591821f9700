/* Semaphores with a name: sem_open.
 * SPDX-License-Identifier: MIT */
#include "os/named_semaphore.h"

#include <errno.h>
#include <semaphore.h>
#include <time.h>

#include "mp/base.h"

#define SLICE MP__SECOND /* the longest sleep: the wall clock may be set meanwhile */

static sem_t *handle_of(mp__named_semaphore *semaphore) {
    return (sem_t *)semaphore;
}

int mp__named_semaphore_open(mp__named_semaphore **out, const char *name) {
    sem_t *handle = sem_open(name, 0);
    if (handle == SEM_FAILED)
        return -errno;
    *out = (mp__named_semaphore *)handle;
    return 0;
}

/* By the wall clock, which is all that POSIX has: 0 or an errno. */
static int wait_slice(sem_t *handle, mp__time left) {
    struct timespec until;
    mp__time slice = left < SLICE ? left : SLICE;
    clock_gettime(CLOCK_REALTIME, &until);
    mp__time nanoseconds = until.tv_nsec + slice;
    until.tv_sec += (time_t)(nanoseconds / MP__SECOND);
    until.tv_nsec = (long)(nanoseconds % MP__SECOND);
    return sem_timedwait(handle, &until) == 0 ? 0 : errno;
}

int mp__named_semaphore_acquire(mp__named_semaphore *semaphore, mp__time deadline) {
    sem_t *handle = handle_of(semaphore);
    if (sem_trywait(handle) == 0)
        return 0;
    while (deadline > 0) {
        mp__time left = deadline == MP__NEVER ? MP__NEVER : deadline - mp__now();
        if (left <= 0)
            break;
        int error = wait_slice(handle, left);
        if (error != ETIMEDOUT && error != EINTR)
            return -error;
    }
    return MP_ETIMEDOUT;
}

int mp__named_semaphore_release(mp__named_semaphore *semaphore) {
    return sem_post(handle_of(semaphore)) < 0 ? -errno : 0;
}

int mp__named_semaphore_value(mp__named_semaphore *semaphore) {
    int value;
    if (sem_getvalue(handle_of(semaphore), &value) < 0)
        return -errno;
    return value < 0 ? 0 : value;
}

void mp__named_semaphore_close(mp__named_semaphore *semaphore) {
    if (semaphore)
        sem_close(handle_of(semaphore));
}

int mp__named_semaphore_unlink(const char *name) {
    return sem_unlink(name) < 0 ? -errno : 0;
}

/* Semaphores with a name, which other programs have, too.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_NAMED_SEMAPHORE_H
#define MP__OS_NAMED_SEMAPHORE_H

#include "os/clock.h"

typedef struct mp__named_semaphore mp__named_semaphore; /* the system's */

int mp__named_semaphore_open(mp__named_semaphore **out, const char *name); /* 0, -ENOENT, -errno */
int mp__named_semaphore_acquire(mp__named_semaphore *semaphore,
                                mp__time deadline); /* 0; MP_ETIMEDOUT; -errno */
int mp__named_semaphore_release(mp__named_semaphore *semaphore);
int mp__named_semaphore_value(mp__named_semaphore *semaphore);  /* -errno; -ENOSYS */
void mp__named_semaphore_close(mp__named_semaphore *semaphore); /* NULL: nothing */
int mp__named_semaphore_unlink(const char *name);

#endif

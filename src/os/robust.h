/* A mutex in shared memory whose holder may die: the lowest lock of all, a robust pthread mutex.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_ROBUST_H
#define MP__OS_ROBUST_H

#include <pthread.h>
#include <stdbool.h>

#include "os/futex.h"

struct mp__robust {
    pthread_mutex_t mutex; /* PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST */
};

void mp__robust_init(struct mp__robust *mutex);
/* Lock: 0, or MP_EOWNERDEAD: locked, the last holder died in it; repair what it guards before
 * unlocking. */
int mp__robust_lock(struct mp__robust *mutex);
/* The same until a deadline, in the past: without waiting; -EBUSY: somebody holds it. */
int mp__robust_lock_until(struct mp__robust *mutex, mp__time deadline);
int mp__robust_try(struct mp__robust *mutex); /* without waiting */
void mp__robust_unlock(struct mp__robust *mutex);

/* Take it as a life mark, for as long as this thread lives: nobody else wants it, whoever has it is
 * only asking. Whether its last holder died does not matter. */
void mp__robust_mark(struct mp__robust *mutex);

/* As a life mark, held by one thread for as long as its process lives: is it held? No system call.
 * false: its holder ended (a hint: verify). In the portable backend whoever asks first takes
 * away what mp__robust_lock would have told. */
bool mp__robust_is_held(struct mp__robust *mutex);

/* A word to sleep on until the holder of a life mark ends: the kernel then changes it and wakes one
 * sleeper, who has to wake the others. false: it has ended, or the system has no such word. */
bool mp__robust_watch(struct mp__robust *mutex, struct mp__wait_word *out);
bool mp__robust_has_changed(const struct mp__wait_word *watched); /* that word, since then */

#endif

/* Finding threads that wait for each other's guards, from what their records say.
 * SPDX-License-Identifier: MIT
 *
 *     thread --blocked_on--> guard --owner--> thread --blocked_on--> guard --owner--> ...
 *
 * Only waits without a limit count. A thread waits for one guard and a guard has one owner, so
 * there is one way to go; it leads back to where it began, or it ends. A cycle is closed by a
 * thread that begins to wait: every waiter looks just before it sleeps. If it closes one, the
 * cycle's waiter of lowest index that can be told (MP__BLOCKED_TELLS) is told, the others stay;
 * all who look choose the same one. The lock's users pay nothing until they sleep, sleepers
 * nothing while they do. */
#ifndef MP__SYNC_DEADLOCK_H
#define MP__SYNC_DEADLOCK_H

#include "reg/thread.h"

/* By a thread that has said what guard it waits for: 0; MP_EDEADLK with the detail. When another
 * one is to be told, that one is woken. */
int mp__deadlock_find(const struct thread_shared *self);

#endif

/* The check of a semaphore, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_SEMAPHORE_H
#define MP__SYNC_SEMAPHORE_H

#include "mp/sync.h"

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__semaphore_check(const mp_semaphore *semaphore);

#endif

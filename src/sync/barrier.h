/* The check of a barrier, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_BARRIER_H
#define MP__SYNC_BARRIER_H

#include "mp/sync.h"

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__barrier_check(const mp_barrier *barrier);

#endif

/* The check of a condition, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_CONDITION_H
#define MP__SYNC_CONDITION_H

#include "mp/sync.h"

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__condition_check(const mp_condition *condition);

#endif

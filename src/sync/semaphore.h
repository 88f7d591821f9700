/* What a semaphore is, and its check, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_SEMAPHORE_H
#define MP__SYNC_SEMAPHORE_H

#include <stdatomic.h>
#include <stdint.h>

#include "mp/sync.h"

#include "sync/kind.h"

struct semaphore_shared {
    _Alignas(16) mp__kind_word kind; /* MP__KIND_SEMAPHORE */
    uint32_t most;                   /* units it may count: MP_SEMAPHORE_MAX, bounded: at first */
    _Atomic uint32_t word;           /* as drawn in semaphore.c */
};

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__semaphore_check(const mp_semaphore *semaphore);

#endif

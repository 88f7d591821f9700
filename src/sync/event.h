/* What an event is, and its check, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_EVENT_H
#define MP__SYNC_EVENT_H

#include <stdatomic.h>
#include <stdint.h>

#include "mp/sync.h"

#include "sync/kind.h"

struct event_shared {
    _Alignas(16) mp__kind_word kind; /* MP__KIND_EVENT */
    _Atomic uint32_t word;           /* as drawn in event.c */
    _Atomic uint32_t waits;          /* numbers given to them */
};

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__event_check(const mp_event *event);

#endif

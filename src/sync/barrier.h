/* What a barrier is, and its check, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SYNC_BARRIER_H
#define MP__SYNC_BARRIER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "mp/sync.h"

#include "reg/member.h"
#include "shm/function.h"
#include "sync/guard.h"
#include "sync/kind.h"

/* See barrier.c. */
enum mp__barrier_phase {
    MP__BARRIER_FILLING,
    MP__BARRIER_ACTING,
    MP__BARRIER_RELEASING,
    MP__BARRIER_BREAKING,
    MP__BARRIER_BROKEN,
    MP__BARRIER_RESETTING,
    MP__BARRIER_PHASE_COUNT
};

/* A process that has waited at a barrier with break_on_death since it was made or reset. */
struct party_shared {
    _Atomic mp__member_ref member; /* 0: the entry is free; written last, under the guard */
    uint64_t pid;                  /* its; guarded */
};

struct barrier_shared {
    _Alignas(16) mp__kind_word kind; /* MP__KIND_BARRIER */
    uint32_t parties;                /* how many have to come; never changes, as all not marked */
    struct mp__guard guard;          /* guards all that is marked so */
    _Atomic uint32_t phase;          /* enum mp__barrier_phase; guarded */
    uint64_t next_ticket;            /* of the next to come, from 2^32; guarded */
    double timeout;                  /* seconds, for waits without one; 0 none */
    struct mp__function action;      /* none, or what one of the threads runs */
    size_t arg_size;                 /* bytes at arg */
    struct party_shared *known;      /* `parties` of them behind arg; NULL: not break_on_death */
    uint32_t next_known;             /* which one to replace when all are in use; guarded */
    _Atomic uint32_t killer;         /* pid whose death broke it; 0 another cause; guarded */
    _Alignas(16) char arg[];         /* the action's argument */
};

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__barrier_check(const mp_barrier *barrier);

#endif

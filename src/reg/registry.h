/* The registry's part of the arena, for the files of this layer and their tests.
 * SPDX-License-Identifier: MIT
 *
 *     +-------+---------------+-------------------+-------------------------------+
 *     | marks | recover mutex | 4096 member slots | 16384 thread records (sparse) |
 *     +-------+---------------+-------------------+-------------------------------+ */
#ifndef MP__REG_REGISTRY_H
#define MP__REG_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/robust.h"
#include "reg/member.h"
#include "reg/thread.h"

#define MP__SLEEP_TURNS 4 /* sleepers that look round at the same time */

struct registry_shared {
    _Atomic uint32_t maker; /* 0 new; pid of who makes it; MP__REGISTRY_READY */
    _Atomic uint32_t
        member_high; /* largest slot index ever used; raised before the slot is taken */
    _Atomic uint32_t thread_high;  /* the same for thread records */
    _Atomic mp__time looked_round; /* when a sleeper last looked whether all are alive */
    _Atomic uint32_t news;         /* deaths and newcomers, see reg/sleep.c */
    _Atomic uint32_t rest;         /* for sleepers who leave looking round to others, the same */
    _Atomic mp__time turns[MP__SLEEP_TURNS]; /* until when a sleeper has promised to look round */
    _Alignas(64) struct mp__robust recover;  /* held by who recovers, or enters by itself */
    _Alignas(64) struct member_shared members[MP__MEMBER_MAX]; /* [0] is never used */
    _Alignas(64) struct thread_shared threads[MP__THREAD_MAX]; /* [0] is never used */
};

#define MP__REGISTRY_READY UINT32_MAX

/* NULL until opened in this process; then never changes. */
extern struct registry_shared *mp__registry;

int mp__registry_open(
    void); /* the arena too; idempotent, from any thread; 0, or a code with detail */
void mp__registry_raise(_Atomic uint32_t *high, uint32_t index); /* *high = max(*high, index) */

/* Compare everything: 0, or MP_ESTATE with the first contradiction in the detail. For quiet
 * moments: a thread or a process that joins meanwhile may look like one. */
int mp__registry_check(void);

/* Between member.c, thread.c and recover.c. */
uint32_t mp__member_give_up_children(
    uint32_t parent_index);                  /* a dead one's STARTING slots; recover mutex held */
bool mp__member_give_up(mp__member_ref ref); /* STARTING -> FREE; false: no longer STARTING */
void mp__member_free(mp__member_ref ref);    /* RUNNING -> FREE, all else was given back */
void mp__thread_forked(void);                /* in a child made by fork: forget the record */
void mp__thread_free(struct thread_shared *record); /* the record can be used again */
bool mp__holdings_are_empty(struct thread_shared *record);
void mp__holdings_drop_chunks(struct thread_shared *self); /* the thread itself, holding nothing */
/* Give back all that it held, newest first; recover mutex held. */
void mp__holdings_recover(struct thread_shared *record, uint32_t thread);
bool mp__recover_is_running(void); /* in this thread */
void mp__recover_forked(void);     /* in a child made by fork: it is not */

#endif

/* The threads of the family: one record each in the arena, found through a thread-local pointer.
 * SPDX-License-Identifier: MIT
 *
 * A record's index (14 bits) is what lock words carry as their owner. It says which process the
 * thread belongs to, what the thread holds (reg/holding.h) and what it waits for. A record is used
 * again only when it holds nothing. */
#ifndef MP__REG_THREAD_H
#define MP__REG_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reg/member.h"

#define MP__THREAD_MAX 16384   /* records, index 1 .. MP__THREAD_MAX-1; 0 is nobody */
#define MP__HOLDINGS_INLINE 36 /* more go to blocks of the heap */
#define MP__KEPT 4             /* locks that stay on a thread's record */

struct holdings_chunk_shared; /* overflow, see reg/holding.c */

struct thread_shared {
    _Alignas(64) _Atomic uint64_t member; /* mp__member_ref of its process; 0: the record is free */
    uint32_t index;                       /* of this record */
    _Atomic uint32_t wait_state;  /* the word a waiter of a condition or barrier sleeps on: stamp of
                                    this wait << 2 | enum mp__wait_state */
    _Atomic uint64_t wait_on;     /* the object it waits for, as an arena pointer; 0 none */
    _Atomic uint64_t wait_ticket; /* order of arrival, or generation, as that object defines */
    uint32_t holding_count; /* entries in use from the bottom, holes included; this thread's */
    uint32_t reserved;      /* 0 */
    _Atomic(struct holdings_chunk_shared *) more; /* holdings beyond the inline ones; NULL none */
    _Atomic uint64_t kept[MP__KEPT]; /* as holdings, but they stay when a lock is given back */
    _Atomic uint64_t
        holdings[MP__HOLDINGS_INLINE]; /* kind << 56 | pointer; 0 empty; written before taking */
    _Atomic uint64_t blocked_on;    /* what it waits for right now, see reg/blocked.h; 0 nothing */
    _Atomic uint64_t blocked_count; /* how often it has, so that two waits can be told apart */
};

enum mp__wait_state { MP__WAIT_NONE, MP__WAIT_WAITING, MP__WAIT_NOTIFIED };

extern _Thread_local struct thread_shared *mp__self_cached
    __attribute__((tls_model("initial-exec")));

/* A lock that `kept` in this thread's record names all the time, so that taking it needs nothing
 * written. See sync/lock.c. */
struct mp__kept {
    const void *lock;       /* that one; NULL none */
    const void *held;       /* the same while this thread has taken it so; NULL it has not */
    _Atomic uint32_t *word; /* of the lock, which names its owner */
    uint32_t mode;          /* of the lock as it was taken, see sync/mode.h */
    uint16_t index;         /* of this thread's record */
    uint16_t misses;        /* other locks that wanted this place */
};
extern _Thread_local struct mp__kept mp__kept[MP__KEPT] __attribute__((tls_model("initial-exec")));
void mp__kept_end(struct thread_shared *self); /* name those no more that are not this thread's */

struct thread_shared *mp__self_join(void);

/* This thread's record; the first call joins the family. NULL: failed, with detail set. */
static inline struct thread_shared *mp__self(void) {
    struct thread_shared *self = mp__self_cached;
    return __builtin_expect(self != NULL, 1) ? self : mp__self_join();
}

/* Has a thread of this process joined, and so may hold blocks of the heap? */
bool mp__thread_has_joined(void);

struct thread_shared *mp__thread_at(uint32_t index);
uint32_t mp__thread_high(void); /* records with a larger index were never used: the end of scans */
/* Is the process of this thread alive? (A thread that ended by itself in a living process holds
 * nothing.) */
bool mp__thread_is_alive(uint32_t index);

#endif

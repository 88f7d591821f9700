/* The processes of the family: one slot each in the arena.
 * SPDX-License-Identifier: MIT
 *
 * A slot goes FREE -> STARTING (written by the parent before the child exists) -> RUNNING (by the
 * child) -> FREE (by whoever recovers it after its death, or by itself at its end). A process that
 * was made by a bare fork() enters by itself when it first uses libmp. */
#ifndef MP__REG_MEMBER_H
#define MP__REG_MEMBER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "os/robust.h"

#define MP__MEMBER_MAX 4096 /* slots, index 1 .. MP__MEMBER_MAX-1; 0 is nobody */

typedef uint64_t mp__member_ref; /* epoch << 32 | index: never means a later process in the same
                                    slot; 0 nobody */

enum mp__member_state { MP__MEMBER_FREE, MP__MEMBER_STARTING, MP__MEMBER_RUNNING };

/* Every word carries the epoch, so that a late hand (a stopped child, a parent that learns a pid)
 * changes nothing in a later life of the same slot. Read them through the functions below. */
struct member_shared {
    _Atomic uint64_t status;       /* epoch << 32 | parent's index << 8 | state; 0 never used */
    _Atomic uint64_t pid;          /* epoch << 32 | pid; pid 0 or another epoch: unknown yet */
    _Atomic uint64_t registered;   /* epoch << 48 | mp__boot_time() >> 14 before pid was written;
                                      time 0: unknown yet */
    _Atomic uint64_t parent;       /* mp__member_ref of who started it; 0 the root or unknown */
    _Atomic uint32_t life_is_lost; /* epoch in which the life lock says nothing, as its thread has
                                      ended, or not yet begun, or its program has: ask the kernel;
                                      0 never */
    _Alignas(64) _Atomic uint64_t label[8]; /* epoch << 32 | flags, and the name: reg/label.h */
    /* Held from entering until death by the thread that entered. */
    _Alignas(64) struct mp__robust life;
};

static inline enum mp__member_state mp__status_state(uint64_t status) {
    return (enum mp__member_state)(status & 0xff);
}
static inline mp__member_ref mp__status_ref(uint64_t status, uint32_t index) {
    return (status >> 32) << 32 | index;
}

/* Our slot; joins the family (opens the arena, takes a slot) when this process has not yet. 0:
 * failed, with detail. */
mp__member_ref mp__member_self(void);
static inline uint32_t mp__member_index(mp__member_ref ref) {
    return (uint32_t)ref;
}
struct member_shared *mp__member_at(uint32_t index);
pid_t mp__member_pid(mp__member_ref ref); /* 0: not known yet, or gone */

int mp__member_reserve(
    mp__member_ref *out); /* parent: a STARTING slot, ours to start; 0 or -EAGAIN: all taken */
void mp__member_born(mp__member_ref child, pid_t pid); /* parent: its pid is known */
int mp__member_enter(
    mp__member_ref reserved); /* child: this is me; MP_ESTATE: the slot was given up meanwhile */
void mp__member_cancel(mp__member_ref child); /* parent: it never came to life */

/* A process that will enter soon: bring what that needs into its memory. */
void mp__member_rehearse(void);

/* Is it running, or starting under a living parent? No system call in the common case. false: it is
 * dead, or gone and recovered long ago. */
bool mp__member_is_alive(mp__member_ref ref);

/* This process is made of one thread that is about to _exit in order: give everything back, free
 * the slot. */
void mp__member_leave(void);

#endif

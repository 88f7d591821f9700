/* Giving back what the dead held.
 * SPDX-License-Identifier: MIT */
#ifndef MP__REG_RECOVER_H
#define MP__REG_RECOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "os/clock.h"
#include "reg/member.h"

/* If that member is dead: walk its threads' holdings from the newest to the oldest, then what they
 * keep; give each back, then its blocks, then its slot. true: it is dead and nothing of it is left.
 * Idempotent, may be killed in the middle. */
bool mp__recover_member(mp__member_ref ref);
/* The same for who has a deadline: does not wait longer for another recovery, whose process may be
 * stopped. In the past: not at all. false: alive, or not in time. */
bool mp__recover_member_until(mp__member_ref ref, mp__time deadline);
/* The process of that thread, unless somebody is at a recovery already: he will tell sleepers. */
bool mp__recover_thread_owner(uint32_t thread);
void mp__recover_all(void); /* look at every slot; costs a little for each living member */
/* The same for those who sleep for nobody in particular: one of them in 25 ms does it, and leaves
 * it to whoever is at it already. */
void mp__recover_look_round(void);

/* For recover functions: have it logged when the recovery is over. Both texts are constants. */
void mp__recover_note(const char *what, const void *object, const char *fate);

/* Call `enter` while nobody is recovered, unless that member is dead: for who begins to work in its
 * blocks, and says in `enter` where its recovery finds and ends him. false: dead, not called. */
bool mp__recover_shut_out(mp__member_ref ref, void (*enter)(void *arg), void *arg);

#endif

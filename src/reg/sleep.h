/* Sleeping in a family whose members may die.
 * SPDX-License-Identifier: MIT
 *
 * Who was woken at once the last time expects that again, and sleeps for 4 ms on its word alone; so
 * does who has but a millisecond. All others watch their neighbours: they sleep on the words of
 * their lives too, of which the kernel wakes one sleeper at a death. That one recovers the dead and
 * tells all who watch, so that each looks again at what it waits for. A newcomer to the family is
 * told to one of them, who watches it if it is a neighbour; the others see it when their slice is
 * over.
 *
 * Slices. A wake-up may die with its sender, or with the one who was to pass it on; nobody may
 * sleep who watches the one who dies. So sleepers look by themselves whether all are alive, every
 * 0.8 s. Of those who have slept for long only a few do, who take turns; the others rest for 10 s:
 * a hundred who looked would take more of a processor than all else that a waiting family does.
 * Who has a turn tells the others of who came and who went, and when it goes on to its own affairs
 * calls one of them, unless enough look without it. When it dies its turn is open; should it be
 * stopped, once its time is over.
 *
 * What a stopped process had yet to do for others (a wake-up that it was to send or pass on) is
 * found by those who wait for it after 0.8 s, after 10 s by those who rest.
 *
 * Where the kernel cannot wait for several words at once nobody watches, nor rests: sleepers look
 * round every 0.05 s. */
#ifndef MP__REG_SLEEP_H
#define MP__REG_SLEEP_H

#include <stddef.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/futex.h"
#include "reg/member.h"

#define MP__SLEEP_WORDS_MAX 64 /* that one call can sleep on */

/* Sleep while *word == expected, until woken, a death, or the deadline. `owner`: the thread (index)
 * whose release we wait for, 0: nobody's in particular. When the owner is dead it is recovered. 0:
 * look again; MP_ETIMEDOUT. */
int mp__sleep(_Atomic uint32_t *word, uint32_t expected, uint32_t owner, mp__time deadline);
/* The same for several words, 1 to MP__SLEEP_WORDS_MAX, watching from the beginning. */
int mp__sleep_any(const struct mp__wait_word *list, size_t count, mp__time deadline);

void mp__sleep_tell_death(void);    /* somebody was recovered: all who watch look again */
void mp__sleep_tell_newcomer(void); /* this process has just entered: one looks again */
void mp__sleep_end_turns(mp__member_ref dead); /* others look round in its place, once told */
void mp__sleep_tell_change(void); /* it has just left in order: all know it within 0.8 s */

#endif

/* Sleeping in a family whose members may die.
 * SPDX-License-Identifier: MIT
 *
 * Short sleeps are plain ones. Who has slept for a millisecond in vain watches its neighbours from
 * then on: it sleeps on the words of their lives too, of which the kernel wakes one sleeper at a
 * death. That one recovers the dead and tells all who watch, so that each looks again at what it
 * waits for. A newcomer to the family is told to one of them, who watches it if it is a neighbour;
 * the others see it when their slice is over.
 *
 * Where the kernel cannot wait for several words at once nobody watches: sleepers look round every
 * 0.05 s. Where it can they do so every 0.8 s at least, since a wake-up may die with its sender, or
 * with the one who was to pass it on. */
#ifndef MP__REG_SLEEP_H
#define MP__REG_SLEEP_H

#include <stddef.h>
#include <stdint.h>

#include "os/clock.h"
#include "os/futex.h"

#define MP__SLEEP_WORDS_MAX 64 /* that one call can sleep on */

/* Sleep while *word == expected, until woken, a death, or the deadline. `owner`: the thread (index)
 * whose release we wait for, 0: nobody's in particular. When the owner is dead it is recovered. 0:
 * look again; MP_ETIMEDOUT. */
int mp__sleep(_Atomic uint32_t *word, uint32_t expected, uint32_t owner, mp__time deadline);
/* The same for several words, 1 to MP__SLEEP_WORDS_MAX, watching from the beginning. */
int mp__sleep_any(const struct mp__wait_word *list, size_t count, mp__time deadline);

void mp__sleep_tell_death(void);    /* somebody was recovered: all who watch look again */
void mp__sleep_tell_newcomer(void); /* this process has just entered: one looks again */

#endif

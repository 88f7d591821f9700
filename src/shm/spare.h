/* Large blocks that were freed lately, kept whole for whoever next needs one of that size, without
 * the heap's lock. Private to the heap. SPDX-License-Identifier: MIT
 *
 * The state word of such a run, SPARE, is the truth about it: whoever changes it by
 * compare-and-swap has it. The slots only say where to look; one may name a run that is spare no
 * more. A run whose slot a death has prevented is found by the recovery of the dead one, which
 * makes all of them free.
 *
 * Few are kept: all go when there is no slot left, when a process dies, and before the heap grows,
 * so that it never grows because of them. */
#ifndef MP__SHM_SPARE_H
#define MP__SHM_SPARE_H

#include <stdbool.h>
#include <stdint.h>

#define MP__SPARE_UNITS 4352 /* of runs of one length that are kept */
#define MP__SPARE_LENGTH_MAX (MP__SPARE_UNITS / 4)

/* A block of exactly that length for this member, or 0. */
uint32_t mp__spare_take(uint32_t length, uint32_t member);
/* Keep a block of this member. false: it still is one, there is no room. */
bool mp__spare_keep(uint32_t head, uint32_t length, uint32_t member);
/* With the lock: make this run free if it is spare. */
void mp__spare_free(uint32_t head);
/* With the lock: all of them. false: there was none. */
bool mp__spares_free(void);

#endif

/* How long it pays to look again and again before going to sleep.
 * SPDX-License-Identifier: MIT
 *
 *     struct mp__spin spin = mp__spin_begin(1);
 *     while (it is not so && mp__spin_once(&spin))
 *         look again;
 *     mp__spin_end(it is so);
 *
 * A sleep and its wake-up cost some 20 us, a hundred pauses 2.5 us. Whether they help cannot be
 * known beforehand: not when the other one shares our cpu, nor when it takes long; but they do when
 * both are pinned, each to a cpu of its own. So each thread learns from how it went. */
#ifndef MP__SYNC_SPIN_H
#define MP__SYNC_SPIN_H

#include <stdbool.h>

#include "os/cpu.h"

struct mp__spin {
    int left; /* pauses */
    int step; /* pauses before the next look */
};

/* `step` 1: see at once what happens; 16: look seldom, for each look takes the line away from who
 * works with it (holds the lock). */
struct mp__spin mp__spin_begin(int step);
void mp__spin_end(bool has_paid); /* after each begin */

/* Pause a little; false: enough. */
static inline bool mp__spin_once(struct mp__spin *spin) {
    if (spin->left <= 0)
        return false;
    for (int i = 0; i < spin->step; i++)
        mp__cpu_pause();
    spin->left -= spin->step;
    return true;
}

#endif

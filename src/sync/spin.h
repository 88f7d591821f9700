/* How long it pays to look again and again before going to sleep.
 * SPDX-License-Identifier: MIT
 *
 *     struct mp__spin spin = mp__spin_begin(MP__SPIN_EVENT);
 *     while (it is not so && mp__spin_once(&spin))
 *         look again;
 *     mp__spin_end(&spin, it is so);
 *
 * A sleep and its wake-up cost 20 to 50 us, a hundred pauses 2.5 us. Whether they help cannot be
 * known beforehand: not when the other one shares our cpu, nor when it takes long; but they do when
 * both are pinned, each to a cpu of its own. So each thread learns from how it went.
 *
 * Two who answer each other must not both sleep for ever after because one of them did once: it
 * takes a spin as long as a wake-up to find out that the other one is awake again. So events are
 * waited for that long while it pays, and tried that long now and then when it does not. */
#ifndef MP__SYNC_SPIN_H
#define MP__SYNC_SPIN_H

#include <sched.h>
#include <stdbool.h>

#include "os/cpu.h"

enum mp__spin_kind {
    MP__SPIN_LOCK,   /* looks ever more seldom: each look takes the line away from who holds it */
    MP__SPIN_GUARD,  /* still more seldom: who has it takes it many times in a row meanwhile, and
                        does not wait for its lines each time */
    MP__SPIN_EVENT,  /* sees at once what happens */
    MP__SPIN_CHILD,  /* for a child that begins or ends; lets others run */
    MP__SPIN_SOCKET, /* each look is a system call */
    MP__SPIN_GATHER  /* looks at nothing: several things are to be seen at once afterwards */
};

struct mp__spin {
    enum mp__spin_kind kind;
    int left;         /* pauses */
    int step;         /* pauses before the next look */
    int longest_step; /* what step grows to */
};

struct mp__spin mp__spin_begin(enum mp__spin_kind kind);
void mp__spin_end(const struct mp__spin *spin, bool has_paid); /* after each begin */

/* Pause a little; false: enough. */
static inline bool mp__spin_once(struct mp__spin *spin) {
    if (spin->left <= 0)
        return false;
    for (int i = 0; i < spin->step; i++)
        mp__cpu_pause();
    spin->left -= spin->step;
    if (spin->step < spin->longest_step)
        spin->step *= 2;
    return true;
}

/* The same, and let others run, among whom may be the one that we wait for. */
static inline bool mp__spin_yield(struct mp__spin *spin) {
    return mp__spin_once(spin) && sched_yield() == 0;
}

/* The same for a child. When letting others run took milliseconds, somebody computes on this
 * processor and takes whole slices: then no such spin begins for a while, since who sleeps is let
 * in before such a one when it is woken. */
bool mp__spin_yield_to_child(struct mp__spin *spin);
bool mp__spin_is_crowded(void); /* is this thread in such a while? */

#endif

/* How a lock is given back: by a store alone as long as nobody sleeps for it.
 * SPDX-License-Identifier: MIT
 *
 * A read-modify-write that finds the mark of a sleeper costs as much as taking the lock; a store
 * and a look at this word next to nothing:
 *
 *     owner                             who is about to sleep
 *     take the lock; m = mode           mode = TURNING
 *     ...                               mp__barrier_everywhere()
 *     if m is not QUICK, or != mode:    mode = CHECKED
 *         give it back CHECKED          mark the lock's word
 *     lock's word = 0                   if mode is not CHECKED: turn it, wake one, begin again
 *     if mode != m: wake one            sleep while the word is as marked
 *
 * Without the barrier the owner's processor may look at the mode before its store is seen: then the
 * store wipes the mark out, and nobody wakes the sleeper. With it, either the store was seen before
 * the mark was made, or the owner sees that the mode has changed.
 *
 * A lock turns back when many of its releases in a row found nobody asleep: its owner says so, and
 * numbers the turn, so that no two QUICK times look the same. Who marks a lock that has just turned
 * back lets others sleep on a mark that nobody will look at: so it looks, and wakes them.
 * tests/model/release.pml checks all that.
 *
 * Where there is no such barrier a lock is CHECKED from the first. */
#ifndef MP__SYNC_MODE_H
#define MP__SYNC_MODE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct mp__mode {
    _Atomic uint32_t word; /* number of the turn << 2 | enum mp__mode_state */
    uint32_t calm;         /* releases in CHECKED that found nobody asleep; its owner's */
};

enum mp__mode_state { MP__MODE_QUICK, MP__MODE_TURNING, MP__MODE_CHECKED };

void mp__mode_init(struct mp__mode *mode);

static inline uint32_t mp__mode_look(const struct mp__mode *mode) {
    return atomic_load_explicit(&mode->word, memory_order_acquire);
}

static inline bool mp__mode_is_quick(uint32_t word) {
    return (word & 3) == MP__MODE_QUICK;
}

static inline bool mp__mode_is_checked(uint32_t word) {
    return (word & 3) == MP__MODE_CHECKED;
}

/* No release is quick from now on, until it turns back, and all that were have been seen. false:
 * this process has no barrier: one that is under way may still be unseen. */
bool mp__mode_turn(struct mp__mode *mode);

/* By the owner before it gives back a lock that is not QUICK. `is_alone`: nobody has marked it. */
void mp__mode_calm(struct mp__mode *mode, bool is_alone);

#endif

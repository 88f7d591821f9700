/* A lock's ways to be given back, and the turns between them.
 * SPDX-License-Identifier: MIT */
#include "sync/mode.h"

#include "base/point.h"
#include "os/barrier.h"
#include "os/clock.h"

#define CALM 4096 /* a turn costs as much as a thousand releases */

static uint32_t make_word(uint32_t turn, enum mp__mode_state state) {
    return turn << 2 | (uint32_t)state;
}

/* Begins anywhere: a thread may still believe that it holds a lock that was freed here. */
void mp__mode_init(struct mp__mode *mode) {
    atomic_init(&mode->word, make_word((uint32_t)mp__now(),
                                       mp__barrier_exists() ? MP__MODE_QUICK : MP__MODE_CHECKED));
    mode->calm = 0;
}

bool mp__mode_turn(struct mp__mode *mode) {
    uint32_t word = atomic_load(&mode->word);
    while (!mp__mode_is_checked(word)) {
        uint32_t turning = make_word(word >> 2, MP__MODE_TURNING);
        if (word != turning && !atomic_compare_exchange_strong(&mode->word, &word, turning))
            continue;
        MP__POINT("lock.mode.turning");
        if (!mp__barrier_everywhere())
            return false;
        word = turning; /* unless it has turned to and fro meanwhile */
        uint32_t checked = make_word(turning >> 2, MP__MODE_CHECKED);
        if (atomic_compare_exchange_strong(&mode->word, &word, checked))
            word = checked;
        MP__POINT("lock.mode.turned");
    }
    return true;
}

void mp__mode_calm(struct mp__mode *mode, bool is_alone) {
    uint32_t word = atomic_load(&mode->word);
    mode->calm = is_alone ? mode->calm + 1 : 0;
    if (mode->calm < CALM || !mp__mode_is_checked(word))
        return;
    mode->calm = 0;
    atomic_store(&mode->word, make_word((word >> 2) + 1, MP__MODE_QUICK));
    MP__POINT("lock.mode.calm");
}

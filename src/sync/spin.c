/* What this thread has learned about spinning.
 * SPDX-License-Identifier: MIT */
#include "sync/spin.h"

#include "os/clock.h"

#define LONG_YIELD (MP__SECOND / 500)  /* most that others of our kind take before we go on */
#define CROWD_FIRST (MP__SECOND / 250) /* that a long yield is believed; twice as long if again */
#define CROWD_LAST (MP__SECOND / 8)    /* up to this */

static const struct {
    int most;           /* pauses: the longest spin */
    int step;           /* pauses before the second look; doubled from look to look */
    int longest_step;   /* up to this */
    unsigned try_every; /* times: then the longest is tried although it does not pay */
} kinds[] = {[MP__SPIN_LOCK] = {1000, 8, 128, 16}, [MP__SPIN_GUARD] = {1000, 64, 256, 16},
             [MP__SPIN_EVENT] = {2000, 1, 1, 64},  [MP__SPIN_CHILD] = {1000, 8, 8, 16},
             [MP__SPIN_SOCKET] = {800, 8, 8, 128}, [MP__SPIN_GATHER] = {32, 1, 1, 64}};

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    unsigned char doubt; /* how often it did not pay lately; pauses are halved for each */
    unsigned char turn;  /* counts begins, to try the full length again now and then */
} learned[sizeof kinds / sizeof kinds[0]];

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    mp__time until; /* no yielding before; 0: there never was a crowd */
    mp__time pause; /* how long that was */
} crowd;

bool mp__spin_is_crowded(void) {
    return crowd.until != 0 && mp__now() < crowd.until;
}

static void note_crowd(mp__time now) {
    bool is_again = now - crowd.until < crowd.pause;
    mp__time pause = is_again ? 2 * crowd.pause : CROWD_FIRST;
    crowd.pause = pause < CROWD_LAST ? pause : CROWD_LAST;
    crowd.until = now + crowd.pause;
}

bool mp__spin_yield_to_child(struct mp__spin *spin) {
    mp__time begin = mp__now();
    if (!mp__spin_yield(spin))
        return false;
    mp__time end = mp__now();
    if (end - begin < LONG_YIELD)
        return true;
    note_crowd(end);
    spin->left = 0;
    return true;
}

struct mp__spin mp__spin_begin(enum mp__spin_kind kind) {
    bool is_trial = ++learned[kind].turn % kinds[kind].try_every == 0;
    int left = is_trial ? kinds[kind].most : kinds[kind].most >> learned[kind].doubt;
    if (mp__cpu_is_alone() || (kind == MP__SPIN_CHILD && mp__spin_is_crowded()))
        left = 0;
    return (struct mp__spin){.kind = kind,
                             .left = left,
                             .step = kinds[kind].step,
                             .longest_step = kinds[kind].longest_step};
}

void mp__spin_end(const struct mp__spin *spin, bool has_paid) {
    if (has_paid)
        learned[spin->kind].doubt = 0;
    else if (kinds[spin->kind].most >> learned[spin->kind].doubt > 0)
        learned[spin->kind].doubt++;
}

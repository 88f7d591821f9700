/* What this thread has learned about spinning.
 * SPDX-License-Identifier: MIT */
#include "sync/spin.h"

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

struct mp__spin mp__spin_begin(enum mp__spin_kind kind) {
    bool is_trial = ++learned[kind].turn % kinds[kind].try_every == 0;
    int left = is_trial ? kinds[kind].most : kinds[kind].most >> learned[kind].doubt;
    if (mp__cpu_is_alone())
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

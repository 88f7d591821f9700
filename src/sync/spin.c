/* What this thread has learned about spinning.
 * SPDX-License-Identifier: MIT */
#include "sync/spin.h"

/* Per kind: the longest spin, pauses between looks, and every how many times the longest is tried
 * although it does not pay. */
static const struct {
    int most;
    int step;
    unsigned try_every;
} kinds[] = {[MP__SPIN_LOCK] = {100, 16, 16},
             [MP__SPIN_EVENT] = {2000, 1, 64},
             [MP__SPIN_GATHER] = {32, 1, 64}};

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    unsigned char doubt; /* how often it did not pay lately; pauses are halved for each */
    unsigned char turn;  /* counts begins, to try the full length again now and then */
} learned[3];

struct mp__spin mp__spin_begin(enum mp__spin_kind kind) {
    bool is_trial = ++learned[kind].turn % kinds[kind].try_every == 0;
    int left = is_trial ? kinds[kind].most : kinds[kind].most >> learned[kind].doubt;
    if (mp__cpu_is_alone())
        left = 0;
    return (struct mp__spin){.kind = kind, .left = left, .step = kinds[kind].step};
}

void mp__spin_end(const struct mp__spin *spin, bool has_paid) {
    if (has_paid)
        learned[spin->kind].doubt = 0;
    else if (kinds[spin->kind].most >> learned[spin->kind].doubt > 0)
        learned[spin->kind].doubt++;
}

/* What this thread has learned about spinning.
 * SPDX-License-Identifier: MIT */
#include "sync/spin.h"

enum { MOST_PAUSES = 100, TRY_EVERY = 16 };

static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    unsigned char doubt; /* how often it did not pay lately; pauses are halved for each */
    unsigned char turn;  /* counts begins, to try the full length again now and then */
} learned;

struct mp__spin mp__spin_begin(int step) {
    bool is_trial = ++learned.turn % TRY_EVERY == 0;
    int left = is_trial ? MOST_PAUSES : MOST_PAUSES >> learned.doubt;
    return (struct mp__spin){.left = left, .step = step};
}

void mp__spin_end(bool has_paid) {
    if (has_paid)
        learned.doubt = 0;
    else if (MOST_PAUSES >> learned.doubt > 0)
        learned.doubt++;
}

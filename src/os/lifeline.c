/* The pipe between a parent and the children that must not outlive it.
 * SPDX-License-Identifier: MIT */
#include "os/lifeline.h"

#include "os/descriptor.h"
#include "os/unforked.h"

int mp__lifeline_open(struct mp__lifeline *out) {
    int ends[2];
    int code = mp__unforked_pipe(ends, 1);
    if (code == 0)
        *out = (struct mp__lifeline){.parent_end = ends[1], .child_end = ends[0]};
    return code;
}

void mp__lifeline_close(struct mp__lifeline *lifeline) {
    mp__unforked_close(lifeline->parent_end);
    mp__descriptor_close(lifeline->child_end);
    *lifeline = (struct mp__lifeline){.parent_end = -1, .child_end = -1};
}

void mp__lifeline_forked(void) {
    mp__unforked_close_all();
}

/* A line on a terminal that says how far something is.
 * SPDX-License-Identifier: MIT */
#ifndef MP__POOL_BAR_H
#define MP__POOL_BAR_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/clock.h"

#define MP__BAR_COLUMNS_MAX 200 /* a line is never longer */

struct mp__bar_figures {
    uint64_t done;    /* items, failed ones included */
    uint64_t total;   /* of them; 0: nobody knows */
    uint64_t failed;  /* of those done */
    mp__time elapsed; /* since the beginning */
    bool is_over;     /* no more will be done */
};

struct mp__bar {
    pthread_mutex_t mutex;          /* guards the rest */
    struct mp__bar_figures figures; /* as drawn last, or to be drawn */
    mp__time began;                 /* when it was made */
    mp__time drawn;                 /* when it was drawn last, 0: never */
    size_t width;                   /* columns of the line that stands there */
};

/* malloc'd; NULL: stderr is no terminal, or no memory. */
struct mp__bar *mp__bar_new(uint64_t total);
/* Ten times a second at most, unless another one has the line (whoever draws first keeps it), or
 * this one has ended. */
void mp__bar_draw(struct mp__bar *bar, uint64_t done, uint64_t total, uint64_t failed);
/* Leave the last line there: once, and when that returns it stands there. */
void mp__bar_end(struct mp__bar *bar);
void mp__bar_free(struct mp__bar *bar); /* as it is; NULL: nothing */
/* The line, at most `columns` long; what does not fit is left out. Returns its length. */
size_t mp__bar_format(char out[MP__BAR_COLUMNS_MAX + 1], unsigned columns,
                      const struct mp__bar_figures *figures);

#endif

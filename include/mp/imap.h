/* mp/imap.h: a pool's results one by one, while inputs of any size are still being drawn.
 * SPDX-License-Identifier: MIT
 *
 *     static int next_line(void *user, const void **data, size_t *size) {
 *         static char line[1000];
 *         if (!fgets(line, sizeof line, user))
 *             return 0;
 *         *data = line;
 *         *size = strlen(line);
 *         return 1;
 *     }
 *     ...
 *     mp_imap *counts;
 *     const void *data;
 *     size_t size;
 *     int code;
 *     mp_pool_imap(&counts, pool, count_words, next_line, &(mp_imap_options){.user = stdin});
 *     while ((code = mp_imap_next(counts, &data, &size, MP_FOREVER)) != MP_EEND)
 *         if (code == 0)
 *             use(mp_imap_index(counts), data, size);
 *     mp_imap_free(counts);
 *
 * Inputs are drawn ahead of the results that are read by a window, not all at once as in Python: a
 * slow reader stops the workers, not the memory. Whoever reads also draws: the function that gives
 * the inputs is called by mp_pool_imap and mp_imap_next only, in your own thread, so it needs no
 * lock; but the results wait while it does. For inputs that come slowly (a terminal, a socket) take
 * a window of 1, or as many as you want to have together before the first result.
 *
 * Who may call what at once
 *     mp_imap_next       one thread at a time, of the process that made the pool
 *     mp_imap_free       one thread, when no other uses the imap; not in its input function
 *
 * If a process dies in the middle of
 *     an input           mp_imap_next gives MP_EWORKER for that one, and goes on with the others
 *     a call here        as in mp/pool.h
 */
#ifndef MP_IMAP_H
#define MP_IMAP_H

#include "mp/pool.h"

typedef struct mp_imap mp_imap; /* inputs on their way, and results */

/* Give the next input: 1 and the input, left as it is until the next call; 0 there is no more;
 * negative: neither, and mp_imap_next ends with that code. */
typedef int (*mp_next_fn)(void *user, const void **data, size_t *size);

typedef struct mp_imap_options {
    bool unordered;    /* results as they are done; else in the order of the inputs */
    size_t chunk;      /* inputs that a worker takes at once, whose results come at once; 0: 1 */
    size_t window;     /* inputs drawn and not read as results; 0: 4 * workers * chunk */
    void *user;        /* for the mp_next_fn */
    bool progress_bar; /* as in mp_map_options, of the results that were read */
} mp_imap_options;

MP_BEGIN_DECLS

/* Call `fn` for each input that `next` gives, in the workers; begin at once. Inputs in the arena
 * are used in place, and must stay until their result was read; others are copied once.
 *   options  NULL: in order, one by one
 *   returns  0; MP_EINVAL: bad argument, pool closed; the error of a broken pool; -ENOMEM
 *   owns     *out is yours: mp_imap_free
 *   python   Pool.imap, Pool.imap_unordered */
int mp_pool_imap(mp_imap **out, mp_pool *pool, mp_apply_fn fn, mp_next_fn next,
                 const mp_imap_options *options);

/* Give the next result. That of a failed input is its code, with a detail; then go on. The pool may
 * have been closed meanwhile.
 *   data, size  the answer, where it is until the next call; NULL: not wanted
 *   timeout     for the result; inputs are drawn first, however long that takes
 *   returns     0; MP_EEND: all were given; for an input as mp_pool_apply, MP_ECANCELED when the
 *               pool was terminated; MP_ETIMEDOUT: none in time, index SIZE_MAX, try again. Once,
 *               index SIZE_MAX, before MP_EEND: why there are no more inputs (the code of `next`,
 *               MP_EINVAL for NULL with a size, -ENOMEM, MP_ECANCELED, a broken pool's). MP_ESTATE:
 *               another call is under way, perhaps the one that called `next`
 *   python      next(iterator, timeout) */
int mp_imap_next(mp_imap *imap, const void **data, size_t *size, double timeout);

/* Which input, from 0, the last mp_imap_next told of; SIZE_MAX: of none. */
size_t mp_imap_index(const mp_imap *imap);

/* Give it back, before or after its pool, read to its end or not: no more inputs are drawn, what is
 * not begun is left out, what runs is done for nothing. NULL: nothing. */
void mp_imap_free(mp_imap *imap);

MP_END_DECLS
#endif

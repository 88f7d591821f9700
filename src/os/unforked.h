/* Descriptors that a child made by fork must not have: it closes them first of all.
 * SPDX-License-Identifier: MIT
 *
 * Close-on-exec for fork: what tells by being closed that this process has ended (the ends that a
 * lifeline or a sentinel is made of) would tell nothing while a child of ours held a copy. */
#ifndef MP__OS_UNFORKED_H
#define MP__OS_UNFORKED_H

#include <stddef.h>

/* Make a pipe and note its end `which` (0 reads, 1 writes) in one step as seen by fork. 0 or
 * -errno. */
int mp__unforked_pipe(int out[2], int which);
int mp__unforked_add(int descriptor);    /* 0 or -ENOMEM */
void mp__unforked_close(int descriptor); /* forget and close; < 0: nothing */
void mp__unforked_close_all(
    void); /* in the child; async-signal-safe; done by an atfork handler, too */

#endif

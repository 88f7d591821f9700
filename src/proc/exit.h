/* What happens at exit() of a process that has children.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_EXIT_H
#define MP__PROC_EXIT_H

#include <stdbool.h>

/* From now on: at exit() daemons are terminated, other children waited for. Idempotent. A child
 * that ends in order does the same without exit(), see bootstrap.c. */
void mp__exit_watch(void);

/* For a later layer, once it has something to end: have its function called before that, however
 * this process, or one forked by it, ends in order. Several may, in no certain order; the same one
 * again is nothing new. */
void mp__exit_before(void (*end)(void));

/* Do it now. */
void mp__exit_run(void);
/* Long before: bring what that needs into memory. */
void mp__exit_rehearse(void);

/* Write out what lies in stdout and stderr, but for what another thread is at; with `all` in other
 * streams as well, when this thread is the only one: others may sit in a read for ever, with their
 * stream locked. true: that was done. */
bool mp__exit_flush(bool all);
/* The same with all, before a fork: a thread that is not the only one waits for no reader, either.
 * So the child has to forget what is left in stdout and stderr. */
bool mp__exit_flush_for_fork(void);

#endif

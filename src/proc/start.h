/* The three ways to bring a child into the world.
 * SPDX-License-Identifier: MIT
 *
 * Each takes an entry with its record, opens what it needs, and leaves pid and sentinel in it. On
 * failure no process is left; the caller drops the entry. */
#ifndef MP__PROC_START_H
#define MP__PROC_START_H

#include "proc/children.h"

int mp__start_fork(struct child *child);
int mp__start_spawn(struct child *child);
int mp__start_forkserver(struct child *child);

/* Spawn with these descriptors besides: for the fork server. */
int mp__start_spawn_with(struct child *child, const int *descriptors, size_t count);

/* What the child needs: its ends of sentinel and lifeline and its connections' descriptors, in this
 * order, those that are >= 0. `out` has room for MP__PASS_MAX. Count or a code. */
int mp__start_descriptors(const struct child *child, int *out);

/* Open sentinel and, for a daemon, lifeline. 0 or -errno. */
int mp__start_prepare(struct child *child);
/* It exists: write its pid where that belongs. */
void mp__start_note(struct child *child, pid_t pid);
/* The same, and watch it. On failure it is killed. */
int mp__start_born(struct child *child, pid_t pid);

/* From before the preparation until it is born: a sibling forked in between would hold the child's
 * end of the sentinel. A forked child begins with a free lock. */
void mp__start_lock(void);
void mp__start_unlock(void);

/* Take the object from NEW to a listed child, still STARTING; or leave it NEW. */
int mp__start_child(struct process_shared *process, int (*start)(struct child *child));

#endif

/* Who this process is: its own handle and its parent's.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_CURRENT_H
#define MP__PROC_CURRENT_H

#include "os/clock.h"
#include "proc/process.h"

/* This process's own; its key is made when first asked for. NULL: no arena, with detail. */
struct process_shared *mp__current(void);
bool mp__current_is_handle(const void *process); /* ours or our parent's? */
bool mp__current_is_parent(const void *process);

/* Memory of handles, 16-byte aligned: NULL when there is none. As long as it is small it comes from
 * a page that a forked child copies anyway. */
void *mp__current_alloc(size_t size);
void mp__current_free(void *block);

/* The number of the next child that gets a name from us: 1, 2... */
unsigned mp__current_count(void);

/* In a child: become `process`, which `maker` made: copy what is in it. MP_EWORKER: that one died
 * meanwhile; -ENOMEM. */
int mp__current_become(struct process_shared *process, mp__member_ref maker);

/* The same for a forked child, who needs neither the object nor its maker: note it before the fork,
 * under the start lock (0 or -ENOMEM); the child becomes what was noted; its parent forgets it. */
int mp__current_note(const struct process_shared *process);
int mp__current_become_noted(void);
void mp__current_forget_note(void);

/* Tell the family and the log our present name. */
void mp__current_label(void);

/* The mutex of the parts of this process's handles and objects. */
void mp__current_lock_parts(void);
void mp__current_unlock_parts(void);

/* A parent that is no member of a family: Python. */
struct mp__stranger {
    const char *name;        /* of this process, its child */
    const char *identity;    /* "1:2" */
    bool is_daemon;          /* the child has no children */
    const char *parent_name; /* its own */
    pid_t parent_pid;
    int sentinel; /* readable when it ends; ours from now on */
};
/* In its child, before anything else: be that, as the first of a family. 0 or a code. */
int mp__current_adopt(const struct mp__stranger *parent);

/* Wait for the end of the parent: 0, MP_ETIMEDOUT. */
int mp__current_join_parent(mp__time deadline);
int mp__current_parent_sentinel(void); /* -ENOSYS: this system has none */

#endif

/* The children of this process that nobody has seen end yet, and those that have and are not
 * closed. SPDX-License-Identifier: MIT */
#ifndef MP__PROC_CHILDREN_H
#define MP__PROC_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

#include "os/clock.h"
#include "os/lifeline.h"
#include "os/sentinel.h"
#include "proc/launch.h"
#include "proc/process.h"

#define MP__CODE_UNKNOWN 255 /* as Python says when its fork server is gone */

struct child {
    struct process_shared *process; /* its object, ours */
    struct mp__launch launch;       /* record in the arena, until it has ended */
    mp__member_ref member;          /* its slot */
    pid_t pid;                      /* 0 before it exists */
    struct mp__sentinel sentinel;   /* open until the object is closed */
    struct mp__lifeline lifeline;   /* of a daemon, until it has ended; else -1 */
    unsigned server;        /* serial of the fork server that made it; 0: it is our own child */
    bool is_over;           /* its sentinel was seen to be readable */
    bool has_code;          /* it has ended, and this is its exit code, which is told only once: */
    int code;               /* valid with has_code, as the next */
    mp__time cpu;           /* ns that it took, if the fork server says so; else 0 */
    bool is_near;           /* to be run on our processor, which we let it have meanwhile */
    mp__time born;          /* when it was started */
    bool is_confirmed;      /* its start has been confirmed; before, nobody collects it */
    struct child **list;    /* of the table, that it is in: alive or ended; NULL: none */
    struct child *next;     /* in that list */
    struct child *previous; /* NULL: the first */
};

/* An entry without a start yet; in no list. NULL: no memory, with detail. */
struct child *mp__children_new(struct process_shared *process);
void mp__children_add(struct child *child);     /* it exists */
void mp__children_confirm(struct child *child); /* its start is over: from now on it is collected */
/* Give back all that it has; its process has ended, or never was. */
void mp__children_drop(struct child *child);

/* Look whether it has ended; if so take its code into the object, once, and give back what it had.
 */
bool mp__children_collect(struct child *child);
int mp__children_join(struct child *child, mp__time deadline); /* 0 or MP_ETIMEDOUT */
/* Its sentinel says that it has ended: let the fork server say with what code, and wait for it. */
void mp__children_await_code(struct child *child, mp__time deadline);
int mp__children_signal(struct child *child, int signal);

/* Was the last start of a served child followed by its end, at once? Another such child is best run
 * here and now. Told only once: those that are started in a row are to run side by side. */
bool mp__children_are_short(void);

/* Collect the ended, when that is due: a start costs no more for many children. */
void mp__children_tidy(void);

/* Collect the ended, list the others but hidden ones: how many. */
int mp__children_list(mp_process **out, int capacity);

/* Daemons get SIGTERM, then all are waited for: Python's _exit_function. */
void mp__children_end(void);

#endif

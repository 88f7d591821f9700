/* A process that dies when another one does, even when that was killed with SIGKILL.
 * SPDX-License-Identifier: MIT
 *
 * A pipe: only the parent holds its write end. The child arms the read end: when the last write end
 * is gone the child gets SIGKILL (Linux: from the kernel, by O_ASYNC with F_SETSIG; elsewhere: from
 * a watching thread). */
#ifndef MP__OS_LIFELINE_H
#define MP__OS_LIFELINE_H

struct mp__lifeline {
    int parent_end; /* write end: kept by the parent until the child is reaped; never inherited */
    int child_end;  /* read end: given to the child */
};

int mp__lifeline_open(struct mp__lifeline *out); /* 0 or -errno */
int mp__lifeline_arm(int child_end); /* in the child, for the rest of its life; 0 or -errno */
/* In the child: live on without it; closes it. */
void mp__lifeline_disarm(int child_end);
/* In the parent: both ends, those that are >= 0. */
void mp__lifeline_close(struct mp__lifeline *lifeline);

/* In a child made by fork: close the parent's ends of all its lifelines, which were copied.
 * Async-signal-safe. Called by a pthread_atfork handler already, so only needed where those do not
 * run. */
void mp__lifeline_forked(void);

#endif

/* A descriptor that becomes readable when a process has ended.
 * SPDX-License-Identifier: MIT
 *
 * A pidfd where the kernel has it, else the read end of a pipe whose write end only the child
 * holds. Use: prepare; make the child (it keeps `child_end` open for life when that is >= 0);
 * begin in the parent. Two starts at once need a lock around that: a sibling forked in between
 * would hold the other one's child end, too. */
#ifndef MP__OS_SENTINEL_H
#define MP__OS_SENTINEL_H

#include <stdbool.h>
#include <sys/types.h>

struct mp__sentinel {
    int fd;        /* poll this, after begin */
    int child_end; /* the child holds this open for as long as it lives; -1: nothing to hold */
};

int mp__sentinel_prepare(struct mp__sentinel *out); /* 0 or -errno */
/* In the parent, the pid not yet reaped: 0 or -errno. */
int mp__sentinel_begin(struct mp__sentinel *sentinel, pid_t pid);
/* In the parent of a child of its own, after begin: is it that child's, and not that of a process
 * which got the pid when somebody had reaped the child before? */
bool mp__sentinel_is_of_child(const struct mp__sentinel *sentinel);
/* In the child: hold it for life, but do not hand it to own children. */
void mp__sentinel_adopt(int child_end);
/* Parent: send a signal to that process, and to no other even when it was reaped by somebody.
 * 0 or -errno. */
int mp__sentinel_signal(const struct mp__sentinel *sentinel, pid_t pid, int signal);
void mp__sentinel_close(struct mp__sentinel *sentinel); /* in the parent, at any stage */

#endif

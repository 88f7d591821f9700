/* A child's life, from its first instruction to _exit.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_BOOTSTRAP_H
#define MP__PROC_BOOTSTRAP_H

#include <stddef.h>

#include "proc/launch.h"

struct mp__bootstrap {
    struct mp__launch launch; /* record of this start */
    int sentinel_end;         /* -1: none */
    int lifeline_end;         /* -1: not a daemon */
    const int
        *descriptors; /* of the connections that were passed; of a hidden process: for its target */
    size_t descriptor_count;
    bool is_forked;    /* a copy of the parent: has its descriptors and its functions */
    bool is_clean;     /* no stream has anything in it that its parent left there */
    bool is_rehearsed; /* by mp__bootstrap_rehearse */
    bool is_near;      /* on the processor of its parent, which lets it run */
};

/* Long before mp__bootstrap, in a process that only waits for it and was forked by one that came
 * up so itself: do what does not depend on what it will run. `last_launch`: name of an earlier
 * start by the same parent, or 0; `is_clean` as in mp__bootstrap. */
void mp__bootstrap_rehearse(uint64_t last_launch, bool is_clean);

/* Become that process: run its target and end. */
void mp__bootstrap(const struct mp__bootstrap *how) __attribute__((noreturn));

/* Standard input is the parent's: two readers would take it from each other. */
void mp__bootstrap_detach_stdin(void);

/* For the target of a process that says by itself when it is ready, or that it cannot be (with
 * detail). */
void mp__bootstrap_ready(void);
void mp__bootstrap_give_up(int code) __attribute__((noreturn));
const int *mp__bootstrap_descriptors(size_t *count);

#endif

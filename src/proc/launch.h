/* Starts in the arena: where parent and child tell each other how a start went and how it ended.
 * SPDX-License-Identifier: MIT
 *
 * One record for each child from its start until its parent knows its exit code, in a fixed place
 * of the arena, so that a child whose parent was killed can still write into it. Its taker frees
 * it; a record whose taker and child are both dead is taken again by whoever needs one: nothing to
 * recover. */
#ifndef MP__PROC_LAUNCH_H
#define MP__PROC_LAUNCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/clock.h"
#include "reg/member.h"

#define MP__LAUNCH_DETAIL 196 /* bytes of the sentence, its 0 included */

/* Starts that there may well be between that of one spare and that of one forked meanwhile. */
#define MP__LAUNCH_AHEAD 128

struct process_shared;

/* FAILING: the child is writing down why; it may die over that. */
enum mp__launch_state {
    MP__LAUNCH_UNDER_WAY,
    MP__LAUNCH_RUNS,
    MP__LAUNCH_FAILING,
    MP__LAUNCH_FAILED
};

struct launch_shared {
    _Atomic uint64_t taker;                   /* mp__member_ref of the parent; 0: free */
    _Atomic uint64_t child;                   /* mp__member_ref of the child's slot */
    _Atomic(struct process_shared *) process; /* what to run */
    _Atomic uint32_t state;  /* use << 2 | enum mp__launch_state; the parent sleeps on it */
    _Atomic uint32_t end;    /* use << 17 | known << 16 | (code + 256); the code is written once */
    _Atomic int32_t failure; /* why it FAILED; written while FAILING */
    char detail[MP__LAUNCH_DETAIL]; /* the sentence to it; written while FAILING */
    _Atomic int64_t cpu;            /* ns that a killed one took, before its code; 0: not known */
    char unused[16];                /* fills four cache lines */
};

/* What a process needs to find its record: also when it was given to another start meanwhile. */
struct mp__launch {
    struct launch_shared *shared;
    uint32_t use; /* which use of the record */
};

/* Take one, with a reserved member; 0, -EAGAIN. */
int mp__launch_take(struct mp__launch *out, struct process_shared *process);
void mp__launch_free(struct mp__launch launch); /* by the taker; 0 record: nothing */

/* A number for it that other processes understand: offset in the arena << 16 | use. */
uint64_t mp__launch_name(struct mp__launch launch);
struct mp__launch mp__launch_named(uint64_t name);
static inline uint64_t mp__launch_name_offset(uint64_t name) {
    return name >> 16;
}
static inline uint32_t mp__launch_name_use(uint64_t name) {
    return (uint32_t)(name & 0xffff);
}

/* The records that come next will be written: bring them into the arena. */
void mp__launch_expect_next(struct mp__launch last);

/* Write the exit code down, unless that was done: by the child before its end; by whoever reaps
 * it, which somebody may await, with the processor time that it took (0: not known). */
void mp__launch_end(struct mp__launch launch, int code);
void mp__launch_bury(struct mp__launch launch, int code, mp__time cpu);
mp__time mp__launch_cpu(struct mp__launch launch); /* once there is a code */
bool mp__launch_code(struct mp__launch launch, int *code);
/* Sleep until there is a code, at most till the deadline. */
void mp__launch_await_code(struct mp__launch launch, mp__time deadline);

/* The child: its slot, what to run and whose that is. MP_ESTATE: it comes too late, the record is
 * another start's. */
struct mp__launch_facts {
    mp__member_ref child;
    mp__member_ref maker;
    struct process_shared *process;
};
int mp__launch_read(struct mp__launch launch, struct mp__launch_facts *out);

/* The child: the target begins; does the parent sleep until then? Or why it cannot, with this
 * thread's detail. One that comes too late changes nothing. */
void mp__launch_runs(struct mp__launch launch, bool is_awaited);
void mp__launch_fail(struct mp__launch launch, int code);

/* The parent: how far it is; sleep while it is neither RUNS nor FAILED, at most till the deadline.
 */
enum mp__launch_state mp__launch_state(struct mp__launch launch);
void mp__launch_await_state(struct mp__launch launch, mp__time deadline);

#endif

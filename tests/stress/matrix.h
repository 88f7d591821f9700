/* The matrix: each kill point, in each way, in a scenario that reaches it.
 * SPDX-License-Identifier: MIT
 *
 *     experiment    makes a stage, starts the two others, checks what is left
 *     victim        runs the scenario; it, or a process it starts, dies or stops at the point
 *     bystander     works on the same objects all the time: must go on within a second */
#ifndef MATRIX_H
#define MATRIX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mp/connection.h"
#include "mp/context.h"
#include "mp/pool.h"
#include "mp/process.h"
#include "mp/queue.h"
#include "mp/shared.h"
#include "mp/sync.h"

enum { MATRIX_LARGE = 150000, MATRIX_MIDDLE = 3000 };

struct stage { /* in the arena */
    mp_lock *lock, *rlock, *many[48];
    mp_semaphore *semaphore;
    mp_condition *condition;
    mp_event *event;
    mp_barrier *barrier, *acting_barrier; /* for two */
    mp_barrier *lonely_barrier;           /* for one, who acts */
    mp_queue *queue, *small_queue, *joinable, *leasing;
    mp_connection *ends[2], *own_ends[2]; /* own: the victim's alone */
    mp_value *value;
    mp_array *array;
    _Atomic(void *) kept[8]; /* published blocks */
    _Atomic uint64_t cycles; /* of the bystander */
    _Atomic uint32_t stop;   /* bystander, end */
};

struct scenario {
    const char *name;
    void (*run)(struct stage *stage);
};
extern const struct scenario matrix_scenarios[];
extern const size_t matrix_scenario_count;

enum trap_mode { TRAP_OFF, TRAP_RECORD, TRAP_KILL, TRAP_STOP };

/* matrix_trap.c: for this process and, when `for_children`, those it executes. */
void matrix_set_trap(enum trap_mode mode, const char *point, const char *file, bool for_children);

/* Beside that one: kill the first of this process and its forked ones that comes to `point`. */
void matrix_set_second_trap(const char *point, const char *file);

/* matrix_stage.c */
struct stage *matrix_make_stage(void);
void matrix_work_beside(struct stage *stage); /* the bystander's life */
void matrix_check_stage(struct stage *stage);
void matrix_free_stage(struct stage *stage);

#endif

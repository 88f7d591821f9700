/* The storm: what its processes share. SPDX-License-Identifier: MIT
 *
 *     root        starts workers, feeds those who would wait for ever
 *     worker      a seat: random operations until told to stop; now and then starts a helper
 *     helper      a seat too, a child of a worker: the same for a while
 *     watchdog    a thread of the root: looks how long each seat has been in its operation
 *     killer      another one
 *
 * With the method thread all of them are threads of one process and nobody is killed: for
 * ThreadSanitizer, which sees what they do to the same memory.
 *
 * A seat outlives its occupants. Before an operation its occupant writes there which one, after it
 * clears that: so that at a death it is known what may be missing. */
#ifndef STORM_H
#define STORM_H

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

enum { SEAT_MAX = 64, PAIR_COUNT = 4, QUEUE_COUNT = 4, LANE_COUNT = 6, MAILBOX_COUNT = 32 };
enum { SEEN_MAX = 4096, OWN_BLOCKS = 8, BATCH = 5, PIPE_LANE = QUEUE_COUNT };
enum { TASK_LANE = 2, REDELIVER_LANE = 3 }; /* whose messages are tasks; put back by a death */
enum { ROOT_SEAT = 0, LARGEST_MESSAGE = 200000 };

/* Operations, as X(name, text). */
#define STORM_OPERATIONS(X)                                                                        \
    X(OP_NONE, "nothing")                                                                          \
    X(OP_LOCK, "lock")                                                                             \
    X(OP_SEMAPHORE_ACQUIRE, "semaphore acquire")                                                   \
    X(OP_SEMAPHORE_RELEASE, "semaphore release")                                                   \
    X(OP_CONDITION_WAIT, "condition wait")                                                         \
    X(OP_CONDITION_NOTIFY, "condition notify")                                                     \
    X(OP_EVENT, "event")                                                                           \
    X(OP_BARRIER, "barrier") X(OP_PUT, "queue put") X(OP_GET, "queue get")                         \
        X(OP_PUT_MANY, "queue put_many") X(OP_GET_MANY, "queue get_many")                          \
            X(OP_TASK_DONE, "queue task_done") X(OP_SEND, "pipe send")                             \
                X(OP_RECEIVE, "pipe receive") X(OP_WAIT, "mp_wait") X(OP_VALUE, "value and array") \
                    X(OP_HEAP, "shared heap") X(OP_OBJECT, "new and free")                         \
                        X(OP_PROCESS, "process") X(OP_POOL, "pool")                                \
                            X(OP_ROOT_START, "root: start") X(OP_ROOT_REAP, "root: reap")          \
                                X(OP_ROOT_CHECK, "root: check")
#define STORM_ENUM(name, text) name,
enum storm_operation { STORM_OPERATIONS(STORM_ENUM) OP_COUNT };
extern const char *const storm_operation_names[OP_COUNT];

/* A lock's victim: two counters that are equal whenever the lock is free. */
struct storm_pair {
    mp_lock *lock;
    volatile uint64_t first, second;
};

/* A seat's messages into one lane. */
struct storm_lane {
    _Atomic uint64_t begun;          /* the number of the last message that was about to be put */
    _Atomic uint64_t put;            /* messages known to be put */
    _Atomic uint64_t got;            /* of them, by anybody */
    _Atomic uint32_t seen[SEEN_MAX]; /* at number % SEEN_MAX: the last one got, + 1 */
};

struct storm_seat {
    _Atomic int pid;                    /* of its occupant; 0: nobody */
    _Atomic uint32_t operation;         /* enum storm_operation */
    _Atomic uint32_t lane_in_hand;      /* of that operation, where it has one */
    _Atomic uint64_t since;             /* when it was begun, mp__now() */
    _Atomic uint64_t operation_count;   /* done */
    _Atomic(void *) blocks[OWN_BLOCKS]; /* of the shared heap, this seat's */
    struct storm_lane lanes[LANE_COUNT];
};

struct storm {
    mp_start_method method;
    unsigned workers; /* seats 1..workers are theirs, workers + i their helpers' */
    uint64_t seed;
    uint32_t seconds;        /* that it lasts */
    pid_t group;             /* process group of all of it */
    _Atomic uint32_t stop;   /* end in order */
    _Atomic uint32_t failed; /* somebody found something wrong, and said it */
    struct storm_pair pairs[PAIR_COUNT];
    mp_semaphore *semaphore;
    mp_condition *condition; /* guards items */
    volatile uint64_t items, items_twin;
    mp_event *event;
    mp_barrier *barrier;
    mp_queue *queues[QUEUE_COUNT]; /* without limit, of 8, joinable, redelivering */
    mp_connection *ends[2];        /* lane 4: sent by [0]; lane 5: sent by [1] */
    mp_value *value;
    mp_array *array;
    _Atomic(void *) mailboxes[MAILBOX_COUNT];
    _Atomic uint64_t semaphore_acquired, semaphore_released;
    _Atomic uint64_t tasks_done;
    _Atomic uint64_t deaths[OP_COUNT][LANE_COUNT]; /* what was in hand */
    _Atomic uint64_t messages, repeated, repairs, helpers_ended, pools_done, pool_items,
        pool_losses;
    _Atomic uint64_t incarnations;
    struct storm_seat seats[SEAT_MAX];
};

struct storm_self { /* of one process */
    struct storm *storm;
    struct storm_seat *seat;
    unsigned number;                     /* of the seat */
    uint64_t random;                     /* state */
    uint64_t last[SEAT_MAX][LANE_COUNT]; /* highest number got here, + 1 */
    unsigned char *buffer;               /* LARGEST_MESSAGE * BATCH bytes */
    bool has_helper, is_helper;
};

struct storm_order { /* argument of a worker or helper */
    struct storm *storm;
    unsigned seat;
    bool is_helper;
};

/* storm.c */
uint64_t storm_random(struct storm_self *self, uint64_t below);
void storm_begin(struct storm_self *self, enum storm_operation operation);
void storm_end(struct storm_self *self);
void storm_fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define STORM_CHECK(fact)                                                                       \
    do {                                                                                        \
        if (!(fact))                                                                            \
            storm_fail("%s:%d: not so: %s (%s)", __FILE__, __LINE__, #fact, mp_error_detail()); \
    } while (0)
/* false: another one sits there, who was started by a parent that was killed since. */
bool storm_take_seat(struct storm_self *self, struct storm *storm, unsigned seat);
void storm_leave_seat(struct storm_self *self);
/* Its occupant is dead: note what it had in hand, free its blocks. */
void storm_bury(struct storm *storm, unsigned seat);

/* storm_work.c, storm_process.c: one random operation. */
void storm_work(struct storm_self *self);
void storm_work_process(struct storm_self *self);
void storm_work_pool(struct storm_self *self);
int storm_worker(void *argument, size_t size);
void storm_locked(struct storm_self *self, int code, volatile uint64_t *first,
                  volatile uint64_t *second);

/* storm_message.c */
void storm_put(struct storm_self *self, unsigned lane, double timeout);
void storm_get(struct storm_self *self, unsigned lane, double timeout);
void storm_put_many(struct storm_self *self, unsigned lane);
void storm_get_many(struct storm_self *self, unsigned lane);
void storm_drain(struct storm_self *self);
bool storm_lane_is_empty(struct storm *storm, unsigned lane);

/* storm_watch.c */
void storm_watch(struct storm *storm, double limit_seconds);
void storm_watch_end(void);
void storm_print_stack(pid_t pid);

/* storm_check.c */
struct storm *storm_make(void);
void storm_check(struct storm_self *self); /* at the end, alone; prints figures */
void storm_free(struct storm *storm);
void storm_check_leaks(uint64_t leak_limit); /* after storm_free */
uint64_t storm_leak_limit(struct storm *storm);

/* storm_killer.c: a thread of the root. */
struct storm_toll {
    uint64_t kills, stops, other_kills; /* of seats; SIGSTOPs; of anybody else of the family */
};
extern struct storm_toll storm_toll;
void storm_killer_start(struct storm *storm, unsigned kills_per_second);
void storm_killer_end(void); /* all go on again */
/* Processes of the group but the caller: how many. */
unsigned storm_list_group(pid_t group, pid_t *out, unsigned capacity);

#endif

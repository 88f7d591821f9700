/* A process of the family as the library sees it.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_PROCESS_H
#define MP__PROC_PROCESS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "mp/context.h"
#include "mp/process.h"
#include "reg/member.h"
#include "shm/function.h"
#include "sync/kind.h"

struct child;

enum mp__process_phase {
    MP__PROCESS_NEW,
    MP__PROCESS_STARTING,
    MP__PROCESS_STARTED,
    MP__PROCESS_ENDED
};

enum mp__process_part { /* bytes that belong to a process, each a block of its own */
                        MP__PART_NAME,
                        MP__PART_IDENTITY, /* "1:2": the second child of the first child of the
                                              root; "" the root */
                        MP__PART_AUTHKEY,
                        MP__PART_ARG,
                        MP__PART_PARENT_NAME, /* of the process that made the object */
                        MP__PART_CONNECTIONS, /* mp_connection * of the options, without the NULL */
                        MP__PART_COUNT
};

struct mp__bytes {
    _Atomic(char *) data; /* followed by a 0 byte; NULL when there are none */
    size_t size;          /* without that 0 */
};

/* The object: a block held by the process that made it, and freed with that one. A start returns
 * when the child no longer needs it: a forked child has a private copy from before the fork, others
 * copy it and then ask whether the maker still lives; if so the copy is good (current.c). Handles
 * of this process and its parent are the same struct in private memory. */
struct process_shared {
    mp__kind_word kind;
    _Atomic uint32_t phase;        /* enum mp__process_phase; changed by the maker's threads */
    _Atomic uint32_t changes;      /* of parts, counted before and after: odd while one is made */
    mp__member_ref maker;          /* who may start, join, close it */
    _Atomic mp__member_ref member; /* the child's slot; 0 before start */
    _Atomic int32_t pid;           /* 0 before start */
    _Atomic int32_t code;          /* exit code, in phase ENDED */
    _Atomic int64_t cpu;           /* ns that it took, if the fork server said so; likewise */
    pid_t maker_pid;               /* the parent's pid, for the child */
    mp_start_method method;        /* MP_FORK, MP_SPAWN or MP_FORKSERVER */
    bool is_daemon;                /* set before start */
    bool may_have_children;        /* though it is a daemon (workers of pools); set before start */
    bool is_hidden;       /* the library's own (fork server): not listed, may have children */
    uint32_t log_legacy;  /* what a child that is not forked logs; set when it is started */
    bool says_when_ready; /* the target itself reports the start (fork server, after its preload) */
    struct mp__function function; /* the target where it crosses an exec */
    mp_target_fn target;          /* the target in the maker's memory; NULL: none */
    struct child *child;          /* entry of the maker's table; its memory; NULL before start */
    struct mp__bytes parts[MP__PART_COUNT];
};

static inline struct process_shared *mp__process_of(const mp_process *process) {
    return (struct process_shared *)process;
}

/* mp_process_start in two halves, so that many children can come up at once (pool): launch returns
 * as soon as the child is on its way, confirm waits until it runs or has failed to (its detail
 * becomes ours). Before launch comes flush, of stdout and stderr: else a forked child would write
 * once more what lies there. */
void mp__process_flush(void);
int mp__process_launch(mp_process *process);
int mp__process_confirm(mp_process *process);
/* Between the two: would confirm return at once? End one that does not come up; then confirm it. */
bool mp__process_has_answered(const mp_process *process);
void mp__process_kill_unconfirmed(mp_process *process);
/* Its sentinel can be read: a moment for its exit code, which may come from the fork server. */
void mp__process_await_code(mp_process *process);
mp__member_ref
mp__process_member(const mp_process *process); /* its slot in the registry; 0 before start */

/* As mp_process_new, for processes of the library itself: hidden, no count in the names. */
int mp__process_new_hidden(mp_process **out, mp_context *context,
                           const mp_process_options *options);

/* Replace a part by a copy of these bytes. 0 or -ENOMEM. For handles the memory is private. A
 * process's parts are changed by its threads under the parts' mutex, and read under it where they
 * can change: name and key. */
int mp__process_set_part(struct process_shared *process, enum mp__process_part part,
                         const void *data, size_t size);
void mp__process_free_parts(struct process_shared *process);

/* Its name for a message, long ones cut: this thread's until the next call. */
const char *mp__process_title(const struct process_shared *process);

#endif

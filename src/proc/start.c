/* mp_process_start, in its two halves, and what the three methods have in common.
 * SPDX-License-Identifier: MIT */
#include "proc/start.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "chan/connection.h"
#include "os/child.h"
#include "os/descriptor.h"
#include "os/futex.h"
#include "proc/current.h"
#include "proc/exit.h"
#include "proc/forkserver.h"
#include "shm/arena.h"
#include "sync/spin.h"

#define SLICE_FIRST \
    (MP__SECOND / 1000)              /* first sleep between looks at a child that may have died */
#define SLICE_LAST (MP__SECOND / 20) /* the longest one */
#define ANSWER_LIMIT \
    (60 * MP__SECOND)        /* what an executed program has until it must have answered */
#define END_LIMIT MP__SECOND /* what one that failed has until its code must be known */

/* One start at a time: a sibling forked in between would hold the other child's end of its
 * sentinel. A forked child begins with a free one. */
static pthread_mutex_t starting = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool is_starting; /* this thread has it */

/* What the forking thread held its child holds, and can release; what another one held it cannot.
 */
static void reset_starting(void) {
    if (is_starting)
        mp__start_unlock();
    else
        starting = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

__attribute__((constructor)) static void guard_fork(void) {
    pthread_atfork(NULL, NULL, reset_starting);
}

void mp__start_lock(void) {
    pthread_mutex_lock(&starting);
    is_starting = true;
}

void mp__start_unlock(void) {
    is_starting = false;
    pthread_mutex_unlock(&starting);
}

int mp__start_prepare(struct child *child) {
    int code = mp__sentinel_prepare(&child->sentinel);
    if (code == 0 && child->process->is_daemon)
        code = mp__lifeline_open(&child->lifeline);
    return code < 0 ? mp__fail(code, "mp_process_start: no descriptors for the child") : 0;
}

void mp__start_note(struct child *child, pid_t pid) {
    child->pid = pid;
    child->born = mp__now();
    atomic_store(&child->process->pid, (int32_t)pid);
    mp__member_born(child->member, pid);
    MP__POINT("start.note.registered");
    mp__descriptor_close(child->lifeline.child_end); /* the child's alone now */
    child->lifeline.child_end = -1;
}

/* It has ended, and somebody has reaped it already (waitpid(-1)): a sentinel that is readable. */
static int watch_nobody(struct child *child) {
    int ends[2];
    int code = mp__descriptor_pipe(ends);
    if (code < 0)
        return code;
    mp__descriptor_close(ends[1]);
    child->sentinel = (struct mp__sentinel){.fd = ends[0], .child_end = -1};
    return 0;
}

int mp__start_born(struct child *child, pid_t pid) {
    mp__start_note(child, pid);
    int code = mp__sentinel_begin(&child->sentinel, pid);
    if (code == 0 && !mp__sentinel_is_of_child(&child->sentinel)) {
        mp__sentinel_close(&child->sentinel);
        code = -ESRCH;
    }
    if (code == -ESRCH)
        code = watch_nobody(child);
    if (code == 0)
        return 0;
    kill(pid, SIGKILL);
    int status;
    (void)mp__child_reap(pid, true, &status);
    return mp__fail(code, "mp_process_start: no descriptor to watch the child: each that runs, or "
                          "has not been closed, needs one; see RLIMIT_NOFILE (ulimit -n)");
}

int mp__start_descriptors(const struct child *child, int *out) {
    const struct mp__bytes *part = &child->process->parts[MP__PART_CONNECTIONS];
    mp_connection *const *list = (mp_connection *const *)(void *)atomic_load(&part->data);
    int count = 0;
    if (child->sentinel.child_end >= 0)
        out[count++] = child->sentinel.child_end;
    if (child->lifeline.child_end >= 0)
        out[count++] = child->lifeline.child_end;
    for (size_t i = 0; i < part->size / sizeof *list; i++) {
        int descriptor = mp__connection_descriptor(list[i]);
        if (descriptor < 0)
            return descriptor;
        out[count++] = descriptor;
    }
    return count;
}

static int check_startable(struct process_shared *process) {
    int code = mp__kind_check(process, MP__KIND_PROCESS, "mp_process_start", "process");
    if (mp__current_is_handle(process))
        return mp__fail(MP_ESTATE, "mp_process_start: '%s' runs already",
                        mp__process_title(process));
    if (code < 0)
        return code;
    if (process->maker != mp__member_self())
        return mp__fail(
            MP_EFOREIGN,
            "mp_process_start: the process '%s' was made by another process (%d), which "
            "alone may start it",
            mp__process_title(process), (int)process->maker_pid);
    const struct process_shared *self = mp__current();
    if (self->is_daemon && !self->may_have_children && !process->is_hidden)
        return mp__fail(MP_EDAEMON,
                        "mp_process_start: '%s' is a daemon, and daemons have no children",
                        mp__process_title(self));
    return 0;
}

static int start_by_method(struct child *child) {
    switch (child->process->method) {
    case MP_FORK:
        return mp__start_fork(child);
    case MP_SPAWN:
        return mp__start_spawn(child);
    default:
        return mp__start_forkserver(child);
    }
}

/* Back to the beginning, as if nothing had been tried. */
static void undo_start(struct child *child) {
    struct process_shared *process = child->process;
    process->child = NULL;
    atomic_store(&process->member, 0);
    atomic_store(&process->pid, 0);
    mp__children_drop(child);
    atomic_store(&process->phase, MP__PROCESS_NEW);
    MP__POINT("start.undo.undone");
}

int mp__start_child(struct process_shared *process, int (*start)(struct child *child)) {
    uint32_t phase = MP__PROCESS_NEW;
    if (!atomic_compare_exchange_strong(&process->phase, &phase, MP__PROCESS_STARTING))
        return mp__fail(MP_ESTATE, "mp_process_start: the process '%s' was started before",
                        mp__process_title(process));
    MP__POINT("start.child.claimed");
    struct child *child = mp__children_new(process);
    if (!child) {
        atomic_store(&process->phase, MP__PROCESS_NEW);
        return -ENOMEM;
    }
    int code = mp__launch_take(&child->launch, process);
    if (code == 0) {
        child->member = atomic_load(&child->launch.shared->child);
        code = start(child);
    }
    if (code < 0) {
        undo_start(child);
        return code;
    }
    atomic_store(&process->member, child->member);
    process->child = child;
    mp__children_add(child);
    MP__POINT("start.child.listed");
    return 0;
}

int mp__process_launch(mp_process *process) {
    struct process_shared *shared = mp__process_of(process);
    int code = check_startable(shared);
    if (code < 0)
        return code;
    mp__exit_watch();
    shared->log_legacy = mp__log_legacy();
    mp__children_tidy(); /* as Python: a start reaps the ended */
    return mp__start_child(shared, start_by_method);
}

static int fail_early_death(const struct child *child, int code) {
    const char *name = mp__process_title(child->process);
    if (child->server == 0 && child->process->method != MP_FORK && code >= 0)
        return mp__fail(
            MP_ENOTMAIN,
            "mp_process_start: the program executed for '%s' ended with code %d before it "
            "came to mp_freeze_support(argc, argv), which must be the first line of its "
            "main()",
            name, code);
    return mp__fail(
        MP_EWORKER,
        "mp_process_start: the child for '%s' ended with code %d before its target began", name,
        code);
}

static bool has_answered(enum mp__launch_state state) {
    return state == MP__LAUNCH_RUNS || state == MP__LAUNCH_FAILED;
}

/* A spare child answers sooner than a sleeper wakes up. */
static void spin_for_answer(const struct child *child) {
    struct mp__spin spin = mp__spin_begin(MP__SPIN_CHILD);
    while (!has_answered(mp__launch_state(child->launch)) && mp__spin_yield_to_child(&spin))
        continue;
    mp__spin_end(&spin, has_answered(mp__launch_state(child->launch)));
}

/* Wait until the child says that it runs, or that it cannot; or dies, or is silent for too long. */
static enum mp__launch_state await_answer(struct child *child) {
    mp__time limit = mp__now() + ANSWER_LIMIT;
    mp__time slice = SLICE_FIRST;
    if (child->server)
        spin_for_answer(child);
    for (;;) {
        enum mp__launch_state state = mp__launch_state(child->launch);
        if (has_answered(state))
            return state;
        if (mp__descriptor_poll(child->sentinel.fd, POLLIN, 0) != 0 || mp__now() > limit)
            return mp__launch_state(child->launch);
        mp__launch_await_state(child->launch, mp__now() + slice);
        slice = 2 * slice < SLICE_LAST ? 2 * slice : SLICE_LAST;
    }
}

/* It has ended, or is killed: whoever should say with which code may be stopped. */
static int await_end(struct child *child) {
    bool is_known = mp__children_join(child, mp__now() + END_LIMIT) == 0;
    return is_known ? atomic_load(&child->process->code) : MP__CODE_UNKNOWN;
}

static int fail_start(struct child *child, enum mp__launch_state answer) {
    struct launch_shared *record = child->launch.shared;
    char detail[MP__LAUNCH_DETAIL];
    int failure = atomic_load(&record->failure);
    snprintf(detail, sizeof detail, "%.*s", MP__LAUNCH_DETAIL - 1, record->detail);
    mp__children_confirm(child);
    bool has_ended = mp__descriptor_poll(child->sentinel.fd, POLLIN, 0) > 0;
    if (!has_ended)
        (void)mp__children_signal(child, SIGKILL);
    int code = await_end(child);
    if (answer == MP__LAUNCH_FAILED)
        code = mp__fail(failure, "%s", detail);
    else if (has_ended)
        code = fail_early_death(child, code);
    else
        code = mp__fail(MP_ETIMEDOUT,
                        "mp_process_start: the program executed for '%s' did not come to "
                        "mp_freeze_support() within a minute",
                        mp__process_title(child->process));
    undo_start(child);
    return code;
}

/* A forked child has all that it needs. */
static bool is_to_answer(const struct process_shared *process) {
    return process->method != MP_FORK;
}

bool mp__process_has_answered(const mp_process *process) {
    const struct process_shared *shared = mp__process_of(process);
    return !is_to_answer(shared) || has_answered(mp__launch_state(shared->child->launch)) ||
           mp__descriptor_poll(shared->child->sentinel.fd, POLLIN, 0) != 0;
}

void mp__process_kill_unconfirmed(mp_process *process) {
    (void)mp__children_signal(mp__process_of(process)->child, SIGKILL);
}

void mp__process_await_code(mp_process *process) {
    struct child *child = mp__process_of(process)->child;
    if (child->server)
        mp__children_await_code(child, mp__now() + MP__SECOND / 100);
}

int mp__process_confirm(mp_process *process) {
    struct process_shared *shared = mp__process_of(process);
    struct child *child = shared->child;
    if (is_to_answer(shared)) {
        enum mp__launch_state answer = await_answer(child);
        if (answer != MP__LAUNCH_RUNS)
            return fail_start(child, answer);
    }
    atomic_store(&shared->phase, MP__PROCESS_STARTED);
    mp__children_confirm(child);
    MP__POINT("process.confirm.done");
    return 0;
}

void mp__process_flush(void) {
    (void)mp__exit_flush(false);
}

int mp_process_start(mp_process *process) {
    mp__process_flush();
    int code = mp__process_launch(process);
    return code < 0 ? code : mp__process_confirm(process);
}

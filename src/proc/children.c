/* The table of this process's children; the only place that takes their exit status.
 * SPDX-License-Identifier: MIT
 *
 * A pid is reaped, and a signal sent, only under the mutex: so a signal never goes to a process
 * that got the number later. */
#include "proc/children.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "os/child.h"
#include "os/descriptor.h"
#include "proc/forkserver.h"
#include "reg/recover.h"
#include "sync/spin.h"

#define CODE_SLICE (MP__SECOND / 50) /* between looks at the server that should write a code */
#define ENDING_LOOKS 200             /* at a child that has written its code: some 100 us */
#define RECOVERY_SLICE \
    (MP__SECOND / 50) /* that we wait for another recovery, which may be stopped */
#define TERMINATE_GRACE (5 * MP__SECOND) /* of a daemon between SIGTERM and SIGKILL */

#define SHORT_LIFE (MP__SECOND / 2000) /* in which moving elsewhere would not pay */

#define TIDY_SHARE 8 /* children that a start looks at, on average */
#define BATCH 64     /* children that are ended between two looks for new ones */
#define ENTRIES 16   /* that need no malloc */

static struct {
    pthread_mutex_t mutex;         /* guards the rest and every entry in it */
    struct child *alive;           /* those not seen to end yet */
    struct child *ended;           /* those that nobody has closed yet */
    unsigned starts_left;          /* until the ended are collected by one */
    struct child *forgotten[2];    /* lists of our parent's; for leak checkers */
    unsigned used;                 /* bit n: entries[n] is in use */
    struct child entries[ENTRIES]; /* here, since malloc's own pages have to be copied again after
                                      each fork */
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Atomic bool are_short; /* see mp__children_are_short */

static void lock(void) {
    pthread_mutex_lock(&table.mutex);
}

static void unlock(void) {
    pthread_mutex_unlock(&table.mutex);
}

static struct child *take_entry(void) {
    struct child *entry = NULL;
    lock();
    for (unsigned i = 0; i < ENTRIES && !entry; i++)
        if (!(table.used & 1U << i)) {
            table.used |= 1U << i;
            entry = memset(&table.entries[i], 0, sizeof *entry);
        }
    unlock();
    return entry ? entry : calloc(1, sizeof *entry);
}

static void give_entry_locked(struct child *entry) {
    uintptr_t offset = (uintptr_t)entry - (uintptr_t)table.entries;
    if (offset < sizeof table.entries)
        table.used &= ~(1U << offset / sizeof *entry);
    else
        free(entry);
}

/* Only looks: each page that is written is copied. */
static void close_sentinels(const struct child *list) {
    for (const struct child *child = list; child; child = child->next) {
        mp__descriptor_close(child->sentinel.fd);
        mp__descriptor_close(child->sentinel.child_end);
    }
}

/* A forked child has no children. Lifelines closed themselves (os). */
static void forget_children(void) {
    close_sentinels(table.alive);
    close_sentinels(table.ended);
    table.forgotten[0] = table.alive;
    table.forgotten[1] = table.ended;
    table.alive = table.ended = NULL;
    table.used = table.starts_left = 0;
    unlock();
}

__attribute__((constructor)) static void guard_fork(void) {
    pthread_atfork(lock, unlock, forget_children);
}

struct child *mp__children_new(struct process_shared *process) {
    struct child *child = take_entry();
    if (!child) {
        mp__fail(-ENOMEM, "an entry for a child");
        return NULL;
    }
    child->process = process;
    child->sentinel = (struct mp__sentinel){.fd = -1, .child_end = -1};
    child->lifeline = (struct mp__lifeline){.parent_end = -1, .child_end = -1};
    return child;
}

static void enlist_locked(struct child *child, struct child **list) {
    child->next = *list;
    child->previous = NULL;
    if (*list)
        (*list)->previous = child;
    *list = child;
    child->list = list;
}

static void unlist_locked(struct child *child) {
    if (!child->list)
        return;
    if (child->previous)
        child->previous->next = child->next;
    else
        *child->list = child->next;
    if (child->next)
        child->next->previous = child->previous;
    child->list = NULL;
}

void mp__children_drop(struct child *child) {
    lock();
    unlist_locked(child);
    unlock();
    mp__sentinel_close(&child->sentinel);
    mp__lifeline_close(&child->lifeline);
    if (child->launch.shared) {
        if (child->member != 0)
            mp__member_cancel(child->member);
        mp__launch_free(child->launch);
    }
    lock();
    give_entry_locked(child);
    unlock();
}

void mp__children_add(struct child *child) {
    lock();
    enlist_locked(child, &table.alive);
    unlock();
}

void mp__children_confirm(struct child *child) {
    lock();
    child->is_confirmed = true;
    unlock();
}

/* Our own child: the kernel knows; when somebody else took its status, what it wrote down itself.
 */
static bool find_own_code(struct child *child, int *code) {
    int reaped = mp__child_reap(child->pid, false, code);
    if (reaped > 0)
        return true;
    if (reaped == 0)
        return false;
    if (!mp__launch_code(child->launch, code))
        *code = MP__CODE_UNKNOWN;
    return true;
}

/* Made by the fork server: its child wrote the code, or the server will. */
static bool find_served_code(struct child *child, int *code) {
    if (mp__launch_code(child->launch, code)) {
        child->cpu = mp__launch_cpu(child->launch);
        return true;
    }
    if (mp__forkserver_is_alive(child->server))
        return false;
    if (!mp__launch_code(child->launch, code)) /* the last thing the server did */
        *code = MP__CODE_UNKNOWN;
    return true;
}

static bool find_code(struct child *child) {
    if (!child->is_over)
        child->is_over = mp__descriptor_poll(child->sentinel.fd, POLLIN, 0) > 0;
    if (child->is_over && !child->has_code)
        child->has_code = child->server ? find_served_code(child, &child->code)
                                        : find_own_code(child, &child->code);
    return child->has_code;
}

/* Also when nobody can tell that it is dead. */
static bool is_given_back(const struct child *child) {
    return mp__recover_member_until(child->member, mp__now() + RECOVERY_SLICE) ||
           mp__member_is_alive(child->member);
}

bool mp__children_are_short(void) {
    return atomic_exchange(&are_short, false);
}

/* The code goes in before the phase that says so. */
static void settle_locked(struct child *child) {
    if (child->server && mp__now() - child->born < SHORT_LIFE)
        atomic_store(&are_short, true);
    unlist_locked(child);
    enlist_locked(child, &table.ended); /* found there by leak checkers, too */
    mp__lifeline_close(&child->lifeline);
    MP__POINT("children.settle.recovered");
    mp__launch_free(child->launch);
    child->launch = (struct mp__launch){0};
    atomic_store(&child->process->cpu, child->cpu);
    atomic_store(&child->process->code, child->code);
    atomic_store(&child->process->phase, MP__PROCESS_ENDED);
}

static bool collect_locked(struct child *child) {
    if (child->list != &table.alive)
        return true;
    if (!child->is_confirmed || !find_code(child) || !is_given_back(child))
        return false;
    settle_locked(child);
    return true;
}

static bool collect(struct child *child, bool is_over) {
    lock();
    child->is_over |= is_over;
    bool has_ended = collect_locked(child);
    unlock();
    return has_ended;
}

bool mp__children_collect(struct child *child) {
    return collect(child, false);
}

static mp__time earlier(mp__time a, mp__time b) {
    return a < b ? a : b;
}

static struct mp__launch launch_of(struct child *child) {
    lock();
    struct mp__launch launch = child->launch;
    unlock();
    return launch;
}

/* One that has written its code is gone before a sleeper could wake up. */
static int spin_for_end(struct child *child) {
    struct mp__launch launch = launch_of(child);
    struct mp__spin spin = mp__spin_begin(MP__SPIN_CHILD);
    bool is_ending = false;
    int code;
    while (launch.shared && !(is_ending = mp__launch_code(launch, &code)) &&
           mp__spin_yield_to_child(&spin))
        continue;
    mp__spin_end(&spin, is_ending);
    int ready = 0;
    for (int looks = mp__cpu_is_alone() ? 0 : ENDING_LOOKS; is_ending && !ready && looks > 0;
         looks--)
        ready = mp__descriptor_poll(child->sentinel.fd, POLLIN, 0);
    return ready;
}

void mp__children_await_code(struct child *child, mp__time deadline) {
    struct mp__launch launch = launch_of(child);
    if (child->server)
        mp__forkserver_call();
    if (launch.shared)
        mp__launch_await_code(launch, deadline);
}

/* The sentinel first, then, for a child that was killed, the server's word on it. */
int mp__children_join(struct child *child, mp__time deadline) {
    int ready = deadline > 0 ? spin_for_end(child) : 0;
    for (;; ready = 0) {
        if (ready == 0)
            ready = mp__descriptor_poll(child->sentinel.fd, POLLIN, deadline);
        if (collect(child, ready > 0))
            return 0;
        if (ready < 0)
            return mp__fail(ready, "mp_process_join: waiting for process %d", (int)child->pid);
        if (deadline <= mp__now())
            return mp__fail(MP_ETIMEDOUT, "mp_process_join: the process '%s' (%d) still runs",
                            mp__process_title(child->process), (int)child->pid);
        if (ready > 0)
            mp__children_await_code(child, earlier(deadline, mp__now() + CODE_SLICE));
    }
}

int mp__children_signal(struct child *child, int signal) {
    int code = 0;
    lock();
    if (!collect_locked(child))
        code = mp__sentinel_signal(&child->sentinel, child->pid, signal);
    unlock();
    return code == -ESRCH ? 0 : code;
}

void mp__children_tidy(void) {
    unsigned alive = 0;
    lock();
    if (table.starts_left > 0) {
        table.starts_left--;
        unlock();
        return;
    }
    for (struct child *child = table.alive, *next; child; child = next) {
        next = child->next;
        alive += !collect_locked(child);
    }
    table.starts_left = alive / TIDY_SHARE;
    unlock();
}

/* Takes every entry in turn; `next` is read first because the entry may go. */
static int list_living(mp_process **out, int capacity, bool is_for_daemons) {
    int count = 0;
    lock();
    for (struct child *child = table.alive, *next; child; child = next) {
        next = child->next;
        if (collect_locked(child) || !child->is_confirmed || child->process->is_hidden ||
            (is_for_daemons && !child->process->is_daemon))
            continue;
        if (count < capacity)
            out[count] = (mp_process *)child->process;
        count++;
    }
    unlock();
    return count;
}

int mp__children_list(mp_process **out, int capacity) {
    return list_living(out, capacity, false);
}

static void terminate_daemons(void) {
    lock();
    for (struct child *child = table.alive, *next; child; child = next) {
        next = child->next;
        if (child->process->is_daemon && !child->process->is_hidden && !collect_locked(child))
            (void)mp__sentinel_signal(&child->sentinel, child->pid, SIGTERM);
    }
    unlock();
}

static void log_daemons(void) {
    mp_process *list[BATCH];
    int count = mp__log_is_heard() ? list_living(list, BATCH, true) : 0;
    for (int i = 0; i < count && i < BATCH; i++)
        mp__log(MP_LOG_INFO, "calling terminate() for daemon %s",
                mp__process_title(mp__process_of(list[i])));
}

static void end_one(mp_process *process, mp__time kill_time) {
    mp__log(MP_LOG_INFO, "calling join() for process %s",
            mp__process_title(mp__process_of(process)));
    struct child *child = mp__process_of(process)->child;
    mp__time deadline = mp__process_of(process)->is_daemon ? kill_time : MP__NEVER;
    if (mp__children_join(child, deadline) == MP_ETIMEDOUT) {
        (void)mp__children_signal(child, SIGKILL);
        (void)mp__children_join(child, MP__NEVER);
    }
}

/* Daemons first: their time is limited, and that of others, who may wait for them, is not. */
static int list_next(mp_process **out, int capacity) {
    int count = list_living(out, capacity, true);
    return count > 0 ? count : list_living(out, capacity, false);
}

/* Another thread may still start some: until there are none. */
void mp__children_end(void) {
    mp_process *list[BATCH];
    int count;
    log_daemons();
    terminate_daemons();
    mp__time kill_time = mp__now() + TERMINATE_GRACE;
    while ((count = list_next(list, BATCH)) > 0)
        for (int i = 0; i < count && i < BATCH; i++)
            end_one(list[i], kill_time);
    mp__forkserver_stop();
}

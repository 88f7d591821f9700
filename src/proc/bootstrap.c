/* What a child does before and after its target.
 * SPDX-License-Identifier: MIT */
#include "proc/bootstrap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "chan/connection.h"
#include "os/child.h"
#include "os/descriptor.h"
#include "os/lifeline.h"
#include "os/memory.h"
#include "os/sentinel.h"
#include "proc/current.h"
#include "proc/exit.h"
#include "proc/section.h"
#include "shm/arena.h"

#define CODE_NOT_BEGUN 255 /* of a child that never came to its target */

static struct mp__bootstrap mine; /* how this process came up */

/* A closed one stays closed, and number 0 may then be the arena. */
void mp__bootstrap_detach_stdin(void) {
    if (mp__arena_descriptor() == STDIN_FILENO)
        return;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null > STDERR_FILENO) {
        dup2(null, STDIN_FILENO);
        close(null);
    }
}

static _Noreturn void leave(int code) {
    mp__launch_end(mine.launch, code);
    MP__POINT("bootstrap.leave.ended");
    mp__member_leave();
    mp__child_leave(code);
}

void mp__bootstrap_give_up(int code) {
    mp__launch_fail(mine.launch, code);
    leave(CODE_NOT_BEGUN);
}

void mp__bootstrap_ready(void) {
    mp__launch_runs(mine.launch, mp__current()->method != MP_FORK);
}

const int *mp__bootstrap_descriptors(size_t *count) {
    *count = mine.descriptor_count;
    return mine.descriptors;
}

static int find_target(struct process_shared *self) {
    mp__any_fn function;
    if (mine.is_forked && self->method == MP_FORK)
        return 0;
    int code = mp__function_find(&self->function, &function);
    if (code == 0)
        self->target = (mp_target_fn)function;
    return code;
}

/* Those that were passed to a spawned or served child, in the order of its options. */
static int adopt_connections(const struct process_shared *self) {
    const struct mp__bytes *part = &self->parts[MP__PART_CONNECTIONS];
    mp_connection *const *list = (mp_connection *const *)(void *)atomic_load(&part->data);
    size_t count = part->size / sizeof *list;
    if (self->is_hidden || self->method == MP_FORK)
        return 0;
    if (count != mine.descriptor_count)
        return mp__fail(MP_EPROTO, "%zu connections came with %zu descriptors", count,
                        mine.descriptor_count);
    for (size_t i = 0; i < count; i++) {
        int code = mp__connection_adopt(list[i], mine.descriptors[i]);
        if (code < 0)
            return code;
    }
    return 0;
}

/* First what ends with us when we are killed at the next instruction, then the family, then the
 * work. */
static int prepare(void) {
    int code = 0;
    mp__sentinel_adopt(mine.sentinel_end);
    if (mine.lifeline_end >= 0)
        code = mp__lifeline_arm(mine.lifeline_end);
    if (code < 0)
        return mp__fail(code, "a daemon cannot be bound to its parent's life");
    struct mp__launch_facts facts;
    code = mp__launch_read(mine.launch, &facts);
    if (code == 0)
        code = mp__member_enter(facts.child);
    if (code < 0)
        return code;
    MP__POINT("bootstrap.prepare.entered");
    code = mine.is_forked ? mp__current_become_noted()
                          : mp__current_become(facts.process, facts.maker);
    if (code < 0)
        return code;
    struct process_shared *self = mp__current();
    if (!mine.is_rehearsed)
        mp__bootstrap_detach_stdin();
    (void)mp_set_start_method(self->method, true);
    code = find_target(self);
    return code < 0 ? code : adopt_connections(self);
}

static int run_target(void) {
    struct process_shared *self = mp__current();
    struct mp__bytes *arg = &self->parts[MP__PART_ARG];
    mp__log(MP_LOG_INFO, "child process calling self.run()");
    int code = self->target ? self->target(atomic_load(&arg->data), arg->size) & 0xff : 0;
    mp__log(MP_LOG_INFO, "process exiting with exitcode %d", code);
    return code;
}

/* The first use of a page costs a new process a microsecond or two, of shared memory and of code,
 * too. Reading maps a page's neighbours as well. */
static void touch(const volatile void *address) {
    (void)*(const volatile char *)address;
}

/* Those of the starts that come next, and an object like theirs. */
static void touch_records(uint64_t last_launch) {
    const struct launch_shared *records = mp__section()->launches;
    const struct launch_shared *last = mp__launch_named(last_launch).shared;
    touch(last);
    touch(&records[((size_t)(last - records) + MP__LAUNCH_AHEAD) % MP__LAUNCH_MAX]);
    const struct process_shared *process = atomic_load(&last->process);
    if (mp__arena_contains(process, sizeof *process))
        touch(process);
}

void mp__bootstrap_rehearse(uint64_t last_launch, bool is_clean) {
    (void)mp__boot_time();
    touch(mp__arena);
    mp__memory_expect_run((void (*)(void))memcpy);
    mp__member_rehearse();
    mp__log_inherit(mp__log_legacy()); /* as we did ourselves */
    mp__exit_rehearse();
    if (is_clean)
        (void)mp__exit_flush(true);
    if (last_launch != 0)
        touch_records(last_launch);
}

void mp__bootstrap(const struct mp__bootstrap *how) {
    mine = *how;
    int code = prepare();
    if (code < 0)
        mp__bootstrap_give_up(code);
    if (!mp__current()->says_when_ready)
        mp__bootstrap_ready();
    if (mine.is_near)
        sched_yield();
    MP__POINT("bootstrap.target.begins");
    code = run_target();
    MP__POINT("bootstrap.target.returned");
    mp__exit_run();
    (void)mp__exit_flush(mine.is_clean);
    leave(code);
}

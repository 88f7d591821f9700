/* Process objects: making, naming, asking, closing.
 * SPDX-License-Identifier: MIT */
#include "proc/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "base/point.h"
#include "os/clock.h"
#include "os/descriptor.h"
#include "proc/children.h"
#include "proc/context.h"
#include "proc/current.h"
#include "reg/label.h"
#include "reg/thread.h"
#include "shm/arena.h"
#include "shm/heap.h"

#define CONNECTIONS_MAX \
    (MP__PASS_MAX - 4) /* others are the arena's, the sentinel's, the lifeline's */

#define TITLE_BYTES 100 /* of a name in a message */
#define SMALL 128       /* bytes of a text that fits on the stack */

static int check(const mp_process *process, const char *function) {
    if (mp__current_is_handle(process))
        return 0;
    return mp__kind_check(process, MP__KIND_PROCESS, function, "process");
}

/* Ours to start, join and close? Handles are not. */
static int check_maker(const mp_process *process, const char *function) {
    int code = check(process, function);
    if (code < 0)
        return code;
    const struct process_shared *shared = mp__process_of(process);
    if (mp__current_is_handle(process))
        return mp__fail(MP_ESTATE, "%s: the process '%s' is %s", function,
                        mp__process_title(mp__process_of(process)),
                        mp__current_is_parent(process) ? "our parent" : "this one");
    if (shared->maker != mp__member_self())
        return mp__fail(MP_EFOREIGN, "%s: the process '%s' was made by another process (%d)",
                        function, mp__process_title(mp__process_of(process)),
                        (int)shared->maker_pid);
    return 0;
}

static int fail_not_started(const mp_process *process, const char *function) {
    return mp__fail(MP_ESTATE, "%s: the process '%s' was not started", function,
                    mp__process_title(mp__process_of(process)));
}

static bool is_started(const struct process_shared *process) {
    return atomic_load(&process->phase) >= MP__PROCESS_STARTED;
}

static int check_started(const mp_process *process, const char *function) {
    int code = check_maker(process, function);
    if (code == 0 && !is_started(mp__process_of(process)))
        code = fail_not_started(process, function);
    return code;
}

/* Private memory for handles, the arena for objects. */
static bool is_private(const struct process_shared *process) {
    return mp__current_is_handle(process);
}

static void free_bytes(const struct process_shared *process, char *data) {
    if (is_private(process))
        mp__current_free(data);
    else
        mp__heap_free(data);
}

/* NULL: no memory. */
static char *copy_bytes(const struct process_shared *process, const void *data, size_t size) {
    char *copy = is_private(process) ? mp__current_alloc(size + 1) : mp__heap_alloc(size + 1);
    if (!copy)
        return NULL;
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

/* The child may be reading: it does so again when the count of changes says so. */
static void exchange_part(struct process_shared *process, enum mp__process_part part, char *copy,
                          size_t size) {
    struct mp__bytes *bytes = &process->parts[part];
    mp__current_lock_parts();
    atomic_fetch_add(&process->changes, 1);
    char *old = atomic_exchange(&bytes->data, copy);
    MP__POINT("process.part.exchanged");
    bytes->size = size;
    atomic_fetch_add(&process->changes, 1);
    mp__current_unlock_parts();
    free_bytes(process, old);
}

int mp__process_set_part(struct process_shared *process, enum mp__process_part part,
                         const void *data, size_t size) {
    if (!is_private(process) && !mp__self())
        return -ENOMEM;
    if (size > PTRDIFF_MAX)
        return mp__fail(-ENOMEM, "a copy of %zu bytes", size);
    char *copy = copy_bytes(process, data, size);
    if (!copy)
        return -ENOMEM;
    exchange_part(process, part, copy, size);
    return 0;
}

/* From a handle, whose part another thread may be replacing. */
static int inherit_part(struct process_shared *process, enum mp__process_part part,
                        const struct process_shared *self, enum mp__process_part from) {
    const struct mp__bytes *bytes = &self->parts[from];
    mp__current_lock_parts();
    size_t size = bytes->size;
    char *copy = copy_bytes(process, atomic_load(&bytes->data), size);
    mp__current_unlock_parts();
    if (!copy)
        return -ENOMEM;
    exchange_part(process, part, copy, size);
    return 0;
}

/* Of another process's object it may be anything at the moment. */
const char *mp__process_title(const struct process_shared *process) {
    static _Thread_local char title[TITLE_BYTES];
    mp__current_lock_parts();
    const char *name = atomic_load(&process->parts[MP__PART_NAME].data);
    bool is_text = is_private(process) ? name != NULL : mp__arena_contains(name, TITLE_BYTES);
    snprintf(title, TITLE_BYTES, "%.*s", TITLE_BYTES - 1, is_text ? name : "");
    mp__current_unlock_parts();
    return title;
}

void mp__process_free_parts(struct process_shared *process) {
    for (unsigned part = 0; part < MP__PART_COUNT; part++)
        free_bytes(process, atomic_exchange(&process->parts[part].data, NULL));
}

static int check_options(mp_process **out, const mp_context *context,
                         const mp_process_options *options) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_process_new: out is NULL");
    int code = mp__context_check(context, "mp_process_new");
    if (code < 0)
        return code;
    if (options->arg_size > 0 && !options->arg)
        return mp__fail(MP_EINVAL, "mp_process_new: the argument of %zu bytes is NULL",
                        options->arg_size);
    if (options->daemon != MP_INHERIT && options->daemon != MP_DAEMON &&
        options->daemon != MP_NOT_DAEMON)
        return mp__fail(MP_EINVAL,
                        "mp_process_new: daemon is %d, not MP_INHERIT, MP_DAEMON or MP_NOT_DAEMON",
                        options->daemon);
    return 0;
}

static int count_connections(const mp_process_options *options, size_t *out) {
    size_t count = 0;
    while (options->connections && options->connections[count])
        count++;
    if (count > CONNECTIONS_MAX)
        return mp__fail(MP_EINVAL,
                        "mp_process_new: %zu connections, but %d can be given to a process", count,
                        CONNECTIONS_MAX);
    *out = count;
    return 0;
}

/* Room for a text: `small` of SMALL bytes when that is enough. malloc would make a page of the
 * parent's its own again after each fork. */
static char *take_room(char *small, size_t room) {
    return room <= SMALL ? small : malloc(room);
}

static void give_room(const char *small, char *text) {
    if (text != small)
        free(text);
}

/* "1:2" for the second child of "1". */
static int set_identity(struct process_shared *process, const struct process_shared *self) {
    const struct mp__bytes *ours = &self->parts[MP__PART_IDENTITY];
    char small[SMALL], *text = take_room(small, ours->size + 24);
    if (!text)
        return -ENOMEM;
    int length = snprintf(text, ours->size + 24, "%s%s%u", atomic_load(&ours->data),
                          ours->size > 0 ? ":" : "", mp__current_count());
    int code = mp__process_set_part(process, MP__PART_IDENTITY, text, (size_t)length);
    give_room(small, text);
    return code;
}

static int set_default_name(struct process_shared *process, const char *prefix) {
    const struct mp__bytes *identity = &process->parts[MP__PART_IDENTITY];
    size_t room = identity->size + 40;
    char small[SMALL], *text = take_room(small, room);
    if (!text)
        return -ENOMEM;
    int length = snprintf(text, room, "%sProcess-%s", prefix, atomic_load(&identity->data));
    int code = mp__process_set_part(process, MP__PART_NAME, text, (size_t)length);
    give_room(small, text);
    return code;
}

static int set_names(struct process_shared *process, const char *prefix, const char *name) {
    const struct process_shared *self = mp__current();
    int code = inherit_part(process, MP__PART_PARENT_NAME, self, MP__PART_NAME);
    if (code == 0 && process->is_hidden)
        code = mp__process_set_part(process, MP__PART_IDENTITY, "", 0);
    else if (code == 0)
        code = set_identity(process, self);
    if (code == 0)
        code = name ? mp__process_set_part(process, MP__PART_NAME, name, strlen(name))
                    : set_default_name(process, prefix);
    return code;
}

static int set_rest(struct process_shared *process, const mp_process_options *options,
                    size_t count) {
    int code = inherit_part(process, MP__PART_AUTHKEY, mp__current(), MP__PART_AUTHKEY);
    if (code == 0)
        code = mp__process_set_part(process, MP__PART_ARG, options->arg, options->arg_size);
    if (code == 0)
        code = mp__process_set_part(process, MP__PART_CONNECTIONS, options->connections,
                                    count * sizeof *options->connections);
    return code;
}

static int fill_object(struct process_shared *process, mp_context *context,
                       const mp_process_options *options, size_t connection_count) {
    const struct process_shared *self = mp__current();
    process->maker = self->member;
    process->maker_pid = atomic_load(&self->pid);
    process->method = mp__context_method(context);
    process->is_daemon =
        options->daemon == MP_INHERIT ? self->is_daemon : options->daemon == MP_DAEMON;
    process->target = options->target;
    if (process->method == MP_THREAD)
        return mp__fail(MP_EINVAL,
                        "mp_process_new: the MP_THREAD context has no processes: it is for "
                        "pools; use MP_FORK, MP_SPAWN or MP_FORKSERVER");
    if (process->method != MP_FORK) {
        int code = mp__function_pack((mp__any_fn)options->target, &process->function);
        if (code < 0)
            return code;
    }
    int code = set_names(process, mp__context_prefix(context), options->name);
    if (code == 0)
        code = set_rest(process, options, connection_count);
    return code < 0 ? mp__fail(code, "mp_process_new: argument of %zu bytes", options->arg_size)
                    : 0;
}

static int make_object(mp_process **out, mp_context *context, const mp_process_options *options,
                       bool is_hidden) {
    static const mp_process_options nothing;
    options = options ? options : &nothing;
    size_t connection_count = 0;
    int code = check_options(out, context, options);
    if (code == 0)
        code = count_connections(options, &connection_count);
    if (code < 0)
        return code;
    if (!mp__self() || !mp__current())
        return -ENOMEM;
    struct process_shared *process = mp__heap_zalloc(sizeof *process);
    if (!process)
        return -ENOMEM;
    MP__POINT("process.new.allocated");
    process->is_hidden = is_hidden;
    code = fill_object(process, context, options, connection_count);
    if (code < 0) {
        mp__process_free_parts(process);
        mp__heap_free(process);
        return code;
    }
    atomic_store(&process->kind, MP__KIND_PROCESS);
    MP__POINT("process.new.filled");
    *out = (mp_process *)process;
    return 0;
}

int mp_process_new(mp_process **out, mp_context *context, const mp_process_options *options) {
    return make_object(out, context, options, false);
}

int mp__process_new_hidden(mp_process **out, mp_context *context,
                           const mp_process_options *options) {
    return make_object(out, context, options, true);
}

int mp_process_run(mp_process *process) {
    int code = check(process, "mp_process_run");
    if (code == 0 && !mp__current_is_handle(process))
        code = check_maker(process, "mp_process_run");
    if (code < 0)
        return code;
    struct process_shared *shared = mp__process_of(process);
    struct mp__bytes *arg = &shared->parts[MP__PART_ARG];
    return shared->target ? shared->target(atomic_load(&arg->data), arg->size) & 0xff : 0;
}

int mp_process_join(mp_process *process, double timeout) {
    mp__time deadline;
    int code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    if (mp__current_is_parent(process))
        return mp__current_join_parent(deadline);
    code = check_started(process, "mp_process_join");
    if (code < 0)
        return code;
    struct process_shared *shared = mp__process_of(process);
    if (atomic_load(&shared->phase) == MP__PROCESS_ENDED)
        return 0;
    code = mp__children_join(shared->child, deadline);
    mp__log_catch_up(); /* what it left was recovered */
    return code;
}

/* To our parent: not ours to signal, as in Python. */
static int send_signal(mp_process *process, int number, const char *function) {
    if (mp__current_is_handle(process))
        return mp__fail(MP_EFOREIGN, "%s: '%s' is no child of this process", function,
                        mp__process_title(mp__process_of(process)));
    int code = check_started(process, function);
    if (code < 0)
        return code;
    struct process_shared *shared = mp__process_of(process);
    if (atomic_load(&shared->phase) == MP__PROCESS_STARTED)
        code = mp__children_signal(shared->child, number);
    return code < 0
               ? mp__fail(code, "%s: '%s'", function, mp__process_title(mp__process_of(process)))
               : 0;
}

int mp_process_terminate(mp_process *process) {
    return send_signal(process, SIGTERM, "mp_process_terminate");
}

int mp_process_kill(mp_process *process) {
    return send_signal(process, SIGKILL, "mp_process_kill");
}

int mp_process_interrupt(mp_process *process) {
    return send_signal(process, SIGINT, "mp_process_interrupt");
}

/* Has it ended? Only for what this process started. */
static bool has_ended(struct process_shared *process) {
    return atomic_load(&process->phase) == MP__PROCESS_ENDED ||
           mp__children_collect(process->child);
}

int mp_process_close(mp_process *process) {
    if (!process || mp__current_is_handle(process))
        return 0;
    int code = check_maker(process, "mp_process_close");
    if (code < 0)
        return code;
    struct process_shared *shared = mp__process_of(process);
    uint32_t phase = atomic_load(&shared->phase);
    if (phase == MP__PROCESS_STARTING || (phase != MP__PROCESS_NEW && !has_ended(shared)))
        return mp__fail(
            MP_EINVAL,
            "mp_process_close: the process '%s' (%d) is still running: join or terminate "
            "it first",
            mp__process_title(mp__process_of(process)), (int)mp_process_pid(process));
    atomic_store(&shared->kind, 0);
    MP__POINT("process.close.marked");
    if (shared->child)
        mp__children_drop(shared->child);
    mp__process_free_parts(shared);
    mp__heap_free(shared);
    return 0;
}

bool mp_process_is_alive(const mp_process *process) {
    if (check(process, "mp_process_is_alive") < 0)
        return false;
    struct process_shared *shared = mp__process_of(process);
    if (mp__current_is_parent(process))
        return mp__current_join_parent(0) == 0 ? false : true;
    if (mp__current_is_handle(process))
        return true;
    if (!is_started(shared))
        return false;
    if (shared->maker == mp__member_self())
        return !has_ended(shared);
    return mp__member_is_alive(atomic_load(&shared->member));
}

int mp_process_exitcode(const mp_process *process, int *code) {
    if (!code)
        return mp__fail(MP_EINVAL, "mp_process_exitcode: code is NULL");
    if (mp__current_is_parent(process))
        return mp__fail(MP_EFOREIGN,
                        "mp_process_exitcode: a parent's code is not for its children");
    int result = check_started(process, "mp_process_exitcode");
    if (result < 0)
        return result;
    struct process_shared *shared = mp__process_of(process);
    if (!has_ended(shared))
        return mp__fail(MP_ESTATE, "mp_process_exitcode: the process '%s' (%d) still runs",
                        mp__process_title(mp__process_of(process)), (int)mp_process_pid(process));
    *code = atomic_load(&shared->code);
    return 0;
}

int mp_process_sentinel(const mp_process *process) {
    if (mp__current_is_parent(process)) {
        int code = mp__current_parent_sentinel();
        return code < 0 ? mp__fail(code, "mp_process_sentinel: of the parent process") : code;
    }
    int code = check_started(process, "mp_process_sentinel");
    return code < 0 ? code : mp__process_of(process)->child->sentinel.fd;
}

pid_t mp_process_pid(const mp_process *process) {
    if (check(process, "mp_process_pid") < 0)
        return 0;
    return (pid_t)atomic_load(&mp__process_of(process)->pid);
}

mp__member_ref mp__process_member(const mp_process *process) {
    return atomic_load(&mp__process_of(process)->member);
}

bool mp_process_daemon(const mp_process *process) {
    return check(process, "mp_process_daemon") == 0 && mp__process_of(process)->is_daemon;
}

int mp_process_set_daemon(mp_process *process, bool daemon) {
    int code = check_maker(process, "mp_process_set_daemon");
    if (code < 0)
        return code;
    struct process_shared *shared = mp__process_of(process);
    if (atomic_load(&shared->phase) != MP__PROCESS_NEW)
        return mp__fail(MP_ESTATE, "mp_process_set_daemon: the process '%s' was started",
                        mp__process_title(mp__process_of(process)));
    shared->is_daemon = daemon;
    return 0;
}

const char *mp_process_name(const mp_process *process) {
    if (check(process, "mp_process_name") < 0)
        return NULL;
    return atomic_load(&mp__process_of(process)->parts[MP__PART_NAME].data);
}

/* Changed by its maker, or by the process itself in its own handle. */
static int check_changeable(const mp_process *process, const char *function) {
    if (process && mp__current_is_handle(process) && !mp__current_is_parent(process))
        return 0;
    if (mp__current_is_parent(process))
        return mp__fail(MP_EFOREIGN, "%s: our parent is not ours to change", function);
    return check_maker(process, function);
}

int mp_process_set_name(mp_process *process, const char *name) {
    if (!name)
        return mp__fail(MP_EINVAL, "mp_process_set_name: the name is NULL");
    int code = check_changeable(process, "mp_process_set_name");
    if (code == 0)
        code = mp__process_set_part(mp__process_of(process), MP__PART_NAME, name, strlen(name));
    if (code == 0 && mp__current_is_handle(process))
        mp__current_label();
    return code;
}

/* How many bytes it has; they are copied when there is room. */
static size_t read_key(const struct process_shared *process, void *key, size_t capacity) {
    const struct mp__bytes *own = &process->parts[MP__PART_AUTHKEY];
    mp__current_lock_parts();
    size_t size = own->size;
    if (size > 0 && size <= capacity)
        memcpy(key, atomic_load(&own->data), size);
    mp__current_unlock_parts();
    return size;
}

int mp_process_authkey(const mp_process *process, void *key, size_t capacity, size_t *size) {
    if (!key && capacity > 0)
        return mp__fail(MP_EINVAL, "mp_process_authkey: room for %zu bytes at NULL", capacity);
    int code = check_changeable(process, "mp_process_authkey");
    if (code < 0)
        return code;
    size_t own_size = read_key(mp__process_of(process), key, capacity);
    if (size)
        *size = own_size;
    if (!key || own_size <= capacity)
        return 0;
    return mp__fail(MP_ETOOSHORT, "mp_process_authkey: room for %zu bytes, the key has %zu",
                    capacity, own_size);
}

int mp_process_set_authkey(mp_process *process, const void *key, size_t size) {
    if (!key && size > 0)
        return mp__fail(MP_EINVAL, "mp_process_set_authkey: the key of %zu bytes is NULL", size);
    int code = check_changeable(process, "mp_process_set_authkey");
    if (code == 0)
        code = mp__process_set_part(mp__process_of(process), MP__PART_AUTHKEY, key, size);
    return code;
}

int mp_active_children(mp_process **out, int capacity) {
    if (capacity < 0 || (capacity > 0 && !out))
        return mp__fail(MP_EINVAL, "mp_active_children: room for %d at %p", capacity, (void *)out);
    return mp__children_list(out, capacity);
}

/* A process that CPython's spawn starts from our program: reads who it is and what to do, does it.
 * SPDX-License-Identifier: MIT
 *
 *     program [flags] -c "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=5,
 *         pipe_handle=7)" --multiprocessing-fork
 *     program --multiprocessing-fork tracker_fd=5 pipe_handle=7
 *
 * Two pickles come over the pipe: what to prepare, and the process object. Its other end stays open
 * as long as the parent lives. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "codec/pickle.h"
#include "mp/collection.h"
#include "mp/process.h"
#include "proc/bootstrap.h"
#include "proc/current.h"
#include "proc/exit.h"
#include "proc/freeze.h"
#include "python/shape.h"
#include "python/target.h"
#include "python/tracker.h"
#include "reg/member.h"

enum { CODE_FAILED = 1 }; /* of a Python process that ends by an exception */

struct source {
    int descriptor;         /* the pipe */
    struct mp__buffer read; /* what has come */
    size_t used;            /* of that, by the pickles up to now */
};

/* Some more, and then all that comes without a pause, so that a long pickle is not tried again
 * after each of its pieces. */
static int read_more(struct source *source) {
    enum { PIECE = 65536, PAUSE_MS = 5 };
    struct pollfd poller = {.fd = source->descriptor, .events = POLLIN};
    size_t before = source->read.size;
    do {
        char piece[PIECE];
        ssize_t got = read(source->descriptor, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return mp__fail(-errno, "reading what the Python process sends");
        if (got == 0 && source->read.size == before)
            return mp__fail(MP_EEOF, "the Python process ended while it started this");
        if (got == 0)
            return 0;
        int code = mp__buffer_put(&source->read, piece, (size_t)got);
        if (code < 0)
            return code;
    } while (poll(&poller, 1, PAUSE_MS) > 0);
    return 0;
}

static int read_object(struct source *source, mp_object **out) {
    int code = source->used < source->read.size ? 0 : read_more(source);
    while (code == 0) {
        size_t taken;
        code = mp__pickle_read(out, source->read.data + source->used,
                               source->read.size - source->used, NULL, &taken);
        if (code == 0) {
            source->used += taken;
            return 0;
        }
        if (code == MP_EEOF)
            code = read_more(source);
    }
    return code;
}

struct order {
    mp_object *preparation; /* a dict */
    mp_object *process;     /* the recipe of the process object */
    mp_object *state;       /* its attributes, a dict; borrowed */
};

static const char *text_of(const mp_object *dict, const char *key) {
    const char *text;
    return mp_str_get(mp_dict_get_text(dict, key), &text, NULL) == 0 ? text : NULL;
}

static int64_t integer_of(const mp_object *dict, const char *key) {
    int64_t value;
    return mp_integer_get(mp_dict_get_text(dict, key), &value) == 0 ? value : 0;
}

static int set_authkey(const mp_object *preparation) {
    const mp_object *key = mp_dict_get_text(preparation, "authkey");
    const void *data;
    size_t size;
    if (!mp__shape_is(key, "multiprocessing.process", "AuthenticationString") ||
        mp_bytes_get(mp_tuple_get(mp__shape_args(key), 0), &data, &size) < 0)
        return 0;
    return mp_process_set_authkey(mp_current_process(), data, size);
}

static void set_log(const mp_object *preparation) {
    int level = (int)integer_of(preparation, "log_level");
    if (level > 0)
        (void)mp_log_set_level(level);
    if (mp_object_is_true(mp_dict_get_text(preparation, "log_to_stderr")))
        (void)mp_log_to_stderr(MP_LOG_NOTSET);
}

static int prepare(const mp_object *preparation) {
    const char *directory = text_of(preparation, "dir");
    int code = set_authkey(preparation);
    if (code < 0)
        return code;
    set_log(preparation);
    if (directory && chdir(directory) < 0)
        return mp__fail(-errno, "the parent's directory '%s'", directory);
    (void)mp_set_start_method(MP_SPAWN, true);
    return 0;
}

/* "1:2" of (1, 2). */
static void print_identity(const mp_object *state, char *out, size_t room) {
    const mp_object *identity = mp_dict_get_text(state, "_identity");
    size_t used = 0;
    out[0] = 0;
    for (size_t i = 0; i < mp_object_length(identity) && used + 24 < room; i++) {
        int64_t number = 0;
        (void)mp_integer_get(mp_tuple_get(identity, (ptrdiff_t)i), &number);
        used += (size_t)snprintf(out + used, room - used, "%s%lld", i > 0 ? ":" : "",
                                 (long long)number);
    }
}

static int become(const struct order *order, int sentinel) {
    char identity[200];
    const char *name = text_of(order->state, "_name"),
               *parent_name = text_of(order->state, "_parent_name");
    const mp_object *config = mp_dict_get_text(order->state, "_config");
    print_identity(order->state, identity, sizeof identity);
    struct mp__stranger parent = {
        .name = name ? name : "Process",
        .identity = identity,
        .is_daemon = mp_object_is_true(mp_dict_get_text(config, "daemon")),
        .parent_name = parent_name ? parent_name : "MainProcess",
        .parent_pid = (pid_t)integer_of(order->state, "_parent_pid"),
        .sentinel = sentinel,
    };
    mp__bootstrap_detach_stdin();
    int code = mp__current_adopt(&parent);
    return code < 0 ? code : prepare(order->preparation);
}

/* "module.name" of the function, or of the process's class when it has no target; "": it is
 * Python's own class, which then does nothing. */
static int name_target(const struct order *order, char *out, size_t room) {
    const mp_object *target = mp_dict_get_text(order->state, "_target");
    mp_object *callable = NULL;
    const char *module = "", *name = "";
    bool is_own_class = mp_object_get_kind(target) == MP_OBJECT_NONE;
    if (is_own_class && mp_call_get(order->process, NULL, &callable, NULL, NULL) == 0)
        target = callable;
    if (mp_global_get(target, &module, &name) < 0) {
        char *text = NULL;
        (void)mp_object_repr(target, &text, NULL);
        int code =
            mp__fail(MP_ETYPE, "the target %.200s is no function with a name", text ? text : "");
        free(text);
        return code;
    }
    bool is_python_s = is_own_class && strncmp(module, "multiprocessing", 15) == 0;
    int length =
        is_python_s ? snprintf(out, room, "%s", "") : snprintf(out, room, "%s.%s", module, name);
    return (size_t)length < room ? 0 : mp__fail(MP_EINVAL, "the target's name is too long");
}

static int call_target(const struct order *order) {
    char name[500];
    int code = name_target(order, name, sizeof name);
    if (code < 0)
        return code;
    const struct python_target *target = mp__target_find(name);
    if (!target && name[0])
        return mp__fail(MP_EKEY,
                        "no C function is registered for the target '%s': call "
                        "mp_python_register(\"%s\", ...) before mp_freeze_support",
                        name, name);
    mp__log(MP_LOG_INFO, "child process calling self.run()");
    code = target ? target->function(mp_dict_get_text(order->state, "_args"),
                                     mp_dict_get_text(order->state, "_kwargs"), target->user)
                  : 0;
    return code & 0xff;
}

static int read_order(struct order *out, int descriptor) {
    struct source source = {.descriptor = descriptor};
    *out = (struct order){0};
    int code = read_object(&source, &out->preparation);
    if (code == 0)
        code = read_object(&source, &out->process);
    mp__buffer_fini(&source.read);
    if (code < 0)
        return code;
    out->state = mp_call_get_state(out->process);
    if (mp_object_get_kind(out->preparation) != MP_OBJECT_DICT ||
        mp_object_get_kind(out->state) != MP_OBJECT_DICT)
        return mp__fail(MP_EPROTO, "the process is not written as CPython 3.8 to 3.14 does");
    return 0;
}

static void end(int code) __attribute__((noreturn));

/* As the children of a family do. */
static void end(int code) {
    mp__log(MP_LOG_INFO, "process exiting with exitcode %d", code);
    mp__exit_run();
    fflush(NULL);
    mp__member_leave();
    _exit(code);
}

static void fail(const struct order *order) __attribute__((noreturn));

/* Where Python prints the traceback. */
static void fail(const struct order *order) {
    char detail[512];
    snprintf(detail, sizeof detail, "%s", mp_error_detail());
    const char *name = text_of(order->state, "_name");
    fprintf(stderr, "Process %s:\nlibmp: %s\n", name ? name : "?", detail);
    end(CODE_FAILED);
}

static void run(int descriptor) {
    struct order order;
    (void)fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    int code = read_order(&order, descriptor);
    if (code == 0)
        code = become(&order, descriptor);
    if (code == 0)
        code = call_target(&order);
    if (code < 0)
        fail(&order);
    mp_object_free(order.preparation);
    mp_object_free(order.process);
    end(code);
}

/* The number after this name in Python's or in a frozen program's words; -1: none. */
static int number_after(const char *text, const char *name) {
    const char *found = strstr(text, name);
    char *last;
    if (!found)
        return -1;
    long number = strtol(found + strlen(name), &last, 10);
    return last > found + strlen(name) && number >= 0 && number < 1 << 20 ? (int)number : -1;
}

static void refuse(const char *command) __attribute__((noreturn));

static void refuse(const char *command) {
    fprintf(stderr,
            "libmp: a program of C cannot run this for Python: %.200s\n"
            "It can be a process of the spawn context; see mp/python.h\n",
            command);
    _exit(CODE_FAILED);
}

static void obey(const char *command) {
    if (strncmp(command, "from multiprocessing.", 21) != 0)
        return;
    int pipe = number_after(command, "pipe_handle="), tracker = number_after(command, ";main(");
    if (strncmp(command + 21, "spawn ", 6) == 0 && pipe >= 0)
        run(pipe);
    if (strncmp(command + 21, "resource_tracker ", 17) == 0 && tracker >= 0)
        _exit(mp__tracker_run(tracker));
    refuse(command);
}

void mp__python_child(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "-c") == 0)
            obey(argv[i + 1]);
    int pipe = -1;
    for (int i = 2; i < argc && strcmp(argv[1], MP__FREEZE_MARK) == 0; i++)
        if (number_after(argv[i], "pipe_handle=") >= 0)
            pipe = number_after(argv[i], "pipe_handle=");
    if (pipe >= 0)
        run(pipe);
}

/* What methods of the server use.
 * SPDX-License-Identifier: MIT */
#include "mgr/call.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "mgr/exception.h"
#include "mgr/session.h"
#include "mp/collection.h"

enum { TEXT_MAX = 400, FIRST_SLICE_MS = 50, LAST_SLICE_MS = 800 };

void *mp__raise_object(struct mp__invocation *call, const char *module, const char *name,
                       mp_object *argument) {
    mp_object_free(call->exception);
    call->exception = mp__exception_new(module, name, argument);
    return NULL;
}

void *mp__raise(struct mp__invocation *call, const char *module, const char *name,
                const char *format, ...) {
    char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    mp_object_free(call->exception);
    call->exception = mp__exception_text(module, name, text);
    return NULL;
}

void *mp__raise_code(struct mp__invocation *call, int code) {
    mp_object_free(call->exception);
    call->exception = mp__exception_from_code(code, mp_error_detail());
    return NULL;
}

mp_object *mp__call_done(struct mp__invocation *call, int code) {
    return code < 0 ? mp__raise_code(call, code) : mp_none_new();
}

/* The next of the names: where it begins; false: no more. */
static bool next_name(const char **names, const char **name, size_t *length, bool *is_needed) {
    *names += strspn(*names, " ");
    *name = *names;
    *length = strcspn(*names, " ");
    *names += *length;
    *is_needed = *length > 0 && (*name)[*length - 1] != '=';
    *length -= *length > 0 && !*is_needed;
    return *length > 0;
}

static const mp_object *find_keyword(const mp_object *kwds, const char *name, size_t length) {
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)length, name);
    return mp_dict_get_text(kwds, text);
}

bool mp__call_bind(struct mp__invocation *call, const char *names, const mp_object **out) {
    size_t given = mp_object_length(call->args), keywords = mp_object_length(call->kwds);
    size_t count = 0, used = 0, length;
    const char *name;
    bool is_needed;
    for (; next_name(&names, &name, &length, &is_needed); count++) {
        const mp_object *keyword = keywords ? find_keyword(call->kwds, name, length) : NULL;
        used += keyword != NULL;
        if (keyword && count < given)
            return mp__raise(call, "builtins", "TypeError",
                             "%s() got multiple values for argument '%.*s'", call->name,
                             (int)length, name);
        out[count] = count < given ? mp_tuple_get(call->args, (ptrdiff_t)count) : keyword;
        if (is_needed && !out[count])
            return mp__raise(call, "builtins", "TypeError",
                             "%s() missing required argument: '%.*s'", call->name, (int)length,
                             name);
    }
    if (given > count)
        return mp__raise(call, "builtins", "TypeError",
                         "%s() takes at most %zu arguments (%zu given)", call->name, count, given);
    if (used < keywords)
        return mp__raise(call, "builtins", "TypeError", "%s() got an unexpected keyword argument",
                         call->name);
    return true;
}

bool mp__call_index(struct mp__invocation *call, const mp_object *object, ptrdiff_t *out) {
    int64_t value;
    mp_object_kind kind = mp_object_get_kind(object);
    if (kind != MP_OBJECT_INT && kind != MP_OBJECT_BOOL)
        return mp__raise(call, "builtins", "TypeError",
                         "'%s' object cannot be interpreted as an integer",
                         mp_object_kind_name(kind));
    if (mp_integer_get(object, &value) < 0)
        return mp__raise(call, "builtins", "IndexError",
                         "cannot fit 'int' into an index-sized integer");
    *out = (ptrdiff_t)value;
    return true;
}

bool mp__call_deadline(struct mp__invocation *call, const mp_object *timeout, mp__time *out) {
    double seconds;
    *out = MP__NEVER;
    if (!timeout || mp_object_get_kind(timeout) == MP_OBJECT_NONE)
        return true;
    if (mp_float_get(timeout, &seconds) < 0)
        return mp__raise(call, "builtins", "TypeError", "'%s' object cannot be a timeout",
                         mp_object_kind_name(mp_object_get_kind(timeout)));
    if (mp__deadline(out, seconds) < 0)
        return mp__raise_code(call, MP_EINVAL);
    return true;
}

bool mp__call_bind_timeout(struct mp__invocation *call, mp__time *deadline) {
    const mp_object *timeout;
    return mp__call_bind(call, "timeout=", &timeout) && mp__call_deadline(call, timeout, deadline);
}

void mp__condition_init(pthread_cond_t *condition) {
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(condition, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

/* A client that waits says nothing, so what can be read is its end. */
static bool has_gone(int socket) {
    char byte;
    ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
        return true;
    struct pollfd entry = {.fd = socket};
    return poll(&entry, 1, 0) > 0 && (entry.revents & (POLLHUP | POLLERR | POLLNVAL));
}

bool mp__call_is_over(struct mp__invocation *call) {
    call->is_over =
        call->is_over || atomic_load(&call->server->is_stopping) || has_gone(call->session->socket);
    return call->is_over;
}

/* Nobody tells that a client has gone; whoever waits for it looks from time to time. */
int mp__call_wait(struct mp__invocation *call, pthread_cond_t *condition, mp__time deadline) {
    struct mp__session *session = call->session;
    mp__time now = mp__now();
    if (deadline != MP__NEVER && now >= deadline)
        return MP_ETIMEDOUT;
    if (atomic_load(&call->server->is_stopping))
        return mp__call_is_over(call) ? MP_EEOF : 0;
    if (session->slice_ms == 0)
        session->slice_ms = FIRST_SLICE_MS;
    mp__time until = now + session->slice_ms * (MP__SECOND / 1000);
    bool is_slice = until < deadline;
    until = is_slice ? until : deadline;
    struct timespec limit = {.tv_sec = (time_t)(until / MP__SECOND),
                             .tv_nsec = (long)(until % MP__SECOND)};
    session->waiting_on = condition;
    int error = pthread_cond_timedwait(condition, &call->server->mutex, &limit);
    session->waiting_on = NULL;
    if (error == ETIMEDOUT && is_slice && session->slice_ms < LAST_SLICE_MS)
        session->slice_ms *= 2;
    return mp__call_is_over(call) ? MP_EEOF : 0;
}

int mp__call_wait_outside(struct mp__invocation *call, int (*wait)(void *arg, double timeout),
                          void *arg, mp__time deadline) {
    unsigned slice_ms = FIRST_SLICE_MS;
    for (;;) {
        mp__time now = mp__now();
        double seconds = slice_ms / 1000.0;
        if (deadline != MP__NEVER && (double)(deadline - now) / (double)MP__SECOND < seconds)
            seconds = (double)(deadline - now) / (double)MP__SECOND;
        mp__server_unlock(call->server);
        int code = wait(arg, seconds);
        mp__server_lock(call->server);
        if (mp__call_is_over(call))
            return MP_EEOF;
        if (code != MP_ETIMEDOUT || mp__now() >= deadline)
            return code;
        slice_ms = slice_ms < LAST_SLICE_MS ? 2 * slice_ms : slice_ms;
    }
}

const struct mp__method *mp__class_method(const struct mp__class *class_, const char *name) {
    for (size_t i = 0; i < class_->method_count; i++)
        if (strcmp(class_->methods[i].name, name) == 0)
            return &class_->methods[i];
    return NULL;
}

void mp__call_undo(struct mp__invocation *call, void (*undo)(struct mp__invocation *call),
                   mp_object *object) {
    mp__referent_hold(call->server, call->referent);
    call->undo = undo;
    call->undo_referent = call->referent;
    call->undo_object = object;
}

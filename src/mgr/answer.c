/* From a request to its reply.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/pickle.h"
#include "mgr/exception.h"
#include "mgr/nested.h"
#include "mgr/session.h"
#include "mp/collection.h"

static mp_object *traceback(const char *name, const mp_object *exception) {
    struct mp__buffer text = {0};
    char head[160];
    snprintf(head, sizeof head, "Traceback (most recent call last):\n  File \"libmp\", in %.80s\n",
             name);
    int code = mp__buffer_put_text(&text, head);
    if (code == 0)
        code = mp__exception_print(&text, exception);
    if (code == 0)
        code = mp__buffer_put_text(&text, "\n");
    mp_object *object = code == 0 ? mp_str_new_sized((const char *)text.data, text.size) : NULL;
    mp__buffer_fini(&text);
    return object;
}

/* str(object), repr(object) and the object itself, which every class has without exposing them. */
static mp_object *fallback(struct mp__invocation *call) {
    const struct mp__class *class_ = call->class_;
    if (strcmp(call->name, "__str__") == 0 || strcmp(call->name, "__repr__") == 0)
        return class_->repr(call);
    if (strcmp(call->name, "#GETVALUE") == 0 && class_->value)
        return class_->value(call);
    call->is_rejected = true;
    return mp__raise(call, "builtins", "AttributeError",
                     "method '%.80s' of '%s' object is not exposed", call->name,
                     call->referent->type_id);
}

static mp_object *call_object(struct mp__invocation *call, const char *ident) {
    struct mp__referent *referent = mp__referent_find(call->server, ident);
    if (!referent) {
        call->is_rejected = true;
        return mp__raise_object(call, "builtins", "KeyError", mp_str_new(ident));
    }
    mp__referent_hold(call->server, referent);
    call->referent = referent;
    call->class_ = referent->class_;
    if (call->class_ == &mp__user_class)
        return mp__user_method(call);
    const struct mp__method *method = mp__class_method(call->class_, call->name);
    return method ? method->function(call) : fallback(call);
}

/* The object stays, and the client gets a reference. */
static mp_object *proxy_payload(struct mp__invocation *call) {
    char ident[MP__IDENT_MAX];
    struct mp__referent *made = call->made;
    mp__referent_ident(made, ident);
    if (mp__referent_incref(call->server, made, mp__session_owner(call->session)) < 0)
        return NULL;
    mp_object *token = mp__token_new(made->type_id, mp_object_ref(call->server->address), ident);
    return mp_object_build("(NN)", mp__exposed(made), token);
}

static void note_proxy(const mp_object *object, const struct mp__proxy_form *form, void *arg) {
    struct mp__invocation *call = arg;
    struct mp__referent *referent = mp__server_own(call->server, &form->token);
    (void)object;
    if (referent)
        mp__referent_nest(call->server, referent);
    else if (mp__server_is_own(call->server, &form->token) && !call->exception)
        mp__raise_object(call, "builtins", "KeyError", mp_str_new(form->token.ident));
}

/* Proxies of ours in the arguments: what they stand for may stay in here. */
static bool note_proxies(struct mp__invocation *call, const mp_object *request) {
    int code = mp__proxies_visit(request, note_proxy, call);
    if (code < 0)
        mp__raise_code(call, code);
    call->is_rejected = call->exception != NULL;
    return !call->exception;
}

static mp_object *run(struct mp__invocation *call, const mp_object *request, bool has_proxies) {
    struct mp__request parts;
    if (mp__request_take(&parts, request) < 0) {
        call->is_rejected = true;
        return mp__raise(call, "builtins", "ValueError", "%s", mp_error_detail());
    }
    call->name = parts.method;
    call->args = parts.args;
    call->kwds = parts.kwds;
    if (has_proxies && !note_proxies(call, request))
        return NULL;
    call->is_rejected = !parts.ident;
    return parts.ident ? call_object(call, parts.ident) : mp__dispatch(call);
}

/* NULL: -ENOMEM. */
static mp_object *make_reply(struct mp__invocation *call, mp_object *result) {
    if (result && call->made) {
        mp_object_free(result);
        return mp__reply_new(MP__REPLY_PROXY, proxy_payload(call));
    }
    if (result)
        return mp__reply_new(MP__REPLY_RETURN, result);
    if (!call->exception)
        mp__raise_code(call, -ENOMEM);
    if (call->is_rejected)
        return mp__reply_new(MP__REPLY_TRACEBACK, traceback(call->name, call->exception));
    return mp__reply_new(MP__REPLY_ERROR, mp_object_ref(call->exception));
}

static int write_reply(struct mp__session *session, mp_object *reply) {
    session->buffer.size = 0;
    int code = reply ? mp__pickle_write(&session->buffer, reply, MP_PICKLE_DEFAULT) : -ENOMEM;
    mp_object_free(reply);
    return code;
}

static int write_failure(struct mp__session *session, enum mp__reply_kind kind, const char *text) {
    return write_reply(session, mp__reply_new(kind, mp_str_new(text)));
}

int mp__answer_failure(struct mp__session *session, int code) {
    char text[600];
    snprintf(text, sizeof text, "Traceback (most recent call last):\n  File \"libmp\"\n%s: %s\n",
             mp_error_exception(code)[0] ? mp_error_exception(code) : "RuntimeError",
             mp_error_detail());
    return write_failure(session, MP__REPLY_TRACEBACK, text);
}

/* All that touches objects which others may have, too. */
static int answer_locked(struct mp__invocation *call, const mp_object *request, bool has_proxies) {
    call->name = "?";
    mp_object *result = run(call, request, has_proxies);
    if (call->is_over && !result)
        return MP_EEOF;
    int code = write_reply(call->session, make_reply(call, result));
    if (code < 0)
        code = write_failure(call->session, MP__REPLY_UNSERIALIZABLE, mp_error_detail());
    return code;
}

static void end_locked(struct mp__invocation *call) {
    mp__referent_leave(call->server, &call->made);
    mp__referent_leave(call->server, &call->referent);
    mp_object_free(call->exception);
    call->exception = NULL;
}

int mp__answer(struct mp__invocation *call, const void *data, size_t size) {
    static const mp_load_limits limits = {.depth = MP__MANAGER_DEPTH_MAX};
    mp_object *request;
    int code = mp_object_loads_limited(&request, data, size, &limits);
    if (code < 0)
        return mp__answer_failure(call->session, code);
    bool has_proxies = memmem(data, size, "RebuildProxy", strlen("RebuildProxy")) != NULL;
    mp__server_lock(call->server);
    code = answer_locked(call, request, has_proxies);
    end_locked(call);
    mp_object_free(request);
    mp__server_unlock(call->server);
    if (call->guard)
        pthread_mutex_unlock(call->guard);
    return code;
}

void mp__answer_end(struct mp__invocation *call, bool was_sent) {
    if (!call->undo)
        return;
    mp__server_lock(call->server);
    if (!was_sent)
        call->undo(call);
    mp__referent_unhold(call->server, call->undo_referent);
    mp_object_free(call->undo_object);
    mp__server_unlock(call->server);
}

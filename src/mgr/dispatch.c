/* Requests for the server itself.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/session.h"
#include "codec/text.h"
#include "mp/collection.h"

enum { DEBUG_TEXT_MAX = 75 };

mp_object *mp__exposed(const struct mp__referent *referent) {
    const char *names = referent->class_->exposed;
    mp_object *list = names ? mp_list_new() : NULL;
    int code = list ? 0 : -ENOMEM;
    if (!names)
        return mp__user_exposed(referent);
    while (code == 0 && *names) {
        size_t length = strcspn(names, " ");
        code = mp_list_append(list, mp_str_new_sized(names, length));
        names += length + (names[length] == ' ');
    }
    mp_object *tuple = code == 0 ? mp_tuple_copy(list) : NULL;
    mp_object_free(list);
    return tuple;
}

static struct mp__referent *make_referent(struct mp__invocation *call, const char *type_id) {
    const struct mp__registered *registered = call->registered;
    call->class_ = registered && !registered->type.like
                       ? &mp__user_class
                       : mp__class_find(registered ? registered->type.like : type_id);
    if (!call->class_ || !call->class_->create)
        return mp__raise_object(call, "builtins", "KeyError", mp_str_new(type_id));
    struct mp__referent *referent = call->class_->create(call);
    if (referent)
        referent->type_id = registered ? registered->name : call->class_->name;
    return referent;
}

static struct mp__single *find_single(const struct mp__server *server,
                                      const struct mp__registered *registered) {
    struct mp__single *single = server->singles;
    while (single && single->registered != registered)
        single = single->next;
    return single;
}

/* Making it may release the mutex: somebody else may have made it meanwhile. */
static struct mp__single *make_single(struct mp__invocation *call) {
    struct mp__server *server = call->server;
    const struct mp__registered *registered = call->registered;
    struct mp__referent *made = make_referent(call, registered->name);
    struct mp__single *single = made ? find_single(server, registered) : NULL;
    if (!made)
        return NULL;
    if (!single) {
        single = calloc(1, sizeof *single);
        if (single) {
            *single = (struct mp__single){server->singles, registered, made};
            server->singles = single;
            return single;
        }
    }
    mp__referent_unhold(server, made);
    return single;
}

static struct mp__referent *take_single(struct mp__invocation *call) {
    struct mp__single *single = find_single(call->server, call->registered);
    if (!single)
        single = make_single(call);
    if (single)
        mp__referent_hold(call->server, single->referent);
    return single ? single->referent : NULL;
}

struct mp__referent *mp__create(struct mp__invocation *call, const char *type_id) {
    call->registered = mp__registry_find(call->server->registry, type_id);
    bool is_single = call->registered && call->registered->type.is_single;
    return is_single ? take_single(call) : make_referent(call, type_id);
}

/* The first argument as a text; NULL: raised. */
static const char *text_argument(struct mp__invocation *call, const mp_object *argument) {
    const char *text;
    if (mp_str_get(argument, &text, NULL) < 0)
        return mp__raise(call, "builtins", "TypeError", "%s() takes a str", call->name);
    return text;
}

/* What create answers: the ident and the methods' names, and a reference is taken. */
static mp_object *create(struct mp__invocation *call) {
    char ident[MP__IDENT_MAX];
    const char *type_id = mp_object_length(call->args) > 0
                              ? text_argument(call, mp_tuple_get(call->args, 0))
                              : mp__raise(call, "builtins", "TypeError", "create() needs a typeid");
    if (!type_id)
        return NULL;
    mp_object *rest = mp_list_slice(call->args, (mp_slice){1, MP_SLICE_NONE, MP_SLICE_NONE});
    if (!rest)
        return NULL;
    call->args = rest;
    call->name = type_id;
    struct mp__referent *referent = mp__create(call, type_id);
    call->name = "create";
    mp_object_free(rest);
    if (!referent)
        return NULL;
    int code = mp__referent_incref(call->server, referent, mp__session_owner(call->session));
    mp_object *result = NULL;
    mp__referent_ident(referent, ident);
    if (code == 0)
        result = mp_object_build("(sN)", ident, mp__exposed(referent));
    mp__referent_unhold(call->server, referent);
    return result;
}

static struct mp__referent *named_referent(struct mp__invocation *call) {
    const mp_object *argument;
    if (!mp__call_bind(call, "ident", &argument))
        return NULL;
    const char *ident = text_argument(call, argument);
    struct mp__referent *referent = ident ? mp__referent_find(call->server, ident) : NULL;
    if (ident && !referent)
        mp__raise_object(call, "builtins", "KeyError", mp_str_new(ident));
    return referent;
}

static mp_object *incref(struct mp__invocation *call) {
    struct mp__referent *referent = named_referent(call);
    return referent ? mp__call_done(call, mp__referent_incref(call->server, referent,
                                                              mp__session_owner(call->session)))
                    : NULL;
}

/* Of one that only other objects refer to it is not an error, as with CPython. */
static mp_object *decref(struct mp__invocation *call) {
    struct mp__referent *referent = named_referent(call);
    if (!referent)
        return NULL;
    if (referent->count == 0 && referent->is_nested)
        return mp_none_new();
    return mp__call_done(
        call, mp__referent_decref(call->server, referent, mp__session_owner(call->session)));
}

static mp_object *get_methods(struct mp__invocation *call) {
    const mp_object *argument;
    struct mp__token token;
    if (!mp__call_bind(call, "token", &argument))
        return NULL;
    if (mp__token_take(&token, argument) < 0)
        return mp__raise_code(call, MP_ETYPE);
    struct mp__referent *referent = mp__referent_find(call->server, token.ident);
    return referent ? mp__exposed(referent)
                    : mp__raise_object(call, "builtins", "KeyError", mp_str_new(token.ident));
}

static mp_object *dummy(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_none_new() : NULL;
}

static mp_object *number_of_objects(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? mp_integer_new_unsigned(call->server->referents.counted)
                                    : NULL;
}

static int compare_numbers(const void *a, const void *b) {
    const struct mp__referent *x = *(struct mp__referent *const *)a;
    const struct mp__referent *y = *(struct mp__referent *const *)b;
    return (x->number > y->number) - (x->number < y->number);
}

/* Those that clients refer to, sorted; from malloc. */
static struct mp__referent **list_counted(const struct mp__referents *table, size_t *count) {
    struct mp__referent **list = malloc((table->counted + 1) * sizeof *list);
    *count = 0;
    for (size_t i = 0; list && i < table->bucket_count; i++)
        for (struct mp__referent *referent = table->buckets[i]; referent; referent = referent->next)
            if (referent->count > 0)
                list[(*count)++] = referent;
    if (list)
        qsort(list, *count, sizeof *list, compare_numbers);
    return list;
}

/* The first characters of str(object). */
static int print_referent(struct mp__invocation *call, struct mp__referent *referent,
                          struct mp__buffer *text) {
    char head[80], ident[MP__IDENT_MAX];
    const char *words;
    mp__referent_ident(referent, ident);
    snprintf(head, sizeof head, "%s  %s:       refcount=%llu\n    ", text->size > 0 ? "\n" : "",
             ident, (unsigned long long)referent->count);
    call->referent = referent;
    mp_object *repr = referent->class_->repr(call);
    call->referent = NULL;
    int code = mp__buffer_put_text(text, head);
    if (code == 0 && repr && mp_str_get(repr, &words, &(size_t){0}) == 0) {
        const uint8_t *end = (const uint8_t *)words;
        for (int i = 0; i < DEBUG_TEXT_MAX && *end; i++)
            (void)mp__utf8_next(&end);
        code = mp__buffer_put(text, words, (size_t)(end - (const uint8_t *)words));
    }
    mp_object_free(repr);
    return code;
}

static mp_object *debug_info(struct mp__invocation *call) {
    struct mp__buffer text = {0};
    size_t count;
    struct mp__referent **list = list_counted(&call->server->referents, &count);
    int code = list ? 0 : -ENOMEM;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = print_referent(call, list[i], &text);
    mp_object *result =
        code == 0 ? mp_str_new_sized(text.data ? (const char *)text.data : "", text.size) : NULL;
    free(list);
    mp__buffer_fini(&text);
    return result;
}

/* The connection becomes one for calls; its client may say who it is. */
static mp_object *accept_connection(struct mp__invocation *call) {
    const mp_object *argument;
    struct mp__session *session = call->session;
    if (!mp__call_bind(call, "name", &argument))
        return NULL;
    const char *name = text_argument(call, argument);
    const char *mark = name ? strstr(name, MP__CLIENT_MARK) : NULL;
    if (!name)
        return NULL;
    if (mark && !session->is_channel) {
        struct mp__owner *owner = mp__owner_of_client(call->server, mark + strlen(MP__CLIENT_MARK));
        if (!owner)
            return NULL;
        mp__session_own(session, owner);
        session->has_id = true;
    }
    session->is_channel = true;
    return session->has_id ? mp_str_new(MP__MANAGER_GREETING) : mp_none_new();
}

/* The client hears of it twice, as CPython's server has it. */
static mp_object *shut_down(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    call->session->ends_server = true;
    return mp_none_new();
}

static const struct mp__method functions[] = {
    {"create", create},
    {"incref", incref},
    {"decref", decref},
    {"accept_connection", accept_connection},
    {"dummy", dummy},
    {"get_methods", get_methods},
    {"number_of_objects", number_of_objects},
    {"debug_info", debug_info},
    {"shutdown", shut_down},
};

mp_object *mp__dispatch(struct mp__invocation *call) {
    bool is_allowed = !call->session->is_channel || call->session->has_id;
    for (size_t i = 0; is_allowed && i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(call->name, functions[i].name) == 0)
            return functions[i].function(call);
    if (!is_allowed)
        return mp__raise_object(call, "builtins", "KeyError", mp_none_new());
    return mp__raise(call, "builtins", "AssertionError", "'%.80s' unrecognized", call->name);
}

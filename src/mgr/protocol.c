/* Requests, replies, tokens and proxies as CPython's managers write them.
 * SPDX-License-Identifier: MIT */
#include "mgr/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/repr.h"
#include "codec/text.h"
#include "mgr/exception.h"
#include "mp/collection.h"
#include "mp/pickle.h"

#define MANAGERS "multiprocessing.managers"

static bool is_kind(const mp_object *object, mp_object_kind kind) {
    return mp_object_get_kind(object) == kind;
}

/* A str without a NUL in it; NULL: it is none. */
static const char *text_of(const mp_object *object) {
    const char *text;
    size_t size;
    bool is_text = is_kind(object, MP_OBJECT_STR) && mp_str_get(object, &text, &size) == 0 &&
                   strlen(text) == size;
    return is_text ? text : NULL;
}

mp_object *mp__request_new(const char *ident, const char *method, mp_object *args,
                           mp_object *kwds) {
    mp_object *parts[] = {ident ? mp_str_new(ident) : mp_none_new(), mp_str_new(method),
                          args ? args : mp_tuple_new(NULL, 0), kwds ? kwds : mp_dict_new()};
    return mp_tuple_new(parts, 4);
}

static bool has_texts_for_keys(const mp_object *dict) {
    mp_object *key;
    for (size_t cursor = 0; mp_dict_next(dict, &cursor, &key, NULL);)
        if (!text_of(key))
            return false;
    return true;
}

int mp__request_take(struct mp__request *out, const mp_object *object) {
    bool is_request = is_kind(object, MP_OBJECT_TUPLE) && mp_object_length(object) == 4;
    if (!is_request)
        return mp__fail(MP_EPROTO, "a request is a tuple of 4, not a %s of %zu",
                        mp_object_kind_name(mp_object_get_kind(object)), mp_object_length(object));
    const mp_object *ident = mp_tuple_get(object, 0);
    struct mp__request request = {.ident = text_of(ident),
                                  .method = text_of(mp_tuple_get(object, 1)),
                                  .args = mp_tuple_get(object, 2),
                                  .kwds = mp_tuple_get(object, 3)};
    if ((!request.ident && !is_kind(ident, MP_OBJECT_NONE)) || !request.method ||
        !is_kind(request.args, MP_OBJECT_TUPLE) || !is_kind(request.kwds, MP_OBJECT_DICT) ||
        !has_texts_for_keys(request.kwds))
        return mp__fail(MP_EPROTO, "a request is (ident or None, method, args, kwds)");
    *out = request;
    return 0;
}

static const char *const reply_names[MP__REPLY_COUNT] = {"#RETURN", "#ERROR", "#PROXY",
                                                         "#TRACEBACK", "#UNSERIALIZABLE"};

mp_object *mp__reply_new(enum mp__reply_kind kind, mp_object *payload) {
    mp_object *parts[] = {mp_str_new(reply_names[kind]), payload};
    return mp_tuple_new(parts, 2);
}

int mp__reply_take(enum mp__reply_kind *kind, const mp_object **payload, const mp_object *object) {
    bool is_reply = is_kind(object, MP_OBJECT_TUPLE) && mp_object_length(object) == 2;
    const char *name = is_reply ? text_of(mp_tuple_get(object, 0)) : NULL;
    for (int i = 0; name && i < MP__REPLY_COUNT; i++)
        if (strcmp(name, reply_names[i]) == 0) {
            *kind = (enum mp__reply_kind)i;
            *payload = mp_tuple_get(object, 1);
            return 0;
        }
    return mp__fail(MP_EPROTO, "a reply is (kind, payload) with a known kind, not '%.40s'",
                    name ? name : "?");
}

/* The last lines of a traceback say most. */
static const char *tail_of(const char *text) {
    enum { TAIL_BYTES = 450 };
    size_t size = strlen(text);
    const char *tail = size > TAIL_BYTES ? strchr(text + size - TAIL_BYTES, '\n') : NULL;
    return tail && tail[1] ? tail + 1 : text;
}

int mp__reply_fail(enum mp__reply_kind kind, const mp_object *payload) {
    const char *text = text_of(payload);
    if (kind == MP__REPLY_ERROR)
        return mp__exception_code(payload);
    if (kind == MP__REPLY_UNSERIALIZABLE)
        return mp__fail(MP_EREMOTE, "unserializable message: %s", text ? tail_of(text) : "?");
    return mp__fail(MP_EREMOTE, "%s", text ? tail_of(text) : "the server failed and says not why");
}

mp_object *mp__token_new(const char *type_id, mp_object *address, const char *ident) {
    mp_object *parts[] = {mp_str_new(type_id), address, mp_str_new(ident)};
    mp_object *state = mp_tuple_new(parts, 3);
    mp_object *token =
        mp_call_new(MP_CALL_NEWOBJ, mp_global_new(MANAGERS, "Token"), mp_tuple_new(NULL, 0), NULL);
    if (!state || !token || mp_call_add(token, MP_CALL_BUILD, NULL, mp_object_ref(state)) < 0) {
        mp_object_free(token);
        token = NULL;
    }
    mp_object_free(state);
    return token;
}

static bool is_call_of(const mp_object *object, const char *name, mp_object **args) {
    mp_object *callable;
    return is_kind(object, MP_OBJECT_CALL) &&
           mp_call_get(object, NULL, &callable, args, NULL) == 0 &&
           mp_global_is(callable, MANAGERS, name);
}

int mp__token_take(struct mp__token *out, const mp_object *object) {
    mp_object *args;
    const mp_object *state = is_call_of(object, "Token", &args) ? mp_call_get_state(object) : NULL;
    if (!is_kind(state, MP_OBJECT_TUPLE) || mp_object_length(state) != 3)
        return mp__fail(MP_EPROTO, "a token is Token(type_id, address, ident)");
    struct mp__token token = {text_of(mp_tuple_get(state, 0)), mp_tuple_get(state, 1),
                              text_of(mp_tuple_get(state, 2))};
    if (!token.type_id || !token.ident)
        return mp__fail(MP_EPROTO, "a token's type_id and ident are strs");
    *out = token;
    return 0;
}

static mp_object *exposed_dict(mp_object *exposed) {
    mp_object *dict = mp_dict_new();
    if (!exposed)
        return dict;
    if (dict && mp_dict_set_text(dict, "exposed", mp_object_ref(exposed)) < 0) {
        mp_object_free(dict);
        dict = NULL;
    }
    mp_object_free(exposed);
    return dict;
}

mp_object *mp__proxy_form_new(const char *class_name, mp_object *token, mp_object *exposed) {
    mp_object *parts[] = {mp_global_new(MANAGERS, class_name), token, mp_str_new("pickle"),
                          exposed_dict(exposed)};
    return mp_call_new(MP_CALL_REDUCE, mp_global_new(MANAGERS, "RebuildProxy"),
                       mp_tuple_new(parts, 4), NULL);
}

static bool is_names(const mp_object *object) {
    bool is_sequence = is_kind(object, MP_OBJECT_TUPLE) || is_kind(object, MP_OBJECT_LIST);
    for (size_t i = 0; is_sequence && i < mp_object_length(object); i++)
        is_sequence = text_of(mp_list_get(object, (ptrdiff_t)i)) != NULL;
    return is_sequence;
}

/* AuthenticationString(bytes); NULL: none of that. */
static const mp_object *key_of(const mp_object *object) {
    mp_object *callable, *args;
    bool is_key = is_kind(object, MP_OBJECT_CALL) &&
                  mp_call_get(object, NULL, &callable, &args, NULL) == 0 &&
                  mp_global_is(callable, "multiprocessing.process", "AuthenticationString");
    const mp_object *bytes = is_key ? mp_tuple_get(args, 0) : NULL;
    return is_kind(bytes, MP_OBJECT_BYTES) ? bytes : NULL;
}

int mp__proxy_form_take(struct mp__proxy_form *out, const mp_object *object) {
    mp_object *args;
    const char *module;
    if (!is_call_of(object, "RebuildProxy", &args))
        return 0;
    if (mp_object_length(args) != 4 || !is_kind(mp_tuple_get(args, 3), MP_OBJECT_DICT))
        return mp__fail(MP_EPROTO, "a proxy is RebuildProxy(class, token, serializer, kwds)");
    const mp_object *kwds = mp_tuple_get(args, 3);
    struct mp__proxy_form form = {.class_global = mp_tuple_get(args, 0),
                                  .token_object = mp_tuple_get(args, 1),
                                  .exposed = mp_dict_get_text(kwds, "exposed"),
                                  .authkey = key_of(mp_dict_get_text(kwds, "authkey"))};
    int code = mp__token_take(&form.token, form.token_object);
    if (code < 0)
        return code;
    if (!is_kind(form.class_global, MP_OBJECT_GLOBAL) ||
        mp_global_get(form.class_global, &module, &form.class_name) < 0)
        return mp__fail(MP_EPROTO, "a proxy's class is a global");
    if (strcmp(module, MANAGERS) != 0)
        form.class_name = "?";
    if (is_kind(form.exposed, MP_OBJECT_NONE))
        form.exposed = NULL;
    if (form.exposed && !is_names(form.exposed))
        return mp__fail(MP_EPROTO, "what a proxy exposes are names");
    *out = form;
    return 1;
}

/* A class goes by its last name; the classes of AutoProxies are made up. */
int mp__proxy_print(struct mp__buffer *text, const char *class_name, const char *type_id,
                    uint64_t at) {
    char tail[40];
    const char *dot = strrchr(class_name, '.');
    bool is_auto = strcmp(class_name, "AutoProxy") == 0;
    const char *const parts[] = {"<",
                                 dot ? dot + 1 : class_name,
                                 is_auto ? "[" : "",
                                 is_auto ? type_id : "",
                                 is_auto ? "]" : "",
                                 " object, typeid "};
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof parts / sizeof parts[0]; i++)
        code = mp__buffer_put_text(text, parts[i]);
    if (code == 0)
        code = mp__quote_str(text, type_id, strlen(type_id));
    snprintf(tail, sizeof tail, " at %#llx>", (unsigned long long)at);
    return code < 0 ? code : mp__buffer_put_text(text, tail);
}

static int print_call(struct mp__buffer *text, const mp_object *call) {
    struct mp__proxy_form form;
    const char *name;
    if (mp__proxy_form_take(&form, call) <= 0 || mp_global_get(form.class_global, NULL, &name) < 0)
        return 0;
    int code =
        mp__proxy_print(text, name, form.token.type_id, strtoull(form.token.ident, NULL, 16));
    return code < 0 ? code : 1;
}

int mp__proxies_print(struct mp__buffer *text, const mp_object *object, size_t limit) {
    return mp__object_print(text, object, limit, print_call);
}

static mp_object *tcp_object(const char *text) {
    char host[256];
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (!colon || length >= sizeof host)
        return NULL;
    bool has_brackets = length > 1 && text[0] == '[' && text[length - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(length - 2 * has_brackets), text + has_brackets);
    return mp_object_build("(si)", host, atoi(colon + 1));
}

mp_object *mp__address_object(const char *text) {
    if (strncmp(text, "tcp://", 6) == 0)
        return tcp_object(text + 6);
    if (strncmp(text, "unix:", 5) == 0)
        return mp_str_new(text + 5);
    if (strncmp(text, "abstract:", 9) != 0)
        return NULL;
    char name[128] = "";
    int length = snprintf(name + 1, sizeof name - 1, "%s", text + 9);
    return mp_bytes_new(name, (size_t)length + 1);
}

static int tcp_text(char *out, size_t capacity, const mp_object *address) {
    int64_t port;
    const char *host = mp_object_length(address) == 2 ? text_of(mp_tuple_get(address, 0)) : NULL;
    if (!host || mp_integer_get(mp_tuple_get(address, 1), &port) < 0 || port < 0 || port > 65535)
        return mp__fail(MP_EPROTO, "a TCP address is (host, port)");
    const char *format = strchr(host, ':') ? "tcp://[%s]:%d" : "tcp://%s:%d";
    int length = snprintf(out, capacity, format, host, (int)port);
    return (size_t)length < capacity ? 0 : mp__fail(MP_ETOOSHORT, "the address is too long");
}

/* Bytes have no NUL behind them. */
static int unix_text(char *out, size_t capacity, const char *name, size_t size) {
    bool is_abstract = size > 0 && name[0] == '\0';
    if (size <= is_abstract || memchr(name + is_abstract, '\0', size - is_abstract))
        return mp__fail(MP_EPROTO, "a Unix socket's name is not empty and has no NUL in it");
    if (size >= capacity)
        return mp__fail(MP_ETOOSHORT, "the address is too long");
    int length =
        snprintf(out, capacity, "%s%.*s",
                 is_abstract ? "abstract:" : "unix:", (int)size - is_abstract, name + is_abstract);
    return (size_t)length < capacity ? 0 : mp__fail(MP_ETOOSHORT, "the address is too long");
}

int mp__address_text(char *out, size_t capacity, const mp_object *address) {
    const char *text;
    const void *data;
    size_t size;
    switch (mp_object_get_kind(address)) {
    case MP_OBJECT_TUPLE:
        return tcp_text(out, capacity, address);
    case MP_OBJECT_STR:
        (void)mp_str_get(address, &text, &size);
        return unix_text(out, capacity, text, size);
    case MP_OBJECT_BYTES:
        (void)mp_bytes_get(address, &data, &size);
        return unix_text(out, capacity, data, size);
    default:
        return mp__fail(MP_EPROTO, "an address is (host, port) or a str, not a %s",
                        mp_object_kind_name(mp_object_get_kind(address)));
    }
}

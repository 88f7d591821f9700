/* What a manager and its clients say to each other, put together and taken apart.
 * SPDX-License-Identifier: MIT
 *
 *     request := (ident or None, method, args, kwds)     reply := (kind, payload)
 *     token   := Token(type_id, address, ident)
 *     proxy   := RebuildProxy(class, token, 'pickle', kwds)
 *
 * A connection sends one request without an ident, for the server itself: dummy, create, incref
 * and so on. After accept_connection(name) it sends requests for objects, one after the other.
 *
 * Two additions of ours, which CPython's server bears:
 * - The name may end in "|libmp:" and a random id of the client process. All connections with that
 *   id count as one client: references that are taken over any of them, also by #PROXY replies, are
 *   the client's, and are given back when the last of these connections ends, however that comes.
 *   The answer to accept_connection is then MP__MANAGER_GREETING instead of None, which tells the
 *   client what the server is.
 * - Such a connection may send requests without an ident, too (CPython's server then says
 *   #TRACEBACK, KeyError: None): create, incref and decref need no connections of their own.
 *
 * Functions that make objects take over the objects they are given, also on failure, and give NULL
 * when memory is short or a part is NULL. Functions that take apart hand out borrowed parts, good
 * while the whole is held; they write nothing on failure, which is MP_EPROTO with its detail. */
#ifndef MP__MGR_PROTOCOL_H
#define MP__MGR_PROTOCOL_H

#include "codec/buffer.h"
#include "mp/object.h"

/* What a peer may make us read: far beyond what programs send, far below what hurts. */
#define MP__MANAGER_DEPTH_MAX 1000 /* objects in objects */

#define MP__CLIENT_MARK "|libmp:"    /* before the client's id in accept_connection's name */
#define MP__MANAGER_GREETING "libmp" /* what accept_connection with that mark returns */

struct mp__request {
    const char *ident;     /* of the object that is called; NULL: the server itself is */
    const char *method;    /* its name */
    const mp_object *args; /* a tuple */
    const mp_object *kwds; /* a dict with strs for keys */
};

/* args NULL: (), kwds NULL: {}. A builder's NULL for "failed" must be checked before. */
mp_object *mp__request_new(const char *ident, const char *method, mp_object *args, mp_object *kwds);
int mp__request_take(struct mp__request *out, const mp_object *object);

enum mp__reply_kind {
    MP__REPLY_RETURN,         /* the method's value */
    MP__REPLY_ERROR,          /* the exception that the method raised */
    MP__REPLY_PROXY,          /* (exposed, token): the value stays at the server */
    MP__REPLY_TRACEBACK,      /* a str: the request itself was bad */
    MP__REPLY_UNSERIALIZABLE, /* a str: the value cannot travel */
    MP__REPLY_COUNT
};

mp_object *mp__reply_new(enum mp__reply_kind kind, mp_object *payload);
int mp__reply_take(enum mp__reply_kind *kind, const mp_object **payload, const mp_object *object);

/* Make of a reply that is neither a value nor a proxy what C functions return: the code of
 * mp__exception_code or MP_EREMOTE, with the peer's words as detail. */
int mp__reply_fail(enum mp__reply_kind kind, const mp_object *payload);

struct mp__token {
    const char *type_id;      /* what it was made as: "list", "get_task_queue" */
    const mp_object *address; /* the server's, as Python has it */
    const char *ident;        /* the object's name at the server */
};

mp_object *mp__token_new(const char *type_id, mp_object *address, const char *ident);
int mp__token_take(struct mp__token *out, const mp_object *object);

struct mp__proxy_form {
    const char *class_name;        /* "ListProxy", "AutoProxy"; "?" for a class outside managers */
    const mp_object *class_global; /* the same as the global that it is */
    struct mp__token token;        /* whose proxy */
    const mp_object *token_object; /* the same as it came */
    const mp_object *exposed;      /* names of the methods, list or tuple; NULL: not said */
    const mp_object *authkey;      /* bytes: the manager's, told to children only; NULL: not said */
};

/* exposed: the tuple of names for an AutoProxy; NULL: not said, as Python does for the others. */
mp_object *mp__proxy_form_new(const char *class_name, mp_object *token, mp_object *exposed);
/* 1: it is a proxy; 0: anything else; MP_EPROTO: a proxy that is not as it should be. */
int mp__proxy_form_take(struct mp__proxy_form *out, const mp_object *object);

/* Append an object's repr as mp__object_print, its proxies as Python shows them: <ListProxy object,
 * typeid 'list' at 0x...>, where C shows the ident of what they stand for. */
int mp__proxies_print(struct mp__buffer *text, const mp_object *object, size_t limit);
/* One proxy, of that class. 0 or -ENOMEM. */
int mp__proxy_print(struct mp__buffer *text, const char *class_name, const char *type_id,
                    uint64_t at);

/* Addresses: ("host", port), "path", "\0name" (also as bytes) for Python; "tcp://host:port",
 * "unix:path", "abstract:name" for us. _text: 0; MP_EPROTO: no address; MP_ETOOSHORT. */
mp_object *mp__address_object(const char *text);
int mp__address_text(char *out, size_t capacity, const mp_object *address);

#endif

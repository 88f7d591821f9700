/* Classes of objects that a manager's server has: their methods, and what a call of one gets.
 * SPDX-License-Identifier: MIT
 *
 * All of it runs in the server with its mutex held, as CPython's server holds the interpreter's
 * lock: one call at a time, but for those that wait. */
#ifndef MP__MGR_CLASS_H
#define MP__MGR_CLASS_H

#include <stdbool.h>

#include "mp/object.h"

struct mp__invocation;
struct mp__referent;
struct mp__server;

/* Gives the result; NULL: an exception, see mgr/call.h. */
typedef mp_object *(*mp__method_fn)(struct mp__invocation *call);

struct mp__method {
    const char *name;
    mp__method_fn function;
};

struct mp__class {
    const char *name;       /* the type's id: "list" */
    const char *proxy_name; /* of Python's class of proxies: "ListProxy" */
    const char *exposed;    /* names that create answers with, in CPython's order, blanks between */
    const struct mp__method *methods;
    size_t method_count;
    /* A new referent with one hold; NULL: an exception. NULL function: clients make none. */
    struct mp__referent *(*create)(struct mp__invocation *call);
    void (*destroy)(struct mp__server *server, struct mp__referent *referent);
    bool ends_unlocked;  /* destroy may take its time: it is called without the mutex */
    mp__method_fn value; /* the object itself; NULL: it cannot travel */
    mp__method_fn repr;  /* a str */
    /* The next of the objects in it that may be or hold proxies, for *cursor 0, 1...; NULL: no
     * more. NULL function: it has none. */
    const mp_object *(*next_root)(const struct mp__referent *referent, size_t *cursor);
};

/* In an initializer: a table of struct mp__method. */
#define MP__METHODS(table) .methods = (table), .method_count = sizeof(table) / sizeof((table)[0])

/* A built-in class; NULL: there is none of that name. */
const struct mp__class *mp__class_find(const char *name);

#endif

/* mp/manager.h: objects that live in a server process, for programs anywhere, Python ones too.
 * SPDX-License-Identifier: MIT
 *
 *     mp_manager *manager;
 *     mp_manager_new(&manager, NULL, NULL);
 *     mp_manager_start(manager);                    // the server: a process of its own
 *     ...proxies of mp/proxy.h: mp_manager_dict(manager, &dict) ...
 *     mp_manager_free(manager);                     // shuts it down
 *
 * On several machines one program serves, the others connect:
 *
 *     mp_manager_options options = {.address = "tcp://:5000", .authkey = "abc", .authkey_size = 3};
 *     mp_manager_new(&manager, NULL, &options);
 *     mp_manager_register(manager, "get_task_queue",
 *                         &(mp_manager_type){.like = "Queue", .is_single = true});
 *     mp_manager_start(manager);                    // there: the same options, mp_manager_connect
 *
 * The protocol is that of Python's multiprocessing.managers, byte for byte: Python programs connect
 * to the server with BaseManager(address, authkey).connect(), and C programs to Python's servers.
 *
 * The server has Python's types list, dict, set, Namespace, Value, Array, Queue, JoinableQueue,
 * Lock, RLock, Semaphore, BoundedSemaphore, Condition, Event, Barrier and Pool, and those that are
 * registered. Each connection has a thread there, which is who owns a lock. An object goes when
 * nobody refers to it any more. References of clients that were killed are given back when the
 * server can know whose they were: those of C clients, and those of processes of this machine
 * that came over a Unix socket. Those of Python clients over TCP stay, as they do with CPython: a
 * Python client takes and gives back each reference over a connection made for that only, and says
 * nowhere which of its connections are one client's, so that no connection's end tells of it.
 *
 * Not as in Python: what would have to call Python does not: a Pool runs registered C functions and
 * takes no callbacks, a Barrier no action, list.sort no key. A proxy of another manager's object
 * that is put into one here does not keep that object alive.
 *
 *     who may call what at once
 *     mp_manager_shutdown      any thread, also while another is in mp_manager_serve_forever
 *     mp_manager_address       any thread after start or connect
 *     mp_manager_free          when no thread uses the manager or its proxies any more
 *     everything else          one thread at a time
 *     A manager belongs to the process that made it, elsewhere it is MP_EFOREIGN; a forked child
 *     may make its own and connect to the address.
 *
 *     a process dies           what it does to the others
 *     the server               calls to it fail with MP_EEOF, -ECONNREFUSED or -ENOENT
 *     a client                 its waiting calls end, its references are given back as said above;
 *                              an RLock that it held is free, a Lock goes to whoever wants it next
 *     the one that started it  the server ends
 */
#ifndef MP_MANAGER_H
#define MP_MANAGER_H

#include "mp/base.h"
#include "mp/object.h"

typedef struct mp_manager mp_manager; /* of this process, not in the arena */

typedef struct mp_manager_options { /* all zero: Python's defaults; everything is copied */
    const char *address;            /* as in mp/listener.h; NULL: made up by start */
    const void *authkey;            /* NULL: that of mp_current_process() */
    size_t authkey_size;            /* bytes */
    int (*initializer)(void *arg, size_t arg_size); /* the server's first call; NULL: none; not
                                                       zero: start fails with MP_ETASK */
    const void *init_arg;                           /* bytes for it; NULL with 0 */
    size_t init_arg_size;                           /* bytes */
    double shutdown_timeout;                        /* seconds until the server is killed; 0: 1 */
    double proof_timeout; /* seconds for a client to prove that it knows the key; 0: 20 */
    unsigned proofs_max;  /* clients that may be about it at once; 0: 256 */
    size_t request_max;   /* bytes of the longest request; 0: 1 GiB */
} mp_manager_options;

/* What a function of a registered type gets and gives. */
typedef struct mp_method_call {
    void *object;          /* what the type's create made; in create NULL */
    const void *type_arg;  /* the type's arg; NULL: none */
    const mp_object *args; /* a tuple, borrowed: mp_object_parse(call->args, "(ii)", &a, &b) */
    const mp_object *kwds; /* a dict, borrowed */
    mp_object *result;     /* out: the value, taken over; NULL: None */
    void *made;            /* out: create's object; with result_type: the new one, of that type */
    mp_object *exception;  /* out: what Python clients see raised, see mp_method_raise */
} mp_method_call;

/* Returns 0, or a negative code: the client gets the exception that stands for it (MP_EKEY:
 * KeyError) with mp_error_detail(), or call->exception when that is set. */
typedef int (*mp_method_fn)(mp_method_call *call);

typedef struct mp_manager_method {
    const char *name;        /* "append" */
    mp_method_fn function;   /* any function of this program, static too */
    const char *result_type; /* the result stays at the server and the client gets a proxy of this
                                type, a registered or a built-in one made from `result`; NULL: the
                                result travels */
} mp_manager_method;

/* Of a Queue or JoinableQueue: what was got belongs to the connection that got it until that
 * calls get again, or task_done; or until task_done only. When it ends before, however that comes,
 * the item is in front again and goes to somebody else. */
typedef enum mp_redeliver { MP_REDELIVER_NEVER, MP_REDELIVER_NEXT, MP_REDELIVER_DONE } mp_redeliver;

typedef struct mp_manager_type {
    const char *like;                 /* a built-in type that it is; then only the next two count */
    mp_redeliver redeliver;           /* of a queue */
    bool is_single;                   /* there is one object, made at first use and kept */
    bool is_concurrent;               /* methods of one object may run at once: they may wait. Else
                                         one at a time */
    mp_method_fn create;              /* sets call->made */
    void (*destroy)(void *object);    /* NULL: nothing to do */
    mp_method_fn value;               /* the object itself as a value; NULL: it cannot travel */
    mp_method_fn repr;                /* a str; NULL: "<name object at 0x...>" */
    const mp_manager_method *methods; /* NULL with 0 */
    size_t method_count;
    const void *arg; /* bytes for create and methods, see type_arg; NULL with 0 */
    size_t arg_size; /* bytes */
} mp_manager_type;

MP_BEGIN_DECLS

/* Make a manager; nothing runs yet.
 *   out      gets it; ended with mp_manager_free
 *   context  how mp_manager_start makes the server's process; NULL: the default one
 *   options  NULL: the defaults; copied
 *   returns  0; MP_EINVAL: bad options, an MP_THREAD context; -ENOMEM
 *   python   SyncManager(address, authkey, ctx=...) */
int mp_manager_new(mp_manager **out, mp_context *context, const mp_manager_options *options);

/* Give a name to a type, before start or serve_forever. A second one of the same name replaces the
 * first. Clients need not register anything.
 *   type     copied, with what it points to
 *   returns  0; MP_EINVAL: no create, no such built-in type, a method without name or function;
 *            MP_ESTATE: the server runs; -ENOMEM
 *   python   BaseManager.register(typeid, callable, exposed=..., method_to_typeid=...) */
int mp_manager_register(mp_manager *manager, const char *type_id, const mp_manager_type *type);

/* Give a name to a function that clients may have the server's Pool call, before start.
 *   name      as Python names it: "module.function"; "function": of any module
 *   function  gets args and kwds, gives result; in a worker process of the pool
 *   returns   0; MP_EINVAL; MP_ESTATE; -ENOMEM */
int mp_manager_register_function(mp_manager *manager, const char *name, mp_method_fn function);

/* Start the server in a process of its own, once.
 *   returns  0: clients may come; MP_ESTATE: started, connected or shut down before; MP_ETASK: the
 *            initializer failed; MP_EWORKER: the process died first; -EADDRINUSE and what else
 *            mp_listener_new and mp_process_start say
 *   blocks   until it listens
 *   python   BaseManager.start(initializer, initargs) */
int mp_manager_start(mp_manager *manager);

/* Serve in this process, in the calling thread and those that it starts, until mp_manager_shutdown
 * or a client's shutdown.
 *   returns  0; MP_ESTATE; MP_EINVAL; what mp_listener_new says; -ENOMEM, -EAGAIN
 *   python   BaseManager.get_server().serve_forever() */
int mp_manager_serve_forever(mp_manager *manager);

/* Use the server at the manager's address, which another process has started.
 *   returns  0; MP_ESTATE: started, connected or shut down before; MP_EAUTH: another key; as
 *            mp_client_connect
 *   blocks   20 seconds at most
 *   python   BaseManager.connect() */
int mp_manager_connect(mp_manager *manager);

/* End the server that this manager started, or the serving of this process.
 *   returns  0, also the second time; MP_ESTATE: neither started nor serving; MP_EFOREIGN: made by
 *            another process; MP_EINVAL
 *   blocks   shutdown_timeout, then the server is terminated, and killed half a second later
 *   python   BaseManager.shutdown() */
int mp_manager_shutdown(mp_manager *manager);

/* Give the server's address for clients, with what was made up; the manager's. Before start: as in
 * the options, "" when none. NULL: no manager.
 *   python   BaseManager.address */
const char *mp_manager_address(const mp_manager *manager);

/* Shut the server down if this manager started it, and free the manager. NULL: nothing happens. */
void mp_manager_free(mp_manager *manager);

/* Have a method raise that exception at the client: `return mp_method_raise(call, "builtins",
 * "ZeroDivisionError", "division by %d", 0);`
 *   returns  MP_EREMOTE, for the method to return */
__attribute__((format(printf, 4, 5))) int mp_method_raise(mp_method_call *call, const char *module,
                                                          const char *name, const char *format,
                                                          ...);

MP_END_DECLS
#endif

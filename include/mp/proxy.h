/* mp/proxy.h: use objects that live at a manager, a C program's or a Python program's.
 * SPDX-License-Identifier: MIT
 *
 *     mp_proxy *jobs;
 *     mp_manager_create(manager, &jobs, "list", "[ss]", "wash", "dry");
 *     mp_object *last;
 *     if (mp_proxy_call(jobs, &last, "pop", "") == 0)       // 'dry'
 *         mp_object_free(last);
 *     mp_proxy_call(jobs, NULL, "append", "(s)", "iron");
 *     mp_proxy_free(jobs);
 *
 * A proxy is the name of such an object, and a reference to it: the object stays as long as there
 * is one. Any method can be called by its name; mp/proxy_types.h has the usual ones as functions.
 * Where Python's proxy raises an exception, the call returns the code that stands for it, as told
 * in mp/base.h (KeyError is MP_EKEY, AttributeError too; queue.Empty is MP_EEMPTY); what has no
 * code is MP_EREMOTE. mp_error_detail() has the exception's words, or the server's traceback.
 *
 * The pointer is good in every process of the family: give it to a child with its argument, put it
 * into a queue. Other programs get the object of mp_proxy_object. Each thread that calls has a
 * connection of its own to the manager, made at its first call, because it is the thread that owns
 * an RLock there; a forked child makes its own. A call waits as long as the method takes, and
 * while the server is stopped (SIGSTOP). As in Python it has no time limit of its own: who gave up
 * would lose the connection, and with it the locks that it holds there.
 *
 *     who may call what at once
 *     everything               any thread of any process
 *     mp_proxy_free            once, when nobody calls or will call through this pointer any more
 *
 *     a process dies           what it does to the others
 *     the manager's server     calls under way give MP_EEOF; later ones, too, or -ECONNREFUSED or
 *                              -ENOENT: nobody listens at the address any more
 *     one that uses proxies    its call may have been done or not; its own references go. An object
 *                              that another process of the family has not used yet goes with it
 *                              when it made the proxy (a C manager; Python's keep what the dead
 *                              one had not freed)
 */
#ifndef MP_PROXY_H
#define MP_PROXY_H

#include "mp/base.h"
#include "mp/manager.h"
#include "mp/object.h"

typedef struct mp_proxy mp_proxy; /* in the arena */

MP_BEGIN_DECLS

/* Make an object at the manager, or get the one that is there, and a proxy for it.
 *   out      gets the proxy; ended with mp_proxy_free
 *   type_id  "list", or a name that is registered there
 *   format   the arguments, by the letters of mp_object_build, "" or NULL: none. One pair of ( )
 *            around all makes no difference; one O that is a tuple stands for several: "(O)"
 *   returns  0; MP_EREMOTE: the type is not known there, or refuses the arguments; MP_ESTATE: the
 *            manager neither runs nor is connected; MP_EEOF, -ECONNREFUSED and what else
 *            mp_client_connect says; MP_EPROTO; MP_EINVAL, also for a bad format; -ENOMEM
 *   blocks   as long as it takes to make the object, and 20 seconds at most to connect
 *   python   manager.type_id(*args) */
int mp_manager_create(mp_manager *manager, mp_proxy **out, const char *type_id, const char *format,
                      ...);

/* The same with arguments that are there already, also named ones.
 *   args, kwargs  a tuple and a dict of names, which stay the caller's; NULL: none
 *   returns       as above; MP_ETYPE: not a tuple or a dict
 *   python        manager.type_id(*args, **kwargs) */
int mp_manager_create_objects(mp_manager *manager, mp_proxy **out, const char *type_id,
                              const mp_object *args, const mp_object *kwargs);

/* Count the objects that the manager keeps for its clients.
 *   returns  how many; otherwise as mp_manager_create
 *   python   manager._number_of_objects() */
int mp_manager_number_of_objects(mp_manager *manager);

/* Call a method and wait for its result.
 *   result   gets the value, ended with mp_object_free; NULL: not wanted. When the method's result
 *            stays at the manager, and for proxies inside the value, see mp_object_get_proxy
 *   method   "append", "__getitem__", any name that the manager exposes for the type
 *   format   as in mp_manager_create
 *   returns  0; the code of the exception that the method raised; MP_EREMOTE: another exception, no
 *            such method, no such object any more; otherwise as mp_manager_create
 *   blocks   as long as the method takes
 *   python   proxy.method(*args) */
int mp_proxy_call(mp_proxy *proxy, mp_object **result, const char *method, const char *format, ...);
int mp_proxy_call_objects(mp_proxy *proxy, mp_object **result, const char *method,
                          const mp_object *args, const mp_object *kwargs);

/* Get a copy of the object itself.
 *   returns  as mp_proxy_call; MP_EREMOTE: it cannot travel
 *   python   proxy._getvalue() */
int mp_proxy_getvalue(mp_proxy *proxy, mp_object **out);

/* Make one more proxy of the same object.
 *   out      gets it; ended with mp_proxy_free
 *   returns  0; MP_EREMOTE: the object is gone; otherwise as mp_manager_create */
int mp_proxy_copy(mp_proxy **out, const mp_proxy *proxy);

/* Give the reference back; the object goes with the last one. NULL and what is no proxy: nothing.
 *   blocks   with a Python manager until it has heard it; 20 seconds at most when it cannot be
 *            reached */
void mp_proxy_free(mp_proxy *proxy);

/* Write what the object prints as there / what the proxy is: "<ListProxy object, typeid 'list' at
 * 0x200000a1b2c0>".
 *   out      gets a NUL-terminated text from malloc; end it with free()
 *   returns  0; MP_EINVAL; -ENOMEM; _str: as mp_proxy_call
 *   python   str(proxy), repr(proxy) */
int mp_proxy_str(mp_proxy *proxy, char **out);
int mp_proxy_repr(const mp_proxy *proxy, char **out);

/* Look at the name that a proxy is: the type, the object's id at the manager, the manager's
 * address. Borrowed; NULL: no proxy.
 *   python   proxy._token.typeid, .id, .address */
const char *mp_proxy_type_id(const mp_proxy *proxy);
const char *mp_proxy_id(const mp_proxy *proxy);
const char *mp_proxy_address(const mp_proxy *proxy);

/* Make the object by which other programs and managers know the object: put it into values, send it
 * over connections. A Python program gets a proxy of it. It is the name only: it keeps nothing
 * alive, the proxy has to stay until whoever reads it has got its own.
 *   returns  the object, the caller's; NULL: no proxy, -ENOMEM
 *   python   what pickle makes of a proxy */
mp_object *mp_proxy_object(const mp_proxy *proxy);

/* Make the token only, which is how get_methods and the like know the object.
 *   python   proxy._token */
mp_object *mp_proxy_token(const mp_proxy *proxy);

/* Look at the proxy that an object in a call's result carries. The object's: freed with it; a
 * mp_proxy_copy stays.
 *   returns  the proxy, borrowed; NULL: it carries none, or its manager could not be reached */
mp_proxy *mp_object_get_proxy(const mp_object *object);

/* Make a proxy of an object that stands for one, wherever it came from: a result, a connection, a
 * file, the arguments of mp/python.h. Other managers than that of the result are expected to have
 * the key that the object tells, which Python writes for its children only, or else that of
 * mp_current_process().
 *   out      gets it; ended with mp_proxy_free
 *   returns  0; MP_ETYPE: it stands for none; MP_EPROTO: not as it should be; MP_EREMOTE: the
 *            object is gone; otherwise as mp_manager_create
 *   python   reading a pickled proxy */
int mp_proxy_from_object(mp_proxy **out, const mp_object *object);

MP_END_DECLS
#endif

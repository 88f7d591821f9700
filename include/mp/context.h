/* mp/context.h: how processes are started, and the first line of every main().
 * SPDX-License-Identifier: MIT
 *
 *     static int hello(void *arg, size_t size) { ... return 0; }
 *
 *     int main(int argc, char **argv) {
 *         mp_freeze_support(argc, argv);                   // first, always
 *         mp_context *spawn = mp_get_context(MP_SPAWN);    // or NULL: the default context
 *         mp_process *process;
 *         mp_process_new(&process, spawn, &(mp_process_options){.target = hello});
 *         ...
 *     }
 *
 *     method          what a start is
 *     MP_FORK         fork(): the child has a copy of everything. The default. With threads in the
 *                     parent there are fork's usual risks: a lock that another thread held at that
 *                     moment is never released in the child
 *     MP_SPAWN        the program is executed anew: a fresh process, with nothing but what was
 *                     passed to it, and safe beside threads. Costs what an exec costs
 *     MP_FORKSERVER   a small server is spawned once and forks children ahead of need: a start
 *                     costs two wake-ups, however large the parent is. It dies with the parent
 *     MP_THREAD       for pools: threads of this process in place of children
 *
 * Objects made under one context work with processes of any: all lie in the family's one arena
 * (mp/base.h).
 *
 *     who may call what at once
 *     mp_freeze_support   main(), before there are other threads
 *     everything else     any thread of any process; a start under way keeps what it began with
 *
 *     a process dies      what it does to the others
 *     in any call here    nothing: each process has choices of its own, inherited at its start
 */
#ifndef MP_CONTEXT_H
#define MP_CONTEXT_H

#include "mp/base.h"

/* MP_DEFAULT stands for "not chosen yet" and for the default context. */
typedef enum { MP_DEFAULT = 0, MP_FORK, MP_SPAWN, MP_FORKSERVER, MP_THREAD } mp_start_method;

MP_BEGIN_DECLS

/* Become the child, when this program was executed as one. Call it first in main(), before anything
 * that a child should not do again.
 *   argc, argv  main's own
 *   returns     0 in a program that a user started. In a child of MP_SPAWN or MP_FORKSERVER, and
 *               in one that a Python program spawns (mp/python.h, whose registrations come before
 *               this), it runs the target and ends the process with its code: it never returns.
 *               MP_EINVAL: no argv; -errno: the program's own file cannot be opened, so that
 *               MP_SPAWN and MP_FORKSERVER do not work here
 *   owns        a descriptor of the program's file to the end: replacing the file does no harm
 *   python      freeze_support() */
int mp_freeze_support(int argc, char **argv);

/* Give the context of a start method; MP_DEFAULT: the default context, as NULL is in other calls.
 *   returns  static, never freed; NULL: no such method
 *   python   get_context() */
mp_context *mp_get_context(mp_start_method method);

/* Choose what the default context does: once, early in main().
 *   method   MP_FORK, MP_SPAWN or MP_FORKSERVER; MP_DEFAULT with force: back to "not chosen"
 *   force    also when it was chosen or used already
 *   returns  0; MP_EINVAL: no method for processes; MP_ESTATE: no force, and it was chosen before,
 *            or MP_FORK by the first process, pool or manager of the default context
 *   python   set_start_method() */
int mp_set_start_method(mp_start_method method, bool force);

/* Tell what the default context does.
 *   allow_none  true: MP_DEFAULT when nothing was chosen yet; false: choose MP_FORK then, for good
 *   python      get_start_method() */
mp_start_method mp_get_start_method(bool allow_none);

/* List this system's start methods for processes, the default first.
 *   out       room for `capacity` of them; NULL with 0
 *   returns   how many there are, also when fewer fitted; MP_EINVAL: negative capacity, NULL out
 *   python    get_all_start_methods() */
int mp_get_all_start_methods(mp_start_method *out, int capacity);

/* Give a method's name, "fork", "spawn", "forkserver", "thread"; "default" for MP_DEFAULT; NULL for
 * others. */
const char *mp_start_method_name(mp_start_method method);

/* Find a method by its name; MP_DEFAULT for "default", NULL and unknown names. */
mp_start_method mp_start_method_from_name(const char *name);

/* Execute another program in place of this one for MP_SPAWN and MP_FORKSERVER. It too must call
 * mp_freeze_support() first, and targets must be functions of shared libraries that both have.
 *   path     copied, looked at when a process is started; NULL: this program again
 *   returns  0; MP_EINVAL: empty; -ENOMEM
 *   python   set_executable() */
int mp_set_executable(const char *path);

/* Let the fork server call a function once, before it forks: what that loads or computes is there
 * in every child. For servers started from now on; one that runs is not changed.
 *   preload   gets a copy of arg. When it returns anything but 0 the server ends, and the start
 *             that wanted it fails with MP_ETASK. It must leave no threads behind. NULL: none
 *   arg       arg_size bytes, copied; pointers in it must point into the arena. NULL with 0
 *   returns   0; MP_EINVAL: NULL arg with a size, or a function that is neither in the program nor
 *             in a shared library; -ENOMEM
 *   python    set_forkserver_preload() */
int mp_set_forkserver_preload(int (*preload)(void *arg), const void *arg, size_t arg_size);

/* Count the machine's processors, at least 1.
 *   python   cpu_count() */
int mp_cpu_count(void);

/* Count those that this process may use, affinity and the cgroup's quota heeded, at least 1: what a
 * pool takes by default.
 *   python   os.process_cpu_count() */
int mp_usable_cpu_count(void);

MP_END_DECLS
#endif

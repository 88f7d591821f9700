/* mp/process.h: run a function in a process of its own.
 * SPDX-License-Identifier: MIT
 *
 *     static int work(void *arg, size_t arg_size) { return *(int *)arg == 7 ? 0 : 1; }
 *
 *     int seven = 7, code;
 *     mp_process *process;
 *     mp_process_options options = {.target = work, .arg = &seven, .arg_size = sizeof seven};
 *     mp_process_new(&process, NULL, &options);
 *     mp_process_start(process);
 *     mp_process_join(process, MP_FOREVER);
 *     mp_process_exitcode(process, &code);         // 0
 *     mp_process_close(process);
 *
 * The target's value, as a byte (0..255), is the exit code; -N stands for "killed by signal N". A
 * child's standard input is /dev/null. The parent's atexit handlers do not run. A target that calls
 * exit() gets that code, but under MP_FORK also the handlers that its parent had set.
 *
 * What the target left in stdout and stderr is written at its end. Close other streams: they are
 * written, too, but not when the child has other threads then, or, under MP_FORK, its parent had at
 * the start. (One of those may sit in a read, and who flushes all streams would wait for it.)
 *
 * At exit() of a process its daemons get SIGTERM (SIGKILL when they are still there 5 seconds
 * later), then its other children are waited for. A daemon dies with its parent even when that was
 * killed; other children then run on to their end.
 *
 * An object belongs to the process that made it: that one starts, joins, signals and closes. Others
 * may ask for name, pid, daemon flag and whether it is alive.
 *
 *     who may call what at once
 *     mp_process_close       when no other thread uses the object
 *     mp_process_set_name    when no other thread uses what mp_process_name gave
 *     everything else        any thread; several may join one process, all get the right code
 *
 *     a process dies         what it does to the others
 *     in mp_process_start    its child may run, or not; nothing else is left
 *     right after it         the child runs, unless it is a daemon: it has all that it needs
 *     in any other call      nothing; its objects are freed, for its children see above
 */
#ifndef MP_PROCESS_H
#define MP_PROCESS_H

#include "mp/base.h"

typedef struct mp_process mp_process;
typedef struct mp_connection mp_connection; /* mp/connection.h */

/* What a process does: gets a copy of the argument bytes, returns the exit code. */
typedef int (*mp_target_fn)(void *arg, size_t arg_size);

enum { MP_INHERIT = 0, MP_DAEMON = 1, MP_NOT_DAEMON = 2 }; /* of mp_process_options.daemon */

typedef struct mp_process_options {
    mp_target_fn target; /* any function of this program, static too; NULL: none, exit code 0 */
    const void *arg;     /* copied; pointers in it must point into the arena; NULL with 0 */
    size_t arg_size;     /* bytes */
    const char *name;    /* copied; NULL: "Process-1", its child "Process-1:2", "SpawnProcess-3" */
    int daemon;          /* MP_INHERIT: as the current process */
    mp_connection *const *connections; /* NULL-terminated: the child's; forked ones have all */
} mp_process_options;

MP_BEGIN_DECLS

/* Make a process object; nothing runs yet.
 *   context  NULL: the default one
 *   options  NULL: no target
 *   returns  0; MP_EINVAL: out is NULL, arg is NULL with a size, daemon is none of the three, more
 *            than 60 connections, an MP_THREAD context or what is no context, a target that is
 *            neither in the program nor in a shared library (MP_FORK does not look); -ENOMEM
 *   owns     the caller: mp_process_close
 *   python   Process() */
int mp_process_new(mp_process **out, mp_context *context, const mp_process_options *options);

/* Start it: once, by the process that made it. After a failure it can be tried again.
 *   returns  0: it runs
 *            MP_ESTATE: started before; MP_EFOREIGN: made by another process; MP_EINVAL
 *            MP_EDAEMON: this process is a daemon
 *            MP_ENOTMAIN: spawn and forkserver without mp_freeze_support() as main's first line
 *            MP_EINVAL: the child does not find the target: it is of another build, or the file of
 *            its shared library is gone
 *            -EEXIST: the shared memory's address is taken in the child
 *            MP_EWORKER: the child was killed before its target began
 *            MP_ETASK: the fork server's preload function failed
 *            MP_ENOTPASSED, MP_ECLOSED: a connection that this process does not have
 *            MP_ETIMEDOUT: the executed program did not come to mp_freeze_support() in a minute
 *            -EAGAIN, -EMFILE, -ENOENT...: no process, no descriptor, no such program; -ENOMEM
 *   blocks   MP_SPAWN and MP_FORKSERVER: until the child has found its target, a minute at most
 *   python   Process.start() */
int mp_process_start(mp_process *process);

/* Call the target here and now, without a process.
 *   returns  its value as a byte; MP_EFOREIGN; MP_EINVAL
 *   python   Process.run() */
int mp_process_run(mp_process *process);

/* Wait for its end; again, and from several threads, at will.
 *   returns  0: ended; MP_ETIMEDOUT; MP_ESTATE: not started, or this process itself; MP_EFOREIGN:
 *            another process's child; MP_EINVAL: NaN, or no process
 *   python   Process.join() */
int mp_process_join(mp_process *process, double timeout);

/* Send it SIGTERM, SIGKILL or SIGINT. After its end nothing is done; nobody else is ever hit.
 *   returns  0; MP_ESTATE: not started; MP_EFOREIGN: no child of this process; MP_EINVAL; -EPERM:
 *            it runs as another user, to whom this one may not send
 *   python   Process.terminate(), kill(), interrupt() */
int mp_process_terminate(mp_process *process);
int mp_process_kill(mp_process *process);
int mp_process_interrupt(mp_process *process);

/* Free the object and its sentinel. NULL, and the handles of this process and its parent: nothing.
 *   returns  0; MP_EINVAL: it still runs, or is no process (closed before); MP_EFOREIGN
 *   python   Process.close() */
int mp_process_close(mp_process *process);

/* Is it running? May be asked by any process of the family.
 *   python   Process.is_alive() */
bool mp_process_is_alive(const mp_process *process);

/* Give the exit code: 0..255, or -N when signal N killed it. 255 also when nobody can know: it was
 * killed, and then waitpid(-1) elsewhere in the program took its status, or its server was gone.
 *   returns  0; MP_ESTATE: not started or not ended; MP_EFOREIGN; MP_EINVAL: code is NULL, or no
 *            process
 *   python   Process.exitcode */
int mp_process_exitcode(const mp_process *process, int *code);

/* Give a descriptor that becomes readable when it has ended, for poll and event loops; never read.
 *   returns  the descriptor, the object's until mp_process_close; MP_ESTATE: not started, or this
 *            process itself; MP_EFOREIGN; MP_EINVAL. Of mp_parent_process(): -ENOSYS where the
 *            system has none, -ESRCH when the parent is gone, -EMFILE
 *   python   Process.sentinel */
int mp_process_sentinel(const mp_process *process);

/* Give its pid; 0 before start, and for what is no process.
 *   python   Process.pid */
pid_t mp_process_pid(const mp_process *process);

/* Will it end with its parent?
 *   python   Process.daemon */
bool mp_process_daemon(const mp_process *process);

/* Change that, before start.
 *   returns  0; MP_ESTATE: started; MP_EFOREIGN; MP_EINVAL */
int mp_process_set_daemon(mp_process *process, bool daemon);

/* Give its name, good until the next mp_process_set_name or mp_process_close; NULL for no process.
 *   python   Process.name */
const char *mp_process_name(const mp_process *process);

/* Name it, for readers only. The child has the name that was set before its start.
 *   name     copied
 *   returns  0; MP_EINVAL: NULL, or no process; MP_EFOREIGN; -ENOMEM */
int mp_process_set_name(mp_process *process, const char *name);

/* Copy its authentication key: 32 random bytes in the first process, then inherited by new objects.
 *   key      room for `capacity` bytes; NULL with 0: only ask for the size
 *   size     how many it has; may be NULL; also given with MP_ETOOSHORT
 *   returns  0; MP_ETOOSHORT: there is less room; MP_EFOREIGN; MP_EINVAL
 *   python   Process.authkey */
int mp_process_authkey(const mp_process *process, void *key, size_t capacity, size_t *size);

/* Set it, for the child when it is started; of mp_current_process(): for objects made from now on.
 *   key      copied
 *   returns  0; MP_EINVAL: NULL with a size, or no process; MP_EFOREIGN; -ENOMEM */
int mp_process_set_authkey(mp_process *process, const void *key, size_t size);

/* Give this process's handle; "MainProcess" is the first of a family. Unlike other objects, handles
 * mean something in this process only; they are never closed.
 *   returns  NULL: there can be no arena, see mp_error_detail()
 *   python   current_process() */
mp_process *mp_current_process(void);

/* Give the handle of the process that started this one: its name, pid, is_alive, join, sentinel.
 *   returns  NULL in the first process
 *   python   parent_process() */
mp_process *mp_parent_process(void);

/* List this process's living children, and collect those that have ended.
 *   out      room for `capacity` of them; NULL with 0
 *   returns  how many live, also when fewer fitted; MP_EINVAL: negative capacity, NULL out
 *   python   active_children() */
int mp_active_children(mp_process **out, int capacity);

MP_END_DECLS
#endif

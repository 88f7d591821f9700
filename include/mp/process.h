/* mp/process.h: run a function in a process of its own.
 * SPDX-License-Identifier: MIT
 *
 *     static int work(void *arg, size_t arg_size) { return *(int *)arg == 7 ? 0 : 1; }
 *
 *     int seven = 7;
 *     mp_process *process;
 *     mp_process_new(&process, NULL, &(mp_process_options){.target = work, .arg = &seven, .arg_size
 * = sizeof seven}); mp_process_start(process); mp_process_join(process, MP_FOREVER); int code;
 *     mp_process_exitcode(process, &code);    // 0
 *     mp_process_close(process);
 *
 * The target's return value, as a byte (0..255), is the exit code; -N stands for "killed by signal
 * N". In the child standard input is /dev/null; what the target wrote to streams is flushed at its
 * end; the parent's atexit handlers do not run. A target that calls exit() gets that code, but
 * under MP_FORK also the handlers that the parent had set.
 *
 * At exit() of a process, or the end of its main(), its daemons get SIGTERM (and SIGKILL if 5
 * seconds later they are still there), then its other children are waited for. A daemon dies with
 * its parent even when that was killed; other children then run on to their end.
 *
 * An object belongs to the process that made it: that one starts, joins, signals and closes. Others
 * may ask for its name, pid, daemon flag and whether it is alive.
 *
 * Who may call what at once:
 *     everything                     from any thread; several may join one process, all get the
 * right exit code mp_process_close               when no other thread uses the object the pointer
 * from mp_process_name   is good until the next mp_process_set_name or mp_process_close of the
 * object
 *
 * If a process dies in the middle of:
 *     mp_process_start               the child may run or may not; a daemon does not stay; nothing
 * else is left anything else                  others notice nothing; its objects are freed; its
 * children: see above
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
    const void *arg;     /* copied; pointers in it must point to shared objects; NULL with 0 */
    size_t arg_size;     /* bytes */
    const char *name;    /* copied; NULL: "Process-1", its child "Process-1:2", "SpawnProcess-3" */
    int daemon;          /* MP_INHERIT: as the current process */
    mp_connection *const
        *connections; /* NULL-terminated: given to the child; under MP_FORK it has all anyway */
} mp_process_options;

MP_BEGIN_DECLS

/* Make a process object; nothing runs yet.
 *
 *   context  NULL: the default one
 *   options  NULL: no target
 *   returns  0; MP_EINVAL: out is NULL, arg is NULL with a size, daemon is none of the three, too
 * many connections (60), the target is in no loaded object, MP_THREAD context; -ENOMEM owns     the
 * caller: mp_process_close python   Process() */
int mp_process_new(mp_process **out, mp_context *context, const mp_process_options *options);

/* Start it: once, by the process that made it.
 *
 *   returns  0: it runs. MP_ESTATE: started before; MP_EFOREIGN: made by another process;
 * MP_EDAEMON: this process is a daemon; MP_ENOTMAIN: spawn and forkserver without
 * mp_freeze_support() as the first line of main(), or the executed program ended without it;
 * MP_EINVAL: the child cannot find the target (other build); -EEXIST: the shared memory's address
 * is taken in the child; MP_EWORKER: the child died before its target began; MP_ETASK: the fork
 * server's preload function failed; MP_ENOTPASSED, MP_ECLOSED: a connection; MP_ETIMEDOUT: the
 * executed program did not answer for a minute; -errno: no process (-EAGAIN), no descriptor
 * (-EMFILE), ... After a failure it can be started again. blocks   MP_SPAWN and the first
 * MP_FORKSERVER: until the child has found its target python   Process.start() */
int mp_process_start(mp_process *process);

/* Call the target here and now, without a process.
 *   returns  its value as a byte; MP_EINVAL: not an object; MP_EFOREIGN. Python: Process.run() */
int mp_process_run(mp_process *process);

/* Wait for its end. Again and from several threads at will.
 *
 *   returns  0: ended; MP_ETIMEDOUT; MP_ESTATE: not started, or this process itself; MP_EFOREIGN:
 * another process's child; MP_EINVAL: NaN or not an object. The handle of mp_parent_process() can
 * be joined. python   Process.join() */
int mp_process_join(mp_process *process, double timeout);

/* Send it SIGTERM, SIGKILL or SIGINT. Once it has ended nothing is done, never is another process
 * hit.
 *
 *   returns  0; MP_ESTATE: not started; MP_EFOREIGN: not this process's child; MP_EINVAL
 *   python   Process.terminate(), kill(), interrupt() */
int mp_process_terminate(mp_process *process);
int mp_process_kill(mp_process *process);
int mp_process_interrupt(mp_process *process);

/* Free the object and its sentinel. NULL and handles of this process and its parent: nothing is
 * done.
 *
 *   returns  0; MP_EINVAL: it is still running, or not an object (closed before); MP_EFOREIGN
 *   python   Process.close() */
int mp_process_close(mp_process *process);

/* Is it running? By any process of the family. Python: Process.is_alive() */
bool mp_process_is_alive(const mp_process *process);

/* Give the exit code: 0..255, or -N when signal N killed it. 255 also when nobody can know any
 * more: another part of the program took its status by waitpid(-1), or the fork server was killed,
 * and no code had been left.
 *
 *   returns  0; MP_ESTATE: not started or not ended; MP_EFOREIGN; MP_EINVAL: code is NULL or not an
 * object python   Process.exitcode */
int mp_process_exitcode(const mp_process *process, int *code);

/* Give a descriptor that becomes readable when it has ended: for poll, epoll and event loops. Never
 * read from it.
 *
 *   returns  the descriptor, which stays the object's until mp_process_close; MP_ESTATE: not
 * started or this process itself; MP_EFOREIGN; MP_EINVAL. Of mp_parent_process() where the system
 * has one, else -ENOSYS python   Process.sentinel */
int mp_process_sentinel(const mp_process *process);

/* Give its pid; 0 before start and for what is not an object. Python: Process.pid */
pid_t mp_process_pid(const mp_process *process);

/* Will it end with its parent? Python: Process.daemon */
bool mp_process_daemon(const mp_process *process);

/* Change that, before start.
 *   returns  0; MP_ESTATE: started; MP_EFOREIGN; MP_EINVAL */
int mp_process_set_daemon(mp_process *process, bool daemon);

/* Give its name; NULL for what is not an object. Python: Process.name */
const char *mp_process_name(const mp_process *process);

/* Name it; has no meaning but for readers of logs. In the child only when set before start.
 *   returns  0; MP_EINVAL: NULL; MP_EFOREIGN; -ENOMEM */
int mp_process_set_name(mp_process *process, const char *name);

/* Copy its authentication key: 32 random bytes in the first process, then inherited when an object
 * is made.
 *
 *   key      room for `capacity` bytes; NULL with 0: only ask for the size
 *   size     how many it has; may be NULL
 *   returns  0; MP_ETOOSHORT: capacity is less, *size says what it needs; MP_EFOREIGN; MP_EINVAL
 *   python   Process.authkey */
int mp_process_authkey(const mp_process *process, void *key, size_t capacity, size_t *size);

/* Set it, for the process when it is started; of mp_current_process(): for children made from now
 * on. returns  0; MP_EINVAL: NULL with a size; MP_EFOREIGN; -ENOMEM */
int mp_process_set_authkey(mp_process *process, const void *key, size_t size);

/* Give the handle of this process: "MainProcess" in the first one of a family. A handle means
 * something in this process only, unlike other objects. NULL: the arena cannot be had. Python:
 * current_process() */
mp_process *mp_current_process(void);

/* Give the handle of the process that started this one: its name, pid, is_alive, join and sentinel.
 * NULL in the first process. Python: parent_process() */
mp_process *mp_parent_process(void);

/* List this process's children that are alive, and collect the ended.
 *
 *   out      room for `capacity` of them; NULL with 0
 *   returns  how many live, also when fewer were written; MP_EINVAL: negative capacity or NULL out
 *   python   active_children() */
int mp_active_children(mp_process **out, int capacity);

MP_END_DECLS
#endif

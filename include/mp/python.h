/* mp/python.h: be the process that a Python program starts, and use what it hands over.
 * SPDX-License-Identifier: MIT
 *
 *     static int work(const mp_object *args, const mp_object *kwargs, void *user) {
 *         mp_python_queue *queue;
 *         mp_python_queue_open(&queue, mp_tuple_get(args, 0));
 *         mp_object *answer = mp_integer_new(42);
 *         mp_python_queue_put(queue, answer, MP_FOREVER);
 *         ...
 *         return 0;                                   // Process.exitcode
 *     }
 *     int main(int argc, char **argv) {
 *         mp_python_register("jobs.work", work, NULL);    // before mp_freeze_support
 *         mp_freeze_support(argc, argv);
 *
 *     # jobs.py: def work(queue): raise NotImplementedError("is in C")
 *     context = multiprocessing.get_context("spawn")
 *     queue = context.Queue()
 *     context.set_executable("/path/of/the/program")
 *     process = context.Process(target=jobs.work, args=(queue,))
 *     process.start()
 *
 * CPython 3.8 and later. mp_freeze_support understands the command line, takes name, key, log level
 * and directory from the parent, and calls the function that is registered under the target's name.
 * set_executable holds for all later children of that Python: set it back to sys.executable for
 * others. The program also serves as Python's resource tracker.
 *
 * Arguments are objects as they were pickled. Numbers, texts, lists and so on are used as they are;
 * what is no data is opened by the functions below: Connection, Lock, RLock, Semaphore,
 * BoundedSemaphore, Condition, Event, Barrier, Queue, JoinableQueue, SimpleQueue, Value, Array,
 * RawValue and RawArray of the spawn context. Pool and objects of one's own classes stay what C
 * sees of them (mp_call_get); proxies of managers are opened by mp_proxy_from_object (mp/proxy.h);
 * SharedMemory goes by its name (mp/shared_memory.h).
 *
 * These things are Python's, not libmp's: they play by its rules, and handles are this process's
 * own. Open each once; free them when no thread uses them.
 *
 *     who may call what at once
 *     mp_python_register     before mp_freeze_support, one thread
 *     _open, _free           one thread for each object
 *     everything else        any thread
 *
 *     a process dies         what it does to the others, in Python's way
 *     holding a lock         it stays held
 *     in queue_put or _get   the queue's lock stays held: others wait, with their timeouts
 *     waiting for an event   the next mp_python_event_set waits for it for ever; so do notify of a
 *     or a condition         condition
 *     at a barrier           the others wait, with their timeouts
 */
#ifndef MP_PYTHON_H
#define MP_PYTHON_H

#include "mp/connection.h"
#include "mp/object.h"

typedef struct mp_python_lock mp_python_lock;
typedef struct mp_python_condition mp_python_condition;
typedef struct mp_python_event mp_python_event;
typedef struct mp_python_barrier mp_python_barrier;
typedef struct mp_python_queue mp_python_queue;
typedef struct mp_python_value mp_python_value;

/* A target: gets Process(args=, kwargs=), a tuple and a dict, which are not its own; gives the exit
 * code. */
typedef int (*mp_python_fn)(const mp_object *args, const mp_object *kwargs, void *user);

MP_BEGIN_DECLS

/* Say which function stands for a target of Python's. A Process subclass without target stands
 * under its own name, "module.Class". A target nobody has registered ends its process with code 1
 * and says so on standard error, as in Python.
 *   name     "module.function", "__main__.function" for one of the script itself; copied
 *   user     handed to it
 *   returns  0; MP_EINVAL: NULL, no dot in the name; -ENOMEM */
int mp_python_register(const char *name, mp_python_fn function, void *user);

/* Open what an argument stands for. All of them:
 *   object   the argument, borrowed; may be freed afterwards
 *   returns  0; MP_ETYPE: it is no such thing, or a barrier with an action, which C cannot call;
 *            MP_ESTATE: opened before, or not this process's; MP_EINVAL: NULL; MP_EPROTO: its
 *            inside is not as CPython 3.8 to 3.14 writes it; -ENOENT: the parent has dropped it;
 *            -ENOMEM, -EMFILE
 *   owns     the caller: the _free of each, mp_connection_free */
int mp_python_connection_open(mp_connection **out, const mp_object *object);
int mp_python_lock_open(mp_python_lock **out, const mp_object *object);
int mp_python_condition_open(mp_python_condition **out, const mp_object *object);
int mp_python_event_open(mp_python_event **out, const mp_object *object);
int mp_python_barrier_open(mp_python_barrier **out, const mp_object *object);
int mp_python_queue_open(mp_python_queue **out, const mp_object *object);
int mp_python_value_open(mp_python_value **out, const mp_object *object);

/* ---- Lock, RLock, Semaphore, BoundedSemaphore ---- */

/* Take it.
 *   returns  0; MP_ETIMEDOUT; MP_EINVAL
 *   python   acquire(timeout=timeout) */
int mp_python_lock_acquire(mp_python_lock *lock, double timeout);

/* Give it back.
 *   returns  0; MP_EINVAL: released too many times; MP_EOWNER: an RLock that this thread has not
 *   python   release() */
int mp_python_lock_release(mp_python_lock *lock);

/* Tell how often it could be acquired now: 0 or 1 of locks. MP_EINVAL: NULL; -ENOSYS: this system
 * does not tell.
 *   python   get_value() */
int mp_python_lock_value(const mp_python_lock *lock);
void mp_python_lock_free(mp_python_lock *lock); /* NULL: nothing */

/* ---- Condition ---- */

/* Take its lock and give it back; wait, with the lock, until notified; wake those who wait, at most
 * `count` of them. Its lock is taken by these only, also when Python gave it one of its own.
 *   returns  0; MP_ETIMEDOUT; MP_EOWNER: this thread has not got the lock; MP_EINVAL: NULL, NaN
 *   blocks   wait: all depths of the lock are released meanwhile; notify: until those have woken up
 *   python   acquire(timeout=timeout), release(), wait(timeout), notify(count), notify_all() */
int mp_python_condition_acquire(mp_python_condition *condition, double timeout);
int mp_python_condition_release(mp_python_condition *condition);
int mp_python_condition_wait(mp_python_condition *condition, double timeout);
int mp_python_condition_notify(mp_python_condition *condition, unsigned count);
int mp_python_condition_notify_all(mp_python_condition *condition);
void mp_python_condition_free(mp_python_condition *condition); /* NULL: nothing */

/* ---- Event ---- */

/* Set, clear, ask, wait.
 *   returns  0; is_set: 1 or 0; wait: MP_ETIMEDOUT; MP_EINVAL: NULL, NaN
 *   blocks   set, clear, is_set: while another process is in one of them; set: until all that wait
 *            have woken up
 *   python   set(), clear(), is_set(), wait(timeout) */
int mp_python_event_set(mp_python_event *event);
int mp_python_event_clear(mp_python_event *event);
int mp_python_event_is_set(mp_python_event *event);
int mp_python_event_wait(mp_python_event *event, double timeout);
void mp_python_event_free(mp_python_event *event); /* NULL: nothing */

/* ---- Barrier ---- */

/* Wait until as many as its parties do.
 *   timeout  MP_FOREVER: the barrier's own, if it has one
 *   returns  0 to parties - 1, each once; MP_EBROKEN: not in time, broken or reset; MP_EINVAL
 *   python   wait(timeout) */
int mp_python_barrier_wait(mp_python_barrier *barrier, double timeout);

/* Let those who wait fail, and begin anew / fail all from now on. 0; MP_EINVAL: NULL.
 *   python   reset(), abort() */
int mp_python_barrier_reset(mp_python_barrier *barrier);
int mp_python_barrier_abort(mp_python_barrier *barrier);

/* Look at it, only for the moment. NULL: 0. Python: parties, n_waiting, broken */
int mp_python_barrier_parties(const mp_python_barrier *barrier);
int mp_python_barrier_n_waiting(const mp_python_barrier *barrier);
bool mp_python_barrier_broken(const mp_python_barrier *barrier);
void mp_python_barrier_free(mp_python_barrier *barrier); /* NULL: nothing */

/* ---- Queue, JoinableQueue, SimpleQueue ---- */

/* Put an object. When this returns it is in the queue's pipe: nothing is left for a feeder thread,
 * and nothing is lost when this process ends. One that is larger than what the pipe holds (64 KiB)
 * waits for its reader, whatever the timeout.
 *   returns  0; MP_EFULL: not in time; MP_EINVAL; -EPIPE: nobody can get any more; -ENOMEM
 *   python   put(object, timeout=timeout) */
int mp_python_queue_put(mp_python_queue *queue, const mp_object *object, double timeout);

/* Get the next one.
 *   out      a new object, the caller's
 *   returns  0; MP_EEMPTY: not in time; MP_EEOF: nobody can put any more; MP_EPROTO; MP_EINVAL
 *   python   get(timeout=timeout) */
int mp_python_queue_get(mp_python_queue *queue, mp_object **out, double timeout);

/* Tell how many are in it, whether none or no more go. Only for the moment.
 *   returns  the count, 1 or 0; MP_ETYPE: a SimpleQueue has no count; -ENOSYS; MP_EINVAL
 *   python   qsize(), empty(), full() */
int mp_python_queue_qsize(mp_python_queue *queue);
int mp_python_queue_empty(mp_python_queue *queue);
int mp_python_queue_full(mp_python_queue *queue);

/* Of a JoinableQueue: say that one that was got is done; wait until all are.
 *   returns  0; MP_EINVAL: said too often; MP_ETIMEDOUT; MP_ETYPE: not joinable
 *   python   task_done(), join() */
int mp_python_queue_task_done(mp_python_queue *queue);
int mp_python_queue_join(mp_python_queue *queue, double timeout);
void mp_python_queue_free(mp_python_queue *queue); /* NULL: nothing */

/* ---- Value, Array, RawValue, RawArray ---- */

/* Tell where its bytes are, shared with Python, how many; how many items (1 of a Value); its type
 * code as in mp/shared.h (0: a structure); its lock (NULL: raw), borrowed. NULL gives NULL or 0.
 *   python   get_obj(), ctypes.sizeof(), len(), get_lock() */
void *mp_python_value_data(mp_python_value *value);
size_t mp_python_value_size(const mp_python_value *value);
size_t mp_python_value_length(const mp_python_value *value);
char mp_python_value_typecode(const mp_python_value *value);
mp_python_lock *mp_python_value_get_lock(mp_python_value *value);
void mp_python_value_free(mp_python_value *value); /* NULL: nothing; with its lock */

MP_END_DECLS
#endif

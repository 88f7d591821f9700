/* mp/base.h: what every other header needs: error codes, timeouts, the context type.
 * SPDX-License-Identifier: MIT
 *
 *     int code = mp_lock_acquire(lock, 2.5);
 *     if (code < 0)
 *         fprintf(stderr, "%s: %s\n", mp_error_name(code), mp_error_detail());
 *
 * A family is a first process and all that libmp, or a bare fork(), makes from it. Its processes
 * have one memory in common, at the same address in each: the arena. A lock, a queue or a value
 * lies there, so that its pointer is good in every process of the family; give it to a child in its
 * argument. Data of your own gets there by mp_shared_alloc (mp/shared.h). The arena goes with the
 * family's last process, whatever was not freed.
 *
 * Conventions of all headers. An `int` function returns 0 or a count, and a negative code on
 * failure: one of the table below or -errno of the system call that failed. Outputs are written
 * only on success, and on failure nothing has changed, where a function does not say otherwise.
 * What is made goes out through the first argument. `mp_error_detail()` holds one sentence on this
 * thread's last failure. No failure is printed, and none ends the process.
 *
 * Two codes are meant also where they are not listed. MP_EINVAL: NULL for an object or an output
 * that is wanted; in the arena also what is no such object, or was freed. -ENOMEM: no memory, no
 * room in the arena, or none in the family for one more thread (16383) or process (4095).
 *
 * A `double timeout` is in seconds: MP_FOREVER, MP_NOWAIT, anything between; negative counts as 0;
 * NaN is MP_EINVAL. A signal does not cut a wait short.
 */
#ifndef MP_BASE_H
#define MP_BASE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
#define MP__EXTERN_C_BEGIN extern "C" {
#define MP__EXTERN_C_END }
#else
#define MP__EXTERN_C_BEGIN
#define MP__EXTERN_C_END
#endif
/* Around every public declaration: C linkage, and visible although the library is built hidden. */
#define MP_BEGIN_DECLS MP__EXTERN_C_BEGIN _Pragma("GCC visibility push(default)")
#define MP_END_DECLS _Pragma("GCC visibility pop") MP__EXTERN_C_END

#define MP_VERSION_MAJOR 0
#define MP_VERSION_MINOR 1
#define MP_VERSION_PATCH 0

#define MP_FOREVER ((double)INFINITY) /* wait without end */
#define MP_NOWAIT 0.0                 /* only look */

/* The one place where a code is born: name, value, Python's exception, sentence. The values lie
 * outside the range of errno and never change. */
#define MP_ERROR_TABLE(X)                                                                       \
    X(MP_EINVAL, -5001, "ValueError", "bad argument")                                           \
    X(MP_ETYPE, -5002, "TypeError", "wrong type")                                               \
    X(MP_ESTATE, -5003, "AssertionError", "not at this moment")                                 \
    X(MP_ETIMEDOUT, -5004, "TimeoutError", "time ran out")                                      \
    X(MP_EEMPTY, -5005, "queue.Empty", "nothing there")                                         \
    X(MP_EFULL, -5006, "queue.Full", "no room")                                                 \
    X(MP_EEOF, -5007, "EOFError", "the other end is gone")                                      \
    X(MP_ECLOSED, -5008, "ValueError", "used after close")                                      \
    X(MP_ETOOSHORT, -5009, "BufferTooShort", "the buffer is too short for the message")         \
    X(MP_EAUTH, -5010, "AuthenticationError", "authentication failed")                          \
    X(MP_EBROKEN, -5011, "BrokenBarrierError", "the barrier is broken")                         \
    X(MP_EOWNER, -5012, "AssertionError", "held by another thread")                             \
    X(MP_EOWNERDEAD, -5013, "", "held now, but its last owner died while holding it")           \
    X(MP_ETASK, -5014, "", "the task function failed")                                          \
    X(MP_EWORKER, -5015, "", "the worker died while it ran the task")                           \
    X(MP_ECANCELED, -5016, "CancelledError", "cancelled")                                       \
    X(MP_EEND, -5017, "StopIteration", "no more items")                                         \
    X(MP_EPROTO, -5018, "", "bytes that are not what they should be")                           \
    X(MP_EREMOTE, -5019, "RemoteError", "the server raised an exception")                       \
    X(MP_EKEY, -5020, "KeyError", "no such key")                                                \
    X(MP_EINDEX, -5021, "IndexError", "index out of range")                                     \
    X(MP_ENOTMAIN, -5022, "RuntimeError", "mp_freeze_support() was not called first in main()") \
    X(MP_EFOREIGN, -5023, "AssertionError", "belongs to another process")                       \
    X(MP_EDAEMON, -5024, "AssertionError", "daemonic processes have no children")               \
    X(MP_ENOTPASSED, -5025, "", "the connection was not given to this process")                 \
    X(MP_EDEADLK, -5026, "", "threads wait for each other's locks")

enum mp_error {
#define MP__ERROR_ENUM(name, value, exception, sentence) name = value,
    MP_ERROR_TABLE(MP__ERROR_ENUM)
#undef MP__ERROR_ENUM
};

/* How processes are started, see mp/context.h; NULL is the default context wherever one is taken.
 */
typedef struct mp_context mp_context;

MP_BEGIN_DECLS

/* Tell what a code means in a few words. Takes any code: ours, -errno, 0, unknown ones. Static or
 * thread-local text, never NULL. */
const char *mp_strerror(int code);

/* Give a code's name, "MP_EINVAL" or "ENOENT"; "0" for 0 and counts, "?" for unknown ones. */
const char *mp_error_name(int code);

/* Give the name of the exception that Python raises where libmp returns this code; "" where it has
 * none, "OSError" for -errno. */
const char *mp_error_exception(int code);

/* Say in one sentence what went wrong in this thread's last failed call: with the names and numbers
 * that matter and what to do about it. Valid until the thread's next call into libmp; "" before any
 * failure. */
const char *mp_error_detail(void);

/* Give the library's version, "0.1.0". */
const char *mp_version_string(void);

MP_END_DECLS
#endif

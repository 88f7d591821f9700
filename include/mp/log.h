/* mp/log.h: see what the library does, in Python's format and levels.
 * SPDX-License-Identifier: MIT
 *
 *     mp_log_to_stderr(MP_LOG_INFO);
 *     mp_log(MP_LOG_INFO, "%d jobs left", count);      // [INFO/MainProcess] 12 jobs left
 *
 * Until a program asks for it nothing is ever printed. Children have the level and stderr of the
 * process that started them, at that moment and under every start method; the handler, which is a
 * function, goes on in forked children only. Afterwards each process is set by itself. A line is
 * one write(2), so that those of several processes do not mix. The process's name is cut to 63
 * bytes, a line to 2000.
 *
 * The handler may call the library, but must not wait for what the program holds when it calls it.
 * It is called while the library holds nothing: of what happens under a lock, as when a dead
 * process's things are given back, it hears a little later, and of the first lines only when there
 * are many; standard error has all of them at once.
 *
 *     who may call what at once
 *     everything             any thread, also in a child made by fork; the handler is called by
 *                            several threads at once
 *
 *     a process dies         what it does to the others
 *     in any call            nothing
 */
#ifndef MP_LOG_H
#define MP_LOG_H

#include "mp/base.h"

enum mp_log_level {
    MP_LOG_NOTSET = 0, /* what was not said: counts as MP_LOG_WARNING */
    MP_LOG_SUBDEBUG = 5,
    MP_LOG_DEBUG = 10,      /* each step of the library's own work */
    MP_LOG_INFO = 20,       /* processes begin and end */
    MP_LOG_SUBWARNING = 25, /* not as it should be, but dealt with */
    MP_LOG_WARNING = 30,
    MP_LOG_ERROR = 40,
    MP_LOG_CRITICAL = 50,
};

/* Gets each line's parts; `text` has no newline. What it logs itself is dropped. */
typedef void (*mp_log_fn)(int level, const char *process_name, const char *text, void *user);

MP_BEGIN_DECLS

/* Have lines printed on standard error from now on, those of `level` and above.
 *   level    MP_LOG_NOTSET: keep the level; 1 to 1000 otherwise
 *   returns  0; MP_EINVAL: no such level
 *   python   log_to_stderr() */
int mp_log_to_stderr(int level);

/* Set the level, for standard error and the handler.
 *   level    MP_LOG_NOTSET: as if never set
 *   returns  0; MP_EINVAL
 *   python   get_logger().setLevel() */
int mp_log_set_level(int level);

/* Give the level that counts: MP_LOG_WARNING unless set.
 *   python   get_logger().getEffectiveLevel() */
int mp_log_get_level(void);

/* Have a function get the lines, besides standard error if that was asked for; one at a time.
 *   handler  NULL: none any more. A call under way in another thread comes to its end after this
 *   user     handed to each call
 *   returns  0; -ENOMEM
 *   python   get_logger().addHandler() */
int mp_log_set_handler(mp_log_fn handler, void *user);

/* Log a line of the program's own. Does nothing when nobody listens; errno is kept.
 *   level    1 and above
 *   format   as printf's; NULL: nothing is logged
 *   python   get_logger().log() */
__attribute__((format(printf, 2, 3))) void mp_log(int level, const char *format, ...);

MP_END_DECLS
#endif

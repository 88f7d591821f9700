/* Lets the library say what it does, when the program has asked for that.
 * SPDX-License-Identifier: MIT */
#ifndef MP__BASE_LOG_H
#define MP__BASE_LOG_H

#include <stdatomic.h>

#include "mp/log.h"

#define MP__LOG_STDERR (UINT32_C(1) << 16)
#define MP__LOG_HANDLER (UINT32_C(1) << 17)

extern _Atomic uint32_t mp__log_state; /* level; MP__LOG_STDERR, MP__LOG_HANDLER: who listens */

static inline bool mp__log_is_heard(void) {
    return atomic_load_explicit(&mp__log_state, memory_order_relaxed) >= MP__LOG_STDERR;
}

/* One load when nobody listens; arguments are not evaluated then. Not with a lock of the library
 * held: the program's handler may call into it. */
#define mp__log(level, ...)                          \
    do {                                             \
        if (__builtin_expect(mp__log_is_heard(), 0)) \
            mp_log(level, __VA_ARGS__);              \
    } while (0)

/* The same with a lock of the library held, or in what others wait for: standard error gets the
 * line at once, the handler when the next line is logged without, or at mp__log_catch_up. Of many
 * the first ones are kept for it. */
#define mp__log_held(level, ...)                     \
    do {                                             \
        if (__builtin_expect(mp__log_is_heard(), 0)) \
            mp__log_keep(level, __VA_ARGS__);        \
    } while (0)
__attribute__((format(printf, 2, 3))) void mp__log_keep(int level, const char *format, ...);

/* Where no lock is held: give the handler the lines that were kept. */
void mp__log_give_kept(void);
static inline void mp__log_catch_up(void) {
    if (__builtin_expect(mp__log_is_heard(), 0))
        mp__log_give_kept();
}

/* This process's name in lines, copied; until set "MainProcess". */
void mp__log_set_name(const char *name);

/* What a child is to inherit, and: be such a child, executed anew and without handler. */
uint32_t mp__log_legacy(void);
void mp__log_inherit(uint32_t legacy);

#endif

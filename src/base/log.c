/* Lines about what the library does: no lock, so that any thread and any forked child can log.
 * SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"

#define LEVEL_MASK (MP__LOG_STDERR - 1)
#define LEVEL_MAX 1000
#define NAME_WORDS 8
#define NAME_BYTES (NAME_WORDS * sizeof(uint64_t))
#define LINE_BYTES 2000
#define KEPT_COUNT 16

struct handler {
    mp_log_fn function;       /* never NULL */
    void *user;               /* handed to it */
    struct handler *previous; /* set before; kept, as another thread may still be in it */
};

/* A line for the handler. Who changes `state` from KEPT_FREE or KEPT_FULL to KEPT_BUSY has it. */
struct kept {
    _Atomic uint64_t state; /* pid << 2 | one of those below; a forked child sees its parent's */
    int level;
    char text[300]; /* cut */
};

enum { KEPT_FREE, KEPT_BUSY, KEPT_FULL };

_Atomic uint32_t mp__log_state;
static _Atomic(struct handler *) last_handler;  /* NULL: there never was one */
static _Atomic uint64_t name_words[NAME_WORDS]; /* text, 0-terminated; all zero: not set */
static _Thread_local bool is_logging;
static struct kept kept_lines[KEPT_COUNT];
static _Atomic uint32_t kept_next; /* the place that the next one tries first */

/* A word at a time: who reads meanwhile may see a mixture of two names, but never runs past it. */
void mp__log_set_name(const char *name) {
    uint64_t words[NAME_WORDS] = {0};
    char *text = (char *)words;
    for (size_t i = 0; i < NAME_BYTES - 1 && name[i]; i++)
        text[i] = name[i];
    for (unsigned i = 0; i < NAME_WORDS; i++)
        atomic_store_explicit(&name_words[i], words[i], memory_order_relaxed);
}

static void copy_name(char name[NAME_BYTES]) {
    uint64_t words[NAME_WORDS];
    for (unsigned i = 0; i < NAME_WORDS; i++)
        words[i] = atomic_load_explicit(&name_words[i], memory_order_relaxed);
    memcpy(name, words, NAME_BYTES);
    if (name[0] == 0)
        snprintf(name, NAME_BYTES, "MainProcess");
}

static void change_state(uint32_t clear, uint32_t set) {
    uint32_t state = atomic_load(&mp__log_state);
    while (!atomic_compare_exchange_weak(&mp__log_state, &state, (state & ~clear) | set))
        ;
}

static int check_level(int level, const char *function) {
    if (level >= MP_LOG_NOTSET && level <= LEVEL_MAX)
        return 0;
    return mp__fail(MP_EINVAL, "%s: a level is 0 to %d, not %d", function, LEVEL_MAX, level);
}

int mp_log_to_stderr(int level) {
    int code = check_level(level, "mp_log_to_stderr");
    if (code < 0)
        return code;
    change_state(level == MP_LOG_NOTSET ? 0 : LEVEL_MASK, (uint32_t)level | MP__LOG_STDERR);
    return 0;
}

int mp_log_set_level(int level) {
    int code = check_level(level, "mp_log_set_level");
    if (code == 0)
        change_state(LEVEL_MASK, (uint32_t)level);
    return code;
}

static int level_of(uint32_t state) {
    int level = (int)(state & LEVEL_MASK);
    return level == MP_LOG_NOTSET ? MP_LOG_WARNING : level;
}

int mp_log_get_level(void) {
    return level_of(atomic_load(&mp__log_state));
}

int mp_log_set_handler(mp_log_fn function, void *user) {
    if (!function) {
        change_state(MP__LOG_HANDLER, 0);
        return 0;
    }
    struct handler *handler = malloc(sizeof *handler);
    if (!handler)
        return mp__fail(-ENOMEM, "mp_log_set_handler");
    *handler = (struct handler){function, user, atomic_load(&last_handler)};
    while (!atomic_compare_exchange_weak(&last_handler, &handler->previous, handler))
        ;
    change_state(0, MP__LOG_HANDLER);
    return 0;
}

uint32_t mp__log_legacy(void) {
    return atomic_load(&mp__log_state) & ~MP__LOG_HANDLER;
}

void mp__log_inherit(uint32_t legacy) {
    atomic_store(&mp__log_state, legacy);
}

static void print_level(char *out, size_t size, int level) {
    static const struct {
        int level;
        const char *name;
    } names[] = {{MP_LOG_DEBUG, "DEBUG"},
                 {MP_LOG_INFO, "INFO"},
                 {MP_LOG_WARNING, "WARNING"},
                 {MP_LOG_ERROR, "ERROR"},
                 {MP_LOG_CRITICAL, "CRITICAL"}};
    snprintf(out, size, "Level %d", level);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].level == level)
            snprintf(out, size, "%s", names[i].name);
}

static void print_line(int level, const char *text) {
    char line[LINE_BYTES], level_name[32], name[NAME_BYTES];
    copy_name(name);
    print_level(level_name, sizeof level_name, level);
    int length = snprintf(line, sizeof line, "[%s/%s] %s\n", level_name, name, text);
    if (length >= LINE_BYTES) {
        length = LINE_BYTES - 1;
        line[length - 1] = '\n';
    }
    while (write(STDERR_FILENO, line, (size_t)length) < 0 && errno == EINTR)
        ;
}

static void call_handler(int level, const char *text) {
    char name[NAME_BYTES];
    copy_name(name);
    struct handler *handler = atomic_load(&last_handler);
    handler->function(level, name, text, handler->user);
}

static uint64_t kept_state(unsigned state) {
    return (uint64_t)getpid() << 2 | state;
}

/* A place that is free here, or was another process's: from before we were forked. */
static bool take_place(struct kept *kept) {
    uint64_t state = atomic_load(&kept->state);
    if (state >> 2 == (uint64_t)getpid() && (state & 3) != KEPT_FREE)
        return false;
    return atomic_compare_exchange_strong(&kept->state, &state, kept_state(KEPT_BUSY));
}

static void keep(int level, const char *text) {
    uint32_t first = atomic_fetch_add(&kept_next, 1);
    for (uint32_t i = 0; i < KEPT_COUNT; i++) {
        struct kept *kept = &kept_lines[(first + i) % KEPT_COUNT];
        if (!take_place(kept))
            continue;
        kept->level = level;
        snprintf(kept->text, sizeof kept->text, "%s", text);
        atomic_store(&kept->state, kept_state(KEPT_FULL));
        return;
    }
}

static void give_kept(void) {
    uint32_t first = atomic_load(&kept_next);
    for (uint32_t i = 0; i < KEPT_COUNT; i++) {
        struct kept *kept = &kept_lines[(first + i) % KEPT_COUNT];
        uint64_t full = kept_state(KEPT_FULL);
        if (!atomic_compare_exchange_strong(&kept->state, &full, kept_state(KEPT_BUSY)))
            continue;
        call_handler(kept->level, kept->text);
        atomic_store(&kept->state, kept_state(KEPT_FREE));
    }
}

void mp__log_give_kept(void) {
    if (is_logging || !(atomic_load(&mp__log_state) & MP__LOG_HANDLER))
        return;
    int error = errno;
    is_logging = true;
    give_kept();
    is_logging = false;
    errno = error;
}

/* The handler is told at once or later. */
static void log_line(int level, const char *format, va_list arguments,
                     void (*tell_handler)(int level, const char *text)) {
    uint32_t state = atomic_load(&mp__log_state);
    if (state < MP__LOG_STDERR || level < level_of(state) || level < 1 || !format || is_logging)
        return;
    int error = errno;
    char text[LINE_BYTES];
    is_logging = true;
    vsnprintf(text, sizeof text, format, arguments);
    if (state & MP__LOG_STDERR)
        print_line(level, text);
    if (state & MP__LOG_HANDLER)
        tell_handler(level, text);
    is_logging = false;
    errno = error;
}

void mp__log_keep(int level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    log_line(level, format, arguments, keep);
    va_end(arguments);
}

static void tell_all(int level, const char *text) {
    give_kept();
    call_handler(level, text);
}

void mp_log(int level, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    log_line(level, format, arguments, tell_all);
    va_end(arguments);
}

/* The hook of the matrix behind kill points: notes them, or catches the first one who comes by.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/point.h"
#include "matrix.h"

enum { SEEN_MAX = 512 };

static struct {
    enum trap_mode mode;
    const char *point;
    const char *file; /* exists once somebody was caught; its text is his pid */
    _Atomic(const char *)
        seen[SEEN_MAX]; /* points noted by this process's threads; NULL: no more */
} trap;

static struct {
    const char *point; /* NULL: none */
    const char *file;  /* as above */
} second;

static bool is_new(const char *name) {
    for (unsigned i = 0; i < SEEN_MAX; i++) {
        const char *seen = atomic_load(&trap.seen[i]);
        if (!seen && atomic_compare_exchange_strong(&trap.seen[i], &seen, name))
            return true;
        if (seen == name || strcmp(seen, name) == 0)
            return false;
    }
    return true;
}

static void note_once(const char *name) {
    char line[128];
    if (!is_new(name))
        return;
    int size = snprintf(line, sizeof line, "%s\n", name);
    int file = open(trap.file, O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
    if (file >= 0 && write(file, line, (size_t)size) != size)
        _exit(1);
    close(file);
}

static void spring(const char *name) {
    char line[32];
    if (trap.mode == TRAP_RECORD)
        note_once(name);
    if (second.point && strcmp(name, second.point) == 0 &&
        open(second.file, O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0)
        kill(getpid(), SIGKILL);
    if (trap.mode < TRAP_KILL || strcmp(name, trap.point) != 0)
        return;
    int file = open(trap.file, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    int size = snprintf(line, sizeof line, "%d\n", (int)getpid());
    if (write(file, line, (size_t)size) != size)
        _exit(1);
    close(file);
    kill(getpid(), trap.mode == TRAP_KILL ? SIGKILL : SIGSTOP);
}

void matrix_set_trap(enum trap_mode mode, const char *point, const char *file, bool for_children) {
    char number[16];
    trap.mode = mode;
    trap.point = point;
    trap.file = file;
    mp__point_hook = mode == TRAP_OFF ? NULL : spring;
    if (!for_children)
        return;
    snprintf(number, sizeof number, "%d", (int)mode);
    setenv("MATRIX_MODE", number, 1);
    setenv("MATRIX_POINT", point, 1);
    setenv("MATRIX_FILE", file, 1);
}

void matrix_set_second_trap(const char *point, const char *file) {
    second.point = point;
    second.file = file;
}

__attribute__((constructor)) static void inherit_trap(void) {
    if (getenv("MATRIX_MODE"))
        matrix_set_trap((enum trap_mode)atoi(getenv("MATRIX_MODE")), getenv("MATRIX_POINT"),
                        getenv("MATRIX_FILE"), false);
}

/* What a context is, for the layers that start processes.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_CONTEXT_H
#define MP__PROC_CONTEXT_H

#include "mp/context.h"
#include "shm/function.h"

struct mp_context {
    mp_start_method method; /* MP_DEFAULT: whatever was chosen for the default context */
    const char *prefix;     /* of the names of its processes: "Spawn" + "Process" */
};

/* Is it NULL or one that mp_get_context gave? Else MP_EINVAL. */
int mp__context_check(const mp_context *context, const char *function);

/* The method that a context (NULL: the default one) starts with, never MP_DEFAULT; fixes the
 * default. */
mp_start_method mp__context_method(const mp_context *context);
const char *mp__context_prefix(const mp_context *context);

/* The program to execute: a malloc'd copy of the path, or NULL when it is our own. */
char *mp__context_executable(void);

struct mp__preload {
    struct mp__function function; /* image 0: none */
    size_t arg_size;              /* bytes at arg */
    char arg[];
};
/* What the next fork server calls first: malloc'd, NULL: out of memory. */
struct mp__preload *mp__context_preload(void);

#endif

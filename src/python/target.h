/* The C functions that stand for targets of Python's.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PYTHON_TARGET_H
#define MP__PYTHON_TARGET_H

#include "mp/python.h"

struct python_target {
    mp_python_fn function;
    void *user;                 /* handed to it */
    struct python_target *next; /* registered before */
    char name[];                /* "module.function" */
};

const struct python_target *mp__target_find(const char *name); /* the last of that name; or NULL */

/* A command line of Python's (spawn, resource tracker): become that and do not return. Another one:
 * return. */
void mp__python_child(int argc, char **argv);

#endif

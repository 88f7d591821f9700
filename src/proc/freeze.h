/* The program as its own child: what mp_freeze_support() noted.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_FREEZE_H
#define MP__PROC_FREEZE_H

#include "os/child.h"
#include "os/descriptor.h"

#define MP__FREEZE_MARK "--multiprocessing-fork"  /* argv[1] of a child, as Python's */
#define MP__FREEZE_TEXT (160 + 12 * MP__PASS_MAX) /* room for argv[2] */

struct mp__freeze {                 /* what a spawned child is told, as text in argv[2] */
    int arena;                      /* descriptor */
    uint64_t address, size;         /* where to map it */
    uint64_t launch;                /* mp__launch_name of the record */
    int has_sentinel, has_lifeline; /* the first of the descriptors are these */
    int descriptors[MP__PASS_MAX];  /* then connections */
    int count;                      /* of them all */
};

/* For a constructor of a later layer: is asked first by mp_freeze_support, and does not return when
 * the command line is that of another library's child. There is room for one. */
extern void (*mp__freeze_foreign)(int argc, char **argv);

/* What to execute: our own image or what mp_set_executable said (*path, malloc'd). MP_ENOTMAIN:
 * main() did not call mp_freeze_support(). argv0: to be the child's argv[0]. */
int mp__freeze_program(int *image, char **path, const char **argv0);

void mp__freeze_print(const struct mp__freeze *order, char text[MP__FREEZE_TEXT]);
bool mp__freeze_parse(struct mp__freeze *out, const char *text);

#endif

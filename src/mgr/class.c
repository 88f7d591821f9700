/* The table of built-in classes.
 * SPDX-License-Identifier: MIT */
#include "mgr/class.h"

#include <string.h>

const struct mp__class *mp__class_find(const char *name) {
    (void)name;
    return NULL;
}

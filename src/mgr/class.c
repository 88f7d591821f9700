/* The table of built-in classes.
 * SPDX-License-Identifier: MIT */
#include "mgr/class.h"

#include <string.h>

#include "mgr/managed.h"

static const struct mp__class *const classes[] = {
    &mp__list_class, &mp__dict_class, &mp__set_class, &mp__namespace_class, &mp__iterator_class,
};

const struct mp__class *mp__class_find(const char *name) {
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(classes[i]->name, name) == 0)
            return classes[i];
    return NULL;
}

/* The table of built-in classes.
 * SPDX-License-Identifier: MIT */
#include "mgr/class.h"

#include <string.h>

#include "mgr/managed.h"

static const struct mp__class *const classes[] = {
    &mp__list_class,      &mp__dict_class,  &mp__set_class,       &mp__namespace_class,
    &mp__value_class,     &mp__array_class, &mp__queue_class,     &mp__joinable_queue_class,
    &mp__lock_class,      &mp__rlock_class, &mp__semaphore_class, &mp__bounded_semaphore_class,
    &mp__condition_class, &mp__event_class, &mp__barrier_class,   &mp__iterator_class,
    &mp__pool_class,
};

const struct mp__class *mp__class_find(const char *name) {
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (strcmp(classes[i]->name, name) == 0)
            return classes[i];
    return NULL;
}

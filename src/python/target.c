/* Registering the C functions that Python's processes run.
 * SPDX-License-Identifier: MIT */
#include "python/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "proc/freeze.h"

static struct python_target *last_target; /* NULL: none; written before mp_freeze_support only */

__attribute__((constructor)) static void be_asked(void) {
    mp__freeze_foreign = mp__python_child;
}

int mp_python_register(const char *name, mp_python_fn function, void *user) {
    if (!name || !function)
        return mp__fail(MP_EINVAL, "mp_python_register: an argument is NULL");
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || dot[1] == 0)
        return mp__fail(MP_EINVAL, "mp_python_register: '%s' is no \"module.function\"", name);
    size_t size = strlen(name) + 1;
    struct python_target *target = malloc(sizeof *target + size);
    if (!target)
        return mp__fail(-ENOMEM, "mp_python_register");
    *target = (struct python_target){.function = function, .user = user, .next = last_target};
    memcpy(target->name, name, size);
    last_target = target;
    return 0;
}

const struct python_target *mp__target_find(const char *name) {
    const struct python_target *target = last_target;
    while (target && strcmp(target->name, name) != 0)
        target = target->next;
    return target;
}

/* What is registered with a manager: types and functions, under names.
 * SPDX-License-Identifier: MIT
 *
 * It can be packed into an object, which a pickle takes to the server's process. */
#ifndef MP__MGR_REGISTRY_H
#define MP__MGR_REGISTRY_H

#include "mp/manager.h"

struct mp__registered {
    struct mp__registered *next; /* in its registry */
    char *name;                  /* the type's id */
    mp_manager_type type;        /* what it points to is from malloc */
};

struct mp__registered_function {
    struct mp__registered_function *next; /* in its registry */
    char *name;                           /* "module.function" or "function" */
    mp_method_fn function;
};

struct mp__registry {
    struct mp__registered *types;              /* the latest first: that one counts */
    struct mp__registered_function *functions; /* the same */
};

void mp__registry_fini(struct mp__registry *registry);

/* Add a copy: 0 or -ENOMEM. */
int mp__registry_add(struct mp__registry *registry, const char *name, const mp_manager_type *type);
int mp__registry_add_function(struct mp__registry *registry, const char *name,
                              mp_method_fn function);

/* NULL: there is none. A function is asked for as module and name. */
const struct mp__registered *mp__registry_find(const struct mp__registry *registry,
                                               const char *name);
mp_method_fn mp__registry_find_function(const struct mp__registry *registry, const char *module,
                                        const char *name);

/* To and from an object. NULL / codes: a function of no loaded object, -ENOMEM; on failure the
 * registry has some of it. */
mp_object *mp__registry_pack(const struct mp__registry *registry);
int mp__registry_unpack(struct mp__registry *registry, const mp_object *packed);

#endif

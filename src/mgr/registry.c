/* Keeping what is registered, and taking it to the server's process.
 * SPDX-License-Identifier: MIT */
#include "mgr/registry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mp/collection.h"
#include "shm/function.h"

enum { FUNCTION_COUNT = 4 }; /* of a type, besides its methods */

static void free_type(struct mp__registered *registered) {
    mp_manager_type *type = &registered->type;
    for (size_t i = 0; i < type->method_count; i++) {
        free((char *)type->methods[i].name);
        free((char *)type->methods[i].result_type);
    }
    free((void *)type->methods);
    free((void *)type->arg);
    free((char *)type->like);
    free(registered->name);
    free(registered);
}

void mp__registry_fini(struct mp__registry *registry) {
    while (registry->types) {
        struct mp__registered *type = registry->types;
        registry->types = type->next;
        free_type(type);
    }
    while (registry->functions) {
        struct mp__registered_function *function = registry->functions;
        registry->functions = function->next;
        free(function->name);
        free(function);
    }
}

/* A copy of a text, NULL for NULL; notes when memory is short. */
static char *copy_text(const char *text, bool *is_short) {
    char *copy = text ? strdup(text) : NULL;
    *is_short |= text && !copy;
    return copy;
}

static mp_manager_method *copy_methods(const mp_manager_type *type, bool *is_short) {
    if (type->method_count == 0)
        return NULL;
    mp_manager_method *methods = calloc(type->method_count, sizeof *methods);
    *is_short |= !methods;
    for (size_t i = 0; methods && i < type->method_count; i++) {
        methods[i] = type->methods[i];
        methods[i].name = copy_text(type->methods[i].name, is_short);
        methods[i].result_type = copy_text(type->methods[i].result_type, is_short);
    }
    return methods;
}

int mp__registry_add(struct mp__registry *registry, const char *name, const mp_manager_type *type) {
    struct mp__registered *registered = calloc(1, sizeof *registered);
    if (!registered)
        return mp__fail(-ENOMEM, "registering the type '%s'", name);
    bool is_short = false;
    mp_manager_type *copy = &registered->type;
    *copy = *type;
    registered->name = copy_text(name, &is_short);
    copy->like = copy_text(type->like, &is_short);
    copy->methods = copy_methods(type, &is_short);
    copy->method_count = copy->methods ? type->method_count : 0;
    copy->arg = type->arg_size > 0 ? malloc(type->arg_size) : NULL;
    is_short |= type->arg_size > 0 && !copy->arg;
    if (is_short) {
        free_type(registered);
        return mp__fail(-ENOMEM, "registering the type '%s'", name);
    }
    if (type->arg_size > 0)
        memcpy((void *)copy->arg, type->arg, type->arg_size);
    registered->next = registry->types;
    registry->types = registered;
    return 0;
}

int mp__registry_add_function(struct mp__registry *registry, const char *name,
                              mp_method_fn function) {
    struct mp__registered_function *added = calloc(1, sizeof *added);
    bool is_short = !added;
    if (added)
        added->name = copy_text(name, &is_short);
    if (is_short) {
        free(added);
        return mp__fail(-ENOMEM, "registering the function '%s'", name);
    }
    added->function = function;
    added->next = registry->functions;
    registry->functions = added;
    return 0;
}

const struct mp__registered *mp__registry_find(const struct mp__registry *registry,
                                               const char *name) {
    const struct mp__registered *type = registry->types;
    while (type && strcmp(type->name, name) != 0)
        type = type->next;
    return type;
}

/* "name" is of any module. */
static bool is_named(const char *registered, const char *module, const char *name) {
    size_t length = strlen(module);
    if (strcmp(registered, name) == 0)
        return true;
    return strncmp(registered, module, length) == 0 && registered[length] == '.' &&
           strcmp(registered + length + 1, name) == 0;
}

mp_method_fn mp__registry_find_function(const struct mp__registry *registry, const char *module,
                                        const char *name) {
    const struct mp__registered_function *function = registry->functions;
    while (function && !is_named(function->name, module, name))
        function = function->next;
    return function ? function->function : NULL;
}

static mp_object *pack_function(mp__any_fn function) {
    struct mp__function packed;
    if (mp__function_pack(function, &packed) < 0)
        return NULL;
    return mp_object_build("(IK)", packed.image, (unsigned long long)packed.offset);
}

static int find_function(const mp_object *packed, mp__any_fn *out) {
    unsigned long long offset;
    struct mp__function function = {0};
    int code = mp_object_parse(packed, "(IK)", &function.image, &offset);
    function.offset = offset;
    return code < 0 ? code : mp__function_find(&function, out);
}

static mp_object *pack_methods(const mp_manager_type *type) {
    mp_object *list = mp_list_new();
    for (size_t i = 0; list && i < type->method_count; i++) {
        const mp_manager_method *method = &type->methods[i];
        mp_object *packed =
            mp_object_build("(sNs)", method->name, pack_function((mp__any_fn)method->function),
                            method->result_type);
        if (mp_list_append(list, packed) < 0) {
            mp_object_free(list);
            list = NULL;
        }
    }
    return list;
}

static mp_object *pack_type(const struct mp__registered *registered) {
    const mp_manager_type *type = &registered->type;
    return mp_object_build(
        "(ssi??NNNNNy#)", registered->name, type->like, (int)type->redeliver, type->is_single,
        type->is_concurrent, pack_function((mp__any_fn)type->create),
        pack_function((mp__any_fn)type->destroy), pack_function((mp__any_fn)type->value),
        pack_function((mp__any_fn)type->repr), pack_methods(type), type->arg, type->arg_size);
}

/* The first registered comes first, so that unpacking gives the same order. */
static int pack_all(const struct mp__registry *registry, mp_object *types, mp_object *functions) {
    int code = 0;
    for (const struct mp__registered *type = registry->types; code == 0 && type; type = type->next)
        code = mp_list_insert(types, 0, pack_type(type));
    for (const struct mp__registered_function *function = registry->functions;
         code == 0 && function; function = function->next)
        code = mp_list_insert(
            functions, 0,
            mp_object_build("(sN)", function->name, pack_function((mp__any_fn)function->function)));
    return code;
}

mp_object *mp__registry_pack(const struct mp__registry *registry) {
    mp_object *types = mp_list_new(), *functions = mp_list_new();
    mp_object *packed = mp_object_build("(OO)", types, functions);
    if (packed && pack_all(registry, types, functions) < 0) {
        mp_object_free(packed);
        packed = NULL;
    }
    mp_object_free(types);
    mp_object_free(functions);
    return packed;
}

static int unpack_methods(const mp_object *packed, mp_manager_type *type) {
    size_t count = mp_object_length(packed);
    mp_manager_method *methods = calloc(count ? count : 1, sizeof *methods);
    int code = methods ? 0 : mp__fail(-ENOMEM, "the methods of a registered type");
    for (size_t i = 0; code == 0 && i < count; i++) {
        mp_object *function;
        code = mp_object_parse(mp_list_get(packed, (ptrdiff_t)i), "(sOz)", &methods[i].name,
                               &function, &methods[i].result_type);
        if (code == 0)
            code = find_function(function, (mp__any_fn *)&methods[i].function);
    }
    type->methods = methods;
    type->method_count = count;
    return code;
}

static int unpack_type(struct mp__registry *registry, const mp_object *packed) {
    const char *name;
    int redeliver;
    mp_object *functions[FUNCTION_COUNT], *methods, *arg;
    mp_manager_type type = {0};
    int code = mp_object_parse(packed, "(szi??OOOOOO)", &name, &type.like, &redeliver,
                               &type.is_single, &type.is_concurrent, &functions[0], &functions[1],
                               &functions[2], &functions[3], &methods, &arg);
    type.redeliver = code == 0 ? (mp_redeliver)redeliver : MP_REDELIVER_NEVER;
    mp__any_fn *const places[FUNCTION_COUNT] = {
        (mp__any_fn *)&type.create, (mp__any_fn *)&type.destroy, (mp__any_fn *)&type.value,
        (mp__any_fn *)&type.repr};
    for (int i = 0; code == 0 && i < FUNCTION_COUNT; i++)
        code = find_function(functions[i], places[i]);
    if (code == 0 && mp_object_get_kind(arg) == MP_OBJECT_BYTES)
        code = mp_bytes_get(arg, &type.arg, &type.arg_size);
    if (code == 0)
        code = unpack_methods(methods, &type);
    if (code == 0)
        code = mp__registry_add(registry, name, &type);
    free((void *)type.methods);
    return code;
}

static int unpack_function(struct mp__registry *registry, const mp_object *packed) {
    const char *name;
    mp_object *place;
    mp__any_fn function;
    int code = mp_object_parse(packed, "(sO)", &name, &place);
    if (code == 0)
        code = find_function(place, &function);
    return code < 0 ? code : mp__registry_add_function(registry, name, (mp_method_fn)function);
}

int mp__registry_unpack(struct mp__registry *registry, const mp_object *packed) {
    mp_object *types, *functions;
    int code = mp_object_parse(packed, "(OO)", &types, &functions);
    for (size_t i = 0; code == 0 && i < mp_object_length(types); i++)
        code = unpack_type(registry, mp_list_get(types, (ptrdiff_t)i));
    for (size_t i = 0; code == 0 && i < mp_object_length(functions); i++)
        code = unpack_function(registry, mp_list_get(functions, (ptrdiff_t)i));
    return code;
}

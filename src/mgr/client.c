/* What a manager's own process asks of its server, or of another program's.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/build.h"
#include "mgr/manager.h"
#include "mgr/proxy.h"
#include "mp/collection.h"

static struct mp__site site_of(const mp_manager *manager) {
    return (struct mp__site){manager->address, manager->key, manager->key_size};
}

/* While a manager is there its connections stay. */
static int ensure_link(mp_manager *manager) {
    if (manager->linked)
        return 0;
    char *address = strdup(manager->address);
    if (!address || mp__link_hold(address) < 0) {
        free(address);
        return mp__fail(-ENOMEM, "no memory for a manager's connections");
    }
    manager->linked = address;
    return 0;
}

/* A request for the manager itself, and what it returns. */
static int ask(mp_object **value, const struct mp__site *site, const char *name, mp_object *args,
               mp_object *kwds) {
    mp_object *reply;
    int code = mp__link_ask(site, mp__request_new(NULL, name, args, kwds), &reply);
    return code < 0 ? code : mp__proxy_result(value, reply, site, false);
}

int mp_manager_connect(mp_manager *manager) {
    mp_object *value;
    int code = mp__manager_check_initial(manager, "mp_manager_connect");
    if (code == 0 && !manager->address[0])
        code = mp__fail(MP_EINVAL, "mp_manager_connect: the options had no address");
    if (code == 0)
        code = ensure_link(manager);
    if (code < 0)
        return code;
    struct mp__site site = site_of(manager);
    code = ask(&value, &site, "dummy", NULL, NULL);
    if (code < 0)
        return code;
    mp_object_free(value);
    manager->state = MP__MANAGER_CONNECTED;
    return 0;
}

/* (ident, exposed): the manager has counted a reference for us. */
static int take_created(mp_proxy **out, const mp_object *value, const char *type_id,
                        const struct mp__site *site) {
    const char *ident;
    mp_object *exposed;
    if (mp_object_parse(value, "(sO)", &ident, &exposed) < 0)
        return mp__fail(MP_EPROTO, "the manager's answer to create is (ident, exposed)");
    struct mp__proxy_plan plan = {
        .type_id = type_id, .ident = ident, .site = *site, .exposed = exposed};
    return mp__proxy_new(out, &plan);
}

/* (type_id, *args) */
static mp_object *join_args(const char *type_id, const mp_object *args) {
    size_t count = mp_object_length(args) + 1;
    mp_object **items = calloc(count, sizeof *items);
    if (!items)
        return NULL;
    items[0] = mp_str_new(type_id);
    for (size_t i = 1; i < count; i++)
        items[i] = mp_object_ref(mp_tuple_get(args, (ptrdiff_t)i - 1));
    mp_object *joined = mp_tuple_new(items, count);
    free(items);
    return joined;
}

int mp__manager_create(mp_manager *manager, mp_proxy **out, const char *type_id,
                       const mp_object *args, const mp_object *kwargs, const char *function) {
    mp_object *value;
    int code = mp__manager_check_running(manager, function);
    if (code == 0 && (!out || !type_id || !type_id[0]))
        code = mp__fail(MP_EINVAL, "%s: out or type_id is NULL", function);
    if (code == 0)
        code = ensure_link(manager);
    if (code < 0)
        return code;
    struct mp__site site = site_of(manager);
    mp_object *joined = join_args(type_id, args);
    code = joined ? ask(&value, &site, "create", joined, mp_object_ref(kwargs))
                  : mp__fail(-ENOMEM, "%s", function);
    if (code < 0)
        return code;
    code = take_created(out, value, type_id, &site);
    mp_object_free(value);
    return code;
}

int mp_manager_create(mp_manager *manager, mp_proxy **out, const char *type_id, const char *format,
                      ...) {
    va_list arguments;
    va_start(arguments, format);
    mp_object *args = mp__object_build(format ? format : "", arguments, true);
    va_end(arguments);
    if (!args)
        return mp__fail(MP_EINVAL, "mp_manager_create: %.100s: the arguments cannot be made",
                        type_id ? type_id : "");
    int code = mp__manager_create(manager, out, type_id, args, NULL, "mp_manager_create");
    mp_object_free(args);
    return code;
}

int mp_manager_create_objects(mp_manager *manager, mp_proxy **out, const char *type_id,
                              const mp_object *args, const mp_object *kwargs) {
    bool is_right = (!args || mp_object_get_kind(args) == MP_OBJECT_TUPLE) &&
                    (!kwargs || mp_object_get_kind(kwargs) == MP_OBJECT_DICT);
    if (!is_right)
        return mp__fail(MP_ETYPE, "mp_manager_create_objects: args is a tuple and kwargs a dict");
    return mp__manager_create(manager, out, type_id, args, kwargs, "mp_manager_create_objects");
}

int mp_manager_number_of_objects(mp_manager *manager) {
    mp_object *value;
    int64_t count = 0;
    int code = mp__manager_check_running(manager, "mp_manager_number_of_objects");
    if (code == 0)
        code = ensure_link(manager);
    if (code < 0)
        return code;
    struct mp__site site = site_of(manager);
    code = ask(&value, &site, "number_of_objects", NULL, NULL);
    if (code < 0)
        return code;
    code = mp_integer_get(value, &count);
    mp_object_free(value);
    return code < 0 || count < 0 || count > INT_MAX
               ? mp__fail(MP_EPROTO, "the manager's number of objects is no number")
               : (int)count;
}

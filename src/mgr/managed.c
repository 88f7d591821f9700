/* What referents that are one object have in common.
 * SPDX-License-Identifier: MIT */
#include "mgr/managed.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"

enum { FORMAT_MAX = 300 };
#define REPR_MAX ((size_t)1 << 30)

struct mp__referent *mp__managed_new(struct mp__invocation *call, mp_object *object) {
    struct mp__managed *managed =
        object ? mp__referent_new(call->server, call->class_, sizeof *managed) : NULL;
    if (!managed) {
        mp_object_free(object);
        return NULL;
    }
    managed->object = object;
    return &managed->referent;
}

void mp__managed_destroy(struct mp__server *server, struct mp__referent *referent) {
    (void)server;
    mp_object_free(((struct mp__managed *)referent)->object);
    free(referent);
}

mp_object *mp__managed_value(struct mp__invocation *call) {
    return mp_object_ref(mp__managed_object(call));
}

mp_object *mp__managed_repr(struct mp__invocation *call) {
    return mp__str_repr(mp__managed_object(call));
}

const mp_object *mp__managed_root(const struct mp__referent *referent, size_t *cursor) {
    return (*cursor)++ == 0 ? ((const struct mp__managed *)referent)->object : NULL;
}

mp_object *mp__managed_length(struct mp__invocation *call) {
    return mp__call_bind_none(call)
               ? mp_integer_new_unsigned(mp_object_length(mp__managed_object(call)))
               : NULL;
}

mp_object *mp__managed_contains(struct mp__invocation *call) {
    const mp_object *item;
    if (!mp__call_bind(call, "key", &item))
        return NULL;
    int code = mp_object_contains(mp__managed_object(call), item);
    return code < 0 ? mp__raise_code(call, code) : mp_bool_new(code);
}

mp_object *mp__managed_clear(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    return mp__call_done(call, mp_object_clear(mp__managed_object(call)));
}

mp_object *mp__str_format(const char *format, ...) {
    char text[FORMAT_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return mp_str_new(text);
}

mp_object *mp__str_around(const char *prefix, const mp_object *object, const char *suffix) {
    struct mp__buffer text = {0};
    int code = mp__buffer_put_text(&text, prefix);
    if (code == 0)
        code = mp__proxies_print(&text, object, REPR_MAX);
    if (code == 0)
        code = mp__buffer_put_text(&text, suffix);
    mp_object *result = code == 0 ? mp_str_new_sized((const char *)text.data, text.size) : NULL;
    mp__buffer_fini(&text);
    return result;
}

mp_object *mp__str_repr(const mp_object *object) {
    return mp__str_around("", object, "");
}

mp_object *mp__call_made(struct mp__invocation *call, struct mp__referent *made) {
    call->made = made;
    return made ? mp_none_new() : NULL;
}

mp_object *mp__unhashable(struct mp__invocation *call) {
    return mp__raise_code(call, MP_ETYPE);
}

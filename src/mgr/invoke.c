/* Calls for typed functions.
 * SPDX-License-Identifier: MIT */
#include "mgr/invoke.h"

#include <stdarg.h>

#include "base/fail.h"
#include "codec/build.h"
#include "mgr/proxy.h"
#include "mp/collection.h"
#include "mp/pickle.h"

static int invoke(mp_proxy *proxy, mp_object **result, const char *function, const char *method,
                  const char *format, va_list arguments) {
    mp_object *args = mp__object_build(format, arguments, true);
    if (!args)
        return mp__fail(MP_EINVAL, "%s: an argument is NULL, or could not be made", function);
    return mp__proxy_call(proxy, result, method, args, NULL, function);
}

static int refuse_null(const char *function) {
    return mp__fail(MP_EINVAL, "%s: out is NULL", function);
}

int mp__proxy_create(mp_manager *manager, mp_proxy **out, const char *function, const char *type_id,
                     const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    mp_object *args = mp__object_build(format, arguments, true);
    va_end(arguments);
    if (!args)
        return mp__fail(MP_EINVAL, "%s: an argument is NULL, or could not be made", function);
    int code = mp__manager_create(manager, out, type_id, args, NULL, function);
    mp_object_free(args);
    return code;
}

int mp__proxy_do(mp_proxy *proxy, const char *function, const char *method, const char *format,
                 ...) {
    va_list arguments;
    va_start(arguments, format);
    int code = invoke(proxy, NULL, function, method, format, arguments);
    va_end(arguments);
    return code;
}

/* Arguments are read also when out is NULL: some are taken over. */
int mp__proxy_get(mp_proxy *proxy, mp_object **out, const char *function, const char *method,
                  const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int code = invoke(out ? proxy : NULL, out, function, method, format, arguments);
    va_end(arguments);
    return out ? code : refuse_null(function);
}

int mp__proxy_size(mp_proxy *proxy, size_t *out, const char *function, const char *method,
                   const char *format, ...) {
    va_list arguments;
    mp_object *value;
    uint64_t size;
    va_start(arguments, format);
    int code = invoke(out ? proxy : NULL, &value, function, method, format, arguments);
    va_end(arguments);
    if (code < 0)
        return out ? code : refuse_null(function);
    code = mp_integer_get_unsigned(value, &size);
    mp_object_free(value);
    if (code < 0)
        return mp__fail(MP_EPROTO, "%s: the manager's answer is no number", function);
    *out = (size_t)size;
    return 0;
}

int mp__proxy_truth(mp_proxy *proxy, const char *function, const char *method, const char *format,
                    ...) {
    va_list arguments;
    mp_object *value;
    va_start(arguments, format);
    int code = invoke(proxy, &value, function, method, format, arguments);
    va_end(arguments);
    if (code < 0)
        return code;
    bool is_true = mp_object_is_true(value);
    mp_object_free(value);
    return is_true;
}

int mp__proxy_view(mp_proxy *proxy, mp_object **out, const char *function, const char *method) {
    mp_object *value, *callable, *args;
    if (!out)
        return refuse_null(function);
    int code = mp__proxy_call(proxy, &value, method, NULL, NULL, function);
    if (code < 0)
        return code;
    if (mp_object_get_kind(value) == MP_OBJECT_CALL &&
        mp_call_get(value, NULL, &callable, &args, NULL) == 0 &&
        mp_global_is(callable, "builtins", "list") && mp_object_length(args) == 1) {
        mp_object *list = mp_object_ref(mp_tuple_get(args, 0));
        mp_object_free(value);
        value = list;
    }
    *out = value;
    return 0;
}

int mp__proxy_in_time(int truth, const char *function) {
    if (truth != 0)
        return truth < 0 ? truth : 0;
    return mp__fail(MP_ETIMEDOUT, "%s: not in time", function);
}

/* Which exception stands for which code.
 * SPDX-License-Identifier: MIT */
#include "mgr/exception.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/protocol.h"
#include "mp/collection.h"
#include "mp/pickle.h"

#define CONTEXT "multiprocessing.context"

/* Read from the top in both directions: the first row of a code is what is written. */
static const struct exception_row {
    const char *module;
    const char *name;
    int code;
} rows[] = {
    {"builtins", "ValueError", MP_EINVAL},
    {"builtins", "TypeError", MP_ETYPE},
    {"builtins", "AssertionError", MP_ESTATE},
    {CONTEXT, "TimeoutError", MP_ETIMEDOUT},
    {"builtins", "TimeoutError", MP_ETIMEDOUT},
    {"queue", "Empty", MP_EEMPTY},
    {"_queue", "Empty", MP_EEMPTY},
    {"queue", "Full", MP_EFULL},
    {"queue", "ShutDown", MP_ECLOSED},
    {"builtins", "EOFError", MP_EEOF},
    {CONTEXT, "BufferTooShort", MP_ETOOSHORT},
    {CONTEXT, "AuthenticationError", MP_EAUTH},
    {"threading", "BrokenBarrierError", MP_EBROKEN},
    {"builtins", "StopIteration", MP_EEND},
    {"builtins", "KeyError", MP_EKEY},
    {"builtins", "AttributeError", MP_EKEY},
    {"builtins", "IndexError", MP_EINDEX},
    {"multiprocessing.managers", "RemoteError", MP_EREMOTE},
    {"builtins", "MemoryError", -ENOMEM},
    {"builtins", "FileNotFoundError", -ENOENT},
    {"builtins", "FileExistsError", -EEXIST},
    {"builtins", "PermissionError", -EACCES},
    {"builtins", "BrokenPipeError", -EPIPE},
    {"builtins", "ConnectionRefusedError", -ECONNREFUSED},
    {"builtins", "ConnectionResetError", -ECONNRESET},
    {"concurrent.futures._base", "CancelledError", MP_ECANCELED},
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0] };

mp_object *mp__exception_new(const char *module, const char *name, mp_object *argument) {
    mp_object *args = mp_tuple_new(argument ? &argument : NULL, argument ? 1 : 0);
    return mp_call_new(MP_CALL_REDUCE, mp_global_new(module, name), args, NULL);
}

mp_object *mp__exception_text(const char *module, const char *name, const char *text) {
    mp_object *args = mp_object_build("(s)", text);
    return mp_call_new(MP_CALL_REDUCE, mp_global_new(module, name), args, NULL);
}

static mp_object *exception_of_errno(int code, const char *text) {
    mp_object *args = mp_object_build("(is)", -code, text);
    return mp_call_new(MP_CALL_REDUCE, mp_global_new("builtins", "OSError"), args, NULL);
}

mp_object *mp__exception_from_code(int code, const char *text) {
    const char *module = "builtins", *name = "RuntimeError";
    bool is_errno = code != -ENOMEM && strcmp(mp_error_exception(code), "OSError") == 0;
    if (is_errno)
        return exception_of_errno(code, text && text[0] ? text : mp_strerror(code));
    for (int i = ROW_COUNT; i-- > 0;)
        if (rows[i].code == code) {
            module = rows[i].module;
            name = rows[i].name;
        }
    return text && text[0] ? mp__exception_text(module, name, text)
                           : mp__exception_new(module, name, NULL);
}

bool mp__exception_is(const mp_object *object, const char *module, const char *name) {
    mp_object *callable = NULL;
    return mp_object_get_kind(object) == MP_OBJECT_CALL &&
           mp_call_get(object, NULL, &callable, NULL, NULL) == 0 &&
           mp_global_is(callable, module, name);
}

/* A lock's complaints are RuntimeErrors; which one only the words say. */
static int code_of_runtime_error(const mp_object *args) {
    const char *text = "";
    if (mp_object_get_kind(mp_tuple_get(args, 0)) == MP_OBJECT_STR)
        (void)mp_str_get(mp_tuple_get(args, 0), &text, &(size_t){0});
    if (strstr(text, "un-acquired"))
        return MP_EOWNER;
    return strstr(text, "unlocked") ? MP_EINVAL : MP_EREMOTE;
}

static int code_of(const mp_object *exception, const mp_object *args) {
    int64_t number;
    if (mp__exception_is(exception, "builtins", "RuntimeError"))
        return code_of_runtime_error(args);
    for (int i = 0; i < ROW_COUNT; i++)
        if (mp__exception_is(exception, rows[i].module, rows[i].name))
            return rows[i].code;
    bool is_errno =
        mp_object_length(args) >= 2 && mp_object_get_kind(mp_tuple_get(args, 0)) == MP_OBJECT_INT &&
        mp_integer_get(mp_tuple_get(args, 0), &number) == 0 && number > 0 && number < 4096;
    return is_errno ? (int)-number : MP_EREMOTE;
}

/* A pool's exceptions come wrapped with the worker's traceback. */
static const mp_object *unwrap(const mp_object *exception) {
    mp_object *args;
    if (!mp__exception_is(exception, "multiprocessing.pool", "rebuild_exc") ||
        mp_call_get(exception, NULL, NULL, &args, NULL) < 0 || mp_object_length(args) == 0)
        return exception;
    return mp_tuple_get(args, 0);
}

enum { WORDS_MAX = 1 << 16 };

/* str() of an exception is that of its argument, but for a KeyError's. */
static int print_arguments(struct mp__buffer *text, const mp_object *args, bool is_key) {
    const char *words;
    size_t size;
    const mp_object *first = mp_object_length(args) == 1 ? mp_tuple_get(args, 0) : args;
    if (!is_key && mp_object_get_kind(first) == MP_OBJECT_STR &&
        mp_str_get(first, &words, &size) == 0)
        return mp__buffer_put(text, words, size);
    int code = mp__proxies_print(text, first, text->size + WORDS_MAX);
    return code == MP_EINVAL ? 0 : code;
}

int mp__exception_print(struct mp__buffer *text, const mp_object *exception) {
    mp_object *callable, *args;
    const char *name = "?";
    if (mp_object_get_kind(exception) != MP_OBJECT_CALL ||
        mp_call_get(exception, NULL, &callable, &args, NULL) < 0)
        return mp__buffer_put_text(text, name);
    if (mp_object_get_kind(callable) == MP_OBJECT_GLOBAL)
        (void)mp_global_get(callable, NULL, &name);
    int code = mp__buffer_put_text(text, name);
    if (code < 0 || mp_object_length(args) == 0)
        return code;
    code = mp__buffer_put_text(text, ": ");
    return code < 0 ? code : print_arguments(text, args, strcmp(name, "KeyError") == 0);
}

int mp__exception_code(const mp_object *exception) {
    mp_object *args;
    struct mp__buffer text = {0};
    exception = unwrap(exception);
    if (mp_object_get_kind(exception) != MP_OBJECT_CALL ||
        mp_call_get(exception, NULL, NULL, &args, NULL) < 0)
        return mp__fail(MP_EREMOTE, "the server raised what is no exception");
    int code = code_of(exception, args);
    (void)mp__exception_print(&text, exception);
    mp__fail(MP_EREMOTE, "%.*s", (int)text.size, (const char *)text.data);
    mp__buffer_fini(&text);
    return code;
}

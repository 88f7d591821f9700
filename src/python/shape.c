/* Looking into the recipes by which Python would rebuild its objects.
 * SPDX-License-Identifier: MIT */
#include "python/shape.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mp/pickle.h"

const char *mp__shape_name(const mp_object *object, const char *module) {
    mp_object *callable;
    const char *from, *name;
    if (mp_object_get_kind(object) != MP_OBJECT_CALL ||
        mp_call_get(object, NULL, &callable, NULL, NULL) < 0 ||
        mp_object_get_kind(callable) != MP_OBJECT_GLOBAL ||
        mp_global_get(callable, &from, &name) < 0)
        return NULL;
    return strcmp(from, module) == 0 ? name : NULL;
}

bool mp__shape_is(const mp_object *object, const char *module, const char *name) {
    const char *found = mp__shape_name(object, module);
    return found && strcmp(found, name) == 0;
}

mp_object *mp__shape_args(const mp_object *object) {
    mp_object *args;
    return mp_call_get(object, NULL, NULL, &args, NULL) == 0 ? args : NULL;
}

int mp__shape_descriptor(const mp_object *object) {
    int descriptor;
    if (!mp__shape_is(object, "multiprocessing.popen_spawn_posix", "_DupFd") ||
        mp_object_parse(mp_call_get_state(object), "{s:i}", "fd", &descriptor) < 0 ||
        descriptor < 0)
        return mp__fail(MP_EPROTO, "what should name a descriptor of the spawning Python does not");
    return descriptor;
}

/* What came through exec is not close-on-exec, and what was opened here always is. */
int mp__shape_take_descriptor(const mp_object *object) {
    int descriptor = mp__shape_descriptor(object);
    if (descriptor < 0)
        return descriptor;
    int flags = fcntl(descriptor, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC))
        return mp__fail(MP_ESTATE,
                        "descriptor %d of this argument was opened before, or did not "
                        "come from the Python that started this process",
                        descriptor);
    return fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0 ? -errno : descriptor;
}

int mp__shape_check(const void *out, const mp_object *object, const char *function) {
    return out && object ? 0 : mp__fail(MP_EINVAL, "%s: an argument is NULL", function);
}

int mp__shape_refuse(const mp_object *object, const char *noun, const char *function) {
    char *text;
    if (mp_object_repr(object, &text, NULL) < 0)
        return -ENOMEM;
    int code =
        mp__fail(MP_ETYPE, "%s: the argument is no %s of Python's: %.100s", function, noun, text);
    free(text);
    return code;
}

int mp__shape_broken(const char *noun, const char *function) {
    return mp__fail(MP_EPROTO, "%s: this %s is not written as CPython 3.8 to 3.14 does", function,
                    noun);
}

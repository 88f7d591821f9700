/* Names and recipes that stand for what only Python can make.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/symbol.h"

mp_object *mp__global_new(mp_object *module, mp_object *name) {
    struct mp__global *global = NULL;
    if (module && name)
        global = mp__node_alloc(MP_OBJECT_GLOBAL, sizeof *global);
    if (!global) {
        mp_object_free(module);
        mp_object_free(name);
        return NULL;
    }
    global->names[0] = module;
    global->names[1] = name;
    return &global->node.head;
}

mp_object *mp_global_new(const char *module, const char *name) {
    if (!module || !name) {
        mp__fail(MP_EINVAL, "mp_global_new: module or name is NULL");
        return NULL;
    }
    return mp__global_new(mp_str_new(module), mp_str_new(name));
}

int mp_global_get(const mp_object *global, const char **module, const char **name) {
    int code = mp__expect_kind(global, MP_OBJECT_GLOBAL, "mp_global_get");
    if (code < 0)
        return code;
    mp_object *const *names = ((const struct mp__global *)global)->names;
    if (module)
        *module = ((const struct mp__text *)names[0])->data;
    if (name)
        *name = ((const struct mp__text *)names[1])->data;
    return 0;
}

static bool is_text(const mp_object *str, const char *text) {
    const struct mp__text *own = (const struct mp__text *)str;
    return own->size == strlen(text) && memcmp(own->data, text, own->size) == 0;
}

bool mp_global_is(const mp_object *object, const char *module, const char *name) {
    if (!mp__is_kind(object, MP_OBJECT_GLOBAL) || !module || !name)
        return false;
    mp_object *const *names = ((const struct mp__global *)object)->names;
    return is_text(names[0], module) && is_text(names[1], name);
}

mp_object *mp__call_alloc(mp_call_form form, mp_object *callable, mp_object *args,
                          mp_object *kwargs) {
    mp_object *parts[3] = {callable, args, kwargs};
    struct mp__call *call = mp__node_alloc(MP_OBJECT_CALL, sizeof *call);
    if (!call) {
        mp__objects_release(parts, 3);
        return NULL;
    }
    call->form = form;
    for (unsigned i = 0; i < 3 && parts[i]; i++) {
        call->parts[i] = parts[i];
        mp__node_place_new(&call->node.head, parts[i]);
    }
    return &call->node.head;
}

mp_object *mp_call_new(mp_call_form form, mp_object *callable, mp_object *args, mp_object *kwargs) {
    bool is_right =
        callable && mp__is_kind(args, MP_OBJECT_TUPLE) &&
        (form == MP_CALL_NEWOBJ_EX ? mp__is_kind(kwargs, MP_OBJECT_DICT)
                                   : !kwargs && (form == MP_CALL_REDUCE || form == MP_CALL_NEWOBJ));
    if (is_right)
        return mp__call_alloc(form, callable, args, kwargs);
    mp_object *parts[3] = {callable, args, kwargs};
    mp__objects_release(parts, 3);
    mp__fail(MP_EINVAL, "mp_call_new: a call needs a callable, a tuple, and a dict in form %d only",
             MP_CALL_NEWOBJ_EX);
    return NULL;
}

int mp_call_get(const mp_object *object, mp_call_form *form, mp_object **callable, mp_object **args,
                mp_object **kwargs) {
    int code = mp__expect_kind(object, MP_OBJECT_CALL, "mp_call_get");
    if (code < 0)
        return code;
    const struct mp__call *call = (const struct mp__call *)object;
    mp_object **outs[3] = {callable, args, kwargs};
    if (form)
        *form = call->form;
    for (unsigned i = 0; i < 3; i++)
        if (outs[i])
            *outs[i] = call->parts[i];
    return 0;
}

mp_object *mp_call_get_state(const mp_object *object) {
    if (mp__expect_kind(object, MP_OBJECT_CALL, "mp_call_get_state") < 0)
        return NULL;
    const struct mp__call *call = (const struct mp__call *)object;
    for (size_t i = call->step_count; i-- > 0;)
        if (call->steps[i].what == MP_CALL_BUILD)
            return call->steps[i].value;
    mp__fail(MP_EKEY, "mp_call_get_state: the call has no state");
    return NULL;
}

int mp__call_reserve(mp_object *object, size_t more) {
    struct mp__call *call = (struct mp__call *)object;
    if (call->step_capacity - call->step_count >= more)
        return 0;
    size_t capacity = call->step_count + call->step_count / 2 + more;
    void *steps = capacity < PTRDIFF_MAX / sizeof *call->steps
                      ? realloc(call->steps, capacity * sizeof *call->steps)
                      : NULL;
    if (!steps)
        return mp__fail(-ENOMEM, "a call of %zu steps", capacity);
    call->steps = steps;
    call->step_capacity = capacity;
    return 0;
}

int mp_call_add(mp_object *call, mp_call_step step, mp_object *key, mp_object *value) {
    int code = mp__expect_kind(call, MP_OBJECT_CALL, "mp_call_add");
    if (code == 0 && (!value || step > MP_CALL_BUILD || (step == MP_CALL_SET) != (key != NULL)))
        code = mp__fail(MP_EINVAL, "mp_call_add: a step needs a value, and a key to set one");
    if (code == 0)
        code = mp__call_reserve(call, 1);
    if (code == 0)
        code = mp__node_place(call, value);
    if (code == 0 && key)
        code = mp__node_place(call, key);
    if (code < 0) {
        mp_object_free(key);
        mp_object_free(value);
        return code;
    }
    mp__call_push(call, step, key, value);
    return 0;
}

void mp__call_push(mp_object *object, mp_call_step step, mp_object *key, mp_object *value) {
    struct mp__call *call = (struct mp__call *)object;
    call->steps[call->step_count++] = (struct mp__step){key, value, step};
}

bool mp_call_next(const mp_object *object, size_t *cursor, mp_call_step *step, mp_object **key,
                  mp_object **value) {
    const struct mp__call *call = (const struct mp__call *)object;
    if (!mp__is_kind(object, MP_OBJECT_CALL) || !cursor || *cursor >= call->step_count)
        return false;
    const struct mp__step *next = &call->steps[(*cursor)++];
    if (step)
        *step = next->what;
    if (key)
        *key = next->key;
    if (value)
        *value = next->value;
    return true;
}

void mp__call_attach(mp_object *object, void *attached, void (*detach)(void *it)) {
    struct mp__call *call = (struct mp__call *)object;
    call->attached = attached;
    call->detach = detach;
}

void *mp__call_attached(const mp_object *object, void (*detach)(void *it)) {
    const struct mp__call *call = (const struct mp__call *)object;
    return mp__is_kind(object, MP_OBJECT_CALL) && call->detach == detach ? call->attached : NULL;
}

mp_object *mp__persistent_new(mp_object *id) {
    struct mp__persistent *persistent = mp__node_alloc(MP_OBJECT_PERSISTENT, sizeof *persistent);
    if (!persistent) {
        mp_object_free(id);
        return NULL;
    }
    persistent->id = id;
    mp__node_place_new(&persistent->node.head, id);
    return &persistent->node.head;
}

mp_object *mp_persistent_get(const mp_object *object) {
    if (mp__expect_kind(object, MP_OBJECT_PERSISTENT, "mp_persistent_get") < 0)
        return NULL;
    return ((const struct mp__persistent *)object)->id;
}

mp_object *mp__extension_new(int32_t code) {
    struct mp__extension *extension = mp__object_alloc(MP_OBJECT_EXTENSION, sizeof *extension);
    if (extension)
        extension->code = code;
    return extension ? &extension->head : NULL;
}

int32_t mp_extension_get(const mp_object *object) {
    if (mp__expect_kind(object, MP_OBJECT_EXTENSION, "mp_extension_get") < 0)
        return 0;
    return ((const struct mp__extension *)object)->code;
}

/* Making, copying and freeing proxies, and calling what they stand for.
 * SPDX-License-Identifier: MIT */
#include "mgr/proxy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "chan/local.h"
#include "codec/build.h"
#include "mgr/class.h"
#include "mp/collection.h"
#include "mp/pickle.h"
#include "reg/thread.h"
#include "shm/heap.h"

const char *mp__proxy_part(const struct proxy_shared *proxy, enum mp__proxy_part part) {
    const char *at = proxy->bytes;
    for (int i = 0; i < (int)part; i++)
        at += proxy->sizes[i] + 1;
    return at;
}

struct mp__site mp__proxy_site(const struct proxy_shared *proxy) {
    return (struct mp__site){mp__proxy_part(proxy, MP__PROXY_ADDRESS),
                             mp__proxy_part(proxy, MP__PROXY_KEY), proxy->sizes[MP__PROXY_KEY]};
}

static const struct proxy_shared *shared_of(const mp_proxy *proxy) {
    return (const struct proxy_shared *)proxy;
}

static int check(const mp_proxy *proxy, const char *function) {
    return mp__kind_check(proxy, MP__KIND_PROXY, function, "proxy");
}

struct piece {
    const void *data;
    size_t size;
};

static struct proxy_shared *make_block(const struct piece *pieces) {
    size_t total = sizeof(struct proxy_shared);
    for (int i = 0; i < MP__PROXY_PART_COUNT; i++)
        total += pieces[i].size + 1;
    struct proxy_shared *proxy = mp__self() ? mp__heap_zalloc(total) : NULL;
    if (!proxy)
        return NULL;
    char *at = proxy->bytes;
    for (int i = 0; i < MP__PROXY_PART_COUNT; i++) {
        proxy->sizes[i] = (uint32_t)pieces[i].size;
        if (pieces[i].size > 0)
            memcpy(at, pieces[i].data, pieces[i].size);
        at += pieces[i].size + 1;
    }
    proxy->serial = mp__local_serial();
    return proxy;
}

static struct piece piece_of(const char *text) {
    return (struct piece){text, strlen(text)};
}

/* "module\nname", for a buffer. */
static struct piece class_piece(const struct mp__proxy_plan *plan, char *buffer, size_t capacity) {
    const char *module = "multiprocessing.managers", *name = "AutoProxy";
    const struct mp__class *class = plan->class_global ? NULL : mp__class_find(plan->type_id);
    if (plan->class_global)
        (void)mp_global_get(plan->class_global, &module, &name);
    else if (class)
        name = class->proxy_name;
    snprintf(buffer, capacity, "%s\n%s", module, name);
    return piece_of(buffer);
}

static struct proxy_shared *make_proxy(const struct mp__proxy_plan *plan) {
    char class[400];
    void *exposed = NULL;
    size_t exposed_size = 0;
    if (plan->exposed &&
        mp_object_dumps(plan->exposed, MP_PICKLE_DEFAULT, &exposed, &exposed_size) < 0)
        return NULL;
    struct piece pieces[MP__PROXY_PART_COUNT] = {
        [MP__PROXY_TYPE_ID] = piece_of(plan->type_id),
        [MP__PROXY_IDENT] = piece_of(plan->ident),
        [MP__PROXY_ADDRESS] = piece_of(plan->site.address),
        [MP__PROXY_KEY] = {plan->site.key, plan->site.key_size},
        [MP__PROXY_CLASS] = class_piece(plan, class, sizeof class),
        [MP__PROXY_EXPOSED] = {exposed, exposed_size}};
    struct proxy_shared *proxy = make_block(pieces);
    free(exposed);
    return proxy;
}

static void end_block(struct proxy_shared *proxy) {
    explicit_bzero((char *)mp__proxy_part(proxy, MP__PROXY_KEY), proxy->sizes[MP__PROXY_KEY]);
    mp__object_free(proxy);
}

int mp__proxy_new(mp_proxy **out, const struct mp__proxy_plan *plan) {
    struct proxy_shared *proxy = make_proxy(plan);
    int code = proxy ? 0 : -ENOMEM;
    if (proxy) {
        atomic_store(&proxy->kind, MP__KIND_PROXY);
        code = mp__part_add(proxy);
        MP__POINT("proxy.new.made");
        if (code < 0)
            end_block(proxy);
        else
            mp__heap_publish(proxy);
    }
    if (code < 0) {
        mp__part_return(&plan->site, plan->ident);
        return code;
    }
    *out = (mp_proxy *)proxy;
    return 0;
}

int mp__proxy_new_counted(mp_proxy **out, const struct mp__proxy_plan *plan) {
    int code = mp__part_refer(&plan->site, plan->ident);
    return code < 0 ? code : mp__proxy_new(out, plan);
}

/* The object behind an optional part. NULL: there is none, or no memory. */
static mp_object *load_part(const struct proxy_shared *proxy, enum mp__proxy_part part) {
    mp_object *object = NULL;
    if (proxy->sizes[part] > 0)
        (void)mp_object_loads(&object, mp__proxy_part(proxy, part), proxy->sizes[part]);
    return object;
}

static mp_object *class_of(const struct proxy_shared *proxy) {
    const char *module = mp__proxy_part(proxy, MP__PROXY_CLASS), *end = strchr(module, '\n');
    char copy[400];
    snprintf(copy, sizeof copy, "%.*s", (int)(end - module), module);
    return mp_global_new(copy, end + 1);
}

int mp_proxy_copy(mp_proxy **out, const mp_proxy *proxy) {
    int code = check(proxy, "mp_proxy_copy");
    if (code == 0 && !out)
        code = mp__fail(MP_EINVAL, "mp_proxy_copy: out is NULL");
    if (code < 0)
        return code;
    const struct proxy_shared *shared = shared_of(proxy);
    mp_object *class_global = class_of(shared), *exposed = load_part(shared, MP__PROXY_EXPOSED);
    struct mp__proxy_plan plan = {.type_id = mp__proxy_part(shared, MP__PROXY_TYPE_ID),
                                  .ident = mp__proxy_part(shared, MP__PROXY_IDENT),
                                  .site = mp__proxy_site(shared),
                                  .class_global = class_global,
                                  .exposed = exposed};
    code = class_global ? mp__proxy_new_counted(out, &plan) : -ENOMEM;
    mp_object_free(class_global);
    mp_object_free(exposed);
    return code;
}

void mp_proxy_free(mp_proxy *proxy) {
    if (!mp__kind_is(proxy, MP__KIND_PROXY) || !mp__self())
        return;
    mp__heap_take(proxy); /* if we die on the way it goes with us */
    mp__part_drop(shared_of(proxy));
    MP__POINT("proxy.free.dropped");
    end_block((struct proxy_shared *)proxy);
}

static bool is_name_of_method(const char *method) {
    return method && method[0];
}

int mp__proxy_call(mp_proxy *proxy, mp_object **result, const char *method, mp_object *args,
                   mp_object *kwds, const char *function) {
    const struct proxy_shared *shared = shared_of(proxy);
    mp_object *reply, *value, *request = NULL;
    bool has_proxy;
    int code = check(proxy, function);
    if (code == 0 && !is_name_of_method(method))
        code = mp__fail(MP_EINVAL, "%s: no method is named", function);
    if (code == 0)
        code = mp__part_take(shared);
    if (code < 0) {
        mp_object_free(args);
        mp_object_free(kwds);
        return code;
    }
    struct mp__site site = mp__proxy_site(shared);
    request = mp__request_new(mp__proxy_part(shared, MP__PROXY_IDENT), method, args, kwds);
    code = mp__link_call(&site, request, &reply, &has_proxy);
    if (code == 0)
        code = mp__proxy_result(&value, reply, &site, has_proxy);
    if (code < 0)
        return code;
    if (result)
        *result = value;
    else
        mp_object_free(value);
    return 0;
}

int mp_proxy_call(mp_proxy *proxy, mp_object **result, const char *method, const char *format,
                  ...) {
    va_list arguments;
    va_start(arguments, format);
    mp_object *args = mp__object_build(format ? format : "", arguments, true);
    va_end(arguments);
    if (!args)
        return mp__fail(MP_EINVAL, "mp_proxy_call: %.100s: the arguments cannot be made",
                        method ? method : "");
    return mp__proxy_call(proxy, result, method, args, NULL, "mp_proxy_call");
}

int mp_proxy_call_objects(mp_proxy *proxy, mp_object **result, const char *method,
                          const mp_object *args, const mp_object *kwargs) {
    bool is_right = (!args || mp_object_get_kind(args) == MP_OBJECT_TUPLE) &&
                    (!kwargs || mp_object_get_kind(kwargs) == MP_OBJECT_DICT);
    if (!is_right)
        return mp__fail(MP_ETYPE, "mp_proxy_call_objects: args is a tuple and kwargs a dict");
    return mp__proxy_call(proxy, result, method, mp_object_ref(args), mp_object_ref(kwargs),
                          "mp_proxy_call_objects");
}

int mp_proxy_getvalue(mp_proxy *proxy, mp_object **out) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_proxy_getvalue: out is NULL");
    return mp__proxy_call(proxy, out, "#GETVALUE", NULL, NULL, "mp_proxy_getvalue");
}

static const char *text_part(const mp_proxy *proxy, enum mp__proxy_part part) {
    bool is_proxy = mp__kind_is(proxy, MP__KIND_PROXY);
    return is_proxy ? mp__proxy_part(shared_of(proxy), part) : NULL;
}

const char *mp_proxy_type_id(const mp_proxy *proxy) {
    return text_part(proxy, MP__PROXY_TYPE_ID);
}

const char *mp_proxy_id(const mp_proxy *proxy) {
    return text_part(proxy, MP__PROXY_IDENT);
}

const char *mp_proxy_address(const mp_proxy *proxy) {
    return text_part(proxy, MP__PROXY_ADDRESS);
}

int mp_proxy_repr(const mp_proxy *proxy, char **out) {
    int code = check(proxy, "mp_proxy_repr");
    if (code == 0 && !out)
        code = mp__fail(MP_EINVAL, "mp_proxy_repr: out is NULL");
    if (code < 0)
        return code;
    struct mp__buffer text = {0};
    const char *class = strchr(mp__proxy_part(shared_of(proxy), MP__PROXY_CLASS), '\n') + 1;
    code = mp__proxy_print(&text, class, mp_proxy_type_id(proxy), (uint64_t)(uintptr_t)proxy);
    if (code == 0)
        code = mp__buffer_put_byte(&text, 0);
    if (code < 0)
        mp__buffer_fini(&text);
    else
        *out = (char *)text.data;
    return code;
}

int mp_proxy_str(mp_proxy *proxy, char **out) {
    mp_object *value;
    const char *text;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_proxy_str: out is NULL");
    int code = mp__proxy_call(proxy, &value, "__repr__", NULL, NULL, "mp_proxy_str");
    if (code < 0)
        return code;
    code = mp_str_get(value, &text, &(size_t){0});
    char *copy = code == 0 ? strdup(text) : NULL;
    if (code == 0 && !copy)
        code = mp__fail(-ENOMEM, "mp_proxy_str");
    mp_object_free(value);
    if (code == 0)
        *out = copy;
    return code;
}

mp_object *mp_proxy_token(const mp_proxy *proxy) {
    if (check(proxy, "mp_proxy_token") < 0)
        return NULL;
    return mp__token_new(mp_proxy_type_id(proxy), mp__address_object(mp_proxy_address(proxy)),
                         mp_proxy_id(proxy));
}

/* {} but for AutoProxy, which would ask the manager for the names. */
static mp_object *make_kwargs(const struct proxy_shared *proxy) {
    mp_object *kwargs = mp_dict_new(), *exposed = load_part(proxy, MP__PROXY_EXPOSED);
    bool is_auto = strcmp(strchr(mp__proxy_part(proxy, MP__PROXY_CLASS), '\n'), "\nAutoProxy") == 0;
    if (kwargs && exposed && is_auto &&
        mp_dict_set_text(kwargs, "exposed", mp_object_ref(exposed)) < 0) {
        mp_object_free(kwargs);
        kwargs = NULL;
    }
    mp_object_free(exposed);
    return kwargs;
}

mp_object *mp_proxy_object(const mp_proxy *proxy) {
    mp_object *token = mp_proxy_token(proxy);
    if (!token)
        return NULL;
    mp_object *parts[] = {class_of(shared_of(proxy)), token, mp_str_new("pickle"),
                          make_kwargs(shared_of(proxy))};
    return mp_call_new(MP_CALL_REDUCE, mp_global_new("multiprocessing.managers", "RebuildProxy"),
                       mp_tuple_new(parts, 4), NULL);
}

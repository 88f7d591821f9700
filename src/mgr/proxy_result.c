/* Replies that are, or hold, proxies: objects that carry one.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "codec/symbol.h"
#include "mgr/nested.h"
#include "mgr/proxy.h"
#include "mp/process.h"
#include "net/address.h"

struct carried {
    mp_proxy *proxy;
    pid_t owner; /* the process whose reference it is: a forked child has a copy of this only */
};

static void end_carried(void *it) {
    struct carried *carried = it;
    if (carried->owner == getpid())
        mp_proxy_free(carried->proxy);
    free(carried);
}

/* The proxy is the object's from now on, also on failure. */
static int carry(mp_object *object, mp_proxy *proxy) {
    struct carried *carried = malloc(sizeof *carried);
    if (!carried) {
        mp_proxy_free(proxy);
        return mp__fail(-ENOMEM, "no memory for a proxy in a result");
    }
    *carried = (struct carried){proxy, getpid()};
    mp__call_attach(object, carried, end_carried);
    return 0;
}

mp_proxy *mp_object_get_proxy(const mp_object *object) {
    struct carried *carried = mp__call_attached(object, end_carried);
    if (!carried)
        mp__fail(MP_ETYPE, "mp_object_get_proxy: the %s carries no proxy",
                 mp_object_kind_name(mp_object_get_kind(object)));
    return carried ? carried->proxy : NULL;
}

mp_proxy *mp__object_take_proxy(mp_object *object) {
    struct carried *carried = mp__call_attached(object, end_carried);
    mp_proxy *proxy = carried ? carried->proxy : NULL;
    if (carried)
        mp__call_attach(object, NULL, NULL);
    free(carried);
    return proxy;
}

/* A server that listens at all addresses knows itself by none; its port tells that it is meant. */
static bool is_everywhere(const char *address) {
    return strncmp(address, "tcp://0.0.0.0:", 14) == 0 ||
           strncmp(address, "tcp://[::]:", 11) == 0 || strncmp(address, "tcp://:", 7) == 0;
}

static bool is_site(const char *address, const struct mp__site *site) {
    if (strcmp(address, site->address) == 0)
        return true;
    return is_everywhere(address) &&
           strcmp(strrchr(address, ':'), strrchr(site->address, ':')) == 0;
}

/* Make a proxy of its form in an object; `known`: where the object came from, maybe NULL. */
static int rebuild(mp_proxy **out, const struct mp__proxy_form *form,
                   const struct mp__site *known) {
    char address[MP__ADDRESS_TEXT_MAX], key[1024];
    int code = mp__address_text(address, sizeof address, form->token.address);
    if (code < 0)
        return code;
    struct mp__site site = {address, key, 0};
    if (known && is_site(address, known))
        site = *known;
    else if (form->authkey)
        code = mp_bytes_get(form->authkey, &site.key, &site.key_size);
    else
        code = mp_process_authkey(mp_current_process(), key, sizeof key, &site.key_size);
    struct mp__proxy_plan plan = {.type_id = form->token.type_id,
                                  .ident = form->token.ident,
                                  .site = site,
                                  .class_global = form->class_global,
                                  .exposed = form->exposed};
    return code < 0 ? code : mp__proxy_new_counted(out, &plan);
}

int mp_proxy_from_object(mp_proxy **out, const mp_object *object) {
    struct mp__proxy_form form;
    if (!out || !object)
        return mp__fail(MP_EINVAL, "mp_proxy_from_object: out or object is NULL");
    struct carried *carried = mp__call_attached(object, end_carried);
    if (carried)
        return mp_proxy_copy(out, carried->proxy);
    int code = mp__proxy_form_take(&form, object);
    if (code == 0)
        return mp__fail(MP_ETYPE, "mp_proxy_from_object: the %s is no proxy",
                        mp_object_kind_name(mp_object_get_kind(object)));
    return code < 0 ? code : rebuild(out, &form, NULL);
}

/* Every proxy in a value gets a reference of its own, as when Python reads it. What cannot be
 * reached stays the name that it is. */
static void carry_found(const mp_object *object, const struct mp__proxy_form *form, void *site) {
    mp_proxy *proxy;
    if (rebuild(&proxy, form, site) == 0)
        (void)carry((mp_object *)object, proxy);
}

/* ("#PROXY", (exposed, token)): the manager has counted a reference for us. */
static int take_proxy(mp_object **result, const mp_object *payload, const struct mp__site *site) {
    struct mp__token token;
    mp_proxy *proxy;
    int code = mp__token_take(&token, mp_tuple_get(payload, 1));
    if (code < 0)
        return code;
    struct mp__proxy_plan plan = {.type_id = token.type_id,
                                  .ident = token.ident,
                                  .site = *site,
                                  .exposed = mp_tuple_get(payload, 0)};
    code = mp__proxy_new(&proxy, &plan);
    if (code < 0)
        return code;
    mp_object *object = mp_proxy_object(proxy);
    code = object ? carry(object, proxy) : -ENOMEM;
    if (!object)
        mp_proxy_free(proxy);
    if (code < 0)
        mp_object_free(object);
    else
        *result = object;
    return code;
}

int mp__proxy_result(mp_object **result, mp_object *reply, const struct mp__site *site,
                     bool has_proxy) {
    enum mp__reply_kind kind;
    const mp_object *payload;
    int code = mp__reply_take(&kind, &payload, reply);
    if (code == 0 && kind == MP__REPLY_PROXY)
        code = take_proxy(result, payload, site);
    else if (code == 0 && kind != MP__REPLY_RETURN)
        code = mp__reply_fail(kind, payload);
    else if (code == 0) {
        mp_object *value = mp_object_ref(payload);
        mp_object_free(reply);
        reply = NULL;
        code = has_proxy ? mp__proxies_visit(value, carry_found, (void *)site) : 0;
        if (code == 0)
            *result = value;
        else
            mp_object_free(value);
    }
    mp_object_free(reply);
    return code;
}

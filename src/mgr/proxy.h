/* What a proxy is: the name of an object at a manager, in the arena, so that a pointer to it means
 * the same in every process of the family.
 * SPDX-License-Identifier: MIT
 *
 * What never changes lies in the arena, connections are each process's own. A manager of ours
 * counts references for each process: one of a process is taken when it first uses a proxy
 * (mgr/part.h) and goes with the process. A Python manager has one for each proxy. */
#ifndef MP__MGR_PROXY_H
#define MP__MGR_PROXY_H

#include "mp/proxy.h"

#include "mgr/link.h"
#include "mgr/protocol.h"
#include "sync/kind.h"

enum mp__proxy_part {
    MP__PROXY_TYPE_ID,
    MP__PROXY_IDENT,   /* the object's at the manager */
    MP__PROXY_ADDRESS, /* of the manager, as text */
    MP__PROXY_KEY,     /* the manager's */
    MP__PROXY_CLASS,   /* Python's class, as a pickle */
    MP__PROXY_EXPOSED, /* names of methods, as a pickle; empty: not known */
    MP__PROXY_PART_COUNT
};

struct proxy_shared {
    mp__kind_word kind; /* MP__KIND_PROXY */
    uint32_t sizes[MP__PROXY_PART_COUNT];
    uint64_t serial; /* no other proxy at this address had it */
    char bytes[];    /* the parts, each with a NUL behind it */
};

const char *mp__proxy_part(const struct proxy_shared *proxy, enum mp__proxy_part part);
struct mp__site mp__proxy_site(const struct proxy_shared *proxy);

struct mp__proxy_plan { /* of a proxy to be; borrowed */
    const char *type_id;
    const char *ident;
    struct mp__site site;
    const mp_object *class_global; /* NULL: the one that goes with type_id */
    const mp_object *exposed;      /* NULL: not known */
};

/* Make a proxy for an object of which we have a reference that nobody else will give back. On
 * failure the reference is given back. */
int mp__proxy_new(mp_proxy **out, const struct mp__proxy_plan *plan);
/* The same, taking a reference first. */
int mp__proxy_new_counted(mp_proxy **out, const struct mp__proxy_plan *plan);

/* Call a method. args: a tuple, kwds: a dict; taken over, also on failure; NULL: none. result NULL:
 * not wanted. */
int mp__proxy_call(mp_proxy *proxy, mp_object **result, const char *method, mp_object *args,
                   mp_object *kwds, const char *function);

/* mp_manager_create with everything made; args and kwargs stay the caller's. */
int mp__manager_create(mp_manager *manager, mp_proxy **out, const char *type_id,
                       const mp_object *args, const mp_object *kwargs, const char *function);

/* What a reply stands for: 0 and the value, or the failure; `reply` is taken over. */
int mp__proxy_result(mp_object **result, mp_object *reply, const struct mp__site *site,
                     bool has_proxy);

/* The proxy that an object carries, taken from it; NULL: it carries none. */
mp_proxy *mp__object_take_proxy(mp_object *object);

/* This process uses a proxy: see that it has a reference of its own. The codes of mp__link_ask. */
int mp__part_take(const struct proxy_shared *proxy);
/* The reference that we have taken belongs to that proxy. 0 or -ENOMEM. */
int mp__part_add(const struct proxy_shared *proxy);
/* The proxy is about to be freed by this process: give back what there is to be given back. */
void mp__part_drop(const struct proxy_shared *proxy);
/* Take a reference at the manager: 0; MP_EREMOTE: there is no such object; as mp__link_ask. */
int mp__part_refer(const struct mp__site *site, const char *ident);
/* Give back a reference that no proxy has. */
void mp__part_return(const struct mp__site *site, const char *ident);

#endif

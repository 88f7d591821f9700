/* This process's references to the objects of managers: one for each proxy that it uses.
 * SPDX-License-Identifier: MIT
 *
 * Another process may free a proxy that we have used; our reference then goes when we next look at
 * the bucket that it is in, which is soon. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/proxy.h"

enum { BUCKETS = 256 };

struct part {
    struct part *next;
    const struct proxy_shared *proxy;
    uint64_t serial; /* of the proxy; when it has another one it was freed */
    unsigned epoch; /* our reference lasts for that one, see mgr/link.h; 0: it is the proxy's own */
    char *address;  /* behind ident; of the manager */
    char ident[];   /* of the object there */
};

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER; /* held by who forks */
static struct part *buckets[BUCKETS];
static unsigned looked_at; /* the bucket whose proxies were last looked at */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void lock_parts(void) {
    pthread_mutex_lock(&changing);
}

static void unlock_parts(void) {
    pthread_mutex_unlock(&changing);
}

static void free_parts(struct part *list) {
    for (struct part *next; list; list = next) {
        next = list->next;
        free(list);
    }
}

/* A child has no part in anything yet. */
static void forget_parts(void) {
    for (unsigned i = 0; i < BUCKETS; i++) {
        free_parts(buckets[i]);
        buckets[i] = NULL;
    }
    unlock_parts();
}

static void watch_forks(void) {
    pthread_atfork(lock_parts, unlock_parts, forget_parts);
}

static struct part **bucket_of(const struct proxy_shared *proxy) {
    return &buckets[((uint64_t)(uintptr_t)proxy * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

static struct part **find_locked(const struct proxy_shared *proxy) {
    struct part **place = bucket_of(proxy);
    while (*place && ((*place)->proxy != proxy || (*place)->serial != proxy->serial))
        place = &(*place)->next;
    return place;
}

static bool is_freed(const struct part *part) {
    return !mp__kind_is(part->proxy, MP__KIND_PROXY) || part->proxy->serial != part->serial;
}

/* The parts in the next bucket whose proxies another process has freed, out of the table. */
static struct part *take_freed_locked(const char *address) {
    struct part *freed = NULL;
    looked_at = (looked_at + 1) % BUCKETS;
    for (struct part **place = &buckets[looked_at]; *place;) {
        struct part *part = *place;
        if (!is_freed(part) || strcmp(part->address, address) != 0) {
            place = &part->next;
            continue;
        }
        *place = part->next;
        part->next = freed;
        freed = part;
    }
    return freed;
}

void mp__part_return(const struct mp__site *site, const char *ident) {
    mp_object *args = mp_object_build("(s)", ident);
    mp__link_tell(site, args ? mp__request_new(NULL, "decref", args, NULL) : NULL);
}

/* Python's manager has given its one reference to who freed the proxy. */
static void look_round(const struct mp__site *site) {
    unsigned epoch = mp__link_epoch(site->address);
    if (epoch == 0)
        return;
    lock_parts();
    struct part *freed = take_freed_locked(site->address);
    unlock_parts();
    for (struct part *part = freed; part; part = part->next) {
        if (part->epoch == epoch)
            mp__part_return(site, part->ident);
        mp__link_release(part->address);
    }
    free_parts(freed);
}

static struct part *make_part(const struct proxy_shared *proxy, unsigned epoch) {
    const char *address = mp__proxy_part(proxy, MP__PROXY_ADDRESS);
    const char *ident = mp__proxy_part(proxy, MP__PROXY_IDENT);
    size_t ident_size = strlen(ident) + 1, address_size = strlen(address) + 1;
    struct part *part = malloc(sizeof *part + ident_size + address_size);
    if (!part)
        return NULL;
    part->proxy = proxy;
    part->serial = proxy->serial;
    part->epoch = epoch;
    part->address = part->ident + ident_size;
    memcpy(part->ident, ident, ident_size);
    memcpy(part->address, address, address_size);
    return part;
}

/* 1: we have a reference that we had not; 0: another thread was faster. */
static int add_part(const struct proxy_shared *proxy, unsigned epoch) {
    struct part *part = make_part(proxy, epoch);
    if (!part || mp__link_hold(part->address) < 0) {
        free(part);
        return mp__fail(-ENOMEM, "no memory to note that a proxy is used");
    }
    lock_parts();
    struct part *known = *find_locked(proxy);
    bool is_new = !known || known->epoch != epoch;
    if (known) {
        known->epoch = epoch;
    } else {
        part->next = *bucket_of(proxy);
        *bucket_of(proxy) = part;
    }
    unlock_parts();
    if (known) {
        mp__link_release(part->address);
        free(part);
    }
    return is_new;
}

int mp__part_add(const struct proxy_shared *proxy) {
    struct mp__site site = mp__proxy_site(proxy);
    pthread_once(&once, watch_forks);
    int code = mp__link_counts(&site);
    if (code >= 0)
        code = add_part(proxy, code ? mp__link_epoch(site.address) : 0);
    if (code > 0)
        look_round(&site);
    return code < 0 ? code : 0;
}

int mp__part_refer(const struct mp__site *site, const char *ident) {
    mp_object *reply, *value, *args = mp_object_build("(s)", ident);
    int code =
        mp__link_ask(site, args ? mp__request_new(NULL, "incref", args, NULL) : NULL, &reply);
    if (code == 0)
        code = mp__proxy_result(&value, reply, site, false);
    if (code == 0)
        mp_object_free(value);
    return code;
}

static int take_part(const struct proxy_shared *proxy) {
    struct mp__site site = mp__proxy_site(proxy);
    const char *ident = mp__proxy_part(proxy, MP__PROXY_IDENT);
    int does_count = mp__link_counts(&site);
    int code = does_count == 1 ? mp__part_refer(&site, ident) : does_count;
    if (code < 0)
        return code;
    code = add_part(proxy, does_count ? mp__link_epoch(site.address) : 0);
    if (code != 1 && does_count)
        mp__part_return(&site, ident);
    look_round(&site);
    return code < 0 ? code : 0;
}

int mp__part_take(const struct proxy_shared *proxy) {
    pthread_once(&once, watch_forks);
    lock_parts();
    const struct part *part = *find_locked(proxy);
    bool is_known = part != NULL;
    unsigned epoch = is_known ? part->epoch : 0;
    unlock_parts();
    bool is_good = is_known && (epoch == 0 ||
                                epoch == mp__link_epoch(mp__proxy_part(proxy, MP__PROXY_ADDRESS)));
    return is_good ? 0 : take_part(proxy);
}

/* The one reference at Python's manager goes with the proxy, whoever frees it. Ours may have gone
 * before. */
void mp__part_drop(const struct proxy_shared *proxy) {
    struct mp__site site = mp__proxy_site(proxy);
    pthread_once(&once, watch_forks);
    lock_parts();
    struct part **place = find_locked(proxy), *part = *place;
    if (part)
        *place = part->next;
    unlock_parts();
    bool is_ours = part ? part->epoch == 0 || part->epoch == mp__link_epoch(site.address)
                        : mp__link_counts(&site) == 0;
    if (is_ours)
        mp__part_return(&site, mp__proxy_part(proxy, MP__PROXY_IDENT));
    look_round(&site);
    if (part)
        mp__link_release(part->address);
    free(part);
}

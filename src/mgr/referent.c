/* Referents: found by their idents, counted, freed.
 * SPDX-License-Identifier: MIT */
#include "mgr/referent.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/nested.h"
#include "mgr/server.h"
#include "os/random.h"

enum { FIRST_BUCKETS = 64, COLLECT_MIN = 64 };

static struct mp__referent **bucket_of(const struct mp__referents *table, uint64_t number) {
    return &table->buckets[(number >> 4) & (table->bucket_count - 1)];
}

static int grow_table(struct mp__referents *table) {
    size_t count = table->bucket_count ? table->bucket_count * 2 : FIRST_BUCKETS;
    struct mp__referent **old = table->buckets;
    size_t old_count = table->bucket_count;
    struct mp__referent **buckets = calloc(count, sizeof *buckets);
    if (!buckets)
        return mp__fail(-ENOMEM, "the table of a manager's objects");
    table->buckets = buckets;
    table->bucket_count = count;
    for (size_t i = 0; i < old_count; i++)
        for (struct mp__referent *referent = old[i], *next; referent; referent = next) {
            struct mp__referent **bucket = bucket_of(table, referent->number);
            next = referent->next;
            referent->next = *bucket;
            *bucket = referent;
        }
    free(old);
    return 0;
}

/* Multiples of 16, as CPython's are. They begin anywhere, so that one of another server, or of an
 * earlier one at the same address, is not taken for one of ours. */
static int next_number(struct mp__referents *table, uint64_t *out) {
    uint64_t random;
    if (table->last_number == 0) {
        int code = mp__random_bytes(&random, sizeof random);
        if (code < 0)
            return mp__fail(code, "no random bytes");
        table->last_number = (random >> 20 << 4) + 0x10000000;
    }
    *out = table->last_number += 16;
    return 0;
}

void *mp__referent_new(struct mp__server *server, const struct mp__class *class_, size_t size) {
    struct mp__referents *table = &server->referents;
    uint64_t number = 0;
    if (table->total >= table->bucket_count && grow_table(table) < 0)
        return NULL;
    if (next_number(table, &number) < 0)
        return NULL;
    struct mp__referent *referent = calloc(1, size);
    if (!referent) {
        mp__fail(-ENOMEM, "a manager's %s", class_->name);
        return NULL;
    }
    referent->class_ = class_;
    referent->type_id = class_->name;
    referent->number = number;
    referent->holds = 1;
    referent->next = *bucket_of(table, number);
    *bucket_of(table, number) = referent;
    table->total++;
    return referent;
}

/* What it holds itself goes later, in mp__referents_sweep: whoever is going through the table finds
 * the others where they were. */
static void end_referent(struct mp__referents *table, struct mp__referent *referent) {
    struct mp__referent **place = bucket_of(table, referent->number);
    while (*place != referent)
        place = &(*place)->next;
    *place = referent->next;
    table->total--;
    referent->next = table->dying;
    table->dying = referent;
}

static bool is_idle(const struct mp__referent *referent) {
    return referent->holds == 0 && referent->count == 0;
}

/* It may have lost its last user. */
static void check_end(struct mp__server *server, struct mp__referent *referent) {
    if (!is_idle(referent))
        return;
    if (referent->is_nested)
        server->referents.nested_idle++;
    else
        end_referent(&server->referents, referent);
}

/* Before its first user comes back. */
static void leave_idle(struct mp__server *server, struct mp__referent *referent) {
    if (!is_idle(referent) || !referent->is_nested)
        return;
    server->referents.nested_idle--;
    referent->lost_at = 0;
}

void mp__referent_hold(struct mp__server *server, struct mp__referent *referent) {
    leave_idle(server, referent);
    referent->holds++;
}

void mp__referent_unhold(struct mp__server *server, struct mp__referent *referent) {
    if (server->referents.is_ending)
        return;
    assert(referent->holds > 0);
    referent->holds--;
    check_end(server, referent);
}

void mp__referent_leave(struct mp__server *server, struct mp__referent **held) {
    if (*held)
        mp__referent_unhold(server, *held);
    *held = NULL;
}

void mp__referent_ident(const struct mp__referent *referent, char out[MP__IDENT_MAX]) {
    snprintf(out, MP__IDENT_MAX, "%" PRIx64, referent->number);
}

struct mp__referent *mp__referent_find(struct mp__server *server, const char *ident) {
    char written[MP__IDENT_MAX];
    struct mp__referents *table = &server->referents;
    uint64_t number = strtoull(ident, NULL, 16);
    if (table->bucket_count == 0)
        return NULL;
    struct mp__referent *referent = *bucket_of(table, number);
    while (referent && referent->number != number)
        referent = referent->next;
    if (!referent)
        return NULL;
    mp__referent_ident(referent, written);
    return strcmp(written, ident) == 0 ? referent : NULL;
}

static struct mp__share *find_share(const struct mp__referent *referent,
                                    const struct mp__owner *owner) {
    for (uint32_t i = 0; i < referent->share_count; i++)
        if (referent->shares[i].owner == owner)
            return &referent->shares[i];
    return NULL;
}

static struct mp__share *add_share(struct mp__referent *referent, struct mp__owner *owner) {
    struct mp__share *share = find_share(referent, owner);
    if (share)
        return share;
    if (referent->share_count == referent->share_capacity) {
        uint32_t capacity = referent->share_capacity * 2 + 2;
        void *shares = realloc(referent->shares, capacity * sizeof *referent->shares);
        if (!shares)
            return NULL;
        referent->shares = shares;
        referent->share_capacity = capacity;
    }
    share = &referent->shares[referent->share_count++];
    *share = (struct mp__share){.owner = owner};
    return share;
}

static void drop_share(struct mp__referent *referent, struct mp__share *share) {
    *share = referent->shares[--referent->share_count];
}

int mp__referent_incref(struct mp__server *server, struct mp__referent *referent,
                        struct mp__owner *owner) {
    struct mp__share *share = owner ? add_share(referent, owner) : NULL;
    if (owner && !share)
        return mp__fail(-ENOMEM, "counting a reference");
    leave_idle(server, referent);
    if (owner) {
        share->count++;
        owner->shares++;
        if (share->count == 0)
            drop_share(referent, share);
    }
    server->referents.counted += referent->count == 0;
    referent->count++;
    return 0;
}

static void lower_count(struct mp__server *server, struct mp__referent *referent, uint64_t by) {
    if (by == 0)
        return;
    referent->count -= by;
    server->referents.counted -= referent->count == 0;
    check_end(server, referent);
}

/* One that gives back more than it took does so for somebody else; without memory to note that,
 * what the other one took is given back twice at its end, at most to zero. */
int mp__referent_decref(struct mp__server *server, struct mp__referent *referent,
                        struct mp__owner *owner) {
    struct mp__share *share = owner && referent->count > 0 ? add_share(referent, owner) : NULL;
    if (referent->count == 0)
        return mp__fail(MP_ESTATE, "nobody refers to it");
    if (share) {
        share->count--;
        owner->shares--;
        if (share->count == 0)
            drop_share(referent, share);
    }
    lower_count(server, referent, 1);
    return 0;
}

void mp__referent_nest(struct mp__server *server, struct mp__referent *referent) {
    if (!referent->is_nested && is_idle(referent))
        server->referents.nested_idle++;
    referent->is_nested = true;
    referent->lost_at = 0;
}

void mp__referent_forget(struct mp__server *server, struct mp__referent *referent,
                         struct mp__owner *owner) {
    struct mp__share *share = find_share(referent, owner);
    if (!share)
        return;
    uint64_t count = share->count > 0 ? (uint64_t)share->count : 0;
    owner->shares -= share->count;
    drop_share(referent, share);
    lower_count(server, referent, count < referent->count ? count : referent->count);
}

/* Referents that were reached, and what is in them not yet looked at. */
struct search {
    struct mp__server *server;
    struct mp__referent **stack; /* from malloc */
    size_t count;                /* on it */
    size_t capacity;             /* of it; at least the total of referents */
};

static void reach(struct search *search, struct mp__referent *referent) {
    if (referent->is_reached)
        return;
    referent->is_reached = true;
    search->stack[search->count++] = referent;
}

static void reach_proxy(const mp_object *object, const struct mp__proxy_form *form, void *arg) {
    struct search *search = arg;
    struct mp__referent *referent = mp__server_own(search->server, &form->token);
    (void)object;
    if (referent)
        reach(search, referent);
}

static int reach_all(struct search *search) {
    int code = 0;
    while (code == 0 && search->count > 0) {
        const struct mp__referent *referent = search->stack[--search->count];
        const mp_object *root;
        size_t cursor = 0;
        while (code == 0 && referent->class_->next_root &&
               (root = referent->class_->next_root(referent, &cursor)) != NULL)
            code = mp__proxies_visit(root, reach_proxy, search);
    }
    return code;
}

/* Nested ones without users that were not reached: since when is that so, and is it long enough? */
static void judge(struct mp__referents *table, struct mp__referent *referent, mp__time now) {
    bool is_lost = referent->is_nested && is_idle(referent) && !referent->is_reached;
    referent->is_reached = false;
    if (!is_lost)
        referent->lost_at = 0;
    else if (referent->lost_at == 0)
        referent->lost_at = now;
    else if (now - referent->lost_at >= MP__NESTED_GRACE) {
        table->nested_idle--;
        end_referent(table, referent);
    }
}

void mp__referents_collect(struct mp__server *server, mp__time now) {
    struct mp__referents *table = &server->referents;
    struct search search = {.server = server,
                            .stack = malloc((table->total + 1) * sizeof *search.stack)};
    int code = search.stack ? 0 : -ENOMEM;
    for (size_t i = 0; code == 0 && i < table->bucket_count; i++)
        for (struct mp__referent *referent = table->buckets[i]; referent; referent = referent->next)
            if (!is_idle(referent))
                reach(&search, referent);
    if (code == 0)
        code = reach_all(&search);
    for (size_t i = 0; i < table->bucket_count; i++)
        for (struct mp__referent *referent = table->buckets[i], *next; referent; referent = next) {
            next = referent->next;
            referent->is_reached |= code < 0;
            judge(table, referent, now);
        }
    table->collected_at = now;
    table->collect_at = 2 * table->nested_idle + COLLECT_MIN;
    free(search.stack);
}

static bool is_collection_due(const struct mp__referents *table, mp__time now) {
    if (table->nested_idle >= (table->collect_at ? table->collect_at : COLLECT_MIN))
        return true;
    return now - table->collected_at > MP__NESTED_GRACE;
}

static void free_referent(struct mp__server *server, struct mp__referent *referent) {
    free(referent->shares);
    referent->class_->destroy(server, referent);
}

struct mp__referent *mp__referents_sweep(struct mp__server *server) {
    struct mp__referents *table = &server->referents;
    struct mp__referent *left = NULL;
    if (table->nested_idle > 0 && is_collection_due(table, mp__now()))
        mp__referents_collect(server, mp__now());
    while (table->dying) {
        struct mp__referent *referent = table->dying;
        table->dying = referent->next;
        if (referent->class_->ends_unlocked) {
            referent->next = left;
            left = referent;
        } else {
            free_referent(server, referent);
        }
    }
    return left;
}

void mp__referents_free(struct mp__server *server, struct mp__referent *list) {
    while (list) {
        struct mp__referent *referent = list;
        list = referent->next;
        free_referent(server, referent);
    }
}

/* Whatever holds what: what they hold is not looked at any more, it may be gone already. */
void mp__referents_fini(struct mp__server *server) {
    struct mp__referents *table = &server->referents;
    table->is_ending = true;
    for (size_t i = 0; i < table->bucket_count; i++)
        while (table->buckets[i]) {
            struct mp__referent *referent = table->buckets[i];
            end_referent(table, referent);
        }
    table->nested_idle = 0;
    mp__referents_free(server, mp__referents_sweep(server));
    free(table->buckets);
    mp__owners_fini(server);
}

/* The objects of a manager's server, and who refers to them.
 * SPDX-License-Identifier: MIT
 *
 * A referent lives while clients refer to it (count) or the server itself uses it (holds): a call
 * under way, an iterator over it, a registered type with a single object. One that was put into
 * another one, as a proxy, is nested: then only looking through all of them says whether it is
 * still in one, which is done when enough of them may have to go (mp__referents_collect).
 *
 * Clients' references are also counted for each owner that is known, so that they can be given
 * back when the owner has gone. All under the server's mutex. */
#ifndef MP__MGR_REFERENT_H
#define MP__MGR_REFERENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "mgr/class.h"
#include "os/clock.h"

struct mp__server;

enum { MP__CLIENT_ID_MAX = 64 };

/* Whoever takes references: a process of this machine, or a client that says who it is. */
struct mp__owner {
    struct mp__owner *next; /* of the server's */
    pid_t pid;              /* of the process; 0: a client with an id */
    int pidfd;              /* readable when it has ended; -1: not here, it has to be asked for */
    uint64_t since;         /* mp__boot_time() when we met it */
    char id[MP__CLIENT_ID_MAX]; /* of the client; "": a process */
    unsigned sessions;          /* connections that belong to it */
    long shares;                /* references, all in all */
};

struct mp__share { /* of one owner in one referent */
    struct mp__owner *owner;
    long count; /* may be negative: it gave back what another one had taken */
};

struct mp__referent {
    const struct mp__class *class_;
    struct mp__referent *next; /* in its bucket */
    uint64_t number;           /* its ident, which is written in hexadecimal */
    const char *type_id;       /* what it was made as; the registry's or the class's */
    uint64_t count;            /* of clients' references */
    struct mp__share *shares;  /* from malloc */
    uint32_t share_count;
    uint32_t share_capacity;
    uint32_t holds;   /* of the server itself */
    bool is_nested;   /* a proxy of it was put into another one, and may still be there */
    bool is_reached;  /* the search has found it */
    mp__time lost_at; /* since when it is known to be in no other one; 0: it may be in one */
};

struct mp__referents {
    struct mp__referent **buckets;
    size_t bucket_count;   /* a power of two, or 0 */
    size_t total;          /* all referents */
    size_t counted;        /* those with references of clients */
    size_t nested_idle;    /* those that only the search can free: nested, no count, no holds */
    size_t collect_at;     /* search when there are so many of them; 0: never searched */
    mp__time collected_at; /* when that was done last */
    struct mp__referent *dying; /* without users, in no bucket; linked by next */
    bool is_ending;             /* all of them go: holds do not count any more */
    uint64_t last_number;       /* of the referent made last */
    struct mp__owner *owners;
};

/* A zeroed referent of `size` bytes, one hold; NULL: -ENOMEM. Its class can be destroyed at any
 * stage. */
void *mp__referent_new(struct mp__server *server, const struct mp__class *class_, size_t size);
void mp__referent_hold(struct mp__server *server, struct mp__referent *referent);
void mp__referent_unhold(struct mp__server *server, struct mp__referent *referent);
/* Unhold what a pointer holds, if anything; then it is NULL. */
void mp__referent_leave(struct mp__server *server, struct mp__referent **held);

#define MP__IDENT_MAX 17
void mp__referent_ident(const struct mp__referent *referent, char out[MP__IDENT_MAX]);
struct mp__referent *mp__referent_find(struct mp__server *server, const char *ident);

/* Owner NULL: not known. incref: 0 or -ENOMEM; decref: MP_ESTATE when there are none. With the
 * last one the referent is dying. */
int mp__referent_incref(struct mp__server *server, struct mp__referent *referent,
                        struct mp__owner *owner);
int mp__referent_decref(struct mp__server *server, struct mp__referent *referent,
                        struct mp__owner *owner);

/* A proxy of it was put somewhere. */
void mp__referent_nest(struct mp__server *server, struct mp__referent *referent);
/* Look which nested ones are in no referent that lives, and let those die for which that was so
 * MP__NESTED_GRACE ago. */
#define MP__NESTED_GRACE (30 * MP__SECOND)
void mp__referents_collect(struct mp__server *server, mp__time now);
/* Free the dying, before the server's mutex is released. Those that are left, linked by next, are
 * to be freed after that. */
struct mp__referent *mp__referents_sweep(struct mp__server *server);
void mp__referents_free(struct mp__server *server, struct mp__referent *list);

/* Find or make an owner; NULL: -ENOMEM. */
struct mp__owner *mp__owner_of_process(struct mp__server *server, pid_t pid);
struct mp__owner *mp__owner_of_client(struct mp__server *server, const char *id);
/* A connection of it begins / ends. With a client's last one its references go. */
void mp__owner_enter(struct mp__owner *owner);
void mp__owner_leave(struct mp__server *server, struct mp__owner *owner);
/* Give back the references of processes that have ended. */
void mp__owners_check(struct mp__server *server);
/* Forget what an owner has in this referent. */
void mp__referent_forget(struct mp__server *server, struct mp__referent *referent,
                         struct mp__owner *owner);

void mp__owners_fini(struct mp__server *server);

/* At the server's end: all of them. */
void mp__referents_fini(struct mp__server *server);

#endif

/* Who took references, and what happens when they have gone.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/referent.h"
#include "mgr/server.h"
#include "os/child.h"
#include "os/descriptor.h"
#include "os/pidfd.h"

static bool has_ended(const struct mp__owner *owner) {
    if (owner->pid == 0)
        return owner->sessions == 0;
    if (owner->pidfd >= 0)
        return mp__descriptor_poll(owner->pidfd, POLLIN, 0) > 0;
    return !mp__child_exists(owner->pid, owner->since);
}

static void free_owner(struct mp__server *server, struct mp__owner *owner) {
    struct mp__owner **place = &server->referents.owners;
    while (*place != owner)
        place = &(*place)->next;
    *place = owner->next;
    mp__descriptor_close(owner->pidfd);
    free(owner);
}

static void give_back(struct mp__server *server, struct mp__owner *owner) {
    struct mp__referents *table = &server->referents;
    for (size_t i = 0; i < table->bucket_count; i++)
        for (struct mp__referent *referent = table->buckets[i], *next; referent; referent = next) {
            next = referent->next;
            mp__referent_forget(server, referent, owner);
        }
}

/* With neither connections nor references it can come back as a new one. */
static void check_owner(struct mp__server *server, struct mp__owner *owner) {
    bool is_gone = has_ended(owner);
    if (is_gone)
        give_back(server, owner);
    if (owner->sessions == 0 && (is_gone || owner->shares == 0))
        free_owner(server, owner);
}

static struct mp__owner *add_owner(struct mp__server *server, pid_t pid, const char *id) {
    struct mp__owner *owner = calloc(1, sizeof *owner);
    if (!owner) {
        mp__fail(-ENOMEM, "noting a client");
        return NULL;
    }
    owner->pid = pid;
    owner->pidfd = pid ? mp__pidfd_open(pid) : -1;
    owner->since = mp__boot_time();
    strncpy(owner->id, id, sizeof owner->id - 1);
    owner->next = server->referents.owners;
    server->referents.owners = owner;
    if (owner->pidfd >= 0)
        mp__server_wake(server);
    return owner;
}

/* A pid that we know may be another process's by now. */
struct mp__owner *mp__owner_of_process(struct mp__server *server, pid_t pid) {
    struct mp__owner *owner = server->referents.owners;
    while (owner && owner->pid != pid)
        owner = owner->next;
    if (owner && has_ended(owner)) {
        give_back(server, owner);
        owner->since = mp__boot_time();
        mp__descriptor_close(owner->pidfd);
        owner->pidfd = mp__pidfd_open(pid);
    }
    return owner ? owner : add_owner(server, pid, "");
}

struct mp__owner *mp__owner_of_client(struct mp__server *server, const char *id) {
    struct mp__owner *owner = server->referents.owners;
    while (owner && (owner->pid || strncmp(owner->id, id, sizeof owner->id - 1) != 0))
        owner = owner->next;
    return owner ? owner : add_owner(server, 0, id);
}

void mp__owner_enter(struct mp__owner *owner) {
    owner->sessions++;
}

void mp__owner_leave(struct mp__server *server, struct mp__owner *owner) {
    owner->sessions--;
    check_owner(server, owner);
}

void mp__owners_check(struct mp__server *server) {
    for (struct mp__owner *owner = server->referents.owners, *next; owner; owner = next) {
        next = owner->next;
        if (owner->pid)
            check_owner(server, owner);
    }
}

void mp__owners_fini(struct mp__server *server) {
    while (server->referents.owners)
        free_owner(server, server->referents.owners);
}

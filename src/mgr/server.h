/* The server: its connections, its objects, and the one mutex round them.
 * SPDX-License-Identifier: MIT
 *
 * A thread listens, and one more serves each connection: it is who owns a lock. The mutex is what
 * the interpreter's lock is to CPython's server: whoever looks at objects has it, whoever waits,
 * for a message or in a method, has not. */
#ifndef MP__MGR_SERVER_H
#define MP__MGR_SERVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "mgr/manager.h"
#include "mgr/protocol.h"
#include "mgr/referent.h"
#include "mgr/registry.h"
#include "mp/listener.h"

struct mp__session;

/* A registered type as the server has it. */
struct mp__single {
    struct mp__single *next;
    const struct mp__registered *registered;
    struct mp__referent *referent; /* held */
};

struct mp__server {
    pthread_mutex_t mutex;               /* of all that changes */
    const mp_manager_options *options;   /* the manager's */
    const struct mp__registry *registry; /* the manager's; constant */
    const uint8_t *key;                  /* the manager's */
    size_t key_size;                     /* bytes */
    mp_listener *listener;
    mp_object *address; /* as Python has it */
    struct mp__referents referents;
    struct mp__single *singles;
    struct mp__session *sessions; /* all that have a thread */
    struct mp__session *proving;  /* those that have not proved to know the key, oldest first */
    struct mp__session *finished; /* those whose thread is at its end */
    unsigned session_count;
    unsigned proving_count;
    pthread_cond_t ended; /* a session has, or the server is to */
    _Atomic bool is_stopping;
    int wake[2]; /* a pipe: a byte in it wakes the listening thread */
};

/* Begin to listen. The manager stays for as long as the server. 0 or a code. */
int mp__server_new(struct mp__server **out, const struct mp_manager *manager);
/* Serve until stopped or, with is_child, until the parent process has ended. Afterwards no session
 * is left, or, with `patience` seconds for them, false is given: the server may not be freed. */
bool mp__server_run(struct mp__server *server, bool is_child, double patience);
void mp__server_stop(struct mp__server *server); /* any thread; without the mutex or with it */
void mp__server_wake(struct mp__server *server); /* look again who is to be watched */
void mp__server_free(struct mp__server *server);
void mp__server_close(struct mp__server *server); /* only the listener: sessions are left */

void mp__server_lock(struct mp__server *server);
void mp__server_unlock(struct mp__server *server); /* frees the dying first */

/* Does a token name an object of this server? */
bool mp__server_is_own(const struct mp__server *server, const struct mp__token *token);
/* The referent that a token names, if it is of this server; NULL: it is not, or there is none. */
struct mp__referent *mp__server_own(struct mp__server *server, const struct mp__token *token);

#endif

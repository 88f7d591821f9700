/* A client's connection and the thread that serves it.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_SESSION_H
#define MP__MGR_SESSION_H

#include "codec/buffer.h"
#include "mgr/call.h"
#include "mgr/server.h"
#include "mgr/wire.h"

struct mp__held { /* a lock that a session owns: first in the lock */
    struct mp__held *next;
    struct mp__held **place; /* that points to it; NULL: in no list */
    void (*orphan)(struct mp__server *server, struct mp__held *held); /* its owner has gone */
};

struct mp__session {
    struct mp__server *server;
    mp_connection *connection;   /* until the client has proved itself; then NULL */
    struct mp__wire wire;        /* from then on */
    int socket;                  /* the one's or the other's; under the server's mutex */
    pthread_t thread;            /* that serves it */
    struct mp__session *next;    /* of all, or of those whose thread is to be joined */
    struct mp__session **place;  /* that points to it */
    struct mp__session *younger; /* of those that prove themselves */
    struct mp__owner *owner;     /* of references taken here; NULL: not yet known */
    struct mp__held *held;       /* locks that this connection owns */
    pthread_cond_t *waiting_on;  /* what its thread waits on; NULL: nothing */
    unsigned slice_ms;           /* how long it sleeps before it looks whether the client lives */
    struct mp__buffer buffer;    /* for replies */
    bool is_proving;             /* in the list of those */
    bool is_channel;             /* accept_connection was called */
    bool has_id;                 /* the client said who it is */
    bool ends_server;            /* shutdown was called */
};

/* Serve a connection in a thread of its own; takes the connection over, also on failure. */
int mp__session_start(struct mp__server *server, mp_connection *connection);
/* Join the threads of sessions that have ended. Without the mutex. */
void mp__sessions_join(struct mp__server *server);
/* Have a session end soon; with the mutex. */
void mp__session_cut(struct mp__session *session);

/* Whose references are taken here; NULL: not known. / It is this one. */
struct mp__owner *mp__session_owner(struct mp__session *session);
void mp__session_own(struct mp__session *session, struct mp__owner *owner);

void mp__session_hold(struct mp__session *session, struct mp__held *held);
void mp__held_remove(struct mp__held *held); /* in no list: nothing */

/* Requests for the server itself: dummy, create and so on. NULL: raised, see mgr/call.h. */
mp_object *mp__dispatch(struct mp__invocation *call);
/* What create does, also for results that stay here. */
struct mp__referent *mp__create(struct mp__invocation *call, const char *type_id);
mp_object *mp__exposed(const struct mp__referent *referent);

/* Answer one request, the bytes of a pickle: the reply is in session->buffer. Without the mutex.
 * 0: to be sent; MP_EEOF: there is none. call is all zero but server and session; mp__answer_end
 * ends it after the reply was sent, or could not be. */
int mp__answer(struct mp__invocation *call, const void *data, size_t size);
void mp__answer_end(struct mp__invocation *call, bool was_sent);
/* A reply that says why there is no other one: from the detail. */
int mp__answer_failure(struct mp__session *session, int code);

#endif

/* Serving one connection, from the proof of the key to its end.
 * SPDX-License-Identifier: MIT */
#include "mgr/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "base/log.h"
#include "os/peer.h"

enum { BUFFER_KEPT_MAX = 1 << 16, STACK_BYTES = 1 << 20 };

static void unlist_proving(struct mp__server *server, struct mp__session *session) {
    struct mp__session **place = &server->proving;
    if (!session->is_proving)
        return;
    while (*place != session)
        place = &(*place)->younger;
    *place = session->younger;
    session->is_proving = false;
    server->proving_count--;
}

/* The oldest first: when there are too many it is the one that goes. */
static void list_proving(struct mp__server *server, struct mp__session *session) {
    struct mp__session **place = &server->proving, *oldest;
    while (*place)
        place = &(*place)->younger;
    *place = session;
    session->is_proving = true;
    if (++server->proving_count <= server->options->proofs_max)
        return;
    oldest = server->proving;
    unlist_proving(server, oldest);
    mp__session_cut(oldest);
}

static void list_session(struct mp__server *server, struct mp__session *session) {
    session->next = server->sessions;
    session->place = &server->sessions;
    if (session->next)
        session->next->place = &session->next;
    server->sessions = session;
    server->session_count++;
    list_proving(server, session);
}

static void unlist_session(struct mp__server *server, struct mp__session *session) {
    unlist_proving(server, session);
    *session->place = session->next;
    if (session->next)
        session->next->place = session->place;
    server->session_count--;
    (void)pthread_cond_broadcast(&server->ended);
}

void mp__session_cut(struct mp__session *session) {
    (void)shutdown(session->socket, SHUT_RDWR);
    if (session->waiting_on)
        (void)pthread_cond_broadcast(session->waiting_on);
}

void mp__session_own(struct mp__session *session, struct mp__owner *owner) {
    mp__owner_enter(owner);
    if (session->owner)
        mp__owner_leave(session->server, session->owner);
    session->owner = owner;
}

struct mp__owner *mp__session_owner(struct mp__session *session) {
    pid_t pid = session->owner ? 0 : mp__peer_pid(session->socket);
    struct mp__owner *owner = pid > 0 ? mp__owner_of_process(session->server, pid) : NULL;
    if (owner)
        mp__session_own(session, owner);
    return session->owner;
}

void mp__session_hold(struct mp__session *session, struct mp__held *held) {
    held->next = session->held;
    held->place = &session->held;
    if (held->next)
        held->next->place = &held->next;
    session->held = held;
}

void mp__held_remove(struct mp__held *held) {
    if (!held->place)
        return;
    *held->place = held->next;
    if (held->next)
        held->next->place = held->place;
    held->place = NULL;
}

static void orphan_held(struct mp__session *session) {
    while (session->held) {
        struct mp__held *held = session->held;
        mp__held_remove(held);
        held->orphan(session->server, held);
    }
}

static int send_reply(struct mp__session *session) {
    const struct mp__buffer *reply = &session->buffer;
    if (session->connection)
        return mp_connection_send_bytes(session->connection, reply->data, reply->size, MP_FOREVER);
    return mp__wire_send_bytes(&session->wire, reply->data, reply->size);
}

/* A client whose key is wrong is told so twice, as CPython's server does. */
static int prove(struct mp__session *session) {
    const struct mp__server *server = session->server;
    double timeout = server->options->proof_timeout;
    int code = mp_connection_deliver_challenge(session->connection, server->key, server->key_size,
                                               timeout);
    if (code == 0)
        code = mp_connection_answer_challenge(session->connection, server->key, server->key_size,
                                              timeout);
    if (code == MP_EAUTH && mp__answer_failure(session, code) == 0)
        (void)send_reply(session);
    if (code < 0)
        mp__log(MP_LOG_INFO, "a client did not prove itself: %s", mp_error_detail());
    return code;
}

static int answer_one(struct mp__session *session, const void *data, size_t size) {
    struct mp__invocation call = {.server = session->server, .session = session};
    session->slice_ms = 0;
    int code = mp__answer(&call, data, size);
    int sent = code == 0 ? send_reply(session) : code;
    if (sent == 0 && session->ends_server)
        sent = send_reply(session);
    mp__answer_end(&call, sent == 0);
    if (session->buffer.capacity > BUFFER_KEPT_MAX)
        mp__buffer_fini(&session->buffer);
    return sent;
}

static int serve_one(struct mp__session *session) {
    const uint8_t *data;
    size_t size;
    int code = mp__wire_take(&session->wire, &data, &size, session->server->options->request_max);
    if (code == MP_ETOOSHORT && mp__answer_failure(session, code) == 0)
        (void)send_reply(session);
    return code < 0 ? code : answer_one(session, data, size);
}

/* From now on the connection needs nothing in the arena, which would stay there if we were killed.
 */
static int admit(struct mp__session *session) {
    struct mp__server *server = session->server;
    mp__server_lock(server);
    unlist_proving(server, session);
    int code = mp__wire_adopt(&session->wire, session->connection);
    if (code == 0) {
        session->connection = NULL;
        session->socket = session->wire.socket;
    }
    mp__server_unlock(server);
    return code;
}

static void serve(struct mp__session *session) {
    if (prove(session) < 0 || admit(session) < 0)
        return;
    bool is_channel = false;
    do {
        if (serve_one(session) < 0)
            break;
        if (session->is_channel && !is_channel)
            mp__log(MP_LOG_DEBUG, "starting server thread to service a client");
        is_channel = session->is_channel;
    } while (is_channel && !session->ends_server);
    if (is_channel)
        mp__log(MP_LOG_DEBUG, "got EOF -- exiting thread serving a client");
    if (session->ends_server)
        mp__log(MP_LOG_DEBUG, "manager received shutdown message");
}

/* The connection goes while the session is on the list: nobody cuts a socket that has become
 * somebody else's. */
static void end_session(struct mp__session *session) {
    struct mp__server *server = session->server;
    mp__server_lock(server);
    orphan_held(session);
    if (session->owner)
        mp__owner_leave(server, session->owner);
    mp_connection_free(session->connection);
    mp__wire_close(&session->wire);
    mp__buffer_fini(&session->buffer);
    if (session->ends_server)
        mp__server_stop(server);
    unlist_session(server, session);
    session->next = server->finished;
    server->finished = session;
    mp__server_unlock(server);
}

void mp__sessions_join(struct mp__server *server) {
    mp__server_lock(server);
    struct mp__session *finished = server->finished;
    server->finished = NULL;
    mp__server_unlock(server);
    while (finished) {
        struct mp__session *session = finished;
        finished = session->next;
        (void)pthread_join(session->thread, NULL);
        free(session);
    }
}

static void *run_session(void *arg) {
    serve(arg);
    end_session(arg);
    return NULL;
}

static int start_thread(struct mp__session *session) {
    pthread_attr_t attributes;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    int code = -pthread_create(&session->thread, &attributes, run_session, session);
    (void)pthread_attr_destroy(&attributes);
    return code;
}

int mp__session_start(struct mp__server *server, mp_connection *connection) {
    struct mp__session *session = calloc(1, sizeof *session);
    if (!session) {
        mp_connection_free(connection);
        return mp__fail(-ENOMEM, "serving a client");
    }
    session->server = server;
    session->connection = connection;
    session->wire.socket = -1;
    session->socket = mp_connection_fileno(connection);
    mp__server_lock(server);
    list_session(server, session);
    int code = start_thread(session);
    if (code < 0) {
        unlist_session(server, session);
        mp_connection_free(connection);
        free(session);
    }
    mp__server_unlock(server);
    return code < 0 ? mp__fail(code, "a thread for a client") : 0;
}

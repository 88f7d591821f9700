/* The server's life, and the thread that listens.
 * SPDX-License-Identifier: MIT */
#include "mgr/server.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "mgr/call.h"
#include "mgr/session.h"
#include "mp/connection.h"
#include "mp/process.h"
#include "os/descriptor.h"
#include "proc/current.h"

enum { BACKLOG = 128, TICK_MS = 1000, TROUBLE_MS = 20, FIXED_COUNT = 3, ADDRESS_MAX = 300 };

void mp__server_lock(struct mp__server *server) {
    pthread_mutex_lock(&server->mutex);
}

void mp__server_unlock(struct mp__server *server) {
    struct mp__referent *left = mp__referents_sweep(server);
    pthread_mutex_unlock(&server->mutex);
    mp__referents_free(server, left);
}

void mp__server_wake(struct mp__server *server) {
    while (write(server->wake[1], "", 1) < 0 && errno == EINTR)
        continue;
}

void mp__server_stop(struct mp__server *server) {
    atomic_store(&server->is_stopping, true);
    mp__server_wake(server);
}

void mp__server_free(struct mp__server *server) {
    if (!server)
        return;
    mp__referents_fini(server);
    while (server->singles) {
        struct mp__single *single = server->singles;
        server->singles = single->next;
        free(single);
    }
    mp_listener_close(server->listener);
    mp__descriptor_close(server->wake[0]);
    mp__descriptor_close(server->wake[1]);
    mp_object_free(server->address);
    pthread_mutex_destroy(&server->mutex);
    pthread_cond_destroy(&server->ended);
    free(server);
}

void mp__server_close(struct mp__server *server) {
    mp_listener_close(server->listener);
    server->listener = NULL;
}

static int open_server(struct mp__server *server, const struct mp_manager *manager) {
    const mp_listener_options options = {.backlog = BACKLOG};
    const char *address = manager->address[0] ? manager->address : NULL;
    int code = mp_listener_new(&server->listener, address, &options);
    if (code == 0)
        code = mp__descriptor_pipe(server->wake);
    if (code < 0)
        return code;
    (void)mp__descriptor_set_blocking(server->wake[0], false);
    (void)mp__descriptor_set_blocking(server->wake[1], false);
    server->address = mp__address_object(mp_listener_address(server->listener));
    return server->address ? 0 : mp__fail(-ENOMEM, "the server of a manager");
}

int mp__server_new(struct mp__server **out, const struct mp_manager *manager) {
    struct mp__server *server = calloc(1, sizeof *server);
    if (!server)
        return mp__fail(-ENOMEM, "the server of a manager");
    (void)pthread_mutex_init(&server->mutex, NULL);
    mp__condition_init(&server->ended);
    server->wake[0] = server->wake[1] = -1;
    server->options = &manager->options;
    server->registry = manager->registry;
    server->key = manager->key;
    server->key_size = manager->key_size;
    int code = open_server(server, manager);
    if (code < 0) {
        mp__server_free(server);
        return code;
    }
    *out = server;
    return 0;
}

bool mp__server_is_own(const struct mp__server *server, const struct mp__token *token) {
    char text[ADDRESS_MAX];
    const char *mine = mp_listener_address(server->listener);
    if (mp__address_text(text, sizeof text, token->address) < 0)
        return false;
    if (strcmp(text, mine) == 0)
        return true;
    /* A client may know us under another name of the host. */
    return strncmp(text, "tcp://", 6) == 0 && strncmp(mine, "tcp://", 6) == 0 &&
           strcmp(strrchr(text, ':'), strrchr(mine, ':')) == 0 &&
           mp__referent_find((struct mp__server *)server, token->ident);
}

struct mp__referent *mp__server_own(struct mp__server *server, const struct mp__token *token) {
    return mp__server_is_own(server, token) ? mp__referent_find(server, token->ident) : NULL;
}

/* What the listening thread waits for: the listener, the pipe, the parent, and processes that have
 * references. How many; NULL: no memory, then those have to be asked. */
static struct pollfd *list_watched(struct mp__server *server, int parent, size_t *count) {
    size_t total = FIXED_COUNT;
    mp__server_lock(server);
    for (const struct mp__owner *owner = server->referents.owners; owner; owner = owner->next)
        total += owner->pidfd >= 0;
    struct pollfd *list = calloc(total, sizeof *list);
    *count = 0;
    if (list) {
        list[(*count)++] = (struct pollfd){.fd = mp_listener_fileno(server->listener)};
        list[(*count)++] = (struct pollfd){.fd = server->wake[0]};
        list[(*count)++] = (struct pollfd){.fd = parent};
        for (const struct mp__owner *owner = server->referents.owners; owner; owner = owner->next)
            if (owner->pidfd >= 0)
                list[(*count)++] = (struct pollfd){.fd = owner->pidfd};
    }
    mp__server_unlock(server);
    for (size_t i = 0; i < *count; i++)
        list[i].events = POLLIN;
    return list;
}

static void drain(int pipe) {
    char bytes[64];
    while (read(pipe, bytes, sizeof bytes) > 0)
        continue;
}

/* Short of descriptors or threads: those who have them must get time to give them back. */
static void accept_one(struct mp__server *server) {
    mp_connection *connection;
    int code = mp_listener_accept(server->listener, &connection, MP_NOWAIT);
    if (code == 0)
        code = mp__session_start(server, connection);
    if (code < 0 && code != MP_ETIMEDOUT) {
        mp__log(MP_LOG_WARNING, "a client could not be served: %s", mp_error_detail());
        (void)poll(NULL, 0, TROUBLE_MS);
    }
}

/* Wait for something to happen, and say whether the server is to go on. */
static bool serve_turn(struct mp__server *server, int parent) {
    size_t count;
    struct pollfd *list = list_watched(server, parent, &count);
    if (!list) {
        (void)poll(NULL, 0, TROUBLE_MS);
        return true;
    }
    int ready = poll(list, (nfds_t)count, TICK_MS);
    bool has_client = ready > 0 && list[0].revents, is_woken = ready > 0 && list[1].revents;
    bool only_client = has_client && ready == 1;
    free(list);
    if (is_woken)
        drain(server->wake[0]);
    if (!only_client) {
        mp__server_lock(server);
        mp__owners_check(server);
        mp__server_unlock(server);
    }
    mp__sessions_join(server);
    if (has_client)
        accept_one(server);
    return !atomic_load(&server->is_stopping);
}

/* All sessions are cut, those that wait are woken. */
static bool end_sessions(struct mp__server *server, double patience) {
    mp__time deadline;
    if (mp__deadline(&deadline, patience) < 0)
        deadline = MP__NEVER;
    mp__server_lock(server);
    while (server->session_count > 0 && mp__now() < deadline) {
        for (struct mp__session *session = server->sessions; session; session = session->next)
            mp__session_cut(session);
        mp__time until = mp__now() + MP__SECOND / 20;
        struct timespec limit = {.tv_sec = (time_t)(until / MP__SECOND),
                                 .tv_nsec = (long)(until % MP__SECOND)};
        (void)pthread_cond_timedwait(&server->ended, &server->mutex, &limit);
    }
    bool is_empty = server->session_count == 0;
    mp__server_unlock(server);
    mp__sessions_join(server);
    return is_empty;
}

/* Asked each turn: the parent may have ended before there was a descriptor to watch. */
static bool is_orphan(bool is_child) {
    return is_child && !mp_process_is_alive(mp_parent_process());
}

bool mp__server_run(struct mp__server *server, bool is_child, double patience) {
    int parent = is_child ? mp__current_parent_sentinel() : -1;
    while (!is_orphan(is_child) && serve_turn(server, parent))
        continue;
    atomic_store(&server->is_stopping, true);
    return end_sessions(server, patience);
}

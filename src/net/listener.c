/* Listening, and accepting who proves that it knows the key.
 * SPDX-License-Identifier: MIT */
#include "mp/listener.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "chan/stream.h"
#include "net/connect.h"
#include "net/socket_file.h"
#include "os/descriptor.h"

#define DEFAULT_TIMEOUT 20.0

struct mp_listener {
    int socket;                  /* listens, non-blocking */
    pid_t maker;                 /* the process that removes the socket's file */
    char *directory;             /* made for the socket, removed with it; NULL: none */
    struct mp__socket_file file; /* that we have made */
    bool has_key;                /* clients have to prove that they know it */
    uint8_t *key;                /* a copy, from malloc; NULL: empty, or none */
    size_t key_size;             /* bytes */
    double timeout;              /* seconds for a client's proof */
    bool has_accepted;           /* last_accepted says whom */
    char last_accepted[MP__ADDRESS_TEXT_MAX];
    char address[MP__ADDRESS_TEXT_MAX];
};

static int bind_once(int socket, const struct mp__address *address) {
    return bind(socket, (const struct sockaddr *)&address->storage, address->size) < 0 ? -errno : 0;
}

static int bind_socket(struct mp_listener *listener, const struct mp__address *address,
                       int backlog) {
    int yes = 1;
    if (address->storage.ss_family != AF_UNIX)
        (void)setsockopt(listener->socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    int code = bind_once(listener->socket, address);
    if (code == -EADDRINUSE && mp__socket_file_is_stale(address)) {
        (void)unlink(mp__address_path(address));
        code = bind_once(listener->socket, address);
    }
    if (code < 0)
        return code;
    code = mp__socket_file_note(&listener->file, address);
    if (code == 0 && listen(listener->socket, backlog) < 0)
        code = -errno;
    if (code == 0)
        code = mp__descriptor_set_blocking(listener->socket, false);
    if (code < 0)
        mp__socket_file_remove(&listener->file);
    return code;
}

/* The port that the system chose stands in the socket's own name. */
static void note_address(struct mp_listener *listener, const struct mp__address *asked) {
    struct mp__address real = {.size = sizeof real.storage};
    bool is_unix = asked->storage.ss_family == AF_UNIX;
    if (!is_unix &&
        getsockname(listener->socket, (struct sockaddr *)&real.storage, &real.size) == 0)
        asked = &real;
    mp__address_write(asked, listener->address, sizeof listener->address);
}

static int open_listener(struct mp_listener *listener, const char *text, int backlog) {
    struct mp__address list[MP__ADDRESS_COUNT_MAX];
    int count = mp__address_read(text, true, list, MP__ADDRESS_COUNT_MAX, "mp_listener_new");
    int code = count < 0 ? count : 0;
    for (int i = 0; i < count; i++) {
        listener->socket = mp__descriptor_socket(list[i].storage.ss_family, SOCK_STREAM);
        code = listener->socket < 0 ? listener->socket : bind_socket(listener, &list[i], backlog);
        if (code == 0) {
            note_address(listener, &list[i]);
            return 0;
        }
        mp__descriptor_close(listener->socket);
        listener->socket = -1;
    }
    return count < 0 ? code : mp__fail(code, "mp_listener_new: listening at %.200s", text);
}

/* A directory that only this user enters, as Python makes it. */
static int make_up(struct mp_listener *listener, char *address, size_t capacity) {
    const char *base = getenv("TMPDIR");
    char directory[80];
    if (!base || !base[0] || strlen(base) > 60)
        base = "/tmp";
    mp__socket_file_sweep(base);
    snprintf(directory, sizeof directory, "%s/" MP__SOCKET_DIRECTORY "XXXXXX", base);
    if (!mkdtemp(directory))
        return mp__fail(-errno, "mp_listener_new: a directory for the socket, %s", directory);
    listener->directory = strdup(directory);
    if (!listener->directory) {
        (void)rmdir(directory);
        return mp__fail(-ENOMEM, "mp_listener_new");
    }
    snprintf(address, capacity, "unix:%s/" MP__SOCKET_NAME, directory);
    return 0;
}

static int check_options(const mp_listener_options *options) {
    if (options->backlog < 0)
        return mp__fail(MP_EINVAL, "mp_listener_new: backlog is %d", options->backlog);
    if (!options->authkey && options->authkey_size > 0)
        return mp__fail(MP_EINVAL, "mp_listener_new: authkey is NULL, but authkey_size is %zu",
                        options->authkey_size);
    if (isnan(options->timeout) || options->timeout < 0)
        return mp__fail(MP_EINVAL, "mp_listener_new: timeout is %g", options->timeout);
    return 0;
}

static int copy_options(struct mp_listener *listener, const mp_listener_options *options) {
    listener->timeout = options->timeout > 0 ? options->timeout : DEFAULT_TIMEOUT;
    listener->has_key = options->authkey != NULL;
    listener->key_size = options->authkey_size;
    if (listener->key_size == 0)
        return 0;
    listener->key = malloc(listener->key_size);
    if (!listener->key)
        return mp__fail(-ENOMEM, "mp_listener_new");
    memcpy(listener->key, options->authkey, listener->key_size);
    return 0;
}

int mp_listener_new(mp_listener **out, const char *address, const mp_listener_options *options) {
    static const mp_listener_options defaults;
    char made_up[MP__ADDRESS_TEXT_MAX];
    options = options ? options : &defaults;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_listener_new: out is NULL");
    int code = check_options(options);
    if (code < 0)
        return code;
    struct mp_listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return mp__fail(-ENOMEM, "mp_listener_new");
    listener->socket = -1;
    listener->maker = getpid();
    code = copy_options(listener, options);
    if (code == 0 && !address) {
        code = make_up(listener, made_up, sizeof made_up);
        address = made_up;
    }
    if (code == 0)
        code = open_listener(listener, address, options->backlog ? options->backlog : 1);
    if (code < 0) {
        mp_listener_close(listener);
        return code;
    }
    mp__log_held(MP_LOG_SUBDEBUG, "listener created with address='%s'", listener->address);
    *out = listener;
    return 0;
}

static void remove_files(struct mp_listener *listener) {
    if (listener->maker == getpid()) {
        mp__socket_file_remove(&listener->file);
        if (listener->directory)
            (void)rmdir(listener->directory);
    }
    free(listener->file.path);
}

void mp_listener_close(mp_listener *listener) {
    if (!listener)
        return;
    if (listener->socket >= 0)
        mp__log_held(MP_LOG_SUBDEBUG, "closing listener with address='%s'", listener->address);
    remove_files(listener);
    mp__descriptor_close(listener->socket);
    if (listener->key)
        explicit_bzero(listener->key, listener->key_size);
    free(listener->key);
    free(listener->directory);
    free(listener);
}

/* Clients that gave up before they were accepted are nobody's business. */
static bool is_about_client(int code) {
    return code == -EAGAIN || code == -EWOULDBLOCK || code == -EINTR || code == -ECONNABORTED ||
           code == -EPROTO;
}

static int accept_socket(struct mp_listener *listener, mp__time deadline,
                         struct mp__address *client) {
    for (;;) {
        client->size = sizeof client->storage;
        int socket = mp__descriptor_accept(listener->socket, &client->storage, &client->size);
        if (socket >= 0)
            return socket;
        if (!is_about_client(socket))
            return mp__fail(socket, "mp_listener_accept: %s", listener->address);
        int events = mp__descriptor_poll(listener->socket, POLLIN, deadline);
        if (events == 0)
            return mp__fail(MP_ETIMEDOUT, "mp_listener_accept: nobody connected to %s in time",
                            listener->address);
        if (events < 0)
            return mp__fail(events, "mp_listener_accept: waiting at %s", listener->address);
    }
}

/* Whatever the client does wrong is one code: the listener can go on. */
static int authenticate(const struct mp_listener *listener, mp_connection *connection) {
    mp__time deadline;
    int code = mp__deadline(&deadline, listener->timeout);
    if (code == 0)
        code = mp_connection_deliver_challenge(connection, listener->key, listener->key_size,
                                               listener->timeout);
    mp__time left = deadline == MP__NEVER ? deadline : deadline - mp__now();
    if (code == 0)
        code = mp_connection_answer_challenge(
            connection, listener->key, listener->key_size,
            deadline == MP__NEVER ? MP_FOREVER : (double)left / (double)MP__SECOND);
    if (code == 0 || code == MP_EAUTH || code == -ENOMEM)
        return code;
    char reason[160];
    snprintf(reason, sizeof reason, "%s", mp_error_detail());
    return mp__fail(MP_EAUTH, "mp_listener_accept: the client did not prove itself: %s", reason);
}

int mp_listener_accept(mp_listener *listener, mp_connection **out, double timeout) {
    mp__time deadline;
    struct mp__address client = {0};
    mp_connection *connection;
    if (!listener || !out)
        return mp__fail(MP_EINVAL, "mp_listener_accept: listener or out is NULL");
    int code = mp__deadline(&deadline, timeout);
    int socket = code < 0 ? code : accept_socket(listener, deadline, &client);
    if (socket < 0)
        return socket;
    mp__connect_tune(socket, &client);
    code = mp__stream_new(&connection, socket);
    if (code < 0) {
        mp__descriptor_close(socket);
        return code;
    }
    code = listener->has_key ? authenticate(listener, connection) : 0;
    if (code < 0) {
        mp_connection_free(connection);
        return code;
    }
    mp__address_write(&client, listener->last_accepted, sizeof listener->last_accepted);
    listener->has_accepted = true;
    mp__log_held(MP_LOG_DEBUG, "accepted connection from '%s'", listener->last_accepted);
    *out = connection;
    return 0;
}

const char *mp_listener_address(const mp_listener *listener) {
    return listener ? listener->address : NULL;
}

const char *mp_listener_last_accepted(const mp_listener *listener) {
    return listener && listener->has_accepted ? listener->last_accepted : NULL;
}

int mp_listener_fileno(const mp_listener *listener) {
    return listener ? listener->socket
                    : mp__fail(MP_EINVAL, "mp_listener_fileno: listener is NULL");
}

/* Starting a manager's server, in a process of its own or here, and ending it.
 * SPDX-License-Identifier: MIT
 *
 * What the server's process needs goes to it as a pickle in its argument: the address, the key, the
 * options and what is registered. It answers over a pipe: (0, address) or (code, detail). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "mgr/manager.h"
#include "mgr/protocol.h"
#include "mgr/registry.h"
#include "mgr/server.h"
#include "mp/connection.h"
#include "mp/listener.h"
#include "mp/pickle.h"
#include "proc/exit.h"
#include "shm/function.h"

#define GRACE_SECONDS 0.5 /* from SIGTERM to SIGKILL */
#define LAST_SECONDS 1.0  /* for sessions when the server's process ends */

struct started { /* the argument of the server's process */
    mp_connection *report;
    size_t size;     /* of what follows */
    uint8_t bytes[]; /* a pickle */
};

static pthread_mutex_t started_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct mp_manager *started_managers; /* of this process, to be shut down at exit */

static mp_object *pack_manager(const struct mp_manager *manager) {
    const mp_manager_options *options = &manager->options;
    struct mp__function initializer;
    if (mp__function_pack((mp__any_fn)options->initializer, &initializer) < 0)
        return NULL;
    return mp_object_build(
        "(sy#(IK)y#ddIKN)", manager->address, manager->key, manager->key_size, initializer.image,
        (unsigned long long)initializer.offset, options->init_arg, options->init_arg_size,
        options->shutdown_timeout, options->proof_timeout, options->proofs_max,
        (unsigned long long)options->request_max, mp__registry_pack(manager->registry));
}

/* Parts of `packed` are used for as long as the manager is. */
static int unpack_manager(struct mp_manager *manager, const mp_object *packed) {
    mp_manager_options *options = &manager->options;
    const char *key, *init_arg;
    unsigned long long offset, request_max;
    struct mp__function function = {0};
    mp__any_fn initializer;
    mp_object *registry;
    int code = mp_object_parse(
        packed, "(sy#(IK)y#ddIKO)", &manager->address, &key, &manager->key_size, &function.image,
        &offset, &init_arg, &options->init_arg_size, &options->shutdown_timeout,
        &options->proof_timeout, &options->proofs_max, &request_max, &registry);
    if (code < 0)
        return code;
    manager->key = (uint8_t *)(uintptr_t)key;
    options->init_arg = init_arg;
    options->request_max = (size_t)request_max;
    function.offset = offset;
    code = mp__function_find(&function, &initializer);
    options->initializer = (int (*)(void *, size_t))initializer;
    return code < 0 ? code : mp__registry_unpack(manager->registry, registry);
}

static void report(mp_connection *connection, int code, const char *text) {
    mp_object *message = mp_object_build("(is)", code, text);
    if (message)
        (void)mp_connection_send(connection, message, MP_FOREVER);
    mp_object_free(message);
    (void)mp_connection_close(connection);
}

static int initialize(const struct mp_manager *manager) {
    const mp_manager_options *options = &manager->options;
    int code = options->initializer
                   ? options->initializer((void *)options->init_arg, options->init_arg_size)
                   : 0;
    return code == 0 ? 0 : mp__fail(MP_ETASK, "the manager's initializer failed (%d)", code);
}

/* Sessions that are in a function of the program for longer than that end with the process. */
static void serve(struct mp_manager *manager, mp_connection *connection) {
    struct mp__server *server = NULL;
    int code = initialize(manager);
    if (code == 0)
        code = mp__server_new(&server, manager);
    report(connection, code, code < 0 ? mp_error_detail() : mp_listener_address(server->listener));
    if (code < 0)
        return;
    mp__log(MP_LOG_INFO, "manager serving at '%s'", mp_listener_address(server->listener));
    if (mp__server_run(server, true, LAST_SECONDS))
        mp__server_free(server);
    else
        mp__server_close(server);
    mp__log(MP_LOG_DEBUG, "manager exiting with exitcode 0");
}

static int run_manager(void *arg, size_t size) {
    const struct started *started = arg;
    struct mp__registry registry = {0};
    struct mp_manager manager = {.registry = &registry};
    mp_object *packed = NULL;
    (void)size;
    (void)signal(SIGINT, SIG_IGN);
    int code = mp_object_loads(&packed, started->bytes, started->size);
    if (code == 0)
        code = unpack_manager(&manager, packed);
    if (code < 0)
        report(started->report, code, mp_error_detail());
    else
        serve(&manager, started->report);
    mp__registry_fini(&registry);
    mp_object_free(packed);
    return 0;
}

static int make_argument(const struct mp_manager *manager, mp_connection *connection,
                         struct started **out, size_t *size) {
    void *bytes;
    size_t count;
    mp_object *packed = pack_manager(manager);
    int code = packed ? mp_object_dumps(packed, MP_PICKLE_DEFAULT, &bytes, &count)
                      : mp__fail(MP_EINVAL, "mp_manager_start: %s", mp_error_detail());
    mp_object_free(packed);
    if (code < 0)
        return code;
    struct started *started = malloc(sizeof *started + count);
    if (started) {
        started->report = connection;
        started->size = count;
        memcpy(started->bytes, bytes, count);
        *out = started;
        *size = sizeof *started + count;
    }
    free(bytes);
    return started ? 0 : mp__fail(-ENOMEM, "mp_manager_start");
}

static int start_process(struct mp_manager *manager, mp_connection *connection) {
    static _Atomic unsigned last_number;
    struct started *argument = NULL;
    char name[40];
    snprintf(name, sizeof name, "SyncManager-%u", atomic_fetch_add(&last_number, 1) + 1);
    mp_connection *const connections[] = {connection, NULL};
    mp_process_options options = {
        .target = run_manager, .name = name, .daemon = MP_NOT_DAEMON, .connections = connections};
    int code = make_argument(manager, connection, &argument, &options.arg_size);
    options.arg = argument;
    if (code == 0)
        code = mp_process_new(&manager->process, manager->context, &options);
    if (code == 0)
        code = mp_process_start(manager->process);
    free(argument);
    return code;
}

/* The server's first words; it may end without any. */
static int await_report(struct mp_manager *manager, mp_connection *connection) {
    mp_object *message = NULL;
    const char *text;
    int result;
    mp_waitable list[] = {MP_WAIT_CONNECTION(connection), MP_WAIT_PROCESS(manager->process)};
    int code = mp_wait(list, 2, MP_FOREVER);
    if (code >= 0)
        code = mp_connection_recv(connection, &message, MP_NOWAIT);
    if (code == MP_EEOF || code == MP_ETIMEDOUT)
        return mp__fail(MP_EWORKER, "mp_manager_start: the server's process ended before it "
                                    "listened");
    if (code == 0) /* its end is freed here: it must have let go of it */
        (void)mp_connection_poll(connection, MP_FOREVER);
    if (code == 0)
        code = mp_object_parse(message, "(is)", &result, &text);
    if (code == 0 && result < 0)
        code = mp__fail(result, "mp_manager_start: %s", text);
    char *address = code == 0 ? strdup(text) : NULL;
    if (code == 0 && !address)
        code = mp__fail(-ENOMEM, "mp_manager_start");
    if (code == 0) {
        free(manager->address);
        manager->address = address;
    }
    mp_object_free(message);
    return code;
}

static void end_process(struct mp_manager *manager, double patience) {
    mp_process *process = manager->process;
    if (!process)
        return;
    if (mp_process_pid(process) > 0 && mp_process_join(process, patience) == MP_ETIMEDOUT) {
        mp__log(MP_LOG_INFO, "manager still alive");
        mp__log(MP_LOG_INFO, "trying to `terminate()` manager process");
        (void)mp_process_terminate(process);
        if (mp_process_join(process, GRACE_SECONDS) == MP_ETIMEDOUT) {
            mp__log(MP_LOG_INFO, "manager still alive after terminate");
            (void)mp_process_kill(process);
            (void)mp_process_join(process, MP_FOREVER);
        }
    }
    (void)mp_process_close(process);
    manager->process = NULL;
}

/* What a server that was killed has left: its socket's file, and the directory made for it. */
static void remove_socket(const struct mp_manager *manager) {
    char path[128];
    if (strncmp(manager->address, "unix:", 5) != 0 || unlink(manager->address + 5) < 0)
        return;
    snprintf(path, sizeof path, "%s", manager->address + 5);
    char *slash = strrchr(path, '/');
    if (manager->has_made_up && slash) {
        *slash = '\0';
        (void)rmdir(path);
    }
}

static void shut_all_down(void) {
    for (;;) {
        pthread_mutex_lock(&started_mutex);
        struct mp_manager *manager = started_managers;
        while (manager && manager->maker != getpid())
            manager = manager->next;
        pthread_mutex_unlock(&started_mutex);
        if (!manager)
            return;
        (void)mp_manager_shutdown(manager);
    }
}

static void list_manager(struct mp_manager *manager) {
    mp__exit_before(shut_all_down);
    pthread_mutex_lock(&started_mutex);
    manager->next = started_managers;
    started_managers = manager;
    pthread_mutex_unlock(&started_mutex);
}

static void unlist_manager(struct mp_manager *manager) {
    pthread_mutex_lock(&started_mutex);
    struct mp_manager **place = &started_managers;
    while (*place && *place != manager)
        place = &(*place)->next;
    if (*place)
        *place = manager->next;
    pthread_mutex_unlock(&started_mutex);
}

int mp_manager_start(mp_manager *manager) {
    mp_connection *mine, *theirs;
    int code = mp__manager_check_initial(manager, "mp_manager_start");
    if (code == 0)
        code = mp_pipe_new(&mine, &theirs, manager->context, false);
    if (code < 0)
        return code;
    manager->has_made_up = !manager->address[0];
    code = start_process(manager, theirs);
    (void)mp_connection_close(theirs);
    if (code == 0)
        code = await_report(manager, mine);
    mp_connection_free(mine);
    if (code < 0)
        end_process(manager, GRACE_SECONDS);
    mp_connection_free(theirs);
    if (code < 0)
        return code;
    manager->state = MP__MANAGER_STARTED;
    list_manager(manager);
    return 0;
}

int mp_manager_serve_forever(mp_manager *manager) {
    struct mp__server *server;
    int code = mp__manager_check_initial(manager, "mp_manager_serve_forever");
    if (code == 0)
        code = mp__server_new(&server, manager);
    if (code < 0)
        return code;
    char *address = strdup(mp_listener_address(server->listener));
    if (!address) {
        mp__server_free(server);
        return mp__fail(-ENOMEM, "mp_manager_serve_forever");
    }
    pthread_mutex_lock(&manager->mutex);
    free(manager->address);
    manager->address = address;
    manager->server = server;
    manager->state = MP__MANAGER_SERVING;
    pthread_mutex_unlock(&manager->mutex);
    (void)mp__server_run(server, false, MP_FOREVER);
    pthread_mutex_lock(&manager->mutex);
    manager->server = NULL;
    manager->state = MP__MANAGER_SHUTDOWN;
    pthread_mutex_unlock(&manager->mutex);
    mp__server_free(server);
    return 0;
}

/* One request on a connection of its own: the server says "#RETURN" twice and ends. */
static int ask_to_end(const struct mp_manager *manager) {
    mp_connection *connection;
    mp_object *reply = NULL;
    double timeout = manager->options.shutdown_timeout;
    int code =
        mp_client_connect(&connection, manager->address, manager->key, manager->key_size, timeout);
    if (code < 0)
        return code;
    mp_object *request = mp__request_new(NULL, "shutdown", NULL, NULL);
    code = request ? mp_connection_send(connection, request, timeout) : -ENOMEM;
    if (code == 0)
        code = mp_connection_recv(connection, &reply, timeout);
    mp_object_free(request);
    mp_object_free(reply);
    mp_connection_free(connection);
    return code;
}

int mp_manager_shutdown(mp_manager *manager) {
    int code = mp__manager_check(manager, "mp_manager_shutdown");
    if (code < 0)
        return code;
    pthread_mutex_lock(&manager->mutex);
    enum mp__manager_state state = manager->state;
    if (state == MP__MANAGER_SERVING && manager->server)
        mp__server_stop(manager->server);
    if (state == MP__MANAGER_STARTED)
        manager->state = MP__MANAGER_SHUTDOWN;
    pthread_mutex_unlock(&manager->mutex);
    if (state == MP__MANAGER_INITIAL || state == MP__MANAGER_CONNECTED)
        return mp__fail(MP_ESTATE, "mp_manager_shutdown: this manager has started no server");
    if (state == MP__MANAGER_STARTED) {
        unlist_manager(manager);
        mp__log(MP_LOG_INFO, "sending shutdown message to manager");
        end_process(manager, ask_to_end(manager) == 0 ? manager->options.shutdown_timeout : 0);
        remove_socket(manager);
    }
    return 0;
}

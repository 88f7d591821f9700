/* Bytes from outside as requests to a manager's server, one pickle after the other: each gets an
 * answer that can be read, and the server can be ended afterwards.
 * SPDX-License-Identifier: MIT
 *
 * There is one object of each type, under the idents 10000010, 10000020 and so on in the order of
 * the table. Calls that would wait end at once, as at the server's end. Pools are left out: they
 * would start processes.
 *
 * fuzz.sh builds it with libFuzzer; ctest replays the corpus with replay.c. */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "codec/pickle.h"
#include "mgr/session.h"
#include "mp/collection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FIRST_NUMBER 0x10000000

static void check(bool is_right) {
    if (!is_right)
        abort();
}

enum arguments { NOTHING, A_NUMBER, A_LIST, A_CODE_AND_A_LIST };

static const struct made {
    const char *type_id;
    enum arguments arguments;
} all_types[] = {
    {"list", A_LIST},
    {"dict", NOTHING},
    {"set", A_LIST},
    {"Namespace", NOTHING},
    {"Value", A_CODE_AND_A_LIST},
    {"Array", A_CODE_AND_A_LIST},
    {"Queue", NOTHING},
    {"JoinableQueue", A_NUMBER},
    {"Lock", NOTHING},
    {"RLock", NOTHING},
    {"Semaphore", NOTHING},
    {"BoundedSemaphore", NOTHING},
    {"Condition", NOTHING},
    {"Event", NOTHING},
    {"Barrier", A_NUMBER},
    {"Iterator", A_LIST},
};

/* The reply to one request has one of the known kinds. */
static void answer(struct mp__session *session, const void *data, size_t size, bool was_sent) {
    struct mp__invocation call = {.server = session->server, .session = session};
    enum mp__reply_kind kind;
    const mp_object *payload;
    mp_object *reply;
    mp_load_limits limits = {.depth = 60000};
    int code = mp__answer(&call, data, size);
    if (code == 0) {
        code = mp_object_loads_limited(&reply, session->buffer.data, session->buffer.size, &limits);
        check(code == 0 || code == -ENOMEM);
        check(code < 0 || mp__reply_take(&kind, &payload, reply) == 0);
        if (code == 0)
            mp_object_free(reply);
    }
    mp__answer_end(&call, was_sent);
}

static void create(struct mp__session *session, const struct made *made) {
    static const char *const formats[] = {[NOTHING] = "(s)",
                                          [A_NUMBER] = "(si)",
                                          [A_LIST] = "(s[ii])",
                                          [A_CODE_AND_A_LIST] = "(sN[ii])"};
    void *data = NULL;
    size_t size = 0;
    mp_object *args =
        made->arguments == A_CODE_AND_A_LIST
            ? mp_object_build(formats[made->arguments], made->type_id, mp_str_new("i"), 1, 2)
            : mp_object_build(formats[made->arguments], made->type_id, 1, 2);
    mp_object *request = mp__request_new(NULL, "create", args, NULL);
    check(request && mp_object_dumps(request, MP_PICKLE_DEFAULT, &data, &size) == 0);
    answer(session, data, size, true);
    free(data);
    mp_object_free(request);
}

static void begin(struct mp__server **server, struct mp_manager *manager) {
    static char address[64];
    snprintf(address, sizeof address, "abstract:fuzz-manager-%d", (int)getpid());
    manager->address = address;
    check(mp__server_new(server, manager) == 0);
    (*server)->referents.last_number = FIRST_NUMBER;
    atomic_store(&(*server)->is_stopping, true);
}

static void end(struct mp__server *server, struct mp__session *session) {
    mp__server_lock(server);
    while (session->held) {
        struct mp__held *held = session->held;
        mp__held_remove(held);
        held->orphan(server, held);
    }
    if (session->owner)
        mp__owner_leave(server, session->owner);
    mp__referents_collect(server, mp__now());
    mp__server_unlock(server);
    mp__buffer_fini(&session->buffer);
    mp__server_free(server);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct mp__registry registry;
    struct mp_manager manager = {.registry = &registry};
    struct mp__server *server;
    begin(&server, &manager);
    struct mp__session session = {.server = server, .socket = -1, .has_id = true};
    for (size_t i = 0; i < sizeof all_types / sizeof all_types[0]; i++)
        create(&session, &all_types[i]);
    mp_load_limits limits = {.bytes = 16 << 20};
    for (size_t used = 0; size > 0; data += used, size -= used) {
        mp_object *object;
        if (mp__pickle_read(&object, data, size, &limits, &used) < 0)
            used = size;
        else
            mp_object_free(object);
        if (!memmem(data, used, "Pool", 4))
            answer(&session, data, used, used % 7 != 0);
    }
    end(server, &session);
    return 0;
}

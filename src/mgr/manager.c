/* Managers: what they are told before anything runs.
 * SPDX-License-Identifier: MIT */
#include "mgr/manager.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "mgr/class.h"
#include "mgr/link.h"
#include "mgr/registry.h"

#define SHUTDOWN_TIMEOUT 1.0
#define PROOF_TIMEOUT 20.0
#define PROOFS_MAX 256
#define REQUEST_MAX ((size_t)1 << 30)

static int check_options(const mp_manager_options *options) {
    if (!options->authkey && options->authkey_size > 0)
        return mp__fail(MP_EINVAL, "mp_manager_new: authkey is NULL, but authkey_size is %zu",
                        options->authkey_size);
    if (!options->init_arg && options->init_arg_size > 0)
        return mp__fail(MP_EINVAL, "mp_manager_new: init_arg is NULL, but init_arg_size is %zu",
                        options->init_arg_size);
    if (isnan(options->shutdown_timeout) || options->shutdown_timeout < 0)
        return mp__fail(MP_EINVAL, "mp_manager_new: shutdown_timeout is %g",
                        options->shutdown_timeout);
    if (isnan(options->proof_timeout) || options->proof_timeout < 0)
        return mp__fail(MP_EINVAL, "mp_manager_new: proof_timeout is %g", options->proof_timeout);
    return 0;
}

static int copy_bytes(void **out, const void *data, size_t size) {
    *out = malloc(size + 1);
    if (!*out)
        return mp__fail(-ENOMEM, "mp_manager_new");
    if (size > 0)
        memcpy(*out, data, size);
    return 0;
}

/* Without a key in the options it is this process's. */
static int copy_key(struct mp_manager *manager, const mp_manager_options *options) {
    size_t size = options->authkey_size;
    mp_process *self = options->authkey ? NULL : mp_current_process();
    if (options->authkey)
        return copy_bytes((void **)&manager->key, options->authkey, manager->key_size = size);
    int code = self ? mp_process_authkey(self, NULL, 0, &size) : -ENOMEM;
    if (code < 0 && code != MP_ETOOSHORT)
        return code;
    code = copy_bytes((void **)&manager->key, NULL, 0);
    void *key = code == 0 ? realloc(manager->key, size + 1) : NULL;
    if (!key)
        return mp__fail(-ENOMEM, "mp_manager_new");
    manager->key = key;
    manager->key_size = size;
    return mp_process_authkey(self, key, size, &size);
}

static int copy_options(struct mp_manager *manager, const mp_manager_options *options) {
    mp_manager_options *copy = &manager->options;
    *copy = *options;
    copy->address = NULL;
    copy->authkey = NULL;
    copy->init_arg = NULL;
    if (copy->shutdown_timeout == 0)
        copy->shutdown_timeout = SHUTDOWN_TIMEOUT;
    if (copy->proof_timeout == 0)
        copy->proof_timeout = PROOF_TIMEOUT;
    if (copy->proofs_max == 0)
        copy->proofs_max = PROOFS_MAX;
    if (copy->request_max == 0)
        copy->request_max = REQUEST_MAX;
    manager->address = strdup(options->address ? options->address : "");
    manager->registry = calloc(1, sizeof *manager->registry);
    if (!manager->address || !manager->registry)
        return mp__fail(-ENOMEM, "mp_manager_new");
    int code = copy_key(manager, options);
    return code < 0
               ? code
               : copy_bytes((void **)&copy->init_arg, options->init_arg, options->init_arg_size);
}

static void free_manager(struct mp_manager *manager) {
    if (manager->registry)
        mp__registry_fini(manager->registry);
    if (manager->key)
        explicit_bzero(manager->key, manager->key_size);
    pthread_mutex_destroy(&manager->mutex);
    free(manager->registry);
    free(manager->key);
    free(manager->address);
    free(manager->linked);
    free((void *)manager->options.init_arg);
    free(manager);
}

int mp_manager_new(mp_manager **out, mp_context *context, const mp_manager_options *options) {
    static const mp_manager_options defaults;
    options = options ? options : &defaults;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_manager_new: out is NULL");
    if (context && context == mp_get_context(MP_THREAD))
        return mp__fail(MP_EINVAL, "mp_manager_new: a server needs a process, and the MP_THREAD "
                                   "context has none; see mp_manager_serve_forever");
    int code = check_options(options);
    if (code < 0)
        return code;
    struct mp_manager *manager = calloc(1, sizeof *manager);
    if (!manager)
        return mp__fail(-ENOMEM, "mp_manager_new");
    (void)pthread_mutex_init(&manager->mutex, NULL);
    manager->maker = getpid();
    manager->context = context;
    code = copy_options(manager, options);
    if (code < 0) {
        free_manager(manager);
        return code;
    }
    *out = manager;
    return 0;
}

int mp__manager_check(const mp_manager *manager, const char *function) {
    if (!manager)
        return mp__fail(MP_EINVAL, "%s: manager is NULL", function);
    if (manager->maker != getpid())
        return mp__fail(MP_EFOREIGN,
                        "%s: the manager belongs to process %d; make one here with its address and "
                        "connect it",
                        function, (int)manager->maker);
    return 0;
}

int mp__manager_check_initial(const mp_manager *manager, const char *function) {
    int code = mp__manager_check(manager, function);
    if (code == 0 && manager->state != MP__MANAGER_INITIAL)
        code = mp__fail(MP_ESTATE, "%s: the manager was started, connected or shut down before",
                        function);
    return code;
}

static int check_new_name(const mp_manager *manager, const char *name, const char *function) {
    int code = mp__manager_check(manager, function);
    if (code < 0)
        return code;
    if (!name || !name[0])
        return mp__fail(MP_EINVAL, "%s: no name", function);
    if (manager->state != MP__MANAGER_INITIAL)
        return mp__fail(MP_ESTATE, "%s: '%s' comes too late, the server has what was registered",
                        function, name);
    return 0;
}

static int check_type(const char *name, const mp_manager_type *type) {
    if (!type || (!type->like && !type->create))
        return mp__fail(MP_EINVAL, "mp_manager_register: the type '%s' has no create", name);
    if (type->like && !mp__class_find(type->like))
        return mp__fail(MP_EINVAL, "mp_manager_register: there is no built-in type '%s'",
                        type->like);
    if ((!type->methods && type->method_count > 0) || (!type->arg && type->arg_size > 0))
        return mp__fail(MP_EINVAL, "mp_manager_register: '%s': NULL with a count", name);
    for (size_t i = 0; i < type->method_count; i++)
        if (!type->methods[i].name || !type->methods[i].function)
            return mp__fail(MP_EINVAL,
                            "mp_manager_register: '%s': method %zu has no name or no function",
                            name, i);
    return 0;
}

int mp_manager_register(mp_manager *manager, const char *type_id, const mp_manager_type *type) {
    int code = check_new_name(manager, type_id, "mp_manager_register");
    if (code == 0)
        code = check_type(type_id, type);
    return code < 0 ? code : mp__registry_add(manager->registry, type_id, type);
}

int mp_manager_register_function(mp_manager *manager, const char *name, mp_method_fn function) {
    int code = check_new_name(manager, name, "mp_manager_register_function");
    if (code == 0 && !function)
        code = mp__fail(MP_EINVAL, "mp_manager_register_function: '%s': function is NULL", name);
    return code < 0 ? code : mp__registry_add_function(manager->registry, name, function);
}

int mp__manager_check_running(const mp_manager *manager, const char *function) {
    static const char *const reasons[] = {[MP__MANAGER_INITIAL] = "neither started nor connected",
                                          [MP__MANAGER_SHUTDOWN] = "shut down"};
    int code = mp__manager_check(manager, function);
    const char *reason = code < 0 || manager->state >= sizeof reasons / sizeof reasons[0]
                             ? NULL
                             : reasons[manager->state];
    return reason ? mp__fail(MP_ESTATE, "%s: the manager is %s", function, reason) : code;
}

const char *mp_manager_address(const mp_manager *manager) {
    return manager ? manager->address : NULL;
}

void mp_manager_free(mp_manager *manager) {
    if (!manager)
        return;
    if (manager->state == MP__MANAGER_STARTED && manager->maker == getpid())
        (void)mp_manager_shutdown(manager);
    if (manager->linked)
        mp__link_release(manager->linked);
    free_manager(manager);
}

/* A manager as its process sees it: where the server is, and what is registered.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_MANAGER_H
#define MP__MGR_MANAGER_H

#include <pthread.h>
#include <sys/types.h>

#include "mp/context.h"
#include "mp/manager.h"
#include "mp/process.h"

struct mp__server;
struct mp__registry;

enum mp__manager_state {
    MP__MANAGER_INITIAL,
    MP__MANAGER_STARTED,   /* the server is a child of ours */
    MP__MANAGER_SERVING,   /* it is this process */
    MP__MANAGER_CONNECTED, /* it is somebody else's */
    MP__MANAGER_SHUTDOWN
};

struct mp_manager {
    pthread_mutex_t mutex;         /* of what changes: state, address, process, server */
    enum mp__manager_state state;  /* under mutex */
    pid_t maker;                   /* the process that the manager belongs to */
    mp_context *context;           /* of the server's process */
    char *address;                 /* as text, from malloc; "" : not yet made up */
    uint8_t *key;                  /* from malloc */
    size_t key_size;               /* bytes */
    mp_manager_options options;    /* address and authkey NULL, init_arg from malloc */
    struct mp__registry *registry; /* types and functions */
    bool has_made_up;              /* the address was made up by start */
    mp_process *process;           /* the server's; NULL: none */
    struct mp__server *server;     /* that serves here; NULL: none */
    char *linked;                  /* the address that mp__link_hold was told; NULL: none yet */
    struct mp_manager *next;       /* in the list of those to shut down at exit */
};

/* Is it a manager of this process? 0, MP_EINVAL, MP_EFOREIGN with the detail. */
int mp__manager_check(const mp_manager *manager, const char *function);
/* The same of one that was neither started nor connected: also MP_ESTATE. */
int mp__manager_check_initial(const mp_manager *manager, const char *function);
/* Is it a usable manager of this process, in one of the states in which clients can call? 0,
 * MP_EINVAL, MP_EFOREIGN, MP_ESTATE with the detail. */
int mp__manager_check_running(const mp_manager *manager, const char *function);

#endif

/* A call under way in the server, and what its method may do: raise, take arguments, wait.
 * SPDX-License-Identifier: MIT
 *
 *     static mp_object *append(struct mp__invocation *call) {
 *         const mp_object *item;
 *         if (!mp__call_bind(call, "object", &item))
 *             return NULL;
 *         return mp__call_done(call, mp_list_append(items_of(call), mp_object_ref(item)));
 *     }
 *
 * A method that returns NULL has raised something; NULL without an exception is out of memory. */
#ifndef MP__MGR_CALL_H
#define MP__MGR_CALL_H

#include <pthread.h>
#include <stdbool.h>

#include "mgr/class.h"
#include "mgr/server.h"
#include "os/clock.h"

struct mp__invocation {
    struct mp__server *server;
    struct mp__session *session;
    struct mp__referent *referent;  /* held for the call; NULL: it is create's, or the server's */
    const struct mp__class *class_; /* the referent's, or of what is to be created */
    const struct mp__registered *registered; /* the type that is created; NULL: a built-in one */
    const char *name;                        /* of the method */
    const mp_object *args;                   /* a tuple */
    const mp_object *kwds;                   /* a dict */
    mp_object *exception;                    /* out: raised */
    struct mp__referent *made; /* out: stays here, and the client gets a proxy; one hold */
    bool is_over;              /* out: the client has gone, or the server ends: no reply */
    bool is_rejected;          /* out: the exception is about the request: #TRACEBACK */
    void (*undo)(
        struct mp__invocation *call);   /* the result did not reach the client; NULL: nothing */
    mp_object *undo_object;             /* for it; freed afterwards */
    struct mp__referent *undo_referent; /* for it; held until then */
    pthread_mutex_t *guard;             /* released when the reply is written; NULL: none */
};

/* Raise module.name(text), or with an object for argument (taken over; NULL: none). NULL. */
__attribute__((format(printf, 4, 5))) void *mp__raise(struct mp__invocation *call,
                                                      const char *module, const char *name,
                                                      const char *format, ...);
void *mp__raise_object(struct mp__invocation *call, const char *module, const char *name,
                       mp_object *argument);
/* Raise what stands for a failure's code, with its detail. */
void *mp__raise_code(struct mp__invocation *call, int code);
/* None when code is 0, else as above. */
mp_object *mp__call_done(struct mp__invocation *call, int code);

/* Take the arguments apart: "item block= timeout=" are names, those with = may be missing and are
 * then NULL. `out` gets them, borrowed, in that order. false: raised a TypeError. */
bool mp__call_bind(struct mp__invocation *call, const char *names, const mp_object **out);
/* The same for one or no argument at all. */
static inline bool mp__call_bind_none(struct mp__invocation *call) {
    return mp__call_bind(call, "", NULL);
}
bool mp__call_index(struct mp__invocation *call, const mp_object *object, ptrdiff_t *out);
/* A timeout in seconds: NULL or None is none. / The only argument, which may be missing. */
bool mp__call_deadline(struct mp__invocation *call, const mp_object *timeout, mp__time *out);
bool mp__call_bind_timeout(struct mp__invocation *call, mp__time *deadline);

/* Wait on a condition with the server's mutex. 0: woken, look again; MP_ETIMEDOUT; MP_EEOF: the
 * client has gone or the server ends, the call is over. To be called in a loop. */
int mp__call_wait(struct mp__invocation *call, pthread_cond_t *condition, mp__time deadline);
/* Wait for what is not the server's, without its mutex: `wait` is called with some seconds for as
 * long as it returns MP_ETIMEDOUT. What it returned last; MP_ETIMEDOUT: the deadline has passed;
 * MP_EEOF: the call is over. */
int mp__call_wait_outside(struct mp__invocation *call, int (*wait)(void *arg, double timeout),
                          void *arg, mp__time deadline);
/* After a wait: has the client gone meanwhile? Then the call is over. */
bool mp__call_is_over(struct mp__invocation *call);

/* Have this done when the result does not reach the client. `object` is taken over; NULL: none. */
void mp__call_undo(struct mp__invocation *call, void (*undo)(struct mp__invocation *call),
                   mp_object *object);

void mp__condition_init(pthread_cond_t *condition); /* by the clock of mp__time */

const struct mp__method *mp__class_method(const struct mp__class *class_, const char *name);

/* Registered types: all referents of theirs are of one class. */
extern const struct mp__class mp__user_class;
struct mp__referent *mp__user_create(struct mp__invocation *call);
mp_object *mp__user_method(struct mp__invocation *call);
mp_object *mp__user_exposed(const struct mp__referent *referent);

#endif

/* Referents that are one object: list, dict, set, Namespace and the like; and the values that
 * methods get from Python.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_MANAGED_H
#define MP__MGR_MANAGED_H

#include "mgr/call.h"
#include "mp/collection.h"

struct mp__managed {
    struct mp__referent referent;
    mp_object *object; /* whose only holder it is, for changes */
};

static inline mp_object *mp__managed_object(const struct mp__invocation *call) {
    return ((const struct mp__managed *)call->referent)->object;
}

/* A referent of call->class_ for an object, which is taken over; NULL object: -ENOMEM. */
struct mp__referent *mp__managed_new(struct mp__invocation *call, mp_object *object);
void mp__managed_destroy(struct mp__server *server, struct mp__referent *referent);
mp_object *mp__managed_value(struct mp__invocation *call);
mp_object *mp__managed_repr(struct mp__invocation *call);
const mp_object *mp__managed_root(const struct mp__referent *referent, size_t *cursor);

/* Methods that more than one class has: __len__, __contains__, clear. */
mp_object *mp__managed_length(struct mp__invocation *call);
mp_object *mp__managed_contains(struct mp__invocation *call);
mp_object *mp__managed_clear(struct mp__invocation *call);

/* A str from printf's format, for reprs; a repr of an object as a str. */
__attribute__((format(printf, 1, 2))) mp_object *mp__str_format(const char *format, ...);
mp_object *mp__str_repr(const mp_object *object);
/* prefix, repr(object), suffix */
mp_object *mp__str_around(const char *prefix, const mp_object *object, const char *suffix);

/* What list(object) gives, for all that can be gone through and can come in a pickle, managed lists
 * of ours among it. A new list; NULL: raised. */
mp_object *mp__list_from(struct mp__invocation *call, const mp_object *iterable);
/* What a dict is updated by: a dict, keys and values; maybe a managed one. The new ones go into
 * `dict`. false: raised. */
bool mp__dict_update(struct mp__invocation *call, mp_object *dict, const mp_object *source);

/* mp__call_bind, and what stands in the brackets behind a list or array, which is the first of the
 * arguments. 1: a slice; 0: an index; -1: raised. */
int mp__place_bind(struct mp__invocation *call, const char *names, const mp_object **out,
                   const char *what, ptrdiff_t *index, mp_slice *slice);

/* A referent that goes through a list once: taken over. */
struct mp__referent *mp__iterator_new(struct mp__invocation *call, mp_object *list);
/* Through the keys of a managed dict or set. */
struct mp__referent *mp__iterator_over(struct mp__invocation *call, struct mp__referent *source);

/* None, but NULL when `made` is; it becomes call->made. */
mp_object *mp__call_made(struct mp__invocation *call, struct mp__referent *made);

mp_object *
mp__unhashable(struct mp__invocation *call); /* raises what a failed look-up left as detail */

extern const struct mp__class mp__list_class, mp__dict_class, mp__set_class, mp__namespace_class,
    mp__value_class, mp__array_class, mp__queue_class, mp__joinable_queue_class, mp__lock_class,
    mp__rlock_class, mp__semaphore_class, mp__bounded_semaphore_class, mp__condition_class,
    mp__event_class, mp__barrier_class, mp__iterator_class, mp__pool_class, mp__result_class;

#endif

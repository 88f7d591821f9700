/* Iterators that live in the server: over the keys of a dict or a set, or over a list.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "mgr/managed.h"

struct iterator {
    struct mp__referent referent;
    struct mp__referent *source; /* the dict or set, held; NULL: none, or at its end */
    mp_object *list;             /* what is gone through; for a source its keys as they were */
    size_t at;                   /* the next item */
};

static struct iterator *iterator_of(const struct mp__invocation *call) {
    return (struct iterator *)call->referent;
}

struct mp__referent *mp__iterator_new(struct mp__invocation *call, mp_object *list) {
    struct iterator *iterator =
        list ? mp__referent_new(call->server, &mp__iterator_class, sizeof *iterator) : NULL;
    if (!iterator) {
        mp_object_free(list);
        return NULL;
    }
    iterator->list = list;
    return &iterator->referent;
}

struct mp__referent *mp__iterator_over(struct mp__invocation *call, struct mp__referent *source) {
    mp_object *list = mp__list_from(call, ((const struct mp__managed *)source)->object);
    struct mp__referent *referent = mp__iterator_new(call, list);
    if (referent) {
        mp__referent_hold(call->server, source);
        ((struct iterator *)referent)->source = source;
    }
    return referent;
}

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *iterable;
    if (!mp__call_bind(call, "iterable", &iterable))
        return NULL;
    return mp__iterator_new(call, mp__list_from(call, iterable));
}

static void destroy(struct mp__server *server, struct mp__referent *referent) {
    struct iterator *iterator = (struct iterator *)referent;
    mp__referent_leave(server, &iterator->source);
    mp_object_free(iterator->list);
    free(iterator);
}

static mp_object *stop(struct mp__invocation *call) {
    mp__referent_leave(call->server, &iterator_of(call)->source);
    return mp__raise_object(call, "builtins", "StopIteration", NULL);
}

static mp_object *next(struct mp__invocation *call) {
    struct iterator *iterator = iterator_of(call);
    size_t length = mp_object_length(iterator->list);
    const struct mp__managed *source = (const struct mp__managed *)iterator->source;
    if (!mp__call_bind_none(call))
        return NULL;
    if (source && mp_object_length(source->object) != length) {
        bool is_dict = mp_object_get_kind(source->object) == MP_OBJECT_DICT;
        return mp__raise(call, "builtins", "RuntimeError", "%s changed size during iteration",
                         is_dict ? "dictionary" : "Set");
    }
    if (iterator->at >= length)
        return stop(call);
    return mp_object_ref(mp_list_get(iterator->list, (ptrdiff_t)iterator->at++));
}

/* What only generators have; ends it. */
static mp_object *close_iterator(struct mp__invocation *call) {
    iterator_of(call)->at = SIZE_MAX;
    mp__referent_leave(call->server, &iterator_of(call)->source);
    return mp_none_new();
}

static mp_object *repr(struct mp__invocation *call) {
    const struct iterator *iterator = iterator_of(call);
    return mp__str_format("<%s object at 0x%llx>",
                          iterator->source ? "dict_keyiterator" : "list_iterator",
                          (unsigned long long)iterator->referent.number);
}

static const mp_object *next_root(const struct mp__referent *referent, size_t *cursor) {
    return (*cursor)++ == 0 ? ((const struct iterator *)referent)->list : NULL;
}

static const struct mp__method methods[] = {{"__next__", next}, {"close", close_iterator}};

const struct mp__class mp__iterator_class = {
    .name = "Iterator",
    .proxy_name = "IteratorProxy",
    .exposed = "__next__ send throw close",
    MP__METHODS(methods),
    .create = create,
    .destroy = destroy,
    .repr = repr,
    .next_root = next_root,
};

/* set, as Python 3.14's managers have it.
 * SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/fail.h"
#include "mgr/managed.h"
#include "mp/pickle.h"

/* What a method takes as another set: an operator only sets, others all that can be gone through.
 * A new set; NULL: raised. */
static mp_object *set_from(struct mp__invocation *call, const mp_object *iterable) {
    mp_object *list = mp__list_from(call, iterable);
    mp_object *set = list ? mp_set_new() : NULL;
    int code = set ? 0 : -ENOMEM;
    for (size_t i = 0; code == 0 && i < mp_object_length(list); i++)
        code = mp_set_add(set, mp_object_ref(mp_list_get(list, (ptrdiff_t)i)));
    mp_object_free(list);
    if (code == 0)
        return set;
    mp_object_free(set);
    return call->exception ? NULL : mp__raise_code(call, code);
}

static struct mp__referent *create(struct mp__invocation *call) {
    const mp_object *iterable;
    if (!mp__call_bind(call, "iterable=", &iterable))
        return NULL;
    return mp__managed_new(call, iterable ? set_from(call, iterable) : mp_set_new());
}

static int add_all(mp_object *set, const mp_object *other) {
    mp_object *item;
    int code = 0;
    for (size_t cursor = 0; code == 0 && mp_set_next(other, &cursor, &item);)
        code = mp_set_add(set, mp_object_ref(item));
    return code;
}

/* The members of `from` that are, or are not, in `other`, as a new set. */
static mp_object *choose(const mp_object *from, const mp_object *other, bool is_in) {
    mp_object *item, *chosen = mp_set_new();
    int code = chosen ? 0 : -ENOMEM;
    for (size_t cursor = 0; code == 0 && mp_set_next(from, &cursor, &item);) {
        int found = mp_object_contains(other, item);
        if (found < 0)
            code = found;
        else if (found == is_in)
            code = mp_set_add(chosen, mp_object_ref(item));
    }
    if (code < 0)
        mp_object_free(chosen);
    return code < 0 ? NULL : chosen;
}

static mp_object *unite(const mp_object *a, const mp_object *b) {
    mp_object *set = mp_set_new();
    if (set && (add_all(set, a) < 0 || add_all(set, b) < 0)) {
        mp_object_free(set);
        set = NULL;
    }
    return set;
}

static mp_object *intersect(const mp_object *a, const mp_object *b) {
    return choose(a, b, true);
}

static mp_object *subtract(const mp_object *a, const mp_object *b) {
    return choose(a, b, false);
}

static mp_object *subtract_reverse(const mp_object *a, const mp_object *b) {
    return choose(b, a, false);
}

static mp_object *differ(const mp_object *a, const mp_object *b) {
    mp_object *left = choose(a, b, false), *right = choose(b, a, false);
    if (left && (!right || add_all(left, right) < 0)) {
        mp_object_free(left);
        left = NULL;
    }
    mp_object_free(right);
    return left;
}

typedef mp_object *(*combine_fn)(const mp_object *a, const mp_object *b);

/* One after the other with each argument; no argument is a copy. */
static mp_object *combine(struct mp__invocation *call, combine_fn function) {
    mp_object *result = unite(mp__managed_object(call), mp__managed_object(call));
    for (size_t i = 0; result && i < mp_object_length(call->args); i++) {
        mp_object *other = set_from(call, mp_tuple_get(call->args, (ptrdiff_t)i));
        mp_object *next = other ? function(result, other) : NULL;
        mp_object_free(other);
        mp_object_free(result);
        result = next;
    }
    return result;
}

static bool is_set(const mp_object *object) {
    mp_object_kind kind = mp_object_get_kind(object);
    return kind == MP_OBJECT_SET || kind == MP_OBJECT_FROZENSET;
}

static mp_object *operate(struct mp__invocation *call, combine_fn function) {
    const mp_object *other;
    if (!mp__call_bind(call, "value", &other))
        return NULL;
    if (!is_set(other))
        return mp__raise(call, "builtins", "TypeError",
                         "unsupported operand type(s): 'set' and '%s'",
                         mp_object_kind_name(mp_object_get_kind(other)));
    return combine(call, function);
}

/* The set becomes what was combined; the reply is None, or for operators the set. */
static mp_object *keep(struct mp__invocation *call, mp_object *result, bool is_operator) {
    struct mp__managed *managed = (struct mp__managed *)call->referent;
    if (!result)
        return NULL;
    mp_object_free(managed->object);
    managed->object = result;
    return is_operator ? mp_object_ref(result) : mp_none_new();
}

#define OPERATIONS(name, operator_name, update_name, in_place_name, function) \
    static mp_object *name(struct mp__invocation *call) {                     \
        return combine(call, function);                                       \
    }                                                                         \
    static mp_object *operator_name(struct mp__invocation *call) {            \
        return operate(call, function);                                       \
    }                                                                         \
    static mp_object *update_name(struct mp__invocation *call) {              \
        return keep(call, combine(call, function), false);                    \
    }                                                                         \
    static mp_object *in_place_name(struct mp__invocation *call) {            \
        return keep(call, operate(call, function), true);                     \
    }
OPERATIONS(union_of, or_other, update, or_in_place, unite)
OPERATIONS(intersection, and_other, intersection_update, and_in_place, intersect)
OPERATIONS(difference, minus_other, difference_update, minus_in_place, subtract)
OPERATIONS(symmetric_difference, xor_other, symmetric_difference_update, xor_in_place, differ)
#undef OPERATIONS

static mp_object *minus_reverse(struct mp__invocation *call) {
    return operate(call, subtract_reverse);
}

static mp_object *add(struct mp__invocation *call) {
    const mp_object *item;
    if (!mp__call_bind(call, "object", &item))
        return NULL;
    return mp__call_done(call, mp_set_add(mp__managed_object(call), mp_object_ref(item)));
}

static mp_object *drop(struct mp__invocation *call, bool must_be_in) {
    const mp_object *item;
    if (!mp__call_bind(call, "object", &item))
        return NULL;
    int code = mp_set_remove(mp__managed_object(call), item);
    if (code != MP_EKEY)
        return mp__call_done(call, code);
    return must_be_in ? mp__raise_object(call, "builtins", "KeyError", mp_object_ref(item))
                      : mp_none_new();
}

static mp_object *remove_item(struct mp__invocation *call) {
    return drop(call, true);
}

static mp_object *discard(struct mp__invocation *call) {
    return drop(call, false);
}

static mp_object *pop(struct mp__invocation *call) {
    mp_object *item;
    size_t cursor = 0;
    if (!mp__call_bind_none(call))
        return NULL;
    if (!mp_set_next(mp__managed_object(call), &cursor, &item))
        return mp__raise_object(call, "builtins", "KeyError", mp_str_new("pop from an empty set"));
    item = mp_object_ref(item);
    (void)mp_set_remove(mp__managed_object(call), item);
    return item;
}

static mp_object *copy(struct mp__invocation *call) {
    return mp__call_bind_none(call) ? combine(call, unite) : NULL;
}

static mp_object *iterate(struct mp__invocation *call) {
    if (!mp__call_bind_none(call))
        return NULL;
    return mp__call_made(call, mp__iterator_over(call, call->referent));
}

enum relation { SUBSET, SUPERSET, DISJOINT, LESS, GREATER, SAME, OTHER };

/* What is left of one without the other, and how large they are, says it all. */
static mp_object *relate(struct mp__invocation *call, enum relation relation) {
    const mp_object *argument, *set = mp__managed_object(call);
    mp_object *other = mp__call_bind(call, "other", &argument) ? set_from(call, argument) : NULL;
    mp_object *mine = other ? choose(set, other, false) : NULL;
    mp_object *result = NULL;
    if (mine) {
        size_t left = mp_object_length(mine), size = mp_object_length(set);
        size_t other_size = mp_object_length(other), common = size - left;
        bool is_below = left == 0, is_above = common == other_size;
        const bool answers[] = {[SUBSET] = is_below,
                                [SUPERSET] = is_above,
                                [DISJOINT] = common == 0,
                                [LESS] = is_below && !is_above,
                                [GREATER] = is_above && !is_below,
                                [SAME] = is_below && is_above,
                                [OTHER] = !is_below || !is_above};
        result = mp_bool_new(answers[relation]);
    }
    mp_object_free(mine);
    mp_object_free(other);
    return result;
}

#define RELATION(name, relation)                          \
    static mp_object *name(struct mp__invocation *call) { \
        return relate(call, relation);                    \
    }
RELATION(is_subset, SUBSET)
RELATION(is_superset, SUPERSET)
RELATION(is_disjoint, DISJOINT)
RELATION(is_less, LESS)
RELATION(is_greater, GREATER)
RELATION(is_same, SAME)
RELATION(is_other, OTHER)
#undef RELATION

static const struct mp__method methods[] = {
    {"add", add},
    {"remove", remove_item},
    {"discard", discard},
    {"pop", pop},
    {"clear", mp__managed_clear},
    {"copy", copy},
    {"__contains__", mp__managed_contains},
    {"__len__", mp__managed_length},
    {"__iter__", iterate},
    {"union", union_of},
    {"__or__", or_other},
    {"__ror__", or_other},
    {"update", update},
    {"__ior__", or_in_place},
    {"intersection", intersection},
    {"__and__", and_other},
    {"__rand__", and_other},
    {"intersection_update", intersection_update},
    {"__iand__", and_in_place},
    {"difference", difference},
    {"__sub__", minus_other},
    {"__rsub__", minus_reverse},
    {"difference_update", difference_update},
    {"__isub__", minus_in_place},
    {"symmetric_difference", symmetric_difference},
    {"__xor__", xor_other},
    {"__rxor__", xor_other},
    {"symmetric_difference_update", symmetric_difference_update},
    {"__ixor__", xor_in_place},
    {"issubset", is_subset},
    {"__le__", is_subset},
    {"issuperset", is_superset},
    {"__ge__", is_superset},
    {"isdisjoint", is_disjoint},
    {"__lt__", is_less},
    {"__gt__", is_greater},
    {"__eq__", is_same},
    {"__ne__", is_other},
};

const struct mp__class mp__set_class = {
    .name = "set",
    .proxy_name = "SetProxy",
    .exposed = "__and__ __class_getitem__ __contains__ __iand__ __ior__ __isub__ __iter__ __ixor__ "
               "__len__ __or__ __rand__ __ror__ __rsub__ __rxor__ __sub__ __xor__ __ge__ __gt__ "
               "__le__ __lt__ add clear copy difference difference_update discard intersection "
               "intersection_update isdisjoint issubset issuperset pop remove "
               "symmetric_difference symmetric_difference_update union update",
    MP__METHODS(methods),
    .create = create,
    .destroy = mp__managed_destroy,
    .value = mp__managed_value,
    .repr = mp__managed_repr,
    .next_root = mp__managed_root,
};

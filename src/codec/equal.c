/* Equality as Python's ==, without recursion: pairs still to be compared wait on a stack.
 * SPDX-License-Identifier: MIT */
#include "codec/equal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "codec/hash.h"
#include "codec/number.h"
#include "codec/pointer_map.h"

#define FREE_STEPS 4096    /* after so many pairs, each is compared once only */
#define KEY_STEPS 10000000 /* for one key against another */
#define LOOKUPS_MAX 24     /* comparisons inside comparisons: keys within keys */

struct pair {
    const mp_object *a, *b;
};

struct comparison {
    struct pair *pairs;   /* those waiting; from malloc */
    size_t count;         /* of them */
    size_t capacity;      /* of pairs */
    size_t steps;         /* pairs taken so far */
    bool is_limited;      /* by steps_left */
    struct pair *seen;    /* pairs taken after FREE_STEPS: a hash table, from malloc */
    size_t seen_count;    /* of them */
    size_t seen_capacity; /* a power of two, or 0 */
};

/* This thread's comparisons under way, and how much those of keys may still do. */
static _Thread_local unsigned lookups;
static _Thread_local unsigned keys; /* those of keys among them */
static _Thread_local size_t steps_left;
static _Thread_local bool has_budget;

void mp__key_budget_begin(size_t steps) {
    steps_left = steps;
    has_budget = true;
}

void mp__key_budget_end(void) {
    has_budget = false;
}

static int push_pair(struct comparison *comparison, const mp_object *a, const mp_object *b) {
    if (comparison->count == comparison->capacity) {
        size_t capacity = comparison->capacity * 2 + 16;
        void *pairs = realloc(comparison->pairs, capacity * sizeof *comparison->pairs);
        if (!pairs)
            return mp__fail(-ENOMEM, "comparing objects");
        comparison->pairs = pairs;
        comparison->capacity = capacity;
    }
    comparison->pairs[comparison->count++] = (struct pair){a, b};
    return 1;
}

static struct pair *find_pair(struct pair *table, size_t capacity, struct pair pair) {
    uint64_t hash = (uint64_t)(uintptr_t)pair.a * UINT64_C(0x9e3779b97f4a7c15) +
                    (uint64_t)(uintptr_t)pair.b * UINT64_C(0xc2b2ae3d27d4eb4f);
    for (size_t i = (size_t)(hash >> 24);; i++) {
        struct pair *place = &table[i & (capacity - 1)];
        if (!place->a || (place->a == pair.a && place->b == pair.b))
            return place;
    }
}

/* 1 when the pair was taken before, 0, -ENOMEM. */
static int note_pair(struct comparison *comparison, struct pair pair) {
    if (comparison->seen_count * 2 >= comparison->seen_capacity) {
        size_t capacity = comparison->seen_capacity ? comparison->seen_capacity * 4 : 1024;
        struct pair *table = calloc(capacity, sizeof *table);
        if (!table)
            return mp__fail(-ENOMEM, "comparing objects");
        for (size_t i = 0; i < comparison->seen_capacity; i++)
            if (comparison->seen[i].a)
                *find_pair(table, capacity, comparison->seen[i]) = comparison->seen[i];
        free(comparison->seen);
        comparison->seen = table;
        comparison->seen_capacity = capacity;
    }
    struct pair *place = find_pair(comparison->seen, comparison->seen_capacity, pair);
    if (place->a)
        return 1;
    *place = pair;
    comparison->seen_count++;
    return 0;
}

/* Kinds that can be equal to each other have the same family. */
static int family_of(const mp_object *object) {
    switch (mp__kind_of(object)) {
    case MP_OBJECT_BOOL:
    case MP_OBJECT_FLOAT:
        return MP_OBJECT_INT;
    case MP_OBJECT_BYTEARRAY:
        return MP_OBJECT_BYTES;
    case MP_OBJECT_FROZENSET:
        return MP_OBJECT_SET;
    default:
        return mp__kind_of(object);
    }
}

static int leaves_equal(const mp_object *a, const mp_object *b, int family) {
    const struct mp__text *x = (const struct mp__text *)a, *y = (const struct mp__text *)b;
    const void *p, *q;
    size_t n, m;
    switch (family) {
    case MP_OBJECT_INT:
        return mp__number_equal(a, b);
    case MP_OBJECT_STR:
        return x->size == y->size && memcmp(x->data, y->data, x->size) == 0;
    case MP_OBJECT_BYTES:
        mp_bytes_get(a, &p, &n);
        mp_bytes_get(b, &q, &m);
        return n == m && memcmp(p, q, n) == 0;
    case MP_OBJECT_EXTENSION:
        return mp_extension_get(a) == mp_extension_get(b);
    default:
        return 1; /* none */
    }
}

/* Compare what can be at once, let the rest wait: 1, 0 different, or a code. Identical objects are
 * equal in collections even if not by themselves (nan). */
static int compare_slot(struct comparison *comparison, const mp_object *a, const mp_object *b) {
    if (a == b)
        return 1;
    if (!a || !b)
        return 0;
    if (comparison->is_limited && steps_left-- == 0) {
        steps_left = 0;
        return mp__fail(MP_EINVAL, "comparing keys takes too long");
    }
    int family = family_of(a);
    if (family != family_of(b))
        return 0;
    return mp__is_node(a) ? push_pair(comparison, a, b) : leaves_equal(a, b, family);
}

static int compare_tables(struct comparison *comparison, const struct mp__table *a,
                          const struct mp__table *b) {
    if (a->live != b->live)
        return 0;
    struct mp__entry *entry;
    for (size_t cursor = 0; mp__table_next(a, &cursor, &entry);) {
        size_t position;
        int code = mp__table_find(b, entry->key, entry->hash, &position);
        if (code > 0)
            code = compare_slot(comparison, entry->value, b->entries[position].value);
        if (code <= 0)
            return code;
    }
    return 1;
}

static int forms_equal(const struct mp__call *a, const struct mp__call *b) {
    if (a->form != b->form || a->step_count != b->step_count)
        return 0;
    for (size_t i = 0; i < a->step_count; i++)
        if (a->steps[i].what != b->steps[i].what)
            return 0;
    return 1;
}

static bool hashes_differ(const mp_object *a, const mp_object *b) {
    if (a->kind != MP_OBJECT_TUPLE)
        return false;
    uint64_t x = atomic_load_explicit(&((struct mp__tuple *)a)->hash, memory_order_relaxed);
    uint64_t y = atomic_load_explicit(&((struct mp__tuple *)b)->hash, memory_order_relaxed);
    return x != 0 && y != 0 && x != y;
}

static int compare_nodes(struct comparison *comparison, const mp_object *a, const mp_object *b) {
    if (family_of(a) == MP_OBJECT_DICT || family_of(a) == MP_OBJECT_SET)
        return compare_tables(comparison, &((const struct mp__dict *)a)->table,
                              &((const struct mp__dict *)b)->table);
    size_t count = mp__node_slots(a);
    if (count != mp__node_slots(b) || hashes_differ(a, b))
        return 0;
    int code = a->kind == MP_OBJECT_CALL
                   ? forms_equal((const struct mp__call *)a, (const struct mp__call *)b)
                   : 1;
    for (size_t i = 0; code > 0 && i < count; i++)
        code = compare_slot(comparison, mp__node_slot(a, i), mp__node_slot(b, i));
    return code;
}

static int compare_pair(struct comparison *comparison, struct pair pair) {
    if (++comparison->steps > FREE_STEPS) {
        int code = note_pair(comparison, pair);
        if (code != 0)
            return code;
    }
    return compare_nodes(comparison, pair.a, pair.b);
}

static int compare_all(const mp_object *a, const mp_object *b, bool is_limited) {
    struct comparison comparison = {.is_limited = is_limited};
    int code = push_pair(&comparison, a, b);
    while (code > 0 && comparison.count > 0)
        code = compare_pair(&comparison, comparison.pairs[--comparison.count]);
    free(comparison.pairs);
    free(comparison.seen);
    return code;
}

static int compare(const mp_object *a, const mp_object *b, bool is_limited) {
    int family = family_of(a);
    if (family != family_of(b))
        return 0;
    if (!mp__is_node(a))
        return leaves_equal(a, b, family);
    if (lookups >= LOOKUPS_MAX)
        return mp__fail(MP_EINVAL, "keys nest in keys deeper than %d", LOOKUPS_MAX);
    lookups++;
    int code = compare_all(a, b, is_limited);
    lookups--;
    return code;
}

int mp__key_equal(const mp_object *a, const mp_object *b) {
    if (!has_budget && keys == 0)
        steps_left = KEY_STEPS;
    keys++;
    int code = compare(a, b, true);
    keys--;
    return code;
}

int mp_object_equal(const mp_object *a, const mp_object *b) {
    if (!a || !b)
        return mp__fail(MP_EINVAL, "mp_object_equal: an argument is NULL");
    if (a == b)
        return !mp__is_kind(a, MP_OBJECT_FLOAT) || mp__number_equal(a, b);
    return compare(a, b, false);
}

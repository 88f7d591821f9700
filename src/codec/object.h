/* What objects look like inside.
 * SPDX-License-Identifier: MIT
 *
 * A pointer with its lowest bit set is no pointer but an int of one bit less than a word. Every
 * other object is a block that begins with struct mp_object. Kinds from MP_OBJECT_LIST on are
 * nodes: they hold references to others, their slots.
 *
 * Nothing here recurses on the C stack over objects: they may be as deep as memory allows. Freed
 * nodes wait in a list that runs through them. What can contain itself carries MP__FLAG_CYCLIC:
 * when a reference to such a node goes and others remain, those inside the structure are told from
 * those outside by counting (trial deletion), in place, so that freeing cannot fail. */
#ifndef MP__CODEC_OBJECT_H
#define MP__CODEC_OBJECT_H

#include <stdatomic.h>

#include "mp/collection.h"
#include "mp/object.h"
#include "mp/pickle.h"

struct mp_object {
    _Atomic uint32_t refs; /* references; from MP__IMMORTAL on it is never freed */
    uint8_t kind;          /* mp_object_kind */
    _Atomic uint8_t flags; /* MP__FLAG_ */
    uint16_t height;       /* nodes: how deep what is in it nests, at least; MP__HEIGHT_MAX: more */
};
#define MP__IMMORTAL 0x80000000u
#define MP__HEIGHT_MAX 65535u
#define MP__HASH_HEIGHT_MAX 200 /* of keys: hashing recurses as deep as that */

#define MP__FLAG_NESTED 1u     /* a node is, or was, in it */
#define MP__FLAG_PLACED 2u     /* it is, or was, in a node */
#define MP__FLAG_CYCLIC 4u     /* it may reach itself */
#define MP__FLAG_SEEN 8u       /* found by the collection under way */
#define MP__FLAG_LIVE 16u      /* found in use by it */
#define MP__FLAG_CANDIDATE 32u /* waits for the next collection */
#define MP__FLAG_DEAD 64u      /* only the candidates' list still knows it */
#define MP__FLAG_SHARED 128u   /* reading fetched it a second time */

struct mp__node {
    struct mp_object head;
    struct mp__node *link; /* the next candidate, or the next of a collection */
    union {
        size_t count;          /* references from outside the collection */
        struct mp__node *link; /* the next that dies, or that is in use */
    } gc;                      /* while freeing */
};

struct mp__float {
    struct mp_object head;
    double value;
};

struct mp__integer {
    struct mp_object head;
    size_t size;     /* bytes; as few as can be, and the value is no small int */
    uint8_t bytes[]; /* two's complement, lowest first */
};

struct mp__text { /* str and bytes */
    struct mp_object head;
    size_t size;           /* bytes without the NUL behind them */
    _Atomic uint64_t hash; /* 0: not yet known */
    char data[];
};

struct mp__bytearray {
    struct mp_object head;
    size_t size;   /* bytes */
    uint8_t *data; /* from malloc, never NULL */
};

struct mp__extension {
    struct mp_object head;
    int32_t code; /* its number in copyreg's table */
};

struct mp__list {
    struct mp__node node;
    mp_object **items; /* from malloc */
    size_t count;      /* how many are there */
    size_t capacity;   /* how many would fit */
};

struct mp__tuple {
    struct mp__node node;
    _Atomic uint64_t hash; /* 0: not yet known */
    size_t count;
    mp_object *items[];
};

struct mp__entry {
    mp_object *key;   /* NULL: removed */
    mp_object *value; /* NULL in sets */
    uint64_t hash;    /* of the key */
};

struct mp__table {
    struct mp__entry *entries; /* in the order of insertion */
    uint32_t *index;           /* entry numbers by hash; NULL while there are few */
    size_t used;               /* entries, removed ones too */
    size_t live;               /* entries but for removed ones */
    size_t capacity;           /* entries that fit */
    size_t index_size;         /* a power of two */
};

struct mp__dict { /* dict, set and frozenset */
    struct mp__node node;
    struct mp__table table;
    _Atomic uint64_t hash; /* of a frozenset; 0: not yet known */
};

struct mp__global {
    struct mp__node node;
    mp_object *names[2]; /* module and name, strs */
};

struct mp__persistent {
    struct mp__node node;
    mp_object *id;
};

struct mp__step {
    mp_object *key; /* NULL but in MP_CALL_SET */
    mp_object *value;
    mp_call_step what;
};

struct mp__call {
    struct mp__node node;
    mp_object *parts[3]; /* callable, args, kwargs; the last may be NULL */
    mp_call_form form;
    struct mp__step *steps; /* from malloc */
    size_t step_count;
    size_t step_capacity;
    void *attached;           /* what this process has for it, see mp__call_attach; NULL: nothing */
    void (*detach)(void *it); /* ends that */
};

#define MP__SMALL_MAX (INTPTR_MAX >> 1)
#define MP__SMALL_MIN (INTPTR_MIN >> 1)

static inline bool mp__is_small(const mp_object *object) {
    return (uintptr_t)object & 1;
}

static inline intptr_t mp__small_value(const mp_object *object) {
    return (intptr_t)object >> 1;
}

static inline mp_object *mp__small(intptr_t value) {
    return (mp_object *)((uintptr_t)value << 1 | 1);
}

static inline mp_object *mp__integer_of(int64_t value) {
    return value >= MP__SMALL_MIN && value <= MP__SMALL_MAX ? mp__small((intptr_t)value)
                                                            : mp_integer_new(value);
}

static inline mp_object_kind mp__kind_of(const mp_object *object) {
    return mp__is_small(object) ? MP_OBJECT_INT : (mp_object_kind)object->kind;
}

static inline bool mp__is_node(const mp_object *object) {
    return !mp__is_small(object) && object->kind >= MP_OBJECT_LIST;
}

static inline bool mp__is_kind(const mp_object *object, mp_object_kind kind) {
    return object && mp__kind_of(object) == kind;
}

static inline unsigned mp__flags(const mp_object *object) {
    return atomic_load_explicit(&object->flags, memory_order_relaxed);
}

static inline void mp__flag_set(mp_object *object, unsigned flags) {
    unsigned before = mp__flags(object);
    if ((before & flags) != flags)
        atomic_store_explicit(&object->flags, (uint8_t)(before | flags), memory_order_relaxed);
}

static inline void mp__flag_clear(mp_object *object, unsigned flags) {
    atomic_store_explicit(&object->flags, (uint8_t)(mp__flags(object) & ~flags),
                          memory_order_relaxed);
}

static inline uint32_t mp__refs(const mp_object *object) {
    return atomic_load_explicit(&object->refs, memory_order_relaxed);
}

/* One more reference to an object that no other thread knows yet. */
static inline mp_object *mp__ref_private(mp_object *object) {
    if (!mp__is_small(object) && mp__refs(object) < MP__IMMORTAL)
        atomic_store_explicit(&object->refs, mp__refs(object) + 1, memory_order_relaxed);
    return object;
}

/* Can this object be met only once when going through what holds it? */
static inline bool mp__is_met_once(const mp_object *object) {
    return mp__refs(object) == 1;
}

/* Allocate an object of `size` bytes with one reference, height 1 if a node; NULL: detail says
 * -ENOMEM. Only the head is set, the rest of nodes is zero. */
void *mp__object_alloc(mp_object_kind kind, size_t size);
void *mp__node_alloc(mp_object_kind kind, size_t size);

/* Give `count` references back in one go; NULLs are skipped. */
void mp__objects_release(mp_object *const *objects, size_t count);

/* The slots of a node are 0..mp__node_slots()-1; some may be NULL. */
size_t mp__node_slots(const mp_object *node);
mp_object *mp__node_slot(const mp_object *node, size_t index);

/* Before `item` is put into `holder`: note what freeing and limits have to know. 0 or -ENOMEM. */
int mp__node_place(mp_object *holder, mp_object *item);

/* The same for an object under construction, which nothing holds yet; cannot fail. */
static inline void mp__node_place_new(mp_object *holder, mp_object *item) {
    if (!mp__is_node(item))
        return;
    mp__flag_set(item, MP__FLAG_PLACED);
    mp__flag_set(holder, MP__FLAG_NESTED);
    if (item->height >= holder->height)
        holder->height = (uint16_t)(item->height + (item->height < MP__HEIGHT_MAX));
}

/* Mark all nodes that can be reached from here as parts of something that may contain itself. */
void mp__node_mark_cyclic(mp_object *node);

/* Make a str of bytes that are known to be UTF-8, or a bytes; NULL: -ENOMEM. */
mp_object *mp__text_new(mp_object_kind kind, const void *data, size_t size);

/* A tuple or list with room for `count` items, all NULL; a tuple has the count already. */
mp_object *mp__tuple_alloc(size_t count);
mp_object *mp__list_alloc(size_t count);

/* Refuse what is not of a kind, for public functions: 0, MP_EINVAL or MP_ETYPE. */
int mp__expect_kind(const mp_object *object, mp_object_kind kind, const char *function);

#endif

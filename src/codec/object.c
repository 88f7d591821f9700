/* Objects' life: made, counted, freed, also when they contain themselves.
 * SPDX-License-Identifier: MIT */
#include "codec/object.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/buffer.h"
#include "codec/pointer_map.h"

/* What one call frees. */
struct release {
    struct mp__node *dying; /* nodes without references, whose slots are still to be given back */
    struct mp__node *candidates; /* nodes that lost one reference, and may only hold each other */
};

void *mp__object_alloc(mp_object_kind kind, size_t size) {
    struct mp_object *object = mp__block_alloc(size);
    if (!object) {
        mp__fail(-ENOMEM, "making a %s of %zu bytes", mp_object_kind_name(kind), size);
        return NULL;
    }
    atomic_init(&object->refs, 1);
    object->kind = (uint8_t)kind;
    atomic_init(&object->flags, 0);
    object->height = 0;
    return object;
}

void *mp__node_alloc(mp_object_kind kind, size_t size) {
    struct mp_object *object = mp__object_alloc(kind, size);
    if (!object)
        return NULL;
    memset(object + 1, 0, size - sizeof *object);
    object->height = 1;
    return object;
}

mp_object *mp_object_ref(const mp_object *object) {
    mp_object *mine = (mp_object *)object;
    if (object && !mp__is_small(object) && mp__refs(object) < MP__IMMORTAL)
        atomic_fetch_add_explicit(&mine->refs, 1, memory_order_relaxed);
    return mine;
}

size_t mp__node_slots(const mp_object *node) {
    switch (node->kind) {
    case MP_OBJECT_LIST:
        return ((const struct mp__list *)node)->count;
    case MP_OBJECT_TUPLE:
        return ((const struct mp__tuple *)node)->count;
    case MP_OBJECT_GLOBAL:
        return 2;
    case MP_OBJECT_PERSISTENT:
        return 1;
    case MP_OBJECT_CALL:
        return 3 + 2 * ((const struct mp__call *)node)->step_count;
    default:
        return 2 * ((const struct mp__dict *)node)->table.used;
    }
}

mp_object *mp__node_slot(const mp_object *node, size_t index) {
    switch (node->kind) {
    case MP_OBJECT_LIST:
        return ((const struct mp__list *)node)->items[index];
    case MP_OBJECT_TUPLE:
        return ((const struct mp__tuple *)node)->items[index];
    case MP_OBJECT_GLOBAL:
        return ((const struct mp__global *)node)->names[index];
    case MP_OBJECT_PERSISTENT:
        return ((const struct mp__persistent *)node)->id;
    case MP_OBJECT_CALL: {
        const struct mp__call *call = (const struct mp__call *)node;
        if (index < 3)
            return call->parts[index];
        const struct mp__step *step = &call->steps[(index - 3) / 2];
        return index % 2 ? step->key : step->value;
    }
    default: {
        const struct mp__entry *entry = &((const struct mp__dict *)node)->table.entries[index / 2];
        return index % 2 ? entry->value : entry->key;
    }
    }
}

/* Give a leaf's or an emptied node's memory back. */
static void free_block(struct mp_object *object) {
    switch (object->kind) {
    case MP_OBJECT_BYTEARRAY:
        free(((struct mp__bytearray *)object)->data);
        break;
    case MP_OBJECT_LIST:
        free(((struct mp__list *)object)->items);
        break;
    case MP_OBJECT_CALL:
        free(((struct mp__call *)object)->steps);
        if (((struct mp__call *)object)->attached)
            ((struct mp__call *)object)->detach(((struct mp__call *)object)->attached);
        break;
    case MP_OBJECT_DICT:
    case MP_OBJECT_SET:
    case MP_OBJECT_FROZENSET:
        free(((struct mp__dict *)object)->table.entries);
        free(((struct mp__dict *)object)->table.index);
        break;
    default:
        break;
    }
    object->kind = MP_OBJECT_INVALID;
    free(object);
}

static void end_object(struct release *release, mp_object *object) {
    if (!mp__is_node(object)) {
        free_block(object);
        return;
    }
    struct mp__node *node = (struct mp__node *)object;
    node->gc.link = release->dying;
    release->dying = node;
}

static void add_candidate(struct release *release, mp_object *object) {
    struct mp__node *node = (struct mp__node *)object;
    if (mp__flags(object) & MP__FLAG_CANDIDATE)
        return;
    mp__flag_set(object, MP__FLAG_CANDIDATE);
    node->link = release->candidates;
    release->candidates = node;
}

static inline void release_one(struct release *release, mp_object *object) {
    if (!object || mp__is_small(object))
        return;
    uint32_t refs = atomic_load_explicit(&object->refs, memory_order_acquire);
    if (refs >= MP__IMMORTAL)
        return;
    bool is_last = refs == 1;
    /* Read before the reference is gone: without it the object may go at any moment. */
    bool may_be_cyclic = mp__is_node(object) && (mp__flags(object) & MP__FLAG_CYCLIC);
    if (!is_last)
        is_last = atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) == 1;
    if (is_last)
        end_object(release, object);
    else if (may_be_cyclic)
        add_candidate(release, object);
}

static void release_slots(struct release *release, mp_object *node) {
    if (node->kind == MP_OBJECT_LIST) {
        struct mp__list *list = (struct mp__list *)node;
        for (size_t i = 0; i < list->count; i++)
            release_one(release, list->items[i]);
        return;
    }
    size_t count = mp__node_slots(node);
    for (size_t i = 0; i < count; i++)
        release_one(release, mp__node_slot(node, i));
}

static void end_dying(struct release *release) {
    while (release->dying) {
        struct mp__node *node = release->dying;
        release->dying = node->gc.link;
        release_slots(release, &node->head);
        if (mp__flags(&node->head) & MP__FLAG_CANDIDATE)
            mp__flag_set(&node->head, MP__FLAG_DEAD);
        else
            free_block(&node->head);
    }
}

/* The candidates that are still alive, each with the number of its references. */
static struct mp__node *take_candidates(struct release *release, struct mp__node **tail) {
    struct mp__node *first = NULL;
    *tail = NULL;
    while (release->candidates) {
        struct mp__node *node = release->candidates;
        release->candidates = node->link;
        if (mp__flags(&node->head) & MP__FLAG_DEAD) {
            free_block(&node->head);
            continue;
        }
        mp__flag_clear(&node->head, MP__FLAG_CANDIDATE);
        mp__flag_set(&node->head, MP__FLAG_SEEN);
        node->gc.count = mp__refs(&node->head);
        node->link = first;
        first = node;
        if (!*tail)
            *tail = node;
    }
    return first;
}

static bool may_be_inside(const mp_object *slot) {
    return slot && mp__is_node(slot) && (mp__flags(slot) & MP__FLAG_CYCLIC);
}

/* Add all that can be reached, then take off the references that come from inside. */
static void count_outside(struct mp__node *first, struct mp__node *tail) {
    for (struct mp__node *node = first; node; node = node->link)
        for (size_t i = mp__node_slots(&node->head); i-- > 0;) {
            mp_object *slot = mp__node_slot(&node->head, i);
            if (!may_be_inside(slot) || (mp__flags(slot) & MP__FLAG_SEEN))
                continue;
            mp__flag_set(slot, MP__FLAG_SEEN);
            struct mp__node *found = (struct mp__node *)slot;
            found->gc.count = mp__refs(slot);
            found->link = NULL;
            tail->link = found;
            tail = found;
        }
    for (struct mp__node *node = first; node; node = node->link)
        for (size_t i = mp__node_slots(&node->head); i-- > 0;) {
            mp_object *slot = mp__node_slot(&node->head, i);
            if (may_be_inside(slot))
                ((struct mp__node *)slot)->gc.count--;
        }
}

static void mark_live(struct mp__node *node) {
    mp__flag_set(&node->head, MP__FLAG_LIVE);
    node->gc.link = NULL;
    for (struct mp__node *stack = node; stack;) {
        struct mp__node *top = stack;
        stack = top->gc.link;
        for (size_t i = mp__node_slots(&top->head); i-- > 0;) {
            mp_object *slot = mp__node_slot(&top->head, i);
            if (!may_be_inside(slot) || (mp__flags(slot) & MP__FLAG_LIVE))
                continue;
            mp__flag_set(slot, MP__FLAG_LIVE);
            struct mp__node *found = (struct mp__node *)slot;
            found->gc.link = stack;
            stack = found;
        }
    }
}

/* Those that nobody outside holds; the others lose their marks. */
static struct mp__node *split_garbage(struct mp__node *first) {
    struct mp__node *garbage = NULL;
    for (struct mp__node *node = first; node; node = node->link)
        if (!(mp__flags(&node->head) & MP__FLAG_LIVE) && node->gc.count > 0)
            mark_live(node);
    for (struct mp__node *node = first, *next; node; node = next) {
        next = node->link;
        if (mp__flags(&node->head) & MP__FLAG_LIVE) {
            mp__flag_clear(&node->head, MP__FLAG_LIVE | MP__FLAG_SEEN);
            continue;
        }
        node->link = garbage;
        garbage = node;
    }
    return garbage;
}

static void collect(struct release *release) {
    struct mp__node *tail, *first = take_candidates(release, &tail);
    if (!first)
        return;
    count_outside(first, tail);
    struct mp__node *garbage = split_garbage(first);
    for (struct mp__node *node = garbage; node; node = node->link)
        for (size_t i = mp__node_slots(&node->head); i-- > 0;) {
            mp_object *slot = mp__node_slot(&node->head, i);
            bool is_garbage = may_be_inside(slot) && (mp__flags(slot) & MP__FLAG_SEEN);
            if (!is_garbage)
                release_one(release, slot);
        }
    for (struct mp__node *node = garbage, *next; node; node = next) {
        next = node->link;
        free_block(&node->head);
    }
}

static void finish_release(struct release *release) {
    while (release->dying || release->candidates) {
        end_dying(release);
        collect(release);
    }
}

void mp_object_free(mp_object *object) {
    struct release release = {0};
    release_one(&release, object);
    finish_release(&release);
}

void mp__objects_release(mp_object *const *objects, size_t count) {
    struct release release = {0};
    for (size_t i = 0; i < count; i++)
        release_one(&release, objects[i]);
    finish_release(&release);
}

/* Marked nodes are gone through, too: what was put into them since they were marked is not. */
void mp__node_mark_cyclic(mp_object *object) {
    if (!mp__is_node(object))
        return;
    struct mp__node *first = (struct mp__node *)object, *tail = first;
    mp__flag_set(object, MP__FLAG_CYCLIC | MP__FLAG_SEEN);
    first->link = NULL;
    for (struct mp__node *node = first; node; node = node->link)
        for (size_t i = mp__node_slots(&node->head); i-- > 0;) {
            mp_object *slot = mp__node_slot(&node->head, i);
            if (!slot || !mp__is_node(slot) || (mp__flags(slot) & MP__FLAG_SEEN))
                continue;
            mp__flag_set(slot, MP__FLAG_CYCLIC | MP__FLAG_SEEN);
            tail->link = (struct mp__node *)slot;
            tail = tail->link;
            tail->link = NULL;
        }
    for (struct mp__node *node = first; node; node = node->link)
        mp__flag_clear(&node->head, MP__FLAG_SEEN);
}

/* The search for a node below another: what is still to be looked at. */
struct search {
    const mp_object **stack;     /* from malloc */
    size_t count;                /* on it */
    size_t capacity;             /* of it */
    struct mp__pointer_map seen; /* nodes that can be met twice */
};

static int push_search(struct search *search, const mp_object *node) {
    if (!mp__is_met_once(node)) {
        size_t *place;
        int code = mp__pointer_map_put(&search->seen, node, &place);
        if (code != 0)
            return code < 0 ? code : 0;
    }
    if (search->count == search->capacity) {
        size_t capacity = search->capacity * 2 + 16;
        void *stack = realloc(search->stack, capacity * sizeof *search->stack);
        if (!stack)
            return mp__fail(-ENOMEM, "looking through objects in objects");
        search->stack = stack;
        search->capacity = capacity;
    }
    search->stack[search->count++] = node;
    return 0;
}

/* 1 when `target` is `from` or in it, 0, or -ENOMEM. */
static int can_reach(const mp_object *from, const mp_object *target) {
    struct search search = {0};
    int code = push_search(&search, from);
    while (code == 0 && search.count > 0) {
        const mp_object *node = search.stack[--search.count];
        code = node == target;
        if (!(mp__flags(node) & MP__FLAG_NESTED))
            continue;
        for (size_t i = mp__node_slots(node); code == 0 && i-- > 0;) {
            const mp_object *slot = mp__node_slot(node, i);
            if (slot && mp__is_node(slot))
                code = push_search(&search, slot);
        }
    }
    free(search.stack);
    mp__pointer_map_fini(&search.seen);
    return code;
}

/* Nothing reaches a holder that never was in anything; what holds no node reaches only itself. */
int mp__node_place(mp_object *holder, mp_object *item) {
    if (!mp__is_node(item))
        return 0;
    bool is_cycle = item == holder;
    if (!is_cycle && (mp__flags(holder) & MP__FLAG_PLACED) && (mp__flags(item) & MP__FLAG_NESTED)) {
        int code = can_reach(item, holder);
        if (code < 0)
            return code;
        is_cycle = code > 0;
    }
    mp__node_place_new(holder, item);
    if (is_cycle) {
        mp__node_mark_cyclic(item);
        mp__node_mark_cyclic(holder);
    }
    return 0;
}

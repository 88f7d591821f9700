/* Finding the proxies inside of objects.
 * SPDX-License-Identifier: MIT */
#include "mgr/nested.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "codec/object.h"
#include "codec/pointer_map.h"

struct walk {
    const mp_object **stack;     /* nodes still to be looked into; from malloc */
    size_t count;                /* on it */
    size_t capacity;             /* of it */
    struct mp__pointer_map seen; /* nodes that can be met twice */
};

static int push(struct walk *walk, const mp_object *node) {
    if (!mp__is_met_once(node)) {
        size_t *place;
        int code = mp__pointer_map_put(&walk->seen, node, &place);
        if (code != 0)
            return code < 0 ? code : 0;
    }
    if (walk->count == walk->capacity) {
        size_t capacity = walk->capacity * 2 + 16;
        void *stack = realloc(walk->stack, capacity * sizeof *walk->stack);
        if (!stack)
            return mp__fail(-ENOMEM, "looking for proxies in an object");
        walk->stack = stack;
        walk->capacity = capacity;
    }
    walk->stack[walk->count++] = node;
    return 0;
}

static int push_slots(struct walk *walk, const mp_object *node) {
    int code = 0;
    for (size_t i = mp__node_slots(node); code == 0 && i-- > 0;) {
        const mp_object *slot = mp__node_slot(node, i);
        if (slot && mp__is_node(slot))
            code = push(walk, slot);
    }
    return code;
}

int mp__proxies_visit(const mp_object *root, mp__proxy_visit_fn visit, void *arg) {
    struct walk walk = {0};
    int code = mp__is_node(root) ? push(&walk, root) : 0;
    while (code == 0 && walk.count > 0) {
        const mp_object *node = walk.stack[--walk.count];
        struct mp__proxy_form form;
        bool is_proxy = node->kind == MP_OBJECT_CALL && mp__proxy_form_take(&form, node) > 0;
        if (is_proxy)
            visit(node, &form, arg);
        else if (mp__flags(node) & MP__FLAG_NESTED)
            code = push_slots(&walk, node);
    }
    free(walk.stack);
    mp__pointer_map_fini(&walk.seen);
    return code;
}

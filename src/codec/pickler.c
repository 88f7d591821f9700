/* Writing pickles as Python's C pickler does, without recursion: open nodes wait on a stack.
 * SPDX-License-Identifier: MIT */
#include "codec/pickler.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "codec/hash.h"
#include "codec/pickle.h"

/* What writing a part of a node came to. */
enum { DONE = 0, OPENED = 1 }; /* OPENED: a node in it has to be written first */

static int put_float(struct mp__pickler *pickler, const mp_object *object) {
    int code = mp__pickler_room(pickler, 9);
    if (code < 0)
        return code;
    uint64_t bits;
    memcpy(&bits, &((const struct mp__float *)object)->value, 8);
    uint8_t *at = pickler->out->data + pickler->out->size;
    at[0] = OP_BINFLOAT;
    for (unsigned i = 0; i < 8; i++)
        at[1 + i] = (uint8_t)(bits >> (56 - 8 * i));
    pickler->out->size += 9;
    return 0;
}

static int put_extension(struct mp__pickler *pickler, const mp_object *object) {
    uint32_t number = (uint32_t)mp_extension_get(object);
    unsigned size = number < 256 ? 1 : number < 65536 ? 2 : 4;
    int code = mp__pickler_room(pickler, 5);
    if (code < 0)
        return code;
    uint8_t *at = pickler->out->data + pickler->out->size;
    at[0] = size == 1 ? OP_EXT1 : size == 2 ? OP_EXT2 : OP_EXT4;
    mp__write_number(at + 1, number, size);
    pickler->out->size += 1 + size;
    return 0;
}

static int put_leaf(struct mp__pickler *pickler, const mp_object *object) {
    const struct mp__text *text = (const struct mp__text *)object;
    switch (mp__kind_of(object)) {
    case MP_OBJECT_NONE:
        return mp__pickler_op(pickler, OP_NONE);
    case MP_OBJECT_BOOL:
        return mp__pickler_op(pickler, mp_object_is_true(object) ? OP_NEWTRUE : OP_NEWFALSE);
    case MP_OBJECT_INT:
        return mp__pickler_integer(pickler, object);
    case MP_OBJECT_FLOAT:
        return put_float(pickler, object);
    case MP_OBJECT_STR:
        return mp__pickler_str(pickler, object, text->data, text->size);
    case MP_OBJECT_BYTES:
        return mp__pickler_bytes(pickler, object, text->data, text->size);
    case MP_OBJECT_BYTEARRAY:
        return mp__pickler_bytearray(pickler, object);
    default:
        return put_extension(pickler, object);
    }
}

static int push_node(struct mp__pickler *pickler, const mp_object *node) {
    if (pickler->count == pickler->capacity) {
        size_t capacity = pickler->capacity * 2 + 16;
        void *stack = realloc(pickler->stack, capacity * sizeof *pickler->stack);
        if (!stack)
            return mp__fail(-ENOMEM, "pickling objects in objects");
        pickler->stack = stack;
        pickler->capacity = capacity;
    }
    pickler->stack[pickler->count++] = (struct mp__open_node){node, 0, 0, false, false};
    return OPENED;
}

/* Sets of old protocols: a global, a list of the members, a call. */
static int open_old_set(struct mp__pickler *pickler, const mp_object *node) {
    int code =
        mp__pickler_native(pickler, node->kind == MP_OBJECT_SET ? NATIVE_SET : NATIVE_FROZENSET);
    if (code == 0)
        code = mp__pickler_op(pickler, OP_EMPTY_LIST);
    return code < 0 ? code : mp__pickler_memoize(pickler, NULL);
}

/* What comes before a node's slots. */
static int open_node(struct mp__pickler *pickler, const mp_object *node) {
    int code = 0;
    pickler->is_cyclic |= (mp__flags(node) & MP__FLAG_CYCLIC) != 0;
    switch (node->kind) {
    case MP_OBJECT_GLOBAL:
        return mp__pickler_global(pickler, node);
    case MP_OBJECT_TUPLE:
        if (mp_object_length(node) == 0)
            return mp__pickler_op(pickler, OP_EMPTY_TUPLE);
        if (mp_object_length(node) > 3)
            code = mp__pickler_op(pickler, OP_MARK);
        break;
    case MP_OBJECT_LIST:
        code = mp__pickler_op(pickler, OP_EMPTY_LIST);
        break;
    case MP_OBJECT_DICT:
        code = mp__pickler_op(pickler, OP_EMPTY_DICT);
        break;
    case MP_OBJECT_SET:
    case MP_OBJECT_FROZENSET:
        if (pickler->protocol < 4)
            code = open_old_set(pickler, node);
        else
            code = mp__pickler_op(pickler, node->kind == MP_OBJECT_SET ? OP_EMPTY_SET : OP_MARK);
        break;
    case MP_OBJECT_CALL:
        if (((const struct mp__call *)node)->form == MP_CALL_NEWOBJ_EX && pickler->protocol < 4)
            code = mp__pickler_native(pickler, NATIVE_NEWOBJ_EX);
        break;
    default:
        break;
    }
    bool is_numbered_first = node->kind == MP_OBJECT_LIST || node->kind == MP_OBJECT_DICT ||
                             (node->kind == MP_OBJECT_SET && pickler->protocol >= 4);
    if (code == 0 && is_numbered_first)
        code = mp__pickler_memoize(pickler, node);
    return code < 0 ? code : push_node(pickler, node);
}

/* Write an object: DONE, or OPENED: its slots come first. */
static int save(struct mp__pickler *pickler, const mp_object *object) {
    mp__pickler_boundary(pickler);
    if (mp__is_small(object))
        return mp__pickler_integer(pickler, object);
    if (!mp__comes_once(pickler, object)) {
        size_t *number = mp__pointer_map_find(&pickler->memo, object);
        if (number)
            return mp__pickler_get(pickler, *number);
    }
    return mp__is_node(object) ? open_node(pickler, object) : put_leaf(pickler, object);
}

/* A node that holds itself was written meanwhile, deeper down: drop the parts and fetch it. 1: so
 * it was. */
static int fetch_if_written(struct mp__pickler *pickler, const mp_object *node, size_t pops,
                            enum mp__opcode pop) {
    if (mp__comes_once(pickler, node))
        return 0;
    size_t *number = mp__pointer_map_find(&pickler->memo, node);
    if (!number)
        return 0;
    size_t value = *number;
    for (size_t i = 0; i < pops; i++) {
        int code = mp__pickler_op(pickler, pop);
        if (code < 0)
            return code;
    }
    int code = mp__pickler_get(pickler, value);
    return code < 0 ? code : 1;
}

static int close_tuple(struct mp__pickler *pickler, const mp_object *node) {
    static const enum mp__opcode opcodes[] = {OP_EMPTY_TUPLE, OP_TUPLE1, OP_TUPLE2, OP_TUPLE3};
    size_t count = mp_object_length(node);
    int code = count > 3 ? fetch_if_written(pickler, node, 1, OP_POP_MARK)
                         : fetch_if_written(pickler, node, count, OP_POP);
    if (code != 0)
        return code < 0 ? code : 0;
    code = mp__pickler_op(pickler, count > 3 ? OP_TUPLE : opcodes[count]);
    return code < 0 ? code : mp__pickler_memoize(pickler, node);
}

static int step_tuple(struct mp__pickler *pickler, struct mp__open_node *top) {
    const struct mp__tuple *tuple = (const struct mp__tuple *)top->node;
    while (top->next < tuple->count) {
        int code = save(pickler, tuple->items[top->next++]);
        if (code != DONE)
            return code;
    }
    return close_tuple(pickler, top->node);
}

/* Python writes a list's items in thousands; a list of one item, and only that, without a MARK. */
static int step_list(struct mp__pickler *pickler, struct mp__open_node *top) {
    const struct mp__list *list = (const struct mp__list *)top->node;
    for (;;) {
        int code = 0;
        if (top->is_open && (top->left == 0 || top->next == list->count)) {
            top->is_open = false;
            code = mp__pickler_op(pickler, list->count == 1 ? OP_APPEND : OP_APPENDS);
        }
        if (code < 0 || top->next == list->count)
            return code;
        if (!top->is_open) {
            top->is_open = true;
            top->left = MP__BATCH;
            code = list->count == 1 ? 0 : mp__pickler_op(pickler, OP_MARK);
        }
        if (code < 0)
            return code;
        while (top->left > 0 && top->next < list->count) {
            top->left--;
            code = save(pickler, list->items[top->next++]);
            if (code != DONE)
                return code;
        }
    }
}

/* Old sets are lists in a call: their batches are those of lists. */
static bool is_old_set(const struct mp__pickler *pickler, const mp_object *node) {
    return node->kind != MP_OBJECT_DICT && pickler->protocol < 4;
}

static int close_batch(struct mp__pickler *pickler, const struct mp__open_node *top) {
    if (top->node->kind == MP_OBJECT_DICT)
        return mp__pickler_op(pickler, top->is_short ? OP_SETITEM : OP_SETITEMS);
    if (is_old_set(pickler, top->node))
        return mp__pickler_op(pickler, top->is_short ? OP_APPEND : OP_APPENDS);
    return mp__pickler_op(pickler, OP_ADDITEMS);
}

/* Dicts and sets: after a full batch another one is opened, even if it stays empty, except in the
 * lists of old sets. */
static int open_batch(struct mp__pickler *pickler, struct mp__open_node *top) {
    const struct mp__table *table = &((const struct mp__dict *)top->node)->table;
    top->is_open = true;
    top->left = MP__BATCH;
    top->is_short =
        table->live == 1 && (top->node->kind == MP_OBJECT_DICT || is_old_set(pickler, top->node));
    return top->is_short ? 0 : mp__pickler_op(pickler, OP_MARK);
}

static int close_set(struct mp__pickler *pickler, const mp_object *node) {
    if (node->kind == MP_OBJECT_DICT || (node->kind == MP_OBJECT_SET && pickler->protocol >= 4))
        return 0;
    int code = 0;
    if (pickler->protocol < 4) {
        code = mp__pickler_op(pickler, OP_TUPLE1);
        if (code == 0)
            code = mp__pickler_memoize(pickler, NULL);
        if (code == 0)
            code = mp__pickler_op(pickler, OP_REDUCE);
        if (code == 0)
            code = fetch_if_written(pickler, node, 1, OP_POP);
    } else {
        code = fetch_if_written(pickler, node, 1, OP_POP_MARK);
        if (code == 0)
            code = mp__pickler_op(pickler, OP_FROZENSET);
    }
    if (code != 0)
        return code < 0 ? code : 0;
    return mp__pickler_memoize(pickler, node);
}

static int step_mapping(struct mp__pickler *pickler, struct mp__open_node *top) {
    const struct mp__table *table = &((const struct mp__dict *)top->node)->table;
    bool is_dict = top->node->kind == MP_OBJECT_DICT;
    bool has_batches = top->node->kind != MP_OBJECT_FROZENSET || pickler->protocol < 4;
    for (;;) {
        int code = 0;
        while (top->next < 2 * table->used && !table->entries[top->next / 2].key)
            top->next += 2;
        bool is_end = top->next >= 2 * table->used;
        bool is_full = top->is_open && top->left == 0 && top->next % 2 == 0;
        if (top->is_open && (is_full || is_end)) {
            top->is_open = false;
            bool is_last = !is_full || top->is_short || is_old_set(pickler, top->node);
            code = close_batch(pickler, top);
            if (code == 0 && is_end && is_last)
                return close_set(pickler, top->node);
        } else if (is_end) {
            return close_set(pickler, top->node);
        }
        if (code == 0 && has_batches && !top->is_open)
            code = open_batch(pickler, top);
        if (code < 0)
            return code;
        if (is_end)
            continue;
        const struct mp__entry *entry = &table->entries[top->next / 2];
        const mp_object *slot = top->next % 2 ? entry->value : entry->key;
        top->next += is_dict ? 1 : 2;
        if (has_batches && top->next % 2 == 0)
            top->left--;
        code = save(pickler, slot);
        if (code != DONE)
            return code;
    }
}

/* 1: it was written meanwhile, with all its steps. */
static int close_made(struct mp__pickler *pickler, const struct mp__call *call) {
    const mp_object *node = &call->node.head;
    int code = 0;
    if (call->form == MP_CALL_NEWOBJ_EX && pickler->protocol < 4) {
        code = mp__pickler_op(pickler, OP_TUPLE3);
        if (code == 0)
            code = mp__pickler_memoize(pickler, NULL);
        if (code == 0)
            code = mp__pickler_op(pickler, OP_REDUCE);
    } else {
        code = mp__pickler_op(pickler, call->form == MP_CALL_REDUCE   ? OP_REDUCE
                                       : call->form == MP_CALL_NEWOBJ ? OP_NEWOBJ
                                                                      : OP_NEWOBJ_EX);
    }
    if (code == 0)
        code = fetch_if_written(pickler, node, 1, OP_POP);
    if (code == 0)
        return mp__pickler_memoize(pickler, node);
    return code;
}

/* How many steps of the same sort follow, a batch at most. */
static size_t count_run(const struct mp__call *call, size_t first) {
    size_t count = 1;
    while (first + count < call->step_count && count < MP__BATCH &&
           call->steps[first + count].what == call->steps[first].what)
        count++;
    return count;
}

static int end_run(struct mp__pickler *pickler, struct mp__open_node *top, mp_call_step what) {
    static const enum mp__opcode one[] = {OP_APPEND, OP_SETITEM, OP_ADDITEMS, OP_BUILD};
    static const enum mp__opcode many[] = {OP_APPENDS, OP_SETITEMS, OP_ADDITEMS, OP_BUILD};
    top->is_open = false;
    return mp__pickler_op(pickler, top->is_short ? one[what] : many[what]);
}

static int begin_run(struct mp__pickler *pickler, struct mp__open_node *top, size_t step) {
    const struct mp__call *call = (const struct mp__call *)top->node;
    mp_call_step what = call->steps[step].what;
    top->is_open = true;
    top->left = what == MP_CALL_BUILD ? 1 : count_run(call, step);
    top->is_short = top->left == 1 && what != MP_CALL_ADD;
    return top->is_short ? 0 : mp__pickler_op(pickler, OP_MARK);
}

static int step_call(struct mp__pickler *pickler, struct mp__open_node *top) {
    const struct mp__call *call = (const struct mp__call *)top->node;
    for (;;) {
        size_t step = top->next >= 3 ? (top->next - 3) / 2 : 0;
        int code = 0;
        if (top->next == 3 && !top->is_short && !top->is_open) {
            code = close_made(pickler, call);
            top->is_short = true;
            if (code != 0)
                return code < 0 ? code : DONE;
        }
        if (code == 0 && top->is_open && top->left == 0)
            code = end_run(pickler, top, call->steps[step - 1].what);
        if (code < 0 || (top->next >= 3 && step == call->step_count))
            return code;
        if (top->next >= 3 && !top->is_open)
            code = begin_run(pickler, top, step);
        if (code < 0)
            return code;
        const mp_object *slot = mp__node_slot(top->node, top->next++);
        if (top->next > 3 && top->next % 2 == 1)
            top->left--;
        if (!slot)
            continue;
        code = save(pickler, slot);
        if (code != DONE)
            return code;
    }
}

static int step_persistent(struct mp__pickler *pickler, struct mp__open_node *top) {
    if (top->next++ == 0) {
        int code = save(pickler, mp_persistent_get(top->node));
        if (code != DONE)
            return code;
    }
    return mp__pickler_op(pickler, OP_BINPERSID);
}

static int step(struct mp__pickler *pickler) {
    struct mp__open_node *top = &pickler->stack[pickler->count - 1];
    switch (top->node->kind) {
    case MP_OBJECT_LIST:
        return step_list(pickler, top);
    case MP_OBJECT_TUPLE:
        return step_tuple(pickler, top);
    case MP_OBJECT_CALL:
        return step_call(pickler, top);
    case MP_OBJECT_PERSISTENT:
        return step_persistent(pickler, top);
    default:
        return step_mapping(pickler, top);
    }
}

static int write_all(struct mp__pickler *pickler, const mp_object *object) {
    const uint8_t head[2] = {OP_PROTO, (uint8_t)pickler->protocol};
    int code = mp__buffer_put(pickler->out, head, sizeof head);
    pickler->is_framing = pickler->protocol >= 4;
    if (code == 0)
        code = save(pickler, object);
    while (code >= 0 && pickler->count > 0) {
        code = step(pickler);
        if (code == DONE)
            pickler->count--;
    }
    if (code >= 0)
        code = mp__pickler_op(pickler, OP_STOP);
    mp__pickler_close_frame(pickler);
    return code;
}

int mp__pickle_write(struct mp__buffer *buffer, const mp_object *object, int protocol) {
    size_t before = buffer->size;
    struct mp__pickler pickler = {.out = buffer, .protocol = protocol};
    int code = write_all(&pickler, object);
    free(pickler.stack);
    mp__pointer_map_fini(&pickler.memo);
    if (code < 0)
        buffer->size = before;
    return code;
}

int mp_object_dumps(const mp_object *object, int protocol, void **data, size_t *size) {
    if (!object || !data || !size)
        return mp__fail(MP_EINVAL, "mp_object_dumps: an argument is NULL");
    if (protocol < 2 || protocol > MP_PICKLE_HIGHEST)
        return mp__fail(MP_EINVAL, "mp_object_dumps: protocol %d is not one of 2 to %d", protocol,
                        MP_PICKLE_HIGHEST);
    struct mp__buffer buffer = {0};
    int code = mp__pickle_write(&buffer, object, protocol);
    if (code < 0) {
        mp__buffer_fini(&buffer);
        return code;
    }
    mp__buffer_trim(&buffer);
    *data = buffer.data;
    *size = buffer.size;
    return 0;
}

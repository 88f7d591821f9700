/* Reading pickles: collections, names and calls.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/fail.h"
#include "codec/hash.h"
#include "codec/instructions.h"
#include "codec/symbol.h"
#include "codec/text.h"

static int push_node(struct mp__unpickler *unpickler, mp_object *node) {
    return mp__unpickler_push(unpickler, node);
}

static int spend_items(struct mp__unpickler *unpickler, size_t node_size, size_t count,
                       size_t item_size) {
    if (unpickler->limits.bytes == SIZE_MAX)
        return 0;
    return mp__unpickler_spend(unpickler, node_size + count * item_size);
}

/* The depth and what freeing has to know, for items that go into a node. */
static int place_items(struct mp__unpickler *unpickler, mp_object *node, mp_object *const *items,
                       size_t count) {
    for (size_t i = 0; i < count; i++)
        if (items[i] != node)
            mp__node_place_new(node, items[i]);
    return mp__unpickler_changed(unpickler, node);
}

int mp__read_empty_list(struct mp__unpickler *unpickler) {
    int code = spend_items(unpickler, sizeof(struct mp__list), 0, 0);
    return code < 0 ? code : push_node(unpickler, mp_list_new());
}

/* The objects from `first` on become the last items; the stack ends at `first`. */
static int append_to_list(struct mp__unpickler *unpickler, mp_object *target, size_t first) {
    size_t count = unpickler->top - first;
    struct mp__list *list = (struct mp__list *)target;
    int code = spend_items(unpickler, 0, count, sizeof *list->items);
    if (code == 0)
        code = mp__unpickler_suspect(unpickler, target);
    if (code == 0)
        code = mp__list_reserve(target, count);
    if (code < 0)
        return code;
    if (count == 0)
        return 0;
    mp_object **items = list->items + list->count;
    memcpy(items, unpickler->stack + first, count * sizeof *items);
    list->count += count;
    unpickler->top = first;
    return place_items(unpickler, target, items, count);
}

static int append_to_call(struct mp__unpickler *unpickler, mp_object *target, size_t first,
                          mp_call_step what) {
    size_t count = unpickler->top - first, stride = what == MP_CALL_SET ? 2 : 1;
    int code = spend_items(unpickler, 0, count, sizeof(struct mp__step));
    if (code == 0)
        code = mp__unpickler_suspect(unpickler, target);
    if (code == 0)
        code = mp__call_reserve(target, count / stride);
    if (code < 0)
        return code;
    mp_object **items = unpickler->stack + first;
    for (size_t i = 0; i < count; i += stride)
        mp__call_push(target, what, stride == 2 ? items[i] : NULL, items[i + stride - 1]);
    unpickler->top = first;
    return place_items(unpickler, target, items, count);
}

static int append(struct mp__unpickler *unpickler, mp_object *target, size_t first) {
    if (mp__is_kind(target, MP_OBJECT_LIST))
        return append_to_list(unpickler, target, first);
    if (mp__is_kind(target, MP_OBJECT_CALL))
        return append_to_call(unpickler, target, first, MP_CALL_APPEND);
    return mp__unpickler_refuse(unpickler, "items are appended to a %s",
                                mp_object_kind_name(mp__kind_of(target)));
}

/* What lies below the last mark, and where the objects above it begin. */
static int target_below_mark(struct mp__unpickler *unpickler, size_t *first, mp_object **target) {
    int code = mp__unpickler_mark(unpickler, first);
    *target = NULL;
    size_t fence = unpickler->mark_count > 0 ? unpickler->marks[unpickler->mark_count - 1] : 0;
    if (code == 0 && *first <= fence)
        code = mp__unpickler_refuse(unpickler, "nothing is there to put items into");
    if (code == 0)
        *target = unpickler->stack[*first - 1];
    return code;
}

int mp__read_append(struct mp__unpickler *unpickler) {
    int code = mp__unpickler_need(unpickler, 2);
    if (code < 0)
        return code;
    return append(unpickler, unpickler->stack[unpickler->top - 2], unpickler->top - 1);
}

int mp__read_appends(struct mp__unpickler *unpickler) {
    size_t first;
    mp_object *target;
    int code = target_below_mark(unpickler, &first, &target);
    return code < 0 ? code : append(unpickler, target, first);
}

/* Put a new node below the objects that go into it. */
static int insert_node(struct mp__unpickler *unpickler, mp_object *node, size_t first) {
    int code = mp__unpickler_push(unpickler, node);
    if (code < 0)
        return code;
    memmove(unpickler->stack + first + 1, unpickler->stack + first,
            (unpickler->top - 1 - first) * sizeof *unpickler->stack);
    unpickler->stack[first] = node;
    return 0;
}

int mp__read_list(struct mp__unpickler *unpickler) {
    size_t first;
    int code = mp__unpickler_mark(unpickler, &first);
    if (code == 0)
        code = spend_items(unpickler, sizeof(struct mp__list), 0, 0);
    if (code == 0)
        code = insert_node(unpickler, mp_list_new(), first);
    return code < 0 ? code : append_to_list(unpickler, unpickler->stack[first], first + 1);
}

static int make_tuple(struct mp__unpickler *unpickler, size_t first) {
    size_t count = unpickler->top - first;
    int code = spend_items(unpickler, sizeof(struct mp__tuple), count, sizeof(mp_object *));
    if (code < 0)
        return code;
    mp_object *tuple = mp__tuple_alloc(count);
    if (!tuple)
        return -ENOMEM;
    mp_object **items = ((struct mp__tuple *)tuple)->items;
    if (count > 0)
        memcpy(items, unpickler->stack + first, count * sizeof *items);
    unpickler->top = first;
    code = mp__unpickler_push(unpickler, tuple);
    return code < 0 ? code : place_items(unpickler, tuple, items, count);
}

int mp__read_empty_tuple(struct mp__unpickler *unpickler) {
    return make_tuple(unpickler, unpickler->top);
}

int mp__read_tuple(struct mp__unpickler *unpickler) {
    size_t first;
    int code = mp__unpickler_mark(unpickler, &first);
    return code < 0 ? code : make_tuple(unpickler, first);
}

static int read_tuple_of(struct mp__unpickler *unpickler, size_t count) {
    int code = mp__unpickler_need(unpickler, count);
    return code < 0 ? code : make_tuple(unpickler, unpickler->top - count);
}

int mp__read_tuple1(struct mp__unpickler *unpickler) {
    return read_tuple_of(unpickler, 1);
}

int mp__read_tuple2(struct mp__unpickler *unpickler) {
    return read_tuple_of(unpickler, 2);
}

int mp__read_tuple3(struct mp__unpickler *unpickler) {
    return read_tuple_of(unpickler, 3);
}

/* Keys that Python could not hash, or that take too long, are the bytes' fault. */
static int put_key(struct mp__unpickler *unpickler, mp_object *mapping, mp_object *key,
                   mp_object *value) {
    mp__node_place_new(mapping, key);
    if (value && value != mapping)
        mp__node_place_new(mapping, value);
    uint64_t hash = 0;
    int code = mp__object_hash(key, &hash);
    if (code == 0)
        code = mp__table_set(&((struct mp__dict *)mapping)->table, key, hash, value);
    if (code == 0)
        return 0;
    mp_object_free(key);
    mp_object_free(value);
    return code == MP_ETYPE || code == MP_EINVAL
               ? mp__unpickler_refuse(unpickler, "a key that is unhashable, or too hard to hash")
               : code;
}

/* The objects from `first` on go into a dict in pairs, or into a set. */
static int fill_mapping(struct mp__unpickler *unpickler, mp_object *target, size_t first) {
    size_t count = unpickler->top - first;
    size_t stride = target->kind == MP_OBJECT_DICT ? 2 : 1;
    mp_object **items = unpickler->stack + first;
    if (count % stride)
        return mp__unpickler_refuse(unpickler, "a key without a value");
    int code = spend_items(unpickler, 0, count / stride, 2 * sizeof(struct mp__entry));
    if (code == 0)
        code = mp__unpickler_suspect(unpickler, target);
    if (code == 0)
        code = mp__table_reserve(&((struct mp__dict *)target)->table, count / stride);
    for (size_t i = 0; code == 0 && i < count; i += stride) {
        mp_object *key = items[i], *value = stride == 2 ? items[i + 1] : NULL;
        items[i] = mp_none_new(); /* no longer the stack's */
        items[i + stride - 1] = mp_none_new();
        code = put_key(unpickler, target, key, value);
    }
    if (code < 0)
        return code;
    unpickler->top = first;
    return mp__unpickler_changed(unpickler, target);
}

int mp__read_empty_dict(struct mp__unpickler *unpickler) {
    int code = spend_items(unpickler, sizeof(struct mp__dict), 0, 0);
    return code < 0 ? code : push_node(unpickler, mp_dict_new());
}

int mp__read_empty_set(struct mp__unpickler *unpickler) {
    int code = spend_items(unpickler, sizeof(struct mp__dict), 0, 0);
    return code < 0 ? code : push_node(unpickler, mp_set_new());
}

static int set_items(struct mp__unpickler *unpickler, mp_object *target, size_t first) {
    if (mp__is_kind(target, MP_OBJECT_DICT))
        return fill_mapping(unpickler, target, first);
    if (mp__is_kind(target, MP_OBJECT_CALL) && (unpickler->top - first) % 2 == 0)
        return append_to_call(unpickler, target, first, MP_CALL_SET);
    return mp__unpickler_refuse(unpickler, "keys are set in a %s",
                                mp_object_kind_name(mp__kind_of(target)));
}

int mp__read_dict(struct mp__unpickler *unpickler) {
    size_t first;
    int code = mp__unpickler_mark(unpickler, &first);
    if (code == 0)
        code = spend_items(unpickler, sizeof(struct mp__dict), 0, 0);
    if (code == 0)
        code = insert_node(unpickler, mp_dict_new(), first);
    return code < 0 ? code : fill_mapping(unpickler, unpickler->stack[first], first + 1);
}

int mp__read_setitem(struct mp__unpickler *unpickler) {
    int code = mp__unpickler_need(unpickler, 3);
    if (code < 0)
        return code;
    return set_items(unpickler, unpickler->stack[unpickler->top - 3], unpickler->top - 2);
}

int mp__read_setitems(struct mp__unpickler *unpickler) {
    size_t first;
    mp_object *target;
    int code = target_below_mark(unpickler, &first, &target);
    return code < 0 ? code : set_items(unpickler, target, first);
}

int mp__read_additems(struct mp__unpickler *unpickler) {
    size_t first;
    mp_object *target;
    int code = target_below_mark(unpickler, &first, &target);
    if (code < 0)
        return code;
    if (mp__is_kind(target, MP_OBJECT_SET))
        return fill_mapping(unpickler, target, first);
    if (mp__is_kind(target, MP_OBJECT_CALL))
        return append_to_call(unpickler, target, first, MP_CALL_ADD);
    return mp__unpickler_refuse(unpickler, "members are added to a %s",
                                mp_object_kind_name(mp__kind_of(target)));
}

static int make_frozenset(struct mp__unpickler *unpickler, size_t first) {
    int code = spend_items(unpickler, sizeof(struct mp__dict), 0, 0);
    if (code == 0)
        code = insert_node(unpickler, mp_frozenset_new(NULL, 0), first);
    return code < 0 ? code : fill_mapping(unpickler, unpickler->stack[first], first + 1);
}

int mp__read_frozenset(struct mp__unpickler *unpickler) {
    size_t first;
    int code = mp__unpickler_mark(unpickler, &first);
    return code < 0 ? code : make_frozenset(unpickler, first);
}

int mp__read_stack_global(struct mp__unpickler *unpickler) {
    int code = mp__unpickler_need(unpickler, 2);
    if (code == 0)
        code = mp__unpickler_spend(unpickler, sizeof(struct mp__global));
    if (code < 0)
        return code;
    mp_object **names = unpickler->stack + unpickler->top - 2;
    if (!mp__is_kind(names[0], MP_OBJECT_STR) || !mp__is_kind(names[1], MP_OBJECT_STR))
        return mp__unpickler_refuse(unpickler, "a global whose name is no str");
    unpickler->top -= 2;
    return mp__unpickler_push(unpickler, mp__global_new(names[0], names[1]));
}

static bool is_latin1(const mp_object *object) {
    const char *text;
    size_t size;
    return mp__is_kind(object, MP_OBJECT_STR) && mp_str_get(object, &text, &size) == 0 &&
           (strcmp(text, "latin1") == 0 || strcmp(text, "latin-1") == 0);
}

/* The bytes of a latin-1 str. NULL: it holds other characters; or memory is short, in *code. */
static mp_object *encode(const mp_object *str, mp_object_kind kind, int *code) {
    const struct mp__text *text = (const struct mp__text *)str;
    struct mp__buffer bytes = {0};
    const uint8_t *at = (const uint8_t *)text->data, *end = at + text->size;
    *code = mp__buffer_reserve(&bytes, text->size + 1);
    bool is_right = true;
    while (*code == 0 && is_right && at < end) {
        uint32_t character = mp__utf8_next(&at);
        is_right = character < 256;
        bytes.data[bytes.size++] = (uint8_t)character;
    }
    mp_object *object = NULL;
    if (*code == 0 && is_right)
        object = kind == MP_OBJECT_BYTES ? mp_bytes_new(bytes.data, bytes.size)
                                         : mp_bytearray_new(bytes.data, bytes.size);
    if (*code == 0 && is_right && !object)
        *code = -ENOMEM;
    mp__buffer_fini(&bytes);
    return object;
}

/* bytes and bytearray as old protocols write them. NULL: the call is something else. */
static mp_object *convert_bytes(const mp_object *callable, const struct mp__tuple *args,
                                int *code) {
    bool is_array = mp_global_is(callable, "builtins", "bytearray");
    bool is_encode = mp_global_is(callable, "_codecs", "encode");
    mp_object_kind kind = is_array ? MP_OBJECT_BYTEARRAY : MP_OBJECT_BYTES;
    mp_object *object = NULL;
    if (args->count == 0 && is_array)
        object = mp_bytearray_new(NULL, 0);
    else if (args->count == 0 && mp_global_is(callable, "builtins", "bytes"))
        object = mp_bytes_new(NULL, 0);
    else if (args->count == 1 && is_array && mp__is_kind(args->items[0], MP_OBJECT_BYTES))
        object = mp_bytearray_new(((const struct mp__text *)args->items[0])->data,
                                  ((const struct mp__text *)args->items[0])->size);
    else if (args->count == 2 && (is_array || is_encode) && is_latin1(args->items[1]) &&
             mp__is_kind(args->items[0], MP_OBJECT_STR))
        return encode(args->items[0], kind, code);
    else
        return NULL;
    *code = object ? 0 : -ENOMEM;
    return object;
}

static bool is_set_call(const mp_object *callable, const struct mp__tuple *args) {
    return args->count == 1 &&
           (mp__is_kind(args->items[0], MP_OBJECT_LIST) ||
            mp__is_kind(args->items[0], MP_OBJECT_TUPLE)) &&
           (mp_global_is(callable, "builtins", "set") ||
            mp_global_is(callable, "builtins", "frozenset"));
}

/* Push a set of the items of a list or tuple. */
static int push_set(struct mp__unpickler *unpickler, const mp_object *items, bool is_frozen) {
    size_t count = mp__node_slots(items), first = unpickler->top;
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = mp__unpickler_push(unpickler, mp__ref_private(mp__node_slot(items, i)));
    if (code < 0)
        return code;
    if (is_frozen)
        return make_frozenset(unpickler, first);
    code = spend_items(unpickler, sizeof(struct mp__dict), 0, 0);
    if (code == 0)
        code = insert_node(unpickler, mp_set_new(), first);
    return code < 0 ? code : fill_mapping(unpickler, unpickler->stack[first], first + 1);
}

static int push_call(struct mp__unpickler *unpickler, mp_call_form form, mp_object *const *parts) {
    int code = spend_items(unpickler, sizeof(struct mp__call), 0, 0);
    if (code < 0) {
        mp__objects_release(parts, 3);
        return code;
    }
    mp_object *call = mp__call_alloc(form, parts[0], parts[1], parts[2]);
    code = mp__unpickler_push(unpickler, call);
    return code < 0 ? code : mp__unpickler_changed(unpickler, call);
}

int mp__unpickler_call(struct mp__unpickler *unpickler, mp_call_form form, mp_object *callable,
                       mp_object *args, mp_object *kwargs) {
    mp_object *const parts[3] = {callable, args, kwargs};
    const struct mp__tuple *tuple = (const struct mp__tuple *)args;
    mp_object *object = NULL;
    int code = 0;
    bool is_known = form == MP_CALL_REDUCE && mp__is_kind(callable, MP_OBJECT_GLOBAL);
    bool is_set = is_known && is_set_call(callable, tuple);
    if (is_set)
        code =
            push_set(unpickler, tuple->items[0], mp_global_is(callable, "builtins", "frozenset"));
    else if (is_known)
        object = convert_bytes(callable, tuple, &code);
    if (!is_set && !object && code == 0)
        return push_call(unpickler, form, parts);
    mp__objects_release(parts, 3);
    return object ? mp__unpickler_push(unpickler, object) : code;
}

static bool is_callable(const mp_object *object) {
    mp_object_kind kind = mp__kind_of(object);
    return kind == MP_OBJECT_GLOBAL || kind == MP_OBJECT_CALL || kind == MP_OBJECT_EXTENSION ||
           kind == MP_OBJECT_PERSISTENT;
}

static int read_call(struct mp__unpickler *unpickler, mp_call_form form) {
    size_t count = form == MP_CALL_NEWOBJ_EX ? 3 : 2;
    int code = mp__unpickler_need(unpickler, count);
    if (code < 0)
        return code;
    mp_object **parts = unpickler->stack + unpickler->top - count;
    if (!is_callable(parts[0]) || !mp__is_kind(parts[1], MP_OBJECT_TUPLE) ||
        (count == 3 && !mp__is_kind(parts[2], MP_OBJECT_DICT)))
        return mp__unpickler_refuse(unpickler, "a call of what cannot be called so");
    unpickler->top -= count;
    return mp__unpickler_call(unpickler, form, parts[0], parts[1], count == 3 ? parts[2] : NULL);
}

int mp__read_reduce(struct mp__unpickler *unpickler) {
    return read_call(unpickler, MP_CALL_REDUCE);
}

int mp__read_newobj(struct mp__unpickler *unpickler) {
    return read_call(unpickler, MP_CALL_NEWOBJ);
}

int mp__read_newobj_ex(struct mp__unpickler *unpickler) {
    return read_call(unpickler, MP_CALL_NEWOBJ_EX);
}

int mp__read_build(struct mp__unpickler *unpickler) {
    int code = mp__unpickler_need(unpickler, 2);
    if (code < 0)
        return code;
    mp_object *target = unpickler->stack[unpickler->top - 2];
    if (!mp__is_kind(target, MP_OBJECT_CALL))
        return mp__unpickler_refuse(unpickler, "a state for a %s",
                                    mp_object_kind_name(mp__kind_of(target)));
    return append_to_call(unpickler, target, unpickler->top - 1, MP_CALL_BUILD);
}

int mp__read_binpersid(struct mp__unpickler *unpickler) {
    int code = mp__unpickler_need(unpickler, 1);
    if (code == 0)
        code = mp__unpickler_spend(unpickler, sizeof(struct mp__persistent));
    if (code < 0)
        return code;
    mp_object *object = mp__persistent_new(unpickler->stack[--unpickler->top]);
    code = mp__unpickler_push(unpickler, object);
    return code < 0 ? code : mp__unpickler_changed(unpickler, object);
}

/* Objects as Python prints them, without recursion: open collections wait on a stack.
 * SPDX-License-Identifier: MIT */
#include "codec/repr.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "codec/number.h"
#include "codec/object.h"
#include "codec/pointer_map.h"
#include "codec/text.h"

#define SIZE_MAX_BYTES ((size_t)1 << 30)

struct open_node {
    const mp_object *node;
    size_t next;    /* the slot that comes next */
    size_t shown;   /* slots written so far */
    bool is_called; /* the argument tuple of a call */
};

struct printer {
    struct mp__buffer buffer;        /* the text so far */
    size_t limit;                    /* of the text, in bytes */
    mp__call_print_fn print_call;    /* asked for each call; NULL: nobody is */
    struct open_node *stack;         /* from malloc */
    size_t count;                    /* on it */
    size_t capacity;                 /* of it */
    struct mp__pointer_map on_stack; /* 1 for nodes on the stack that may contain themselves */
};

static int put(struct printer *printer, const char *text) {
    return mp__buffer_put_text(&printer->buffer, text);
}

/* How a kind begins, ends, and looks inside itself. */
struct brackets {
    const char *open, *close, *again;
};

static const struct brackets *brackets_of(const mp_object *node) {
    static const struct brackets of_kind[] = {
        [MP_OBJECT_LIST] = {"[", "]", "[...]"},
        [MP_OBJECT_TUPLE] = {"(", ")", "(...)"},
        [MP_OBJECT_DICT] = {"{", "}", "{...}"},
        [MP_OBJECT_SET] = {"{", "}", "set(...)"},
        [MP_OBJECT_FROZENSET] = {"frozenset({", "})", "frozenset(...)"},
        [MP_OBJECT_CALL] = {"", "", "..."},
        [MP_OBJECT_PERSISTENT] = {"<persistent ", ">", "..."},
    };
    static const struct brackets no_set = {"set()", "", ""}, no_frozenset = {"frozenset()", "", ""};
    bool is_empty = mp_object_length(node) == 0;
    if (is_empty && node->kind == MP_OBJECT_SET)
        return &no_set;
    if (is_empty && node->kind == MP_OBJECT_FROZENSET)
        return &no_frozenset;
    return &of_kind[node->kind];
}

static int put_global(struct printer *printer, const mp_object *global) {
    const char *module, *name;
    mp_global_get(global, &module, &name);
    int code = 0;
    if (!mp_global_is(global, "builtins", name)) {
        code = put(printer, module);
        if (code == 0)
            code = put(printer, ".");
    }
    return code < 0 ? code : put(printer, name);
}

static int put_leaf(struct printer *printer, const mp_object *object) {
    struct mp__buffer *buffer = &printer->buffer;
    const struct mp__text *text = (const struct mp__text *)object;
    const struct mp__bytearray *array = (const struct mp__bytearray *)object;
    char number[32];
    int code;
    switch (mp__kind_of(object)) {
    case MP_OBJECT_NONE:
        return put(printer, "None");
    case MP_OBJECT_BOOL:
        return put(printer, mp_object_is_true(object) ? "True" : "False");
    case MP_OBJECT_INT:
        return mp__integer_write(buffer, object);
    case MP_OBJECT_FLOAT:
        return mp__double_write(buffer, ((const struct mp__float *)object)->value);
    case MP_OBJECT_STR:
        return mp__quote_str(buffer, text->data, text->size);
    case MP_OBJECT_BYTES:
        return mp__quote_bytes(buffer, text->data, text->size);
    case MP_OBJECT_BYTEARRAY:
        code = put(printer, "bytearray(");
        if (code == 0)
            code = mp__quote_bytes(buffer, array->data, array->size);
        return code < 0 ? code : put(printer, ")");
    default:
        snprintf(number, sizeof number, "<extension %d>", (int)mp_extension_get(object));
        return put(printer, number);
    }
}

static int note_open(struct printer *printer, const mp_object *node) {
    if (!(mp__flags(node) & MP__FLAG_CYCLIC))
        return 0;
    size_t *is_open;
    int code = mp__pointer_map_put(&printer->on_stack, node, &is_open);
    if (code >= 0 && *is_open)
        return 1;
    if (code >= 0)
        *is_open = 1;
    return code < 0 ? code : 0;
}

static int open_node(struct printer *printer, const mp_object *node, bool is_called) {
    int code = note_open(printer, node);
    if (code != 0)
        return code < 0 ? code : put(printer, brackets_of(node)->again);
    if (printer->count == printer->capacity) {
        size_t capacity = printer->capacity * 2 + 16;
        void *stack = realloc(printer->stack, capacity * sizeof *printer->stack);
        if (!stack)
            return mp__fail(-ENOMEM, "printing objects in objects");
        printer->stack = stack;
        printer->capacity = capacity;
    }
    printer->stack[printer->count++] = (struct open_node){node, 0, 0, is_called};
    return put(printer, brackets_of(node)->open);
}

static int show(struct printer *printer, const mp_object *object, bool is_called) {
    if (!mp__is_node(object))
        return put_leaf(printer, object);
    int code = object->kind == MP_OBJECT_CALL && printer->print_call
                   ? printer->print_call(&printer->buffer, object)
                   : 0;
    if (code != 0)
        return code < 0 ? code : 0;
    if (object->kind != MP_OBJECT_GLOBAL)
        return open_node(printer, object, is_called);
    code = put(printer, "<global ");
    if (code == 0)
        code = put_global(printer, object);
    return code < 0 ? code : put(printer, ">");
}

static int close_node(struct printer *printer) {
    struct open_node *top = &printer->stack[--printer->count];
    if (mp__flags(top->node) & MP__FLAG_CYCLIC)
        *mp__pointer_map_find(&printer->on_stack, top->node) = 0;
    if (top->node->kind == MP_OBJECT_TUPLE && top->shown == 1 && !top->is_called) {
        int code = put(printer, ",");
        if (code < 0)
            return code;
    }
    return put(printer, brackets_of(top->node)->close);
}

/* A call shows as its callable and its arguments; what is done to it later does not. */
static int step_call(struct printer *printer, struct open_node *top) {
    const mp_object *part = mp__node_slot(top->node, top->next++);
    if (top->next > 2)
        return close_node(printer);
    if (top->next == 1)
        return mp__is_kind(part, MP_OBJECT_GLOBAL) ? put_global(printer, part)
                                                   : show(printer, part, false);
    return show(printer, part, true);
}

static int step(struct printer *printer) {
    struct open_node *top = &printer->stack[printer->count - 1];
    if (top->node->kind == MP_OBJECT_CALL)
        return step_call(printer, top);
    const mp_object *slot = NULL;
    size_t count = mp__node_slots(top->node);
    while (!slot && top->next < count)
        slot = mp__node_slot(top->node, top->next++);
    if (!slot)
        return close_node(printer);
    bool is_value = top->node->kind == MP_OBJECT_DICT && top->next % 2 == 0;
    int code = top->shown++ > 0 ? put(printer, is_value ? ": " : ", ") : 0;
    if (code == 0 && printer->buffer.size > printer->limit)
        code = mp__fail(MP_EINVAL, "mp_object_repr: the text would be longer than %zu bytes",
                        printer->limit);
    return code < 0 ? code : show(printer, slot, false);
}

int mp__object_print(struct mp__buffer *buffer, const mp_object *object, size_t limit,
                     mp__call_print_fn print_call) {
    struct printer printer = {.buffer = *buffer, .limit = limit, .print_call = print_call};
    int code = show(&printer, object, false);
    while (code == 0 && printer.count > 0)
        code = step(&printer);
    free(printer.stack);
    mp__pointer_map_fini(&printer.on_stack);
    *buffer = printer.buffer;
    return code;
}

int mp_object_repr(const mp_object *object, char **out, size_t *size) {
    if (!object || !out)
        return mp__fail(MP_EINVAL, "mp_object_repr: an argument is NULL");
    struct mp__buffer buffer = {0};
    int code = mp__object_print(&buffer, object, SIZE_MAX_BYTES, NULL);
    if (code == 0)
        code = mp__buffer_put_byte(&buffer, 0);
    if (code < 0) {
        mp__buffer_fini(&buffer);
        return code;
    }
    *out = (char *)buffer.data;
    if (size)
        *size = buffer.size - 1;
    return 0;
}

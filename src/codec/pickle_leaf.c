/* Writing pickles: frames, memo, and objects that hold no others.
 * SPDX-License-Identifier: MIT */
#include <errno.h>

#include "base/fail.h"
#include "codec/compat.h"
#include "codec/number.h"
#include "codec/pickler.h"
#include "codec/text.h"

int mp__pickler_open_frame(struct mp__pickler *pickler) {
    int code = mp__buffer_reserve(pickler->out, MP__FRAME_HEAD);
    if (code < 0)
        return code;
    pickler->has_frame = true;
    pickler->frame = pickler->out->size;
    pickler->out->size += MP__FRAME_HEAD;
    return 0;
}

void mp__pickler_close_frame(struct mp__pickler *pickler) {
    if (!pickler->has_frame)
        return;
    pickler->has_frame = false;
    uint8_t *head = pickler->out->data + pickler->frame;
    size_t size = pickler->out->size - pickler->frame - MP__FRAME_HEAD;
    if (size >= MP__FRAME_MIN) {
        head[0] = OP_FRAME;
        mp__write_number(head + 1, size, 8);
        return;
    }
    memmove(head, head + MP__FRAME_HEAD, size);
    pickler->out->size -= MP__FRAME_HEAD;
}

int mp__pickler_long(struct mp__pickler *pickler, const uint8_t *head, size_t head_size,
                     const void *data, size_t size) {
    bool was_framing = pickler->is_framing;
    if (size >= MP__FRAME_TARGET) {
        mp__pickler_close_frame(pickler);
        pickler->is_framing = false;
    }
    int code = size < PTRDIFF_MAX - 64 ? mp__pickler_room(pickler, head_size + size) : -ENOMEM;
    pickler->is_framing = was_framing;
    if (code < 0)
        return code;
    mp__buffer_put(pickler->out, head, head_size);
    return mp__buffer_put(pickler->out, data, size);
}

static int put_numbered(struct mp__pickler *pickler, enum mp__opcode small, enum mp__opcode large,
                        size_t number) {
    int code = mp__pickler_room(pickler, 5);
    if (code < 0)
        return code;
    if (number > UINT32_MAX)
        return mp__fail(MP_EINVAL, "mp_object_dumps: more than 2^32 objects");
    uint8_t *at = pickler->out->data + pickler->out->size;
    unsigned size = number < 256 ? 1 : 4;
    at[0] = (uint8_t)(number < 256 ? small : large);
    mp__write_number(at + 1, number, size);
    pickler->out->size += 1 + size;
    return 0;
}

int mp__pickler_get(struct mp__pickler *pickler, size_t number) {
    return put_numbered(pickler, OP_BINGET, OP_LONG_BINGET, number);
}

/* Every object gets a number, as Python gives it; only what can be met again is kept in the
 * memo. */
int mp__pickler_memoize(struct mp__pickler *pickler, const mp_object *object) {
    size_t number = pickler->memo_count++, *place;
    if (object && !mp__comes_once(pickler, object)) {
        int code = mp__pointer_map_put(&pickler->memo, object, &place);
        if (code < 0)
            return code;
        *place = number;
    }
    if (pickler->protocol >= 4)
        return mp__pickler_op(pickler, OP_MEMOIZE);
    return put_numbered(pickler, OP_BINPUT, OP_LONG_BINPUT, number);
}

/* An instruction with a length of 1, 4 or 8 bytes; 0: there is none of 1 or 8. */
static int put_sized(struct mp__pickler *pickler, const int opcodes[3], const void *data,
                     size_t size) {
    uint8_t head[9];
    unsigned which = size < 256 && opcodes[0] ? 0 : size <= UINT32_MAX && opcodes[1] ? 1 : 2;
    static const unsigned widths[3] = {1, 4, 8};
    if (!opcodes[which])
        return mp__fail(MP_EINVAL, "mp_object_dumps: %zu bytes in one object need protocol 4",
                        size);
    head[0] = (uint8_t)opcodes[which];
    mp__write_number(head + 1, size, widths[which]);
    return mp__pickler_long(pickler, head, 1 + widths[which], data, size);
}

int mp__pickler_str(struct mp__pickler *pickler, const mp_object *object, const char *text,
                    size_t size) {
    static const int old[3] = {0, OP_BINUNICODE, 0};
    static const int all[3] = {OP_SHORT_BINUNICODE, OP_BINUNICODE, OP_BINUNICODE8};
    int code = put_sized(pickler, pickler->protocol >= 4 ? all : old, text, size);
    return code < 0 ? code : mp__pickler_memoize(pickler, object);
}

static int put_constant(struct mp__pickler *pickler, const char *text, size_t *number) {
    if (*number)
        return mp__pickler_get(pickler, *number - 1);
    *number = pickler->memo_count + 1;
    return mp__pickler_str(pickler, NULL, text, strlen(text));
}

static int finish_reduce(struct mp__pickler *pickler, enum mp__opcode tuple,
                         const mp_object *object) {
    int code = mp__pickler_op(pickler, tuple);
    if (code == 0 && tuple != OP_EMPTY_TUPLE)
        code = mp__pickler_memoize(pickler, NULL);
    if (code == 0)
        code = mp__pickler_op(pickler, OP_REDUCE);
    return code < 0 ? code : mp__pickler_memoize(pickler, object);
}

/* Protocol 2 has no bytes: they are written as a latin-1 str to be encoded. */
static int put_encoded(struct mp__pickler *pickler, const mp_object *object, const uint8_t *data,
                       size_t size) {
    int code = mp__pickler_native(pickler, size > 0 ? NATIVE_ENCODE : NATIVE_BYTES);
    if (code < 0)
        return code;
    if (size == 0)
        return finish_reduce(pickler, OP_EMPTY_TUPLE, object);
    struct mp__buffer text = {0};
    if (size > PTRDIFF_MAX / 2 || mp__buffer_reserve(&text, 2 * size) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < size; i++)
        text.size += mp__utf8_write(data[i], text.data + text.size);
    code = mp__pickler_str(pickler, NULL, (char *)text.data, text.size);
    mp__buffer_fini(&text);
    if (code == 0)
        code = put_constant(pickler, "latin1", &pickler->latin1);
    return code < 0 ? code : finish_reduce(pickler, OP_TUPLE2, object);
}

int mp__pickler_bytes(struct mp__pickler *pickler, const mp_object *object, const void *data,
                      size_t size) {
    static const int old[3] = {OP_SHORT_BINBYTES, OP_BINBYTES, 0};
    static const int all[3] = {OP_SHORT_BINBYTES, OP_BINBYTES, OP_BINBYTES8};
    if (pickler->protocol < 3)
        return put_encoded(pickler, object, data, size);
    int code = put_sized(pickler, pickler->protocol >= 4 ? all : old, data, size);
    return code < 0 ? code : mp__pickler_memoize(pickler, object);
}

int mp__pickler_bytearray(struct mp__pickler *pickler, const mp_object *object) {
    static const int only[3] = {0, 0, OP_BYTEARRAY8};
    const struct mp__bytearray *array = (const struct mp__bytearray *)object;
    int code;
    if (pickler->protocol >= 5) {
        code = put_sized(pickler, only, array->data, array->size);
        return code < 0 ? code : mp__pickler_memoize(pickler, object);
    }
    code = mp__pickler_native(pickler, NATIVE_BYTEARRAY);
    mp__pickler_boundary(pickler); /* its arguments are an object, too */
    if (code == 0 && array->size > 0)
        code = mp__pickler_bytes(pickler, NULL, array->data, array->size);
    return code < 0 ? code
                    : finish_reduce(pickler, array->size > 0 ? OP_TUPLE1 : OP_EMPTY_TUPLE, object);
}

static int put_large_integer(struct mp__pickler *pickler, const mp_object *object) {
    static const unsigned widths[2] = {1, 4};
    uint8_t head[5];
    struct mp__digits digits;
    mp__integer_look(object, &digits);
    unsigned which = digits.size >= 256;
    if (digits.size > INT32_MAX)
        return mp__fail(MP_EINVAL, "mp_object_dumps: an int of %zu bytes", digits.size);
    head[0] = which ? OP_LONG4 : OP_LONG1;
    mp__write_number(head + 1, digits.size, widths[which]);
    int code = mp__pickler_room(pickler, 5 + digits.size);
    if (code < 0)
        return code;
    mp__buffer_put(pickler->out, head, 1 + widths[which]);
    return mp__buffer_put(pickler->out, digits.bytes, digits.size);
}

int mp__pickler_integer(struct mp__pickler *pickler, const mp_object *object) {
    if (!mp__is_small(object) || mp__small_value(object) > INT32_MAX ||
        mp__small_value(object) < INT32_MIN)
        return put_large_integer(pickler, object);
    int code = mp__pickler_room(pickler, 8);
    if (code < 0)
        return code;
    uint8_t *at = pickler->out->data + pickler->out->size;
    uint32_t value = (uint32_t)mp__small_value(object);
    unsigned size = value < 256 ? 1 : value < 65536 ? 2 : 4;
    at[0] = size == 1 ? OP_BININT1 : size == 2 ? OP_BININT2 : OP_BININT;
    at[1] = (uint8_t)value;
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)(value >> 16);
    at[4] = (uint8_t)(value >> 24);
    pickler->out->size += 1 + size;
    return 0;
}

/* Two lines, as protocols below 4 name a global. */
static int put_lines(struct mp__pickler *pickler, const char *module, size_t module_size,
                     const char *name, size_t name_size) {
    if (memchr(module, '\n', module_size) || memchr(name, '\n', name_size))
        return mp__fail(MP_EINVAL, "mp_object_dumps: a name with a line end needs protocol 4");
    if (pickler->protocol < 3)
        mp__compat_to_old(&module, &module_size, &name, &name_size);
    int code = mp__pickler_room(pickler, module_size + name_size + 3);
    if (code < 0)
        return code;
    mp__buffer_put_byte(pickler->out, OP_GLOBAL);
    mp__buffer_put(pickler->out, module, module_size);
    mp__buffer_put_byte(pickler->out, '\n');
    mp__buffer_put(pickler->out, name, name_size);
    return mp__buffer_put_byte(pickler->out, '\n');
}

int mp__pickler_native(struct mp__pickler *pickler, enum mp__native native) {
    static const struct {
        const char *module, *name;
    } names[NATIVE_COUNT] = {{"builtins", "set"},       {"builtins", "frozenset"},
                             {"builtins", "bytearray"}, {"builtins", "bytes"},
                             {"_codecs", "encode"},     {"copyreg", "__newobj_ex__"}};
    const char *module = names[native].module, *name = names[native].name;
    if (pickler->natives[native])
        return mp__pickler_get(pickler, pickler->natives[native] - 1);
    int code;
    if (pickler->protocol < 4) {
        code = put_lines(pickler, module, strlen(module), name, strlen(name));
    } else {
        code = put_constant(pickler, module, &pickler->builtins);
        mp__pickler_boundary(pickler);
        if (code == 0)
            code = mp__pickler_str(pickler, NULL, name, strlen(name));
        if (code == 0)
            code = mp__pickler_op(pickler, OP_STACK_GLOBAL);
    }
    pickler->natives[native] = pickler->memo_count + 1;
    return code < 0 ? code : mp__pickler_memoize(pickler, NULL);
}

static int put_name(struct mp__pickler *pickler, const mp_object *str) {
    const struct mp__text *text = (const struct mp__text *)str;
    size_t *number = mp__pointer_map_find(&pickler->memo, str);
    if (number)
        return mp__pickler_get(pickler, *number);
    mp__pickler_boundary(pickler);
    return mp__pickler_str(pickler, str, text->data, text->size);
}

/* Python has "builtins" once for all modules' names, so it is numbered once here too. */
int mp__pickler_global(struct mp__pickler *pickler, const mp_object *object) {
    mp_object *const *names = ((const struct mp__global *)object)->names;
    const struct mp__text *module = (const struct mp__text *)names[0];
    const struct mp__text *name = (const struct mp__text *)names[1];
    int code;
    if (pickler->protocol < 4) {
        code = put_lines(pickler, module->data, module->size, name->data, name->size);
        return code < 0 ? code : mp__pickler_memoize(pickler, object);
    }
    bool is_builtins = module->size == 8 && memcmp(module->data, "builtins", 8) == 0;
    bool is_known = mp__pointer_map_find(&pickler->memo, names[0]) != NULL;
    if (is_builtins && !is_known && pickler->builtins) {
        code = mp__pickler_get(pickler, pickler->builtins - 1);
    } else {
        if (is_builtins && !is_known)
            pickler->builtins = pickler->memo_count + 1;
        code = put_name(pickler, names[0]);
    }
    if (code == 0)
        code = put_name(pickler, names[1]);
    if (code == 0)
        code = mp__pickler_op(pickler, OP_STACK_GLOBAL);
    return code < 0 ? code : mp__pickler_memoize(pickler, object);
}

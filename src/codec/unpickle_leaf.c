/* Reading pickles: numbers, texts, the memo, and the table of all instructions.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "base/fail.h"
#include "codec/instructions.h"
#include "codec/symbol.h"

/* A number of `size` bytes, lowest first. */
static inline int read_number(struct mp__unpickler *unpickler, unsigned size, uint64_t *out) {
    const uint8_t *bytes = mp__unpickler_take(unpickler, size);
    *out = 0;
    if (__builtin_expect(!bytes, 0))
        return mp__unpickler_end(unpickler);
    for (unsigned i = 0; i < size; i++)
        *out |= (uint64_t)bytes[i] << 8 * i;
    return 0;
}

/* A length of `width` bytes and so many bytes. */
static int read_sized(struct mp__unpickler *unpickler, unsigned width, const uint8_t **bytes,
                      size_t *size) {
    uint64_t length;
    int code = read_number(unpickler, width, &length);
    if (code < 0)
        return code;
    if (length > PTRDIFF_MAX)
        return mp__unpickler_refuse(unpickler, "a length of %llu", (unsigned long long)length);
    *size = (size_t)length;
    *bytes = mp__unpickler_take(unpickler, *size);
    return *bytes ? 0 : mp__unpickler_end(unpickler);
}

static int read_proto(struct mp__unpickler *unpickler) {
    uint64_t protocol;
    int code = read_number(unpickler, 1, &protocol);
    if (code == 0 && protocol > MP_PICKLE_HIGHEST)
        code = mp__unpickler_refuse(unpickler, "protocol %d is newer than %d", (int)protocol,
                                    MP_PICKLE_HIGHEST);
    if (code == 0)
        unpickler->protocol = (int)protocol;
    return code;
}

static int read_frame(struct mp__unpickler *unpickler) {
    uint64_t size;
    int code = read_number(unpickler, 8, &size);
    if (code < 0)
        return code;
    if (size > PTRDIFF_MAX)
        return mp__unpickler_refuse(unpickler, "a frame of %llu bytes", (unsigned long long)size);
    return size > (size_t)(unpickler->end - unpickler->at) ? mp__unpickler_end(unpickler) : 0;
}

static int read_stop(struct mp__unpickler *unpickler) {
    int code = mp__unpickler_need(unpickler, 1);
    return code < 0 ? code : MP__STOPPED;
}

static int read_pop_mark(struct mp__unpickler *unpickler) {
    size_t first;
    int code = mp__unpickler_mark(unpickler, &first);
    if (code < 0)
        return code;
    mp__objects_release(unpickler->stack + first, unpickler->top - first);
    unpickler->top = first;
    return 0;
}

static int read_none(struct mp__unpickler *unpickler) {
    return mp__unpickler_push(unpickler, mp_none_new());
}

static int read_true(struct mp__unpickler *unpickler) {
    return mp__unpickler_push(unpickler, mp_bool_new(true));
}

static int read_false(struct mp__unpickler *unpickler) {
    return mp__unpickler_push(unpickler, mp_bool_new(false));
}

static int read_binint(struct mp__unpickler *unpickler) {
    uint64_t value;
    int code = read_number(unpickler, 4, &value);
    return code < 0 ? code : mp__unpickler_push(unpickler, mp__integer_of((int32_t)value));
}

static int read_binint1(struct mp__unpickler *unpickler) {
    uint64_t value;
    int code = read_number(unpickler, 1, &value);
    return code < 0 ? code : mp__unpickler_push(unpickler, mp__small((intptr_t)value));
}

static int read_binint2(struct mp__unpickler *unpickler) {
    uint64_t value;
    int code = read_number(unpickler, 2, &value);
    return code < 0 ? code : mp__unpickler_push(unpickler, mp__small((intptr_t)value));
}

static int read_long(struct mp__unpickler *unpickler, unsigned width) {
    const uint8_t *bytes;
    size_t size;
    int code = read_sized(unpickler, width, &bytes, &size);
    if (code == 0 && size > INT32_MAX)
        code = mp__unpickler_refuse(unpickler, "an int of %zu bytes", size);
    if (code == 0 && size > unpickler->limits.length)
        code = mp__unpickler_refuse(unpickler, "an int is longer than the limit of %zu",
                                    unpickler->limits.length);
    if (code == 0)
        code = mp__unpickler_spend(unpickler, sizeof(struct mp__integer) + size);
    return code < 0 ? code : mp__unpickler_push(unpickler, mp_integer_new_bytes(bytes, size));
}

static int read_long1(struct mp__unpickler *unpickler) {
    return read_long(unpickler, 1);
}

static int read_long4(struct mp__unpickler *unpickler) {
    return read_long(unpickler, 4);
}

static int read_binfloat(struct mp__unpickler *unpickler) {
    const uint8_t *bytes = mp__unpickler_take(unpickler, 8);
    if (!bytes)
        return mp__unpickler_end(unpickler);
    uint64_t bits = 0;
    double value;
    for (unsigned i = 0; i < 8; i++)
        bits = bits << 8 | bytes[i];
    memcpy(&value, &bits, 8);
    int code = mp__unpickler_spend(unpickler, sizeof(struct mp__float));
    return code < 0 ? code : mp__unpickler_push(unpickler, mp_float_new(value));
}

static int read_text(struct mp__unpickler *unpickler, unsigned width, mp_object_kind kind) {
    const uint8_t *bytes;
    size_t size;
    mp_object *object;
    int code = read_sized(unpickler, width, &bytes, &size);
    if (code == 0)
        code = kind == MP_OBJECT_STR ? mp__unpickler_str(unpickler, bytes, size, &object)
                                     : mp__unpickler_text(unpickler, kind, bytes, size, &object);
    return code < 0 ? code : mp__unpickler_push(unpickler, object);
}

/* Python 2's str: Python 3 takes it for ASCII. */
static int read_old_string(struct mp__unpickler *unpickler, unsigned width) {
    const uint8_t *bytes;
    size_t size;
    mp_object *object;
    int code = read_sized(unpickler, width, &bytes, &size);
    for (size_t i = 0; code == 0 && i < size; i++)
        if (bytes[i] > 0x7f)
            code = mp__unpickler_refuse(unpickler, "a string that is not ASCII");
    if (code == 0)
        code = mp__unpickler_text(unpickler, MP_OBJECT_STR, bytes, size, &object);
    return code < 0 ? code : mp__unpickler_push(unpickler, object);
}

static int read_binstring(struct mp__unpickler *unpickler) {
    return read_old_string(unpickler, 4);
}

static int read_short_binstring(struct mp__unpickler *unpickler) {
    return read_old_string(unpickler, 1);
}

static int read_short_binunicode(struct mp__unpickler *unpickler) {
    return read_text(unpickler, 1, MP_OBJECT_STR);
}

static int read_binunicode(struct mp__unpickler *unpickler) {
    return read_text(unpickler, 4, MP_OBJECT_STR);
}

static int read_binunicode8(struct mp__unpickler *unpickler) {
    return read_text(unpickler, 8, MP_OBJECT_STR);
}

static int read_short_binbytes(struct mp__unpickler *unpickler) {
    return read_text(unpickler, 1, MP_OBJECT_BYTES);
}

static int read_binbytes(struct mp__unpickler *unpickler) {
    return read_text(unpickler, 4, MP_OBJECT_BYTES);
}

static int read_binbytes8(struct mp__unpickler *unpickler) {
    return read_text(unpickler, 8, MP_OBJECT_BYTES);
}

static int read_bytearray8(struct mp__unpickler *unpickler) {
    const uint8_t *bytes;
    size_t size;
    int code = read_sized(unpickler, 8, &bytes, &size);
    if (code == 0 && size > unpickler->limits.length)
        code = mp__unpickler_refuse(unpickler, "a bytearray is longer than the limit of %zu",
                                    unpickler->limits.length);
    if (code == 0)
        code = mp__unpickler_spend(unpickler, sizeof(struct mp__bytearray) + 16 + size);
    return code < 0 ? code : mp__unpickler_push(unpickler, mp_bytearray_new(bytes, size));
}

static int read_buffer(struct mp__unpickler *unpickler) {
    return mp__unpickler_refuse(unpickler, "out-of-band buffers are not taken");
}

static int read_memoize(struct mp__unpickler *unpickler) {
    return mp__unpickler_store(unpickler, unpickler->memo_count);
}

static int read_put(struct mp__unpickler *unpickler, unsigned width) {
    uint64_t number;
    int code = read_number(unpickler, width, &number);
    return code < 0 ? code : mp__unpickler_store(unpickler, (size_t)number);
}

static int read_binput(struct mp__unpickler *unpickler) {
    return read_put(unpickler, 1);
}

static int read_long_binput(struct mp__unpickler *unpickler) {
    return read_put(unpickler, 4);
}

static int read_get(struct mp__unpickler *unpickler, unsigned width) {
    uint64_t number;
    int code = read_number(unpickler, width, &number);
    return code < 0 ? code : mp__unpickler_fetch(unpickler, (size_t)number);
}

static int read_binget(struct mp__unpickler *unpickler) {
    return read_get(unpickler, 1);
}

static int read_long_binget(struct mp__unpickler *unpickler) {
    return read_get(unpickler, 4);
}

static int read_extension(struct mp__unpickler *unpickler, unsigned width) {
    uint64_t number;
    int code = read_number(unpickler, width, &number);
    if (code == 0 && (number == 0 || number > INT32_MAX))
        code = mp__unpickler_refuse(unpickler, "%llu is no extension's number",
                                    (unsigned long long)number);
    if (code == 0)
        code = mp__unpickler_spend(unpickler, sizeof(struct mp__extension));
    return code < 0 ? code : mp__unpickler_push(unpickler, mp__extension_new((int32_t)number));
}

static int read_ext1(struct mp__unpickler *unpickler) {
    return read_extension(unpickler, 1);
}

static int read_ext2(struct mp__unpickler *unpickler) {
    return read_extension(unpickler, 2);
}

static int read_ext4(struct mp__unpickler *unpickler) {
    return read_extension(unpickler, 4);
}

const mp__reader_fn mp__readers[256] = {
    [OP_PROTO] = read_proto,
    [OP_FRAME] = read_frame,
    [OP_STOP] = read_stop,
    [OP_MARK] = mp__unpickler_push_mark,
    [OP_POP] = mp__unpickler_pop,
    [OP_POP_MARK] = read_pop_mark,
    [OP_DUP] = mp__unpickler_dup,
    [OP_NONE] = read_none,
    [OP_NEWTRUE] = read_true,
    [OP_NEWFALSE] = read_false,
    [OP_INT] = mp__read_int,
    [OP_BININT] = read_binint,
    [OP_BININT1] = read_binint1,
    [OP_BININT2] = read_binint2,
    [OP_LONG] = mp__read_long,
    [OP_LONG1] = read_long1,
    [OP_LONG4] = read_long4,
    [OP_FLOAT] = mp__read_float,
    [OP_BINFLOAT] = read_binfloat,
    [OP_STRING] = mp__read_string,
    [OP_BINSTRING] = read_binstring,
    [OP_SHORT_BINSTRING] = read_short_binstring,
    [OP_UNICODE] = mp__read_unicode,
    [OP_SHORT_BINUNICODE] = read_short_binunicode,
    [OP_BINUNICODE] = read_binunicode,
    [OP_BINUNICODE8] = read_binunicode8,
    [OP_SHORT_BINBYTES] = read_short_binbytes,
    [OP_BINBYTES] = read_binbytes,
    [OP_BINBYTES8] = read_binbytes8,
    [OP_BYTEARRAY8] = read_bytearray8,
    [OP_NEXT_BUFFER] = read_buffer,
    [OP_READONLY_BUFFER] = read_buffer,
    [OP_EMPTY_LIST] = mp__read_empty_list,
    [OP_LIST] = mp__read_list,
    [OP_APPEND] = mp__read_append,
    [OP_APPENDS] = mp__read_appends,
    [OP_EMPTY_TUPLE] = mp__read_empty_tuple,
    [OP_TUPLE] = mp__read_tuple,
    [OP_TUPLE1] = mp__read_tuple1,
    [OP_TUPLE2] = mp__read_tuple2,
    [OP_TUPLE3] = mp__read_tuple3,
    [OP_EMPTY_DICT] = mp__read_empty_dict,
    [OP_DICT] = mp__read_dict,
    [OP_SETITEM] = mp__read_setitem,
    [OP_SETITEMS] = mp__read_setitems,
    [OP_EMPTY_SET] = mp__read_empty_set,
    [OP_ADDITEMS] = mp__read_additems,
    [OP_FROZENSET] = mp__read_frozenset,
    [OP_MEMOIZE] = read_memoize,
    [OP_PUT] = mp__read_put,
    [OP_BINPUT] = read_binput,
    [OP_LONG_BINPUT] = read_long_binput,
    [OP_GET] = mp__read_get,
    [OP_BINGET] = read_binget,
    [OP_LONG_BINGET] = read_long_binget,
    [OP_GLOBAL] = mp__read_global,
    [OP_STACK_GLOBAL] = mp__read_stack_global,
    [OP_REDUCE] = mp__read_reduce,
    [OP_NEWOBJ] = mp__read_newobj,
    [OP_NEWOBJ_EX] = mp__read_newobj_ex,
    [OP_BUILD] = mp__read_build,
    [OP_INST] = mp__read_inst,
    [OP_OBJ] = mp__read_obj,
    [OP_PERSID] = mp__read_persid,
    [OP_BINPERSID] = mp__read_binpersid,
    [OP_EXT1] = read_ext1,
    [OP_EXT2] = read_ext2,
    [OP_EXT4] = read_ext4,
};

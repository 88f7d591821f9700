/* Ints of any size: bytes, C integers, doubles, equality.
 * SPDX-License-Identifier: MIT */
#include "codec/number.h"

#include <errno.h>
#include <math.h>

#include "base/fail.h"

struct mp__bool {
    struct mp_object head;
    bool value;
};

static struct mp_object none = {MP__IMMORTAL, MP_OBJECT_NONE, 0, 0};
static struct mp__bool bools[2] = {{{MP__IMMORTAL, MP_OBJECT_BOOL, 0, 0}, false},
                                   {{MP__IMMORTAL, MP_OBJECT_BOOL, 0, 0}, true}};

mp_object *mp_none_new(void) {
    return &none;
}

mp_object *mp_bool_new(bool value) {
    return &bools[value].head;
}

mp_object *mp_float_new(double value) {
    struct mp__float *number = mp__object_alloc(MP_OBJECT_FLOAT, sizeof *number);
    if (!number)
        return NULL;
    number->value = value;
    return &number->head;
}

size_t mp__twos_size(const uint8_t *bytes, size_t size) {
    while (size > 0) {
        uint8_t fill = size > 1 && (bytes[size - 2] & 0x80) ? 0xff : 0;
        if (bytes[size - 1] != fill)
            break;
        size--;
    }
    return size;
}

/* `size` bytes, 8 at most, as a number. */
static int64_t read_twos(const uint8_t *bytes, size_t size) {
    uint64_t value = size > 0 && (bytes[size - 1] & 0x80) ? UINT64_MAX : 0;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return (int64_t)value;
}

mp_object *mp_integer_new_bytes(const void *data, size_t size) {
    if (!data && size > 0) {
        mp__fail(MP_EINVAL, "mp_integer_new_bytes: data is NULL, but size is %zu", size);
        return NULL;
    }
    size = mp__twos_size(data, size);
    if (size <= 8) {
        int64_t value = read_twos(data, size);
        if (value >= MP__SMALL_MIN && value <= MP__SMALL_MAX)
            return mp__small((intptr_t)value);
    }
    struct mp__integer *integer = mp__object_alloc(MP_OBJECT_INT, sizeof *integer + size);
    if (!integer)
        return NULL;
    integer->size = size;
    memcpy(integer->bytes, data, size);
    return &integer->head;
}

static void write_twos(uint64_t value, uint8_t *bytes) {
    for (unsigned i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

mp_object *mp_integer_new(int64_t value) {
    if (value >= MP__SMALL_MIN && value <= MP__SMALL_MAX)
        return mp__small((intptr_t)value);
    uint8_t bytes[8];
    write_twos((uint64_t)value, bytes);
    return mp_integer_new_bytes(bytes, sizeof bytes);
}

mp_object *mp_integer_new_unsigned(uint64_t value) {
    uint8_t bytes[9] = {0};
    write_twos(value, bytes);
    return mp_integer_new_bytes(bytes, sizeof bytes);
}

bool mp__integer_small(const mp_object *object, int64_t *value) {
    if (mp__is_small(object))
        *value = mp__small_value(object);
    else if (object->kind == MP_OBJECT_BOOL)
        *value = ((const struct mp__bool *)object)->value;
    else
        return false;
    return true;
}

void mp__integer_look(const mp_object *integer, struct mp__digits *out) {
    int64_t value;
    if (mp__integer_small(integer, &value)) {
        write_twos((uint64_t)value, out->scratch);
        out->bytes = out->scratch;
        out->size = mp__twos_size(out->scratch, 8);
        return;
    }
    const struct mp__integer *large = (const struct mp__integer *)integer;
    out->bytes = large->bytes;
    out->size = large->size;
}

static bool is_integer(const mp_object *object) {
    return mp__is_kind(object, MP_OBJECT_INT) || mp__is_kind(object, MP_OBJECT_BOOL);
}

static int expect_integer(const mp_object *object, const void *out, const char *function) {
    if (!object || !out)
        return mp__fail(MP_EINVAL, "%s: an argument is NULL", function);
    if (!is_integer(object))
        return mp__fail(MP_ETYPE, "%s: expected int, got %s", function,
                        mp_object_kind_name(mp__kind_of(object)));
    return 0;
}

int mp_bool_get(const mp_object *object, bool *out) {
    if (!object || !out)
        return mp__fail(MP_EINVAL, "mp_bool_get: an argument is NULL");
    if (mp__kind_of(object) != MP_OBJECT_BOOL)
        return mp__fail(MP_ETYPE, "mp_bool_get: expected bool, got %s",
                        mp_object_kind_name(mp__kind_of(object)));
    *out = ((const struct mp__bool *)object)->value;
    return 0;
}

int mp_integer_get(const mp_object *object, int64_t *out) {
    int code = expect_integer(object, out, "mp_integer_get");
    if (code < 0)
        return code;
    struct mp__digits digits;
    mp__integer_look(object, &digits);
    if (digits.size > 8)
        return mp__fail(MP_EINVAL, "mp_integer_get: the int takes %zu bytes, more than 8",
                        digits.size);
    *out = read_twos(digits.bytes, digits.size);
    return 0;
}

int mp_integer_get_unsigned(const mp_object *object, uint64_t *out) {
    int code = expect_integer(object, out, "mp_integer_get_unsigned");
    if (code < 0)
        return code;
    struct mp__digits digits;
    mp__integer_look(object, &digits);
    if (digits.size > 0 && (digits.bytes[digits.size - 1] & 0x80))
        return mp__fail(MP_EINVAL, "mp_integer_get_unsigned: the int is negative");
    if (digits.size > 9 || (digits.size == 9 && digits.bytes[8] != 0))
        return mp__fail(MP_EINVAL, "mp_integer_get_unsigned: the int takes more than 8 bytes");
    *out = (uint64_t)read_twos(digits.bytes, digits.size < 8 ? digits.size : 8);
    return 0;
}

int mp_integer_get_bytes(const mp_object *object, void *buffer, size_t capacity, size_t *size) {
    int code = expect_integer(object, size, "mp_integer_get_bytes");
    if (code < 0)
        return code;
    if (!buffer && capacity > 0)
        return mp__fail(MP_EINVAL, "mp_integer_get_bytes: buffer is NULL");
    struct mp__digits digits;
    mp__integer_look(object, &digits);
    *size = digits.size;
    if (digits.size > capacity)
        return mp__fail(MP_ETOOSHORT, "mp_integer_get_bytes: the int takes %zu bytes, not %zu",
                        digits.size, capacity);
    if (digits.size > 0)
        memcpy(buffer, digits.bytes, digits.size);
    return 0;
}

/* The upper 64 bits of the amount, the rest folded into the lowest of them: a conversion to double
 * then rounds once, and rightly. */
static double large_to_double(const uint8_t *bytes, size_t size) {
    bool is_negative = bytes[size - 1] & 0x80;
    uint8_t amount[9];
    size_t low = size > 9 ? size - 9 : 0;
    bool rest = false;
    for (size_t i = 0; i < low; i++)
        rest |= bytes[i] != 0;
    unsigned carry = is_negative && !rest;
    for (size_t i = 0; i < 9; i++) {
        unsigned byte = low + i < size ? bytes[low + i] : is_negative ? 0xff : 0;
        byte = is_negative ? (byte ^ 0xff) + carry : byte;
        amount[i] = (uint8_t)byte;
        carry = byte >> 8;
    }
    uint64_t upper = 0;
    for (size_t i = 9; i-- > 1;)
        upper = upper << 8 | amount[i];
    double value = amount[8] == 0
                       ? ldexp((double)(upper << 8 | amount[0] | rest), (int)(8 * low))
                       : ldexp((double)(upper | (amount[0] != 0) | rest), (int)(8 * (low + 1)));
    return is_negative ? -value : value;
}

int mp_float_get(const mp_object *object, double *out) {
    if (!object || !out)
        return mp__fail(MP_EINVAL, "mp_float_get: an argument is NULL");
    int64_t small;
    if (mp__kind_of(object) == MP_OBJECT_FLOAT) {
        *out = ((const struct mp__float *)object)->value;
        return 0;
    }
    if (!is_integer(object))
        return mp__fail(MP_ETYPE, "mp_float_get: expected float, got %s",
                        mp_object_kind_name(mp__kind_of(object)));
    if (mp__integer_small(object, &small)) {
        *out = (double)small;
        return 0;
    }
    const struct mp__integer *large = (const struct mp__integer *)object;
    double value = large->size > 200 ? INFINITY : large_to_double(large->bytes, large->size);
    if (isinf(value))
        return mp__fail(MP_EINVAL, "mp_float_get: the int is larger than any double");
    *out = value;
    return 0;
}

bool mp__is_number(const mp_object *object) {
    return is_integer(object) || mp__kind_of(object) == MP_OBJECT_FLOAT;
}

size_t mp__double_bytes(double value, uint8_t *bytes) {
    int exponent;
    int64_t mantissa = (int64_t)ldexp(frexp(value, &exponent), 53);
    exponent -= 53;
    for (; exponent < 0; exponent++)
        mantissa /= 2; /* an integral value: only zero bits go */
    memset(bytes, mantissa < 0 ? 0xff : 0, MP__DOUBLE_BYTES);
    memset(bytes, 0, (size_t)exponent / 8);
    int64_t upper = (int64_t)((uint64_t)mantissa << exponent % 8);
    write_twos((uint64_t)upper, bytes + exponent / 8);
    return mp__twos_size(bytes, MP__DOUBLE_BYTES);
}

static bool integer_equals_double(const mp_object *integer, double value) {
    if (!mp__is_integral(value))
        return false;
    uint8_t bytes[MP__DOUBLE_BYTES];
    size_t size = mp__double_bytes(value, bytes);
    struct mp__digits digits;
    mp__integer_look(integer, &digits);
    return digits.size == size && memcmp(digits.bytes, bytes, size) == 0;
}

bool mp__number_equal(const mp_object *a, const mp_object *b) {
    bool a_is_float = mp__kind_of(a) == MP_OBJECT_FLOAT;
    bool b_is_float = mp__kind_of(b) == MP_OBJECT_FLOAT;
    if (a_is_float && b_is_float)
        return ((const struct mp__float *)a)->value == ((const struct mp__float *)b)->value;
    if (a_is_float || b_is_float)
        return a_is_float ? integer_equals_double(b, ((const struct mp__float *)a)->value)
                          : integer_equals_double(a, ((const struct mp__float *)b)->value);
    int64_t x = 0, y = 0;
    bool a_is_small = mp__integer_small(a, &x), b_is_small = mp__integer_small(b, &y);
    if (a_is_small || b_is_small)
        return a_is_small && b_is_small && x == y;
    const struct mp__integer *p = (const struct mp__integer *)a;
    const struct mp__integer *q = (const struct mp__integer *)b;
    return p->size == q->size && memcmp(p->bytes, q->bytes, p->size) == 0;
}

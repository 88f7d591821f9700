/* Numbers: ints of any size in bytes, decimal texts, floats in the fewest digits.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_NUMBER_H
#define MP__CODEC_NUMBER_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/buffer.h"
#include "codec/object.h"

#define MP__DIGITS_MAX 100000 /* of a decimal int: conversion takes time by the square */

/* The bytes of an int or bool as two's complement, lowest first, as few as can be (0 has none).
 * `scratch` takes those of a small one. */
struct mp__digits {
    const uint8_t *bytes;
    size_t size;
    uint8_t scratch[8];
};
void mp__integer_look(const mp_object *integer, struct mp__digits *out);

/* How many of the bytes are needed. */
size_t mp__twos_size(const uint8_t *bytes, size_t size);

/* Is it an int, a bool or a float? */
bool mp__is_number(const mp_object *object);

/* The value of an int or bool that is small. */
bool mp__integer_small(const mp_object *object, int64_t *value);

/* Is it finite and without a fraction? (floor() would need libm.) */
static inline bool mp__is_integral(double value) {
    if (!(value > -0x1p53 && value < 0x1p53))
        return isfinite(value);
    return (double)(int64_t)value == value;
}

/* The bytes of an integral double, as above; the size, 136 at most. */
#define MP__DOUBLE_BYTES 136
size_t mp__double_bytes(double value, uint8_t *bytes);

/* An int from decimal digits [text, end) with maybe a sign. NULL: not such a text (MP_EINVAL in
 * *code), more than `digits_max` digits, no memory. */
mp_object *mp__integer_parse(const char *text, const char *end, size_t digits_max, int *code);

/* Append an int in decimal. 0; MP_EINVAL: too many digits; -ENOMEM. */
int mp__integer_write(struct mp__buffer *buffer, const mp_object *integer);

/* Append a double as Python's repr. 0 or -ENOMEM. */
int mp__double_write(struct mp__buffer *buffer, double value);

/* A double from [text, end) in Python's or C's notation, whatever the locale. MP_EINVAL: it is
 * none. */
int mp__double_parse(const char *text, const char *end, double *out);

/* Does an int or float equal another? */
bool mp__number_equal(const mp_object *a, const mp_object *b);

#endif

/* Numbers as decimal texts, whatever the locale.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "codec/number.h"

#define CHUNK 1000000000u /* nine digits go into and out of a word at a time */

static uint64_t nine_digits(const char *text, size_t count, uint64_t *scale) {
    uint64_t value = 0;
    *scale = 1;
    for (size_t i = 0; i < count; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
        *scale *= 10;
    }
    return value;
}

/* Words of the amount, lowest first, and a free one for the sign. */
static size_t digits_to_words(const char *text, size_t count, uint32_t *words) {
    size_t used = 0;
    while (count > 0) {
        size_t part = count % 9 ? count % 9 : 9;
        uint64_t scale, carry = nine_digits(text, part, &scale);
        for (size_t i = 0; i < used; i++) {
            carry += words[i] * scale;
            words[i] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry > 0)
            words[used++] = (uint32_t)carry;
        text += part;
        count -= part;
    }
    words[used++] = 0;
    return used;
}

static void negate_words(uint32_t *words, size_t count) {
    uint64_t carry = 1;
    for (size_t i = 0; i < count; i++) {
        carry += (uint32_t)~words[i];
        words[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static mp_object *integer_of_words(const uint32_t *words, size_t count) {
    uint8_t *bytes = malloc(count * 4);
    if (!bytes)
        return NULL;
    for (size_t i = 0; i < count * 4; i++)
        bytes[i] = (uint8_t)(words[i / 4] >> i % 4 * 8);
    mp_object *integer = mp_integer_new_bytes(bytes, count * 4);
    free(bytes);
    return integer;
}

mp_object *mp__integer_parse(const char *text, const char *end, size_t digits_max, int *code) {
    bool is_negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    size_t count = (size_t)(end - text);
    bool is_right = count > 0 && count <= digits_max;
    for (size_t i = 0; is_right && i < count; i++)
        is_right = text[i] >= '0' && text[i] <= '9';
    if (!is_right) {
        *code = mp__fail(MP_EINVAL, "not 1 to %zu decimal digits", digits_max);
        return NULL;
    }
    uint64_t scale;
    if (count <= 18) {
        int64_t value = (int64_t)nine_digits(text, count, &scale);
        return mp_integer_new(is_negative ? -value : value);
    }
    uint32_t *words = malloc((count / 9 + 3) * sizeof *words);
    mp_object *integer = NULL;
    if (words) {
        size_t used = digits_to_words(text, count, words);
        if (is_negative)
            negate_words(words, used);
        integer = integer_of_words(words, used);
    }
    free(words);
    if (!integer)
        *code = mp__fail(-ENOMEM, "an int of %zu digits", count);
    return integer;
}

mp_object *mp_integer_new_text(const char *digits) {
    int code;
    if (!digits) {
        mp__fail(MP_EINVAL, "mp_integer_new_text: digits is NULL");
        return NULL;
    }
    return mp__integer_parse(digits, digits + strlen(digits), MP__DIGITS_MAX, &code);
}

/* Divide by CHUNK and return the rest. */
static uint32_t take_chunk(uint32_t *words, size_t *count) {
    uint64_t rest = 0;
    for (size_t i = *count; i-- > 0;) {
        rest = rest << 32 | words[i];
        words[i] = (uint32_t)(rest / CHUNK);
        rest %= CHUNK;
    }
    while (*count > 0 && words[*count - 1] == 0)
        --*count;
    return (uint32_t)rest;
}

static int write_words(struct mp__buffer *buffer, uint32_t *words, size_t count, bool is_negative) {
    size_t capacity = count * 10 + 16, at = capacity;
    char *text = malloc(capacity);
    if (!text)
        return mp__fail(-ENOMEM, "an int of %zu digits", capacity);
    do {
        uint32_t chunk = take_chunk(words, &count);
        for (unsigned i = 0; i < 9 && (count > 0 || chunk > 0); i++, chunk /= 10)
            text[--at] = (char)('0' + chunk % 10);
    } while (count > 0);
    if (is_negative)
        text[--at] = '-';
    int code = mp__buffer_put(buffer, text + at, capacity - at);
    free(text);
    return code;
}

int mp__integer_write(struct mp__buffer *buffer, const mp_object *integer) {
    int64_t small;
    if (mp__is_small(integer) && mp__integer_small(integer, &small)) {
        char text[24];
        int length = snprintf(text, sizeof text, "%lld", (long long)small);
        return mp__buffer_put(buffer, text, (size_t)length);
    }
    struct mp__digits digits;
    mp__integer_look(integer, &digits);
    if (digits.size > MP__DIGITS_MAX * 10 / 24)
        return mp__fail(MP_EINVAL, "an int of %zu bytes has more than %d digits", digits.size,
                        MP__DIGITS_MAX);
    bool is_negative = digits.size > 0 && (digits.bytes[digits.size - 1] & 0x80);
    size_t count = digits.size / 4 + 1;
    uint32_t *words = malloc(count * sizeof *words);
    if (!words)
        return mp__fail(-ENOMEM, "an int of %zu bytes", digits.size);
    memset(words, is_negative ? 0xff : 0, count * sizeof *words);
    for (size_t i = 0; i < digits.size; i++)
        words[i / 4] = (words[i / 4] & ~(0xffu << i % 4 * 8)) | (uint32_t)digits.bytes[i]
                                                                    << i % 4 * 8;
    if (is_negative)
        negate_words(words, count);
    while (count > 1 && words[count - 1] == 0)
        count--;
    int code = write_words(buffer, words, count, is_negative);
    free(words);
    return code;
}

int mp_integer_get_text(const mp_object *object, char **out) {
    if (!object || !out)
        return mp__fail(MP_EINVAL, "mp_integer_get_text: an argument is NULL");
    bool value;
    mp_object_kind kind = mp__kind_of(object);
    if (kind != MP_OBJECT_INT && kind != MP_OBJECT_BOOL)
        return mp__fail(MP_ETYPE, "mp_integer_get_text: expected int, got %s",
                        mp_object_kind_name(kind));
    if (kind == MP_OBJECT_BOOL && mp_bool_get(object, &value) == 0)
        object = mp__small(value);
    struct mp__buffer buffer = {0};
    int code = mp__integer_write(&buffer, object);
    if (code == 0)
        code = mp__buffer_put_byte(&buffer, 0);
    if (code < 0) {
        mp__buffer_fini(&buffer);
        return code;
    }
    *out = (char *)buffer.data;
    return 0;
}

/* A positive number as 0.DIGITS times ten to the `point`. */
struct decimal {
    char digits[24];
    int count;
    int point;
};

static double decimal_value(const struct decimal *decimal) {
    char text[48]; /* no decimal point in it: that depends on the locale */
    snprintf(text, sizeof text, "%.*se%d", decimal->count, decimal->digits,
             decimal->point - decimal->count);
    return strtod(text, NULL);
}

static void round_to(struct decimal *decimal, double value, int count) {
    char text[48];
    snprintf(text, sizeof text, "%.*e", count - 1, value);
    decimal->count = 0;
    const char *at = text;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            decimal->digits[decimal->count++] = *at;
    decimal->point = atoi(at + 1) + 1;
}

/* The next larger number of as many digits. */
static void step_up(struct decimal *decimal) {
    int i = decimal->count - 1;
    for (; i >= 0 && decimal->digits[i] == '9'; i--)
        decimal->digits[i] = '0';
    if (i >= 0) {
        decimal->digits[i]++;
        return;
    }
    decimal->digits[0] = '1';
    decimal->point++;
}

/* The fewest digits that give the value back. Below a power of two doubles lie closer together than
 * above it: there the nearest decimal may fail where the next one above does not. Decimals of 15
 * digits survive in normal doubles: if 15 do, the fewest are these without trailing zeros. */
static void find_shortest(struct decimal *decimal, double value) {
    int exponent;
    bool is_power = frexp(value, &exponent) == 0.5;
    for (int count = value < 2.3e-308 ? 1 : 15; count <= 17; count++) {
        round_to(decimal, value, count);
        if (decimal_value(decimal) == value)
            break;
        struct decimal above = *decimal;
        step_up(&above);
        if (is_power && count < 17 && decimal_value(&above) == value) {
            *decimal = above;
            break;
        }
    }
    while (decimal->count > 1 && decimal->digits[decimal->count - 1] == '0')
        decimal->count--;
}

/* As Python: an exponent below -4 or from 16 on, else plain with at least one decimal. */
static int write_decimal(struct mp__buffer *buffer, const struct decimal *decimal) {
    char text[64];
    int length = 0, point = decimal->point, count = decimal->count;
    const char *digits = decimal->digits;
    if (point < -3 || point > 16) {
        length = snprintf(text, sizeof text, "%c%s%.*se%c%02d", digits[0], count > 1 ? "." : "",
                          count - 1, digits + 1, point > 0 ? '+' : '-', abs(point - 1));
    } else if (point <= 0) {
        length = snprintf(text, sizeof text, "0.%.*s%.*s", -point, "0000", count, digits);
    } else {
        for (int i = 0; i < count || i < point; i++) {
            if (i == point)
                text[length++] = '.';
            text[length++] = i < count ? digits[i] : '0';
        }
        if (count <= point) {
            text[length++] = '.';
            text[length++] = '0';
        }
    }
    return mp__buffer_put(buffer, text, (size_t)length);
}

int mp__double_write(struct mp__buffer *buffer, double value) {
    if (isnan(value))
        return mp__buffer_put_text(buffer, "nan");
    int code = signbit(value) ? mp__buffer_put_byte(buffer, '-') : 0;
    if (code < 0)
        return code;
    if (isinf(value))
        return mp__buffer_put_text(buffer, "inf");
    if (value == 0)
        return mp__buffer_put_text(buffer, "0.0");
    struct decimal decimal;
    find_shortest(&decimal, fabs(value));
    return write_decimal(buffer, &decimal);
}

static bool is_word(const char *text, const char *end, const char *word) {
    size_t size = strlen(word);
    return (size_t)(end - text) == size && memcmp(text, word, size) == 0;
}

/* Copy the digits without the point; give where it stood from their end. False: not digits. */
static bool copy_digits(const char **text, const char *end, char *out, int *scale) {
    char *at = out;
    bool has_point = false;
    for (; *text < end && (**text == '.' || (**text >= '0' && **text <= '9')); ++*text) {
        if (**text != '.') {
            *at++ = **text;
            *scale -= has_point;
        } else if (has_point) {
            return false;
        }
        has_point |= **text == '.';
    }
    *at = 0;
    return at > out;
}

int mp__double_parse(const char *text, const char *end, double *out) {
    char copy[1100]; /* more digits than any double needs */
    int scale = 0, exponent = 0;
    if ((size_t)(end - text) > sizeof copy - 24)
        return mp__fail(MP_EINVAL, "a float of %zu characters", (size_t)(end - text));
    bool is_negative = text < end && *text == '-';
    if (text < end && (*text == '-' || *text == '+'))
        text++;
    bool is_special = true;
    if (is_word(text, end, "inf") || is_word(text, end, "infinity"))
        *out = INFINITY;
    else if (is_word(text, end, "nan"))
        *out = NAN;
    else
        is_special = false;
    if (!is_special) {
        if (!copy_digits(&text, end, copy, &scale))
            return mp__fail(MP_EINVAL, "no float");
        if (text < end && (*text == 'e' || *text == 'E')) {
            const char *start = ++text;
            bool is_down = text < end && *text == '-';
            text += text < end && (*text == '-' || *text == '+');
            for (start = text; text < end && *text >= '0' && *text <= '9'; text++)
                exponent = exponent < 100000 ? exponent * 10 + (*text - '0') : exponent;
            if (text == start)
                return mp__fail(MP_EINVAL, "a float without digits in its exponent");
            exponent = is_down ? -exponent : exponent;
        }
        if (text != end)
            return mp__fail(MP_EINVAL, "no float");
        sprintf(copy + strlen(copy), "e%d", exponent + scale);
        *out = strtod(copy, NULL);
    }
    if (is_negative)
        *out = -*out;
    return 0;
}

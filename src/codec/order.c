/* Which of two objects comes first, and lists in order.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/hash.h"
#include "codec/number.h"
#include "codec/object.h"

enum { DEPTH_MAX = 200 }; /* of sequences in sequences: they are compared by recursion */

static bool is_negative(const struct mp__digits *digits) {
    return digits->size > 0 && (digits->bytes[digits->size - 1] & 0x80);
}

static bool integer_less(const mp_object *a, const mp_object *b) {
    struct mp__digits x, y;
    mp__integer_look(a, &x);
    mp__integer_look(b, &y);
    bool is_below = is_negative(&x);
    if (is_below != is_negative(&y))
        return is_below;
    if (x.size != y.size)
        return (x.size < y.size) != is_below;
    for (size_t i = x.size; i-- > 0;)
        if (x.bytes[i] != y.bytes[i])
            return x.bytes[i] < y.bytes[i];
    return false;
}

static double float_of(const mp_object *object, bool *fits) {
    double value = 0;
    *fits = mp_float_get(object, &value) == 0;
    return value;
}

/* An int and a double next to it, or two equal doubles. */
static bool exactly_less(const mp_object *a, const mp_object *b, double value) {
    uint8_t bytes[MP__DOUBLE_BYTES];
    bool is_left = mp__kind_of(a) == MP_OBJECT_FLOAT, is_right = mp__kind_of(b) == MP_OBJECT_FLOAT;
    if (is_left == is_right || !mp__is_integral(value))
        return false;
    mp_object *whole = mp_integer_new_bytes(bytes, mp__double_bytes(value, bytes));
    bool is_less = whole && (is_left ? integer_less(whole, b) : integer_less(a, whole));
    mp_object_free(whole);
    return is_less;
}

/* An int beyond every double is larger or smaller than any of them by its sign. */
static bool number_less(const mp_object *a, const mp_object *b) {
    bool a_fits, b_fits;
    if (mp__kind_of(a) != MP_OBJECT_FLOAT && mp__kind_of(b) != MP_OBJECT_FLOAT)
        return integer_less(a, b);
    double x = float_of(a, &a_fits), y = float_of(b, &b_fits);
    if (x != x || y != y)
        return false;
    struct mp__digits digits;
    if (!a_fits || !b_fits) {
        mp__integer_look(a_fits ? b : a, &digits);
        return is_negative(&digits) == !a_fits;
    }
    return x != y ? x < y : exactly_less(a, b, x);
}

static bool bytes_less(const mp_object *a, const mp_object *b) {
    const void *x, *y;
    size_t n, m;
    bool is_text = mp__kind_of(a) == MP_OBJECT_STR;
    if (is_text) {
        (void)mp_str_get(a, (const char **)&x, &n);
        (void)mp_str_get(b, (const char **)&y, &m);
    } else {
        (void)mp_bytes_get(a, &x, &n);
        (void)mp_bytes_get(b, &y, &m);
    }
    int order = memcmp(x, y, n < m ? n : m);
    return order != 0 ? order < 0 : n < m;
}

static int refuse(const mp_object *a, const mp_object *b) {
    return mp__fail(MP_ETYPE, "'<' not supported between instances of '%s' and '%s'",
                    mp_object_kind_name(mp__kind_of(a)), mp_object_kind_name(mp__kind_of(b)));
}

static int less(const mp_object *a, const mp_object *b, unsigned depth);

/* By the first items that are not equal. */
static int sequence_less(const mp_object *a, const mp_object *b, unsigned depth) {
    size_t n = mp_object_length(a), m = mp_object_length(b);
    if (depth >= DEPTH_MAX)
        return mp__fail(MP_EINVAL, "comparing sequences in more than %d sequences", DEPTH_MAX);
    for (size_t i = 0; i < n && i < m; i++) {
        const mp_object *x = mp_list_get(a, (ptrdiff_t)i), *y = mp_list_get(b, (ptrdiff_t)i);
        int is_equal = x == y ? 1 : mp_object_equal(x, y);
        if (is_equal <= 0)
            return is_equal < 0 ? is_equal : less(x, y, depth + 1);
    }
    return n < m;
}

/* A proper subset. */
static int set_less(const mp_object *a, const mp_object *b) {
    mp_object *item;
    int code = mp_object_length(a) < mp_object_length(b);
    for (size_t cursor = 0; code > 0 && mp_set_next(a, &cursor, &item);)
        code = mp_object_contains(b, item);
    return code;
}

static bool is_bytes(mp_object_kind kind) {
    return kind == MP_OBJECT_BYTES || kind == MP_OBJECT_BYTEARRAY;
}

static bool is_set(mp_object_kind kind) {
    return kind == MP_OBJECT_SET || kind == MP_OBJECT_FROZENSET;
}

static int less(const mp_object *a, const mp_object *b, unsigned depth) {
    mp_object_kind x = mp__kind_of(a), y = mp__kind_of(b);
    if (mp__is_number(a) && mp__is_number(b))
        return number_less(a, b);
    if ((x == MP_OBJECT_STR && y == x) || (is_bytes(x) && is_bytes(y)))
        return bytes_less(a, b);
    if (x == y && (x == MP_OBJECT_LIST || x == MP_OBJECT_TUPLE))
        return sequence_less(a, b, depth);
    return is_set(x) && is_set(y) ? set_less(a, b) : refuse(a, b);
}

int mp_object_less(const mp_object *a, const mp_object *b) {
    if (!a || !b)
        return mp__fail(MP_EINVAL, "mp_object_less: an object is NULL");
    return less(a, b, 0);
}

/* Merge two sorted neighbours; equal ones keep their order. `later` is tested only when it is
 * less: so a reversed order keeps it, too. */
static int merge(mp_object **from, size_t middle, size_t count, mp_object **to, bool reverse) {
    size_t i = 0, j = middle, k = 0;
    while (i < middle && j < count) {
        int is_later = reverse ? less(from[i], from[j], 0) : less(from[j], from[i], 0);
        if (is_later < 0)
            return is_later;
        to[k++] = is_later ? from[j++] : from[i++];
    }
    memcpy(to + k, from + i, (middle - i) * sizeof *to);
    memcpy(to + k + (middle - i), from + j, (count - j) * sizeof *to);
    return 0;
}

/* Runs of 1, 2, 4... items; `items` and `other` change places. */
static int merge_sort(mp_object **items, mp_object **other, size_t count, bool reverse) {
    mp_object **from = items, **to = other;
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t at = 0; at < count; at += 2 * width) {
            size_t left = count - at;
            int code = merge(from + at, left < width ? left : width,
                             left < 2 * width ? left : 2 * width, to + at, reverse);
            if (code < 0)
                return code;
        }
        mp_object **swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
    return 0;
}

int mp_list_sort(mp_object *object, bool reverse) {
    int code = mp__expect_kind(object, MP_OBJECT_LIST, "mp_list_sort");
    if (code < 0)
        return code;
    struct mp__list *list = (struct mp__list *)object;
    if (list->count < 2)
        return 0;
    mp_object **sorted = malloc(2 * list->count * sizeof *sorted);
    if (!sorted)
        return mp__fail(-ENOMEM, "sorting a list of %zu items", list->count);
    memcpy(sorted, list->items, list->count * sizeof *sorted);
    code = merge_sort(sorted, sorted + list->count, list->count, reverse);
    if (code == 0)
        memcpy(list->items, sorted, list->count * sizeof *sorted);
    free(sorted);
    return code;
}

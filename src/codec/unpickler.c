/* Reading pickles: the machine. Its stack, marks and memo; what is built never calls anything.
 * SPDX-License-Identifier: MIT */
#include "codec/unpickler.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "codec/equal.h"
#include "codec/instructions.h"
#include "codec/pickle.h"
#include "codec/text.h"

#define DEPTH_DEFAULT 10000
#define DEPTH_MAX 60000

int mp__unpickler_refuse(struct mp__unpickler *unpickler, const char *format, ...) {
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return mp__fail(MP_EPROTO, "pickle: near byte %td of %td: %s", unpickler->at - unpickler->begin,
                    unpickler->end - unpickler->begin, text);
}

int mp__unpickler_end(struct mp__unpickler *unpickler) {
    unpickler->is_short = true;
    return mp__unpickler_refuse(unpickler, "the bytes end too early");
}

int mp__unpickler_spend(struct mp__unpickler *unpickler, size_t bytes) {
    if (bytes > unpickler->limits.bytes - unpickler->spent)
        return mp__unpickler_refuse(unpickler, "it takes more memory than the limit of %zu bytes",
                                    unpickler->limits.bytes);
    unpickler->spent += bytes;
    return 0;
}

/* Make an array of `item_size` items half as large again. */
static int grow_array(struct mp__unpickler *unpickler, void *array, size_t *capacity,
                      size_t item_size) {
    void **place = array;
    size_t larger = *capacity + *capacity / 2 + 16;
    int code = mp__unpickler_spend(unpickler, (larger - *capacity) * item_size);
    if (code < 0)
        return code;
    void *block = realloc(*place, larger * item_size);
    if (!block)
        return mp__fail(-ENOMEM, "reading a pickle");
    *place = block;
    *capacity = larger;
    return 0;
}

int mp__unpickler_grow(struct mp__unpickler *unpickler) {
    return grow_array(unpickler, &unpickler->stack, &unpickler->stack_capacity,
                      sizeof *unpickler->stack);
}

static size_t fence_of(const struct mp__unpickler *unpickler) {
    return unpickler->mark_count > 0 ? unpickler->marks[unpickler->mark_count - 1] : 0;
}

int mp__unpickler_need(struct mp__unpickler *unpickler, size_t count) {
    if (unpickler->top - fence_of(unpickler) < count)
        return mp__unpickler_refuse(unpickler, "an instruction needs %zu objects on the stack",
                                    count);
    return 0;
}

int mp__unpickler_push_mark(struct mp__unpickler *unpickler) {
    if (unpickler->mark_count == unpickler->mark_capacity) {
        int code = grow_array(unpickler, &unpickler->marks, &unpickler->mark_capacity,
                              sizeof *unpickler->marks);
        if (code < 0)
            return code;
    }
    unpickler->marks[unpickler->mark_count++] = unpickler->top;
    return 0;
}

int mp__unpickler_mark(struct mp__unpickler *unpickler, size_t *first) {
    *first = unpickler->top;
    if (unpickler->mark_count == 0)
        return mp__unpickler_refuse(unpickler, "an instruction needs a mark");
    *first = unpickler->marks[--unpickler->mark_count];
    return 0;
}

int mp__unpickler_pop(struct mp__unpickler *unpickler) {
    if (unpickler->mark_count > 0 && fence_of(unpickler) == unpickler->top) {
        unpickler->mark_count--;
        return 0;
    }
    int code = mp__unpickler_need(unpickler, 1);
    if (code == 0)
        mp_object_free(unpickler->stack[--unpickler->top]);
    return code;
}

/* One more reference on the stack: what is then changed may contain itself. */
static int push_again(struct mp__unpickler *unpickler, mp_object *object) {
    if (mp__is_node(object))
        mp__flag_set(object, MP__FLAG_SHARED);
    return mp__unpickler_push(unpickler, mp__ref_private(object));
}

int mp__unpickler_dup(struct mp__unpickler *unpickler) {
    int code = mp__unpickler_need(unpickler, 1);
    return code < 0 ? code : push_again(unpickler, unpickler->stack[unpickler->top - 1]);
}

int mp__unpickler_fetch(struct mp__unpickler *unpickler, size_t number) {
    if (number >= unpickler->memo_capacity || !unpickler->memo[number])
        return mp__unpickler_refuse(unpickler, "no object has the number %zu", number);
    return push_again(unpickler, unpickler->memo[number]);
}

static int grow_memo(struct mp__unpickler *unpickler, size_t number) {
    size_t before = unpickler->memo_capacity;
    if (number >= (size_t)(unpickler->end - unpickler->begin) || number >= unpickler->limits.memo)
        return mp__unpickler_refuse(unpickler, "the number %zu is more than any object needs",
                                    number);
    while (number >= unpickler->memo_capacity) {
        int code = grow_array(unpickler, &unpickler->memo, &unpickler->memo_capacity,
                              sizeof *unpickler->memo);
        if (code < 0)
            return code;
        for (; before < unpickler->memo_capacity; before++)
            unpickler->memo[before] = NULL;
    }
    return 0;
}

int mp__unpickler_store(struct mp__unpickler *unpickler, size_t number) {
    int code = mp__unpickler_need(unpickler, 1);
    if (code == 0 && number >= unpickler->memo_capacity)
        code = grow_memo(unpickler, number);
    if (code < 0)
        return code;
    mp_object *old = unpickler->memo[number];
    unpickler->memo[number] = mp__ref_private(unpickler->stack[unpickler->top - 1]);
    unpickler->memo_count += !old;
    mp_object_free(old);
    return 0;
}

int mp__unpickler_suspect(struct mp__unpickler *unpickler, mp_object *node) {
    if ((mp__flags(node) & (MP__FLAG_SHARED | MP__FLAG_CANDIDATE)) != MP__FLAG_SHARED)
        return 0;
    if (unpickler->suspect_count == unpickler->suspect_capacity) {
        int code = grow_array(unpickler, &unpickler->suspects, &unpickler->suspect_capacity,
                              sizeof *unpickler->suspects);
        if (code < 0)
            return code;
    }
    mp__flag_set(node, MP__FLAG_CANDIDATE);
    unpickler->suspects[unpickler->suspect_count++] = mp__ref_private(node);
    return 0;
}

int mp__unpickler_changed(struct mp__unpickler *unpickler, mp_object *node) {
    if (node->height > unpickler->limits.depth)
        return mp__unpickler_refuse(unpickler, "objects nest deeper than %zu",
                                    unpickler->limits.depth);
    if (mp__node_slots(node) > unpickler->limits.length)
        return mp__unpickler_refuse(unpickler, "a collection is longer than the limit of %zu",
                                    unpickler->limits.length);
    return 0;
}

int mp__unpickler_text(struct mp__unpickler *unpickler, mp_object_kind kind, const void *data,
                       size_t size, mp_object **out) {
    if (size > unpickler->limits.length)
        return mp__unpickler_refuse(unpickler, "a %s is longer than the limit of %zu",
                                    mp_object_kind_name(kind), unpickler->limits.length);
    int code = mp__unpickler_spend(unpickler, sizeof(struct mp__text) + size);
    if (code < 0)
        return code;
    *out = mp__text_new(kind, data, size);
    return *out ? 0 : -ENOMEM;
}

int mp__unpickler_str(struct mp__unpickler *unpickler, const void *text, size_t size,
                      mp_object **out) {
    if (!mp__utf8_is_right(text, size))
        return mp__unpickler_refuse(unpickler, "a text that is not UTF-8");
    return mp__unpickler_text(unpickler, MP_OBJECT_STR, text, size, out);
}

static int run(struct mp__unpickler *unpickler) {
    for (;;) {
        if (unpickler->at == unpickler->end)
            return mp__unpickler_end(unpickler);
        mp__reader_fn read = mp__readers[*unpickler->at++];
        if (!read)
            return mp__unpickler_refuse(unpickler, "0x%02x is no instruction", unpickler->at[-1]);
        int code = read(unpickler);
        if (code != 0)
            return code;
    }
}

/* What contains itself is marked before the last references of ours go: then it is freed if nobody
 * else has it, and can be freed later if somebody has. */
static void finish(struct mp__unpickler *unpickler) {
    for (size_t i = 0; i < unpickler->suspect_count; i++) {
        mp__flag_clear(unpickler->suspects[i], MP__FLAG_CANDIDATE);
        if (!(mp__flags(unpickler->suspects[i]) &
              MP__FLAG_CYCLIC)) /* then what it reaches is, too */
            mp__node_mark_cyclic(unpickler->suspects[i]);
    }
    mp__objects_release(unpickler->stack, unpickler->top);
    if (unpickler->memo_count > 0)
        mp__objects_release(unpickler->memo, unpickler->memo_capacity);
    mp__objects_release(unpickler->suspects, unpickler->suspect_count);
    free(unpickler->stack);
    free(unpickler->marks);
    free(unpickler->memo);
    free(unpickler->suspects);
}

static struct mp_load_limits limits_of(const mp_load_limits *given) {
    struct mp_load_limits limits = given ? *given : (struct mp_load_limits){0};
    limits.bytes = limits.bytes ? limits.bytes : SIZE_MAX;
    limits.memo = limits.memo ? limits.memo : SIZE_MAX;
    limits.length = limits.length ? limits.length : SIZE_MAX;
    limits.depth = limits.depth ? limits.depth : DEPTH_DEFAULT;
    limits.depth = limits.depth > DEPTH_MAX ? DEPTH_MAX : limits.depth;
    return limits;
}

int mp__pickle_read(mp_object **out, const void *data, size_t size, const mp_load_limits *limits,
                    size_t *used) {
    struct mp__unpickler unpickler = {.begin = data,
                                      .at = data,
                                      .end = (const uint8_t *)data + size,
                                      .limits = limits_of(limits)};
    mp__key_budget_begin(size < SIZE_MAX / 256 ? size * 100 + 1000000 : SIZE_MAX);
    int code = mp__unpickler_grow(&unpickler); /* so that the stack is never NULL */
    if (code == 0)
        code = run(&unpickler);
    mp__key_budget_end();
    mp_object *result = code == MP__STOPPED ? unpickler.stack[--unpickler.top] : NULL;
    finish(&unpickler);
    if (!result && unpickler.is_short)
        return MP_EEOF;
    if (!result) {
        mp__log_held(MP_LOG_DEBUG, "a pickle of %zu bytes was refused behind byte %zu: %s", size,
                     (size_t)(unpickler.at - unpickler.begin), mp_error_detail());
        return code;
    }
    *out = result;
    if (used)
        *used = (size_t)(unpickler.at - unpickler.begin);
    return 0;
}

int mp_object_loads_limited(mp_object **out, const void *data, size_t size,
                            const mp_load_limits *limits) {
    if (!out || (!data && size > 0))
        return mp__fail(MP_EINVAL, "mp_object_loads: an argument is NULL");
    int code = mp__pickle_read(out, size > 0 ? data : "", size, limits, NULL);
    if (code != MP_EEOF)
        return code;
    mp__log_held(MP_LOG_DEBUG, "a pickle of %zu bytes was refused: it goes on", size);
    return MP_EPROTO;
}

int mp_object_loads(mp_object **out, const void *data, size_t size) {
    return mp_object_loads_limited(out, data, size, NULL);
}

/* A copy is what comes back from a pickle: with what is shared and what contains itself as it was,
 * and without recursion. What cannot change is not copied. */
mp_object *mp_object_copy(const mp_object *object) {
    if (!object) {
        mp__fail(MP_EINVAL, "mp_object_copy: object is NULL");
        return NULL;
    }
    if (!mp__is_node(object) && mp__kind_of(object) != MP_OBJECT_BYTEARRAY)
        return mp_object_ref(object);
    struct mp__buffer buffer = {0};
    mp_object *copy = NULL;
    mp_load_limits limits = {.depth = DEPTH_MAX};
    if (mp__pickle_write(&buffer, object, MP_PICKLE_HIGHEST) == 0)
        mp__pickle_read(&copy, buffer.data, buffer.size, &limits, NULL);
    mp__buffer_fini(&buffer);
    return copy;
}

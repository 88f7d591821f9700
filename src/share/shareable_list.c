/* A list of plain values in named memory, in the layout of Python 3.9 and later.
 * SPDX-License-Identifier: MIT
 *
 *     int64 N | int64 offsets[N + 1], from the places' start | places | N formats of 8 bytes, as
 *     Python's struct has them, filled with NULs | N bytes: what kind that means
 *
 * Others write into it meanwhile, whoever they are: nothing that is read there is believed. */
#include "mp/shared_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mp/collection.h"
#include "mp/object.h"

enum { KIND_PLAIN, KIND_STR, KIND_BYTES, KIND_NONE };

enum {
    WORD = 8,           /* bytes: everything but the kinds is aligned to that */
    FORMAT = 8,         /* bytes of a format */
    TEXT_MAX = 9999991, /* bytes: its format has to fit */
};

struct mp_shareable_list {
    mp_shared_memory *memory; /* its own */
    size_t count;             /* of items */
    int64_t offsets[];        /* count + 1, a copy from the memory, checked */
};

struct place { /* an item as it lies there */
    char format[FORMAT + 1];
    char kind;                  /* KIND_ */
    unsigned char number[WORD]; /* of an item without text */
    const char *text;           /* of a str or bytes, borrowed; NULL: see number */
    size_t size;                /* bytes of text */
};

static size_t data_start(size_t count) {
    return (count + 2) * WORD;
}

static size_t formats_start(const mp_shareable_list *list) {
    return data_start(list->count) + (size_t)list->offsets[list->count];
}

static size_t kinds_start(const mp_shareable_list *list) {
    return formats_start(list) + list->count * FORMAT;
}

static size_t room_at(const mp_shareable_list *list, size_t index) {
    return (size_t)(list->offsets[index + 1] - list->offsets[index]);
}

static char *buffer_of(const mp_shareable_list *list) {
    return mp_shared_memory_buf(list->memory);
}

static int describe_text(const mp_object *item, struct place *out, const char *function) {
    size_t size;
    int code = out->kind == KIND_STR ? mp_str_get(item, &out->text, &size)
                                     : mp_bytes_get(item, (const void **)&out->text, &size);
    if (code == 0 && size > TEXT_MAX)
        code =
            mp__fail(MP_EINVAL, "%s: %zu bytes of text, at most %d go", function, size, TEXT_MAX);
    out->size = size;
    return code;
}

static int describe(const mp_object *item, struct place *out, const char *function) {
    int64_t integer;
    double number;
    bool truth;
    int code = 0;
    *out = (struct place){.kind = KIND_PLAIN};
    switch (mp_object_get_kind(item)) {
    case MP_OBJECT_STR:
        out->kind = KIND_STR;
        return describe_text(item, out, function);
    case MP_OBJECT_BYTES:
        out->kind = KIND_BYTES;
        return describe_text(item, out, function);
    case MP_OBJECT_INT:
        strcpy(out->format, "q");
        if ((code = mp_integer_get(item, &integer)) == 0)
            memcpy(out->number, &integer, WORD);
        return code;
    case MP_OBJECT_FLOAT:
        strcpy(out->format, "d");
        if ((code = mp_float_get(item, &number)) == 0)
            memcpy(out->number, &number, WORD);
        return code;
    case MP_OBJECT_BOOL:
        strcpy(out->format, "xxxxxxx?");
        if ((code = mp_bool_get(item, &truth)) == 0)
            out->number[WORD - 1] = truth;
        return code;
    case MP_OBJECT_NONE:
        strcpy(out->format, "xxxxxx?x");
        out->kind = KIND_NONE;
        return 0;
    case MP_OBJECT_INVALID:
        return mp__fail(MP_EINVAL, "%s: the value is NULL", function);
    default:
        return mp__fail(MP_ETYPE, "%s: an item is none, bool, int, float, str or bytes, not %s",
                        function, mp_object_kind_name(mp_object_get_kind(item)));
    }
}

/* Its room is the list's for ever; what the value leaves is NULs. */
static void write_place(mp_shareable_list *list, size_t index, struct place *place) {
    char *buffer = buffer_of(list);
    char *at = buffer + data_start(list->count) + list->offsets[index];
    size_t room = room_at(list, index);
    if (place->text) {
        snprintf(place->format, sizeof place->format, "%zus", room);
        memcpy(at, place->text, place->size);
        memset(at + place->size, 0, room - place->size);
    } else {
        memcpy(at, place->number, WORD);
    }
    memcpy(buffer + formats_start(list) + index * FORMAT, place->format, FORMAT);
    buffer[kinds_start(list) + index] = place->kind;
}

static mp_shareable_list *new_list(size_t count) {
    mp_shareable_list *list = calloc(1, sizeof *list + (count + 1) * sizeof list->offsets[0]);
    if (list)
        list->count = count;
    else
        mp__fail(-ENOMEM, "a shareable list of %zu items", count);
    return list;
}

static const mp_object *item_of(const mp_object *items, size_t index) {
    ptrdiff_t at = (ptrdiff_t)index;
    return mp_object_get_kind(items) == MP_OBJECT_LIST ? mp_list_get(items, at)
                                                       : mp_tuple_get(items, at);
}

static int lay_out(mp_shareable_list *list, const mp_object *items) {
    for (size_t i = 0; i < list->count; i++) {
        struct place place;
        int code = describe(item_of(items, i), &place, "mp_shareable_list_new");
        if (code < 0)
            return code;
        size_t room = place.text ? place.size / WORD * WORD + WORD : WORD;
        list->offsets[i + 1] = list->offsets[i] + (int64_t)room;
    }
    return 0;
}

static void fill(mp_shareable_list *list, const mp_object *items) {
    int64_t count = (int64_t)list->count;
    memcpy(buffer_of(list), &count, WORD);
    memcpy(buffer_of(list) + WORD, list->offsets, (list->count + 1) * WORD);
    for (size_t i = 0; i < list->count; i++) {
        struct place place;
        (void)describe(item_of(items, i), &place, "mp_shareable_list_new"); /* went in lay_out */
        write_place(list, i, &place);
    }
}

int mp_shareable_list_new(mp_shareable_list **out, const char *name, const mp_object *items) {
    mp_object_kind kind = mp_object_get_kind(items);
    if (!out)
        return mp__fail(MP_EINVAL, "mp_shareable_list_new: out is NULL");
    if (items && kind != MP_OBJECT_LIST && kind != MP_OBJECT_TUPLE)
        return mp__fail(MP_ETYPE, "mp_shareable_list_new: the items are a %s, no list or tuple",
                        mp_object_kind_name(kind));
    mp_shareable_list *list = new_list(mp_object_length(items));
    if (!list)
        return -ENOMEM;
    int code = lay_out(list, items);
    if (code == 0)
        code =
            mp_shared_memory_open(&list->memory, name, kinds_start(list) + list->count, MP_CREATE);
    if (code < 0) {
        free(list);
        return code;
    }
    fill(list, items);
    *out = list;
    return 0;
}

/* The places lie one behind the other, and behind them is room for formats and kinds. */
static bool is_sound(const mp_shareable_list *list, size_t size) {
    if (list->offsets[0] != 0)
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (list->offsets[i + 1] < list->offsets[i] + WORD || list->offsets[i + 1] > (int64_t)size)
            return false;
    return kinds_start(list) + list->count <= size;
}

static int read_layout(mp_shareable_list **out, mp_shared_memory *memory) {
    const char *buffer = mp_shared_memory_buf(memory);
    size_t size = mp_shared_memory_size(memory);
    int64_t count = 0;
    if (size >= WORD)
        memcpy(&count, buffer, WORD);
    if (size < data_start(0) || count < 0 || (uint64_t)count > size / WORD - 2)
        return MP_EPROTO;
    mp_shareable_list *list = new_list((size_t)count);
    if (!list)
        return -ENOMEM;
    memcpy(list->offsets, buffer + WORD, (list->count + 1) * WORD);
    if (!is_sound(list, size)) {
        free(list);
        return MP_EPROTO;
    }
    list->memory = memory;
    *out = list;
    return 0;
}

int mp_shareable_list_attach(mp_shareable_list **out, const char *name) {
    mp_shared_memory *memory;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_shareable_list_attach: out is NULL");
    int code = mp_shared_memory_open(&memory, name, 0, 0);
    if (code < 0)
        return code;
    code = read_layout(out, memory);
    if (code < 0)
        mp_shared_memory_free(memory);
    if (code == MP_EPROTO)
        return mp__fail(code,
                        "mp_shareable_list_attach: '%s' is no ShareableList, or one of "
                        "Python 3.8, whose layout is another",
                        name);
    return code;
}

static int check_list(const mp_shareable_list *list, const void *argument, const char *function) {
    if (!list || !argument)
        return mp__fail(MP_EINVAL, "%s: an argument is NULL", function);
    if (!buffer_of(list))
        return mp__fail(MP_ECLOSED, "%s: the list '%s' was closed", function,
                        mp_shared_memory_name(list->memory));
    return 0;
}

static int find_place(const mp_shareable_list *list, ptrdiff_t index, size_t *out,
                      const char *function) {
    size_t at = index < 0 ? (size_t)index + list->count : (size_t)index;
    if (at >= list->count)
        return mp__fail(MP_EINDEX, "%s: index %td, but there are %zu items", function, index,
                        list->count);
    *out = at;
    return 0;
}

static void read_format(const mp_shareable_list *list, size_t index, char out[FORMAT + 1]) {
    memcpy(out, buffer_of(list) + formats_start(list) + index * FORMAT, FORMAT);
    out[FORMAT] = 0;
}

/* "16s" in a place of 16 bytes or more; Python fills it with NULs, which nobody can tell from the
 * value's own. */
static mp_object *read_text(const char *at, size_t room, const char *format, char kind) {
    char *end;
    unsigned long size = strtoul(format, &end, 10);
    if (format[0] < '0' || format[0] > '9' || strcmp(end, "s") != 0 || size > room)
        return NULL;
    while (size > 0 && at[size - 1] == 0)
        size--;
    return kind == KIND_STR ? mp_str_new_sized(at, size) : mp_bytes_new(at, size);
}

static mp_object *read_number(const char *at, const char *format) {
    int64_t integer;
    double number;
    memcpy(&integer, at, WORD);
    memcpy(&number, at, WORD);
    if (strcmp(format, "q") == 0)
        return mp_integer_new(integer);
    if (strcmp(format, "d") == 0)
        return mp_float_new(number);
    return strcmp(format, "xxxxxxx?") == 0 ? mp_bool_new(at[WORD - 1] != 0) : NULL;
}

/* NULL: what lies there is no item. */
static mp_object *read_item(const mp_shareable_list *list, size_t index) {
    const char *buffer = buffer_of(list);
    const char *at = buffer + data_start(list->count) + list->offsets[index];
    char format[FORMAT + 1], kind = buffer[kinds_start(list) + index];
    read_format(list, index, format);
    if (kind == KIND_STR || kind == KIND_BYTES)
        return read_text(at, room_at(list, index), format, kind);
    if (kind == KIND_NONE)
        return mp_none_new();
    return kind == KIND_PLAIN ? read_number(at, format) : NULL;
}

static int get_item(const mp_shareable_list *list, size_t index, mp_object **out,
                    const char *function) {
    mp_object *item = read_item(list, index);
    if (!item)
        return mp__fail(MP_EPROTO, "%s: what lies at index %zu of '%s' is no item", function, index,
                        mp_shared_memory_name(list->memory));
    *out = item;
    return 0;
}

size_t mp_shareable_list_length(const mp_shareable_list *list) {
    return list ? list->count : 0;
}

int mp_shareable_list_get(const mp_shareable_list *list, ptrdiff_t index, mp_object **out) {
    size_t at = 0;
    int code = check_list(list, out, "mp_shareable_list_get");
    if (code == 0)
        code = find_place(list, index, &at, "mp_shareable_list_get");
    return code < 0 ? code : get_item(list, at, out, "mp_shareable_list_get");
}

int mp_shareable_list_set(mp_shareable_list *list, ptrdiff_t index, const mp_object *value) {
    size_t at = 0;
    struct place place;
    int code = check_list(list, value, "mp_shareable_list_set");
    if (code == 0)
        code = find_place(list, index, &at, "mp_shareable_list_set");
    if (code == 0)
        code = describe(value, &place, "mp_shareable_list_set");
    if (code == 0 && place.text && place.size > room_at(list, at))
        code =
            mp__fail(MP_EINVAL, "mp_shareable_list_set: %zu bytes of text, but the place has %zu",
                     place.size, room_at(list, at));
    if (code == 0)
        write_place(list, at, &place);
    return code;
}

/* How many items are equal, counting at most `most`; *last: the last of these. */
static int count_equal(const mp_shareable_list *list, const mp_object *value, int most,
                       size_t *last, const char *function) {
    int count = 0, code = check_list(list, value, function);
    for (size_t i = 0; code == 0 && i < list->count && count < most; i++) {
        mp_object *item = NULL;
        code = get_item(list, i, &item, function);
        if (code < 0)
            break;
        int is_equal = mp_object_equal(item, value);
        mp_object_free(item);
        if (is_equal > 0)
            *last = i;
        count += is_equal > 0;
        code = is_equal < 0 ? is_equal : 0;
    }
    return code < 0 ? code : count;
}

int mp_shareable_list_index(const mp_shareable_list *list, const mp_object *value, size_t *index) {
    size_t found = 0;
    if (!index)
        return mp__fail(MP_EINVAL, "mp_shareable_list_index: index is NULL");
    int count = count_equal(list, value, 1, &found, "mp_shareable_list_index");
    if (count == 0)
        return mp__fail(MP_EINDEX, "mp_shareable_list_index: no item of '%s' is equal",
                        mp_shared_memory_name(list->memory));
    if (count > 0)
        *index = found;
    return count < 0 ? count : 0;
}

int mp_shareable_list_count(const mp_shareable_list *list, const mp_object *value) {
    size_t last;
    return count_equal(list, value, INT32_MAX, &last, "mp_shareable_list_count");
}

int mp_shareable_list_format(const mp_shareable_list *list, char **out) {
    int code = check_list(list, out, "mp_shareable_list_format");
    if (code < 0)
        return code;
    char *text = calloc(list->count + 1, FORMAT);
    if (!text)
        return mp__fail(-ENOMEM, "mp_shareable_list_format");
    char *end = text;
    for (size_t i = 0; i < list->count; i++) {
        read_format(list, i, end);
        end += strlen(end);
    }
    *out = text;
    return 0;
}

mp_shared_memory *mp_shareable_list_shm(mp_shareable_list *list) {
    return list ? list->memory : NULL;
}

int mp_shareable_list_close(mp_shareable_list *list) {
    return list ? mp_shared_memory_close(list->memory)
                : mp__fail(MP_EINVAL, "mp_shareable_list_close: list is NULL");
}

int mp_shareable_list_unlink(mp_shareable_list *list) {
    return list ? mp_shared_memory_unlink(list->memory)
                : mp__fail(MP_EINVAL, "mp_shareable_list_unlink: list is NULL");
}

void mp_shareable_list_free(mp_shareable_list *list) {
    if (list)
        mp_shared_memory_free(list->memory);
    free(list);
}

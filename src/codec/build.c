/* Objects from C values by a format.
 * SPDX-License-Identifier: MIT */
#include "codec/build.h"

#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "codec/object.h"

struct builder {
    const char *format;
    const char *at; /* the letter that comes next */
    va_list arguments;
    int code;       /* the first failure; later values are still read, for the N among them */
    unsigned depth; /* open brackets */
};

static mp_object *build_value(struct builder *builder);

static mp_object *refuse(struct builder *builder, const char *why) {
    if (builder->code == 0)
        builder->code = mp__fail(MP_EINVAL, "mp_object_build: %s at place %td of \"%.100s\"", why,
                                 builder->at - builder->format, builder->format);
    return NULL;
}

static mp_object *build_integer(struct builder *builder, char letter) {
    va_list *arguments = &builder->arguments;
    switch (letter) {
    case '?':
        return mp_bool_new(va_arg(*arguments, int) != 0);
    case 'b':
    case 'h':
    case 'i':
        return mp_integer_new(va_arg(*arguments, int));
    case 'B':
    case 'H':
    case 'I':
        return mp_integer_new(va_arg(*arguments, unsigned));
    case 'l':
        return mp_integer_new(va_arg(*arguments, long));
    case 'k':
        return mp_integer_new_unsigned(va_arg(*arguments, unsigned long));
    case 'L':
        return mp_integer_new(va_arg(*arguments, long long));
    default:
        return mp_integer_new_unsigned(va_arg(*arguments, unsigned long long));
    }
}

static mp_object *build_text(struct builder *builder, char letter) {
    const char *text = va_arg(builder->arguments, const char *);
    size_t size = 0;
    if (*builder->at == '#') {
        builder->at++;
        size = va_arg(builder->arguments, size_t);
    } else if (text) {
        size = strlen(text);
    }
    if (!text)
        return mp_none_new();
    return letter == 'y' ? mp_bytes_new(text, size) : mp_str_new_sized(text, size);
}

static mp_object *build_object(struct builder *builder, char letter) {
    mp_object *object = va_arg(builder->arguments, mp_object *);
    if (!object)
        return refuse(builder, "an object that is NULL");
    return letter == 'N' ? object : mp_object_ref(object);
}

/* Read values up to a bracket (0: the end) into a list, which is made even if values fail: NULL
 * only when memory is short. */
static mp_object *build_items(struct builder *builder, char close) {
    mp_object *items = mp_list_new();
    for (builder->at = mp__format_skip(builder->at); *builder->at && *builder->at != close;
         builder->at = mp__format_skip(builder->at)) {
        mp_object *item = build_value(builder);
        if (!item && builder->code == 0)
            builder->code = -ENOMEM;
        if (items && item && mp_list_append(items, item) < 0 && builder->code == 0)
            builder->code = -ENOMEM;
        if (!items)
            mp_object_free(item);
        if (builder->code == MP_EPROTO)
            break; /* an unknown letter: what its argument is cannot be known */
    }
    if (*builder->at == close)
        builder->at += close != 0;
    else if (builder->code == 0)
        refuse(builder, "a bracket that does not end");
    return items;
}

static mp_object *items_to_tuple(mp_object *list) {
    struct mp__list *items = (struct mp__list *)list;
    for (size_t i = 0; i < items->count; i++)
        mp_object_ref(items->items[i]);
    return mp_tuple_new(items->items, items->count);
}

static mp_object *items_to_dict(struct builder *builder, mp_object *list) {
    struct mp__list *items = (struct mp__list *)list;
    if (items->count % 2)
        return refuse(builder, "a key without a value");
    mp_object *dict = mp_dict_new();
    for (size_t i = 0; dict && i < items->count; i += 2) {
        int code =
            mp_dict_set(dict, mp_object_ref(items->items[i]), mp_object_ref(items->items[i + 1]));
        if (code == 0)
            continue;
        builder->code = builder->code ? builder->code : code;
        break;
    }
    return dict;
}

static mp_object *build_collection(struct builder *builder, char open) {
    if (++builder->depth > MP__FORMAT_DEPTH) {
        refuse(builder, "too many brackets");
        builder->code = MP_EPROTO;
        return NULL;
    }
    mp_object *items = build_items(builder, open == '(' ? ')' : open == '[' ? ']' : '}');
    builder->depth--;
    if (!items || open == '[')
        return items;
    mp_object *collection = NULL;
    if (builder->code == 0)
        collection = open == '(' ? items_to_tuple(items) : items_to_dict(builder, items);
    mp_object_free(items);
    return collection;
}

static mp_object *build_value(struct builder *builder) {
    char letter = *builder->at++;
    if (strchr("?bhiBHIlkLK", letter))
        return build_integer(builder, letter);
    if (strchr("szy", letter))
        return build_text(builder, letter);
    if (strchr("([{", letter))
        return build_collection(builder, letter);
    if (letter == 'O' || letter == 'N')
        return build_object(builder, letter);
    if (letter == 'd' || letter == 'f')
        return mp_float_new(va_arg(builder->arguments, double));
    if (letter == 'n')
        return mp_none_new();
    builder->at--;
    refuse(builder, "a letter that means nothing");
    builder->code = MP_EPROTO;
    return NULL;
}

static mp_object *finish_items(mp_object *items, bool always_tuple) {
    mp_object *only = mp_object_length(items) == 1 ? mp_list_get(items, 0) : NULL;
    if (only && (!always_tuple || mp__is_kind(only, MP_OBJECT_TUPLE)))
        return mp_object_ref(only);
    if (mp_object_length(items) == 0 && !always_tuple)
        return mp_none_new();
    return items_to_tuple(items);
}

mp_object *mp__object_build(const char *format, va_list arguments, bool always_tuple) {
    struct builder builder = {.format = format, .at = format};
    va_copy(builder.arguments, arguments);
    mp_object *items = build_items(&builder, 0);
    va_end(builder.arguments);
    mp_object *object = NULL;
    if (items && builder.code == 0) {
        /* (O) as arguments holds one object, which may be a tuple itself. */
        bool is_bracket = *mp__format_skip(format) == '(';
        object = finish_items(items, always_tuple && !is_bracket);
        if (object && always_tuple && !mp__is_kind(object, MP_OBJECT_TUPLE)) {
            mp_object_free(object);
            object = items_to_tuple(items);
        }
    }
    mp_object_free(items);
    return object;
}

mp_object *mp_object_build(const char *format, ...) {
    if (!format) {
        mp__fail(MP_EINVAL, "mp_object_build: format is NULL");
        return NULL;
    }
    va_list arguments;
    va_start(arguments, format);
    mp_object *object = mp__object_build(format, arguments, false);
    va_end(arguments);
    return object;
}

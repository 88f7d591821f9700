/* Objects to C variables by a format.
 * SPDX-License-Identifier: MIT
 *
 * The format is gone through twice: first everything is checked, then everything is written. */
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "codec/build.h"
#include "codec/object.h"

struct parser {
    const char *format;
    const char *at; /* the letter that comes next */
    va_list arguments;
    bool is_writing; /* the second time */
    unsigned depth;  /* open brackets */
};

/* NULL for an object: its variables are skipped. */
static int parse_value(struct parser *parser, const mp_object *object);

static int refuse(struct parser *parser, int code, const char *why) {
    return mp__fail(code, "mp_object_parse: %s at place %td of \"%.100s\"", why,
                    parser->at - parser->format, parser->format);
}

static int wrong_kind(struct parser *parser, const char *expected, const mp_object *object) {
    char text[80];
    snprintf(text, sizeof text, "expected %s, got %s", expected,
             mp_object_kind_name(mp__kind_of(object)));
    return refuse(parser, MP_ETYPE, text);
}

struct integer_letter {
    char letter;
    bool is_signed;
    size_t size; /* of the variable */
};
static const struct integer_letter integer_letters[] = {
    {'b', true, sizeof(char)},       {'h', true, sizeof(short)},     {'i', true, sizeof(int)},
    {'l', true, sizeof(long)},       {'L', true, sizeof(long long)}, {'B', false, sizeof(char)},
    {'H', false, sizeof(short)},     {'I', false, sizeof(int)},      {'k', false, sizeof(long)},
    {'K', false, sizeof(long long)},
};

static const struct integer_letter *find_integer_letter(char letter) {
    for (size_t i = 0; i < sizeof integer_letters / sizeof integer_letters[0]; i++)
        if (integer_letters[i].letter == letter)
            return &integer_letters[i];
    return NULL;
}

static void store_integer(void *variable, size_t size, uint64_t value) {
    if (size == sizeof(char))
        *(unsigned char *)variable = (unsigned char)value;
    else if (size == sizeof(short))
        *(unsigned short *)variable = (unsigned short)value;
    else if (size == sizeof(int))
        *(unsigned *)variable = (unsigned)value;
    else
        *(uint64_t *)variable = value;
}

static int parse_integer(struct parser *parser, const struct integer_letter *letter,
                         const mp_object *object) {
    void *variable = va_arg(parser->arguments, void *);
    if (!object)
        return 0;
    if (!mp__is_kind(object, MP_OBJECT_INT) && !mp__is_kind(object, MP_OBJECT_BOOL))
        return wrong_kind(parser, "int", object);
    int64_t value = 0;
    uint64_t positive = 0;
    unsigned spare = 64 - 8 * (unsigned)letter->size;
    bool fits;
    if (letter->is_signed) {
        fits = mp_integer_get(object, &value) == 0 && value >= INT64_MIN >> spare &&
               value <= INT64_MAX >> spare;
        positive = (uint64_t)value;
    } else {
        fits = mp_integer_get_unsigned(object, &positive) == 0 && positive <= UINT64_MAX >> spare;
    }
    if (!fits)
        return refuse(parser, MP_EINVAL, "an int that does not fit");
    if (parser->is_writing)
        store_integer(variable, letter->size, positive);
    return 0;
}

static int parse_float(struct parser *parser, char letter, const mp_object *object) {
    void *variable = va_arg(parser->arguments, void *);
    double value;
    int code = object ? mp_float_get(object, &value) : 0;
    if (code < 0)
        return code == MP_ETYPE ? wrong_kind(parser, "float", object) : code;
    if (object && parser->is_writing && letter == 'f')
        *(float *)variable = (float)value;
    else if (object && parser->is_writing)
        *(double *)variable = value;
    return 0;
}

static int parse_bool(struct parser *parser, const mp_object *object) {
    bool *variable = va_arg(parser->arguments, bool *), value;
    if (!object)
        return 0;
    if (mp_bool_get(object, &value) < 0)
        return wrong_kind(parser, "bool", object);
    if (parser->is_writing)
        *variable = value;
    return 0;
}

static int parse_text(struct parser *parser, char letter, const mp_object *object) {
    const char **variable = va_arg(parser->arguments, const char **);
    bool has_size = *parser->at == '#';
    size_t *size_variable = has_size ? va_arg(parser->arguments, size_t *) : NULL;
    parser->at += has_size;
    const void *text = NULL;
    const char *str = NULL;
    size_t size = 0;
    bool is_none = letter == 'z' && mp__is_kind(object, MP_OBJECT_NONE);
    if (!object)
        return 0;
    int code = is_none         ? 0
               : letter == 'y' ? mp_bytes_get(object, &text, &size)
                               : mp_str_get(object, &str, &size);
    if (code < 0)
        return wrong_kind(parser, letter == 'y' ? "bytes" : "str", object);
    if (letter != 'y')
        text = str;
    if (!has_size && size > 0 && memchr(text, 0, size))
        return refuse(parser, MP_EINVAL, "a NUL inside a text without #");
    if (!has_size && mp__is_kind(object, MP_OBJECT_BYTEARRAY))
        return wrong_kind(parser, "bytes", object); /* no NUL follows it */
    if (parser->is_writing) {
        *variable = text;
        if (has_size)
            *size_variable = size;
    }
    return 0;
}

static int parse_object(struct parser *parser, const mp_object *object) {
    const mp_object **variable = va_arg(parser->arguments, const mp_object **);
    if (object && parser->is_writing)
        *variable = object;
    return 0;
}

static int wrong_count(struct parser *parser, size_t count) {
    char text[80];
    snprintf(text, sizeof text, "another number of items than %zu", count);
    return refuse(parser, MP_ETYPE, text);
}

static int parse_items(struct parser *parser, char close, const mp_object *object) {
    size_t count = mp_object_length(object), next = 0;
    bool is_optional = false;
    for (parser->at = mp__format_skip(parser->at); *parser->at && *parser->at != close;
         parser->at = mp__format_skip(parser->at)) {
        if (*parser->at == '|') {
            is_optional = true;
            parser->at++;
            continue;
        }
        if (object && next == count && !is_optional)
            return wrong_count(parser, count);
        const mp_object *item = object && next < count ? mp__node_slot(object, next++) : NULL;
        int code = parse_value(parser, item);
        if (code < 0)
            return code;
    }
    if (*parser->at != close)
        return refuse(parser, MP_EINVAL, "a bracket that does not end");
    parser->at += close != 0;
    return object && next < count ? wrong_count(parser, count) : 0;
}

static int parse_dict(struct parser *parser, const mp_object *object) {
    for (parser->at = mp__format_skip(parser->at); *parser->at != '}';
         parser->at = mp__format_skip(parser->at)) {
        if (*parser->at != 's')
            return refuse(parser, MP_EINVAL, "a key that is not s");
        parser->at = mp__format_skip(parser->at + 1);
        const char *key = va_arg(parser->arguments, const char *);
        if (!key)
            return refuse(parser, MP_EINVAL, "a key that is NULL");
        const mp_object *value = object ? mp_dict_get_text(object, key) : NULL;
        if (object && !value)
            return mp__fail(MP_EKEY, "mp_object_parse: the dict has no key '%.200s'", key);
        int code = parse_value(parser, value);
        if (code < 0)
            return code;
    }
    parser->at++;
    return 0;
}

static int parse_collection(struct parser *parser, char open, const mp_object *object) {
    if (parser->depth >= MP__FORMAT_DEPTH)
        return refuse(parser, MP_EINVAL, "too many brackets");
    bool is_list = mp__is_kind(object, MP_OBJECT_LIST);
    bool is_tuple = mp__is_kind(object, MP_OBJECT_TUPLE);
    if (object && open == '(' && !is_tuple && !is_list)
        return wrong_kind(parser, "tuple", object);
    if (object && open == '[' && !is_list)
        return wrong_kind(parser, "list", object);
    if (object && open == '{' && !mp__is_kind(object, MP_OBJECT_DICT))
        return wrong_kind(parser, "dict", object);
    parser->depth++;
    int code = open == '{' ? parse_dict(parser, object)
                           : parse_items(parser, open == '(' ? ')' : ']', object);
    parser->depth--;
    return code;
}

static int parse_value(struct parser *parser, const mp_object *object) {
    char letter = *parser->at;
    const struct integer_letter *integer = find_integer_letter(letter);
    if (!letter || !strchr("?bhilLBHIkKdfszyOn([{", letter))
        return refuse(parser, MP_EINVAL, "a letter that means nothing");
    parser->at++;
    if (integer)
        return parse_integer(parser, integer, object);
    switch (letter) {
    case '?':
        return parse_bool(parser, object);
    case 'd':
    case 'f':
        return parse_float(parser, letter, object);
    case 's':
    case 'z':
    case 'y':
        return parse_text(parser, letter, object);
    case 'O':
        return parse_object(parser, object);
    case 'n':
        return object && !mp__is_kind(object, MP_OBJECT_NONE)
                   ? wrong_kind(parser, "NoneType", object)
                   : 0;
    default:
        return parse_collection(parser, letter, object);
    }
}

/* Is the format one value, or several that are a tuple's items? */
static bool is_one_value(const char *format) {
    unsigned depth = 0, count = 0;
    for (const char *at = mp__format_skip(format); *at; at = mp__format_skip(at + 1)) {
        depth -= depth > 0 && strchr(")]}", *at);
        count += depth == 0 && !strchr(")]}#", *at) ? 1 + (*at == '|') : 0;
        depth += strchr("([{", *at) != NULL;
    }
    return count == 1;
}

static int parse_once(struct parser *parser, const mp_object *object) {
    parser->at = mp__format_skip(parser->format);
    if (is_one_value(parser->format)) {
        int code = parse_value(parser, object);
        parser->at = mp__format_skip(parser->at);
        return code == 0 && *parser->at ? refuse(parser, MP_EINVAL, "a bracket too many") : code;
    }
    if (!mp__is_kind(object, MP_OBJECT_TUPLE) && !mp__is_kind(object, MP_OBJECT_LIST))
        return wrong_kind(parser, "tuple", object);
    return parse_items(parser, 0, object);
}

int mp__object_parse(const mp_object *object, const char *format, va_list arguments) {
    int code = 0;
    for (int turn = 0; code == 0 && turn < 2; turn++) {
        struct parser parser = {.format = format, .is_writing = turn == 1};
        va_copy(parser.arguments, arguments);
        code = parse_once(&parser, object);
        va_end(parser.arguments);
    }
    return code;
}

int mp_object_parse(const mp_object *object, const char *format, ...) {
    if (!object || !format)
        return mp__fail(MP_EINVAL, "mp_object_parse: an argument is NULL");
    va_list arguments;
    va_start(arguments, format);
    int code = mp__object_parse(object, format, arguments);
    va_end(arguments);
    return code;
}

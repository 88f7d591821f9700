/* Reading the instructions of protocols 0 and 1, which are lines of text.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/buffer.h"
#include "codec/compat.h"
#include "codec/number.h"
#include "codec/symbol.h"
#include "codec/text.h"
#include "codec/unpickler.h"

#define DIGITS_MAX 4300 /* as Python: decimal texts take time by the square */

int mp__unpickler_line(struct mp__unpickler *unpickler, const char **line, const char **line_end) {
    const char *start = (const char *)unpickler->at;
    const char *end = memchr(start, '\n', (size_t)(unpickler->end - unpickler->at));
    *line = start;
    *line_end = start;
    if (!end)
        return mp__unpickler_end(unpickler);
    *line_end = end;
    unpickler->at = (const uint8_t *)end + 1;
    return 0;
}

static int push_integer(struct mp__unpickler *unpickler, const char *line, const char *end) {
    int code = 0;
    mp_object *integer = mp__integer_parse(line, end, DIGITS_MAX, &code);
    if (!integer && code == MP_EINVAL)
        return mp__unpickler_refuse(unpickler, "an int that is no decimal number");
    return mp__unpickler_push(unpickler, integer);
}

/* A line, without the blanks at its end. */
static int read_trimmed_line(struct mp__unpickler *unpickler, const char **line, const char **end) {
    int code = mp__unpickler_line(unpickler, line, end);
    while (code == 0 && *end > *line && ((*end)[-1] == '\r' || (*end)[-1] == ' '))
        --*end;
    return code;
}

int mp__read_int(struct mp__unpickler *unpickler) {
    const char *line, *end;
    int code = read_trimmed_line(unpickler, &line, &end);
    if (code < 0)
        return code;
    if (end - line == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1'))
        return mp__unpickler_push(unpickler, mp_bool_new(line[1] == '1'));
    return push_integer(unpickler, line, end);
}

int mp__read_long(struct mp__unpickler *unpickler) {
    const char *line, *end;
    int code = read_trimmed_line(unpickler, &line, &end);
    return code < 0 ? code : push_integer(unpickler, line, end - (end > line && end[-1] == 'L'));
}

int mp__read_float(struct mp__unpickler *unpickler) {
    const char *line, *end;
    double value;
    int code = read_trimmed_line(unpickler, &line, &end);
    if (code < 0)
        return code;
    if (mp__double_parse(line, end, &value) < 0)
        return mp__unpickler_refuse(unpickler, "a float that is no number");
    code = mp__unpickler_spend(unpickler, sizeof(struct mp__float));
    return code < 0 ? code : mp__unpickler_push(unpickler, mp_float_new(value));
}

static int hex_digit(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* `count` hexadecimal digits; UINT32_MAX: they are not. */
static uint32_t hex_number(const char *at, const char *end, size_t count) {
    uint32_t value = 0;
    if ((size_t)(end - at) < count)
        return UINT32_MAX;
    for (size_t i = 0; i < count; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return UINT32_MAX;
        value = value << 4 | (uint32_t)digit;
    }
    return value;
}

/* One escape of a string behind its backslash; the byte, or -1: none (a line end joined), -2: not
 * right. */
static int string_escape(const char **at, const char *end) {
    static const char letters[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
    char letter = *(*at)++;
    const char *place = strchr(letters, letter);
    if (place && letter)
        return (unsigned char)values[place - letters];
    if (letter == 'x') {
        uint32_t value = hex_number(*at, end, 2);
        *at += value == UINT32_MAX ? 0 : 2;
        return value == UINT32_MAX ? -2 : (int)value;
    }
    if (letter < '0' || letter > '7')
        return -3; /* Python keeps the backslash */
    int value = letter - '0';
    for (unsigned i = 0; i < 2 && *at < end && **at >= '0' && **at <= '7'; i++)
        value = value * 8 + *(*at)++ - '0';
    return value & 0xff;
}

/* Python 2's str, which Python 3 takes for ASCII. */
int mp__read_string(struct mp__unpickler *unpickler) {
    const char *line, *end;
    int code = read_trimmed_line(unpickler, &line, &end);
    if (code < 0)
        return code;
    if (end - line < 2 || *line != end[-1] || (*line != '"' && *line != '\''))
        return mp__unpickler_refuse(unpickler, "a string without quotes");
    struct mp__buffer text = {0};
    for (line++, end--; code == 0 && line < end;) {
        const char *start = line;
        int byte = *line++ == '\\' && line < end ? string_escape(&line, end) : *start;
        if (byte == -3) {
            line = start + 1;
            byte = '\\';
        }
        code = byte < 0 || byte > 0x7f
                   ? mp__unpickler_refuse(unpickler, "a string that is not ASCII")
                   : mp__buffer_put_byte(&text, (uint8_t)byte);
    }
    mp_object *str = NULL;
    if (code == 0)
        code = mp__unpickler_str(unpickler, text.data, text.size, &str);
    mp__buffer_fini(&text);
    return code < 0 ? code : mp__unpickler_push(unpickler, str);
}

/* Latin-1 with \uXXXX and \UXXXXXXXX. */
static int put_raw_unicode(struct mp__unpickler *unpickler, struct mp__buffer *text,
                           const char **at, const char *end) {
    uint32_t character = (unsigned char)*(*at)++;
    int code = mp__buffer_reserve(text, 4);
    if (character == '\\' && *at < end && (**at == 'u' || **at == 'U')) {
        size_t digits = **at == 'u' ? 4 : 8;
        character = hex_number(*at + 1, end, digits);
        if (character > 0x10ffff)
            return mp__unpickler_refuse(unpickler, "a text with a bad \\u");
        *at += 1 + digits;
    }
    if (code == 0)
        text->size += mp__utf8_write(character, text->data + text->size);
    return code;
}

int mp__read_unicode(struct mp__unpickler *unpickler) {
    const char *line, *end;
    int code = mp__unpickler_line(unpickler, &line, &end);
    struct mp__buffer text = {0};
    while (code == 0 && line < end)
        code = put_raw_unicode(unpickler, &text, &line, end);
    mp_object *str = NULL;
    if (code == 0)
        code = mp__unpickler_str(unpickler, text.data, text.size, &str);
    mp__buffer_fini(&text);
    return code < 0 ? code : mp__unpickler_push(unpickler, str);
}

static int read_names(struct mp__unpickler *unpickler, mp_object **global) {
    const char *module, *module_end, *name = NULL, *name_end = NULL;
    int code = mp__unpickler_line(unpickler, &module, &module_end);
    if (code == 0)
        code = mp__unpickler_line(unpickler, &name, &name_end);
    if (code < 0)
        return code;
    size_t module_size = (size_t)(module_end - module), name_size = (size_t)(name_end - name);
    if (unpickler->protocol < 3)
        mp__compat_to_new(&module, &module_size, &name, &name_size);
    mp_object *first = NULL, *second = NULL;
    code = mp__unpickler_str(unpickler, module, module_size, &first);
    if (code == 0)
        code = mp__unpickler_str(unpickler, name, name_size, &second);
    if (code == 0)
        code = mp__unpickler_spend(unpickler, sizeof(struct mp__global));
    if (code < 0) {
        mp_object_free(first);
        mp_object_free(second);
        return code;
    }
    *global = mp__global_new(first, second);
    return *global ? 0 : -ENOMEM;
}

int mp__read_global(struct mp__unpickler *unpickler) {
    mp_object *global;
    int code = read_names(unpickler, &global);
    return code < 0 ? code : mp__unpickler_push(unpickler, global);
}

/* Take the objects from `first` on into a tuple. */
static mp_object *take_tuple(struct mp__unpickler *unpickler, size_t first) {
    size_t count = unpickler->top - first;
    unpickler->top = first;
    return mp_tuple_new(unpickler->stack + first, count);
}

/* Classes of old: without arguments only made, else called. */
static int make_instance(struct mp__unpickler *unpickler, mp_object *class, size_t first) {
    mp_call_form form = unpickler->top == first ? MP_CALL_NEWOBJ : MP_CALL_REDUCE;
    mp_object *args = take_tuple(unpickler, first);
    if (args)
        return mp__unpickler_call(unpickler, form, class, args, NULL);
    mp_object_free(class);
    return -ENOMEM;
}

int mp__read_inst(struct mp__unpickler *unpickler) {
    mp_object *class;
    size_t first;
    int code = mp__unpickler_mark(unpickler, &first);
    if (code == 0)
        code = read_names(unpickler, &class);
    return code < 0 ? code : make_instance(unpickler, class, first);
}

int mp__read_obj(struct mp__unpickler *unpickler) {
    size_t first;
    int code = mp__unpickler_mark(unpickler, &first);
    if (code < 0)
        return code;
    if (unpickler->top == first)
        return mp__unpickler_refuse(unpickler, "OBJ without a class");
    mp_object *class = unpickler->stack[first];
    unpickler->top--;
    memmove(unpickler->stack + first, unpickler->stack + first + 1,
            (unpickler->top - first) * sizeof *unpickler->stack);
    return make_instance(unpickler, class, first);
}

int mp__read_persid(struct mp__unpickler *unpickler) {
    const char *line, *end;
    mp_object *id = NULL;
    int code = mp__unpickler_line(unpickler, &line, &end);
    if (code == 0)
        code = mp__unpickler_str(unpickler, line, (size_t)(end - line), &id);
    if (code == 0)
        code = mp__unpickler_spend(unpickler, sizeof(struct mp__persistent));
    if (code < 0) {
        mp_object_free(id);
        return code;
    }
    return mp__unpickler_push(unpickler, mp__persistent_new(id));
}

static int read_number(struct mp__unpickler *unpickler, size_t *number) {
    const char *line, *end;
    int code = read_trimmed_line(unpickler, &line, &end);
    if (code < 0)
        return code;
    size_t size = (size_t)(end - line), value = 0;
    if (size == 0 || size > 12)
        return mp__unpickler_refuse(unpickler, "a memo number of %zu digits", size);
    for (size_t i = 0; i < size; i++) {
        if (line[i] < '0' || line[i] > '9')
            return mp__unpickler_refuse(unpickler, "a memo number that is none");
        value = value * 10 + (size_t)(line[i] - '0');
    }
    *number = value;
    return 0;
}

int mp__read_get(struct mp__unpickler *unpickler) {
    size_t number;
    int code = read_number(unpickler, &number);
    return code < 0 ? code : mp__unpickler_fetch(unpickler, number);
}

int mp__read_put(struct mp__unpickler *unpickler) {
    size_t number;
    int code = read_number(unpickler, &number);
    return code < 0 ? code : mp__unpickler_store(unpickler, number);
}

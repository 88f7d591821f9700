/* UTF-8 as Python's strs have it, and Python's quotes.
 * SPDX-License-Identifier: MIT */
#include "codec/text.h"

/* How many bytes a character's first byte announces; 0: it cannot be one. */
static unsigned size_of_character(uint8_t first) {
    return first < 0x80   ? 1
           : first < 0xc2 ? 0
           : first < 0xe0 ? 2
           : first < 0xf0 ? 3
           : first < 0xf5 ? 4
                          : 0;
}

static size_t skip_ascii(const uint8_t *text, size_t at, size_t size) {
    for (uint64_t word; size - at >= 8; at += 8) {
        memcpy(&word, text + at, 8);
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (at < size && text[at] < 0x80)
        at++;
    return at;
}

bool mp__utf8_is_right(const void *data, size_t size) {
    const uint8_t *text = data;
    for (size_t at = skip_ascii(text, 0, size); at < size; at = skip_ascii(text, at, size)) {
        uint8_t first = text[at];
        unsigned count = size_of_character(first);
        if (count == 0 || size - at < count)
            return false;
        for (unsigned i = 1; i < count; i++)
            if ((text[at + i] & 0xc0) != 0x80)
                return false;
        if ((first == 0xe0 && text[at + 1] < 0xa0) || (first == 0xf0 && text[at + 1] < 0x90) ||
            (first == 0xf4 && text[at + 1] > 0x8f))
            return false;
        at += count;
    }
    return true;
}

uint32_t mp__utf8_next(const uint8_t **at) {
    uint8_t first = *(*at)++;
    unsigned count = size_of_character(first);
    uint32_t character = count < 2 ? first : first & (0x7fu >> count);
    for (unsigned i = 1; i < count; i++)
        character = character << 6 | (*(*at)++ & 0x3f);
    return character;
}

size_t mp__utf8_write(uint32_t character, uint8_t *out) {
    if (character < 0x80) {
        out[0] = (uint8_t)character;
        return 1;
    }
    size_t count = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = count - 1; i > 0; i--, character >>= 6)
        out[i] = (uint8_t)(0x80 | (character & 0x3f));
    out[0] = (uint8_t)(0xf00u >> count | character);
    return count;
}

size_t mp__utf8_length(const void *text, size_t size) {
    const uint8_t *at = text;
    size_t length = 0;
    for (size_t i = 0; i < size; i++)
        length += (at[i] & 0xc0) != 0x80;
    return length;
}

/* Python quotes with ' unless there is one and no ". */
static char choose_quote(const void *data, size_t size) {
    return memchr(data, '\'', size) && !memchr(data, '"', size) ? '"' : '\'';
}

/* Write one character escaped, at most 10 bytes, and give how many. */
static size_t escape(uint32_t character, uint8_t *out) {
    static const char digits[] = "0123456789abcdef";
    const char *name = character == '\n'   ? "n"
                       : character == '\r' ? "r"
                       : character == '\t' ? "t"
                       : character == '\\' ? "\\"
                                           : NULL;
    out[0] = '\\';
    if (name) {
        out[1] = (uint8_t)*name;
        return 2;
    }
    unsigned width = character < 0x100 ? 2 : character < 0x10000 ? 4 : 8;
    out[1] = width == 2 ? 'x' : width == 4 ? 'u' : 'U';
    for (unsigned i = 0; i < width; i++)
        out[2 + i] = (uint8_t)digits[character >> 4 * (width - 1 - i) & 15];
    return 2 + width;
}

static bool is_plain(uint32_t character, char quote) {
    return character >= 0x20 && character < 0x7f && character != (uint32_t)quote &&
           character != '\\';
}

static size_t quote_character(uint32_t character, char quote, bool is_text, uint8_t *out) {
    if (character == (uint32_t)quote) {
        out[0] = '\\';
        out[1] = (uint8_t)quote;
        return 2;
    }
    if (is_plain(character, quote) ||
        (is_text && character >= 0x7f && mp__character_is_printable(character)))
        return mp__utf8_write(character, out);
    return escape(character, out);
}

static int quote(struct mp__buffer *buffer, const void *data, size_t size, bool is_text) {
    char mark = choose_quote(data, size);
    const uint8_t *at = data, *end = at + size;
    int code = mp__buffer_put_byte(buffer, (uint8_t)mark);
    while (code == 0 && at < end) {
        code = mp__buffer_reserve(buffer, 16);
        if (code < 0)
            return code;
        uint32_t character = is_text ? mp__utf8_next(&at) : *at++;
        buffer->size += quote_character(character, mark, is_text, buffer->data + buffer->size);
    }
    return code < 0 ? code : mp__buffer_put_byte(buffer, (uint8_t)mark);
}

int mp__quote_str(struct mp__buffer *buffer, const void *text, size_t size) {
    return quote(buffer, text, size, true);
}

int mp__quote_bytes(struct mp__buffer *buffer, const void *data, size_t size) {
    int code = mp__buffer_put_byte(buffer, 'b');
    return code < 0 ? code : quote(buffer, data, size, false);
}

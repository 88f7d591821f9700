/* UTF-8 as Python's strs have it, and Python's quotes round texts and bytes.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_TEXT_H
#define MP__CODEC_TEXT_H

#include "codec/buffer.h"

#include <stdbool.h>

/* Is it UTF-8, where lone surrogates are allowed ("surrogatepass")? */
bool mp__utf8_is_right(const void *text, size_t size);

/* Take the next character of right UTF-8. */
uint32_t mp__utf8_next(const uint8_t **at);

/* Write a character, at most 4 bytes, and give how many. */
size_t mp__utf8_write(uint32_t character, uint8_t *out);

/* Count the characters of right UTF-8. */
size_t mp__utf8_length(const void *text, size_t size);

/* Does Python's repr show this character as it is? */
bool mp__character_is_printable(uint32_t character);

/* Append what Python's repr gives of a str, or of bytes behind a `b`. 0 or -ENOMEM. */
int mp__quote_str(struct mp__buffer *buffer, const void *text, size_t size);
int mp__quote_bytes(struct mp__buffer *buffer, const void *data, size_t size);

#endif

/* Bytes that grow at the end: what is written before it is known how much there will be.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_BUFFER_H
#define MP__CODEC_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct mp__buffer {
    uint8_t *data;   /* from malloc; NULL while nothing was reserved */
    size_t size;     /* bytes written */
    size_t capacity; /* bytes that data can take */
};

/* malloc of what is soon written: large blocks come in large pages. free() ends it. */
void *mp__block_alloc(size_t size);

/* Make room for `more` bytes behind the last one; 0 or -ENOMEM, then nothing has changed. */
int mp__buffer_grow(struct mp__buffer *buffer, size_t more);

/* Free the bytes; the buffer is empty afterwards and may be used again. */
void mp__buffer_fini(struct mp__buffer *buffer);

/* Give back what is allocated too much, if that is worth a call. */
void mp__buffer_trim(struct mp__buffer *buffer);

static inline int mp__buffer_reserve(struct mp__buffer *buffer, size_t more) {
    return buffer->capacity - buffer->size >= more ? 0 : mp__buffer_grow(buffer, more);
}

/* Write some bytes; 0 or -ENOMEM. */
static inline int mp__buffer_put(struct mp__buffer *buffer, const void *data, size_t size) {
    int code = mp__buffer_reserve(buffer, size);
    if (code < 0)
        return code;
    if (size > 0)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return 0;
}

/* Write a string without its NUL; 0 or -ENOMEM. */
static inline int mp__buffer_put_text(struct mp__buffer *buffer, const char *text) {
    return mp__buffer_put(buffer, text, strlen(text));
}

/* Write one byte; 0 or -ENOMEM. */
static inline int mp__buffer_put_byte(struct mp__buffer *buffer, uint8_t byte) {
    return mp__buffer_put(buffer, &byte, 1);
}

#endif

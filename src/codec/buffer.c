/* Bytes that grow at the end.
 * SPDX-License-Identifier: MIT */
#include "codec/buffer.h"

#include <errno.h>
#include <stdlib.h>

#include "base/fail.h"
#include "os/memory.h"

#define LARGE_PAGE ((size_t)2 << 20)
#define LARGE_BYTES ((size_t)4 << 20) /* from here on page faults cost more than copying */
#define SLACK_BYTES 64                /* what follows a large piece is a few closing bytes */

void *mp__block_alloc(size_t size) {
    if (size < LARGE_BYTES)
        return malloc(size);
    size_t whole = (size + LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    void *block = aligned_alloc(LARGE_PAGE, whole);
    if (block)
        mp__memory_prefer_large_pages(block, whole);
    return block;
}

/* What little there is moves; growing in place would keep small pages. */
static void *move_to_large(struct mp__buffer *buffer, size_t capacity) {
    void *data = mp__block_alloc(capacity);
    if (data && buffer->size > 0)
        memcpy(data, buffer->data, buffer->size);
    if (data)
        free(buffer->data);
    return data;
}

int mp__buffer_grow(struct mp__buffer *buffer, size_t more) {
    if (more > PTRDIFF_MAX - SLACK_BYTES - buffer->size)
        return mp__fail(-ENOMEM, "a buffer of %zu bytes cannot grow by %zu", buffer->size, more);
    size_t capacity = buffer->capacity + buffer->capacity / 2;
    if (capacity < buffer->size + more + SLACK_BYTES)
        capacity = buffer->size + more + SLACK_BYTES;
    void *data = capacity >= LARGE_BYTES && buffer->size < capacity / 8
                     ? move_to_large(buffer, capacity)
                     : realloc(buffer->data, capacity);
    if (!data)
        return mp__fail(-ENOMEM, "growing a buffer to %zu bytes", capacity);
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}

void mp__buffer_fini(struct mp__buffer *buffer) {
    free(buffer->data);
    *buffer = (struct mp__buffer){0};
}

void mp__buffer_trim(struct mp__buffer *buffer) {
    if (buffer->capacity - buffer->size < 4096 + buffer->size / 8)
        return;
    void *data = realloc(buffer->data, buffer->size > 0 ? buffer->size : 1);
    if (!data)
        return;
    buffer->data = data;
    buffer->capacity = buffer->size;
}

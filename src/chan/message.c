/* Messages that are built in place and move by pointer.
 * SPDX-License-Identifier: MIT */
#include "chan/message.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/memory.h"
#include "reg/thread.h"
#include "shm/heap.h"

enum { PIECE_BYTES = 1 << 20 };

struct message_shared *mp__message_alloc(uint64_t size) {
    if (size > MP__MESSAGE_MAX_BYTES) {
        mp__fail(-ENOMEM, "a message of %llu bytes is larger than any shared heap",
                 (unsigned long long)size);
        return NULL;
    }
    struct message_shared *message = mp__heap_alloc(sizeof *message + size);
    if (!message)
        return NULL;
    MP__POINT("message.new.allocated");
    mp__message_init(message, 0, size);
    return message;
}

/* Piece by piece, so that what is copied finds in the cache what the system has just cleared. */
void mp__message_fill(struct message_shared *message, const void *data, uint64_t size) {
    bool is_fresh = mp__heap_is_fresh(message);
    for (uint64_t done = 0; done < size;) {
        uint64_t piece = size - done < PIECE_BYTES ? size - done : PIECE_BYTES;
        if (is_fresh)
            mp__memory_populate(message->data + done, piece);
        else
            mp__memory_expect_write(message->data + done, piece);
        memcpy(message->data + done, (const unsigned char *)data + done, piece);
        done += piece;
    }
}

struct batch_shared *mp__batch_alloc(uint64_t bytes) {
    struct batch_shared *batch = mp__heap_alloc(sizeof *batch + bytes);
    if (!batch)
        return NULL;
    MP__POINT("message.batch.allocated");
    atomic_store_explicit(&batch->left, 0, memory_order_relaxed);
    batch->used = sizeof *batch;
    return batch;
}

int mp_message_new(mp_message **out, size_t size) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_message_new: out is NULL");
    if (!mp__self())
        return -ENOMEM;
    struct message_shared *message = mp__message_alloc(size);
    if (!message)
        return -ENOMEM;
    *out = (mp_message *)message;
    return 0;
}

void *mp_message_data(mp_message *message) {
    struct message_shared *shared = (struct message_shared *)message;
    int code = mp__kind_check(shared, MP__KIND_MESSAGE, "mp_message_data", "message");
    return code < 0 ? NULL : shared->data;
}

size_t mp_message_size(const mp_message *message) {
    const struct message_shared *shared = (const struct message_shared *)message;
    int code = mp__kind_check(shared, MP__KIND_MESSAGE, "mp_message_size", "message");
    return code < 0 ? 0 : shared->size;
}

void mp_message_free(mp_message *message) {
    struct message_shared *shared = (struct message_shared *)message;
    if (!mp__kind_is(shared, MP__KIND_MESSAGE))
        return;
    atomic_store_explicit(&shared->kind, 0, memory_order_relaxed);
    MP__POINT("message.free.unmarked");
    if (shared->batch == 0) {
        mp__heap_free(shared);
        return;
    }
    struct batch_shared *batch = (void *)((char *)shared - (size_t)shared->batch * 16);
    if (atomic_fetch_sub_explicit(&batch->left, 1, memory_order_acq_rel) == 1)
        mp__heap_free(batch);
}

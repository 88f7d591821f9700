/* Messages that are built in place and move by pointer.
 * SPDX-License-Identifier: MIT */
#include "chan/message.h"

#include <assert.h>
#include <errno.h>

#include "base/fail.h"
#include "base/point.h"
#include "reg/thread.h"
#include "shm/heap.h"

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

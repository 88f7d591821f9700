/* What the two halves of streams share: one call, checked at its beginning.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CHAN_STREAM_CALL_H
#define MP__CHAN_STREAM_CALL_H

#include "chan/stream.h"

struct mp__stream_call {
    struct stream_shared *stream;
    struct thread_shared *self;
    int socket; /* this process's descriptor; borrowed */
    mp__time deadline;
    const char *name; /* of the public function */
};

int mp__stream_begin(struct mp__stream_call *call, mp_connection *connection, double timeout,
                     const char *name);
/* One of the stream's guards: 0; MP_ETIMEDOUT, -ENOMEM. */
int mp__stream_lock(const struct mp__stream_call *call, struct mp__guard *guard);
void mp__stream_unlock(const struct mp__stream_call *call, struct mp__guard *guard);
/* Until the socket has one of these poll(2) events, or its end: 0; MP_ETIMEDOUT without detail;
 * -errno. */
int mp__stream_wait(const struct mp__stream_call *call, short events);
/* Free what is kept, holding the stream. */
void mp__stream_forget(struct stream_shared *stream);

#endif

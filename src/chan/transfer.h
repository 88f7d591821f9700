/* One message from the user's memory into a channel, or back: what queues and connections share.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CHAN_TRANSFER_H
#define MP__CHAN_TRANSFER_H

#include <stddef.h>

#include "chan/channel.h"

/* Copy bytes that are too many for a segment into a block, before any guard is taken: 0; -ENOMEM.
 * Ended with outgoing_drop when it was not put after all. */
int mp__outgoing_make(struct mp__outgoing *out, const void *data, size_t size);
void mp__outgoing_drop(struct mp__outgoing *out);

enum mp__intake_mode {
    MP__INTAKE_INTO,   /* into the caller's buffer */
    MP__INTAKE_ALLOC,  /* into malloc'd memory */
    MP__INTAKE_MESSAGE /* as a message */
};

struct mp__intake {
    enum mp__intake_mode mode;
    void *data;        /* INTO: the buffer; ALLOC: out */
    uint64_t capacity; /* longest message that is taken */
    uint64_t size;     /* out: of the message, also when it was too long */
    struct message_shared
        *block; /* out: MESSAGE: the message; others: to be copied after the unlock */
};

/* Room for a message of that size, is_copied: also when it is wanted as a message: 0; MP_ETOOSHORT,
 * -ENOMEM. */
int mp__intake_prepare(struct mp__intake *intake, uint64_t size, bool is_copied);
/* Take the message that the reader looks at and commit: 0; MP_ETOOSHORT, -ENOMEM: it stays. */
int mp__intake_take(struct mp__intake *intake, struct mp__reader *reader);
void mp__intake_finish(struct mp__intake *intake); /* after the unlock, when take worked */

#endif

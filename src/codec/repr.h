/* Objects as Python prints them, into a buffer.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_REPR_H
#define MP__CODEC_REPR_H

#include "codec/buffer.h"
#include "mp/object.h"

/* Append an object's repr without a NUL; codes of mp_object_repr, with MP_EINVAL when the buffer
 * would get longer than `limit` (soon after it has). */
int mp__object_print(struct mp__buffer *buffer, const mp_object *object, size_t limit);

#endif

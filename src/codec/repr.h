/* Objects as Python prints them, into a buffer.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_REPR_H
#define MP__CODEC_REPR_H

#include "codec/buffer.h"
#include "mp/object.h"

/* Prints a call that shows otherwise than as what is called with which arguments. 1: it did; 0: it
 * shows as usual; -ENOMEM. */
typedef int (*mp__call_print_fn)(struct mp__buffer *buffer, const mp_object *call);

/* Append an object's repr without a NUL; codes of mp_object_repr, with MP_EINVAL when the buffer
 * would get longer than `limit` (soon after it has). print_call NULL: all calls show as usual. */
int mp__object_print(struct mp__buffer *buffer, const mp_object *object, size_t limit,
                     mp__call_print_fn print_call);

#endif

/* Pickles for the layers above: into a buffer that has a header already, out of a stream.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_PICKLE_H
#define MP__CODEC_PICKLE_H

#include "codec/buffer.h"
#include "mp/pickle.h"

/* Append an object's pickle. On failure the buffer is as it was. Codes of mp_object_dumps. */
int mp__pickle_write(struct mp__buffer *buffer, const mp_object *object, int protocol);

/* Read one pickle from the front of some bytes; `used` gets how many it took (NULL: not wanted).
 * Codes of mp_object_loads, and MP_EEOF: these bytes are the beginning of a pickle, more are
 * needed. */
int mp__pickle_read(mp_object **out, const void *data, size_t size, const mp_load_limits *limits,
                    size_t *used);

#endif

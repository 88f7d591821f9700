/* A connection over a socket, and the bare socket at its other end.
 * SPDX-License-Identifier: MIT */
#ifndef MPT_STREAM_H
#define MPT_STREAM_H

#include "mp/connection.h"

mp_connection *mpt_open_raw(int *raw);
/* All of it goes out at once. */
void mpt_put_raw(int raw, const void *bytes, size_t size);

#endif

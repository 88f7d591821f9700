/* The descriptor under a connection, for whoever hands connections to other processes.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CHAN_CONNECTION_H
#define MP__CHAN_CONNECTION_H

#include "mp/connection.h"

/* The descriptor that this process has for it, to be passed on with it; MP_ENOTPASSED, MP_ECLOSED,
 * MP_EINVAL with detail. Borrowed. */
int mp__connection_descriptor(mp_connection *connection);
/* In a child: this descriptor, now ours, is the one for that connection. 0 or -ENOMEM. */
int mp__connection_adopt(mp_connection *connection, int descriptor);

#endif

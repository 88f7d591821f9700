/* Sockets that are connected, and who may know of the key.
 * SPDX-License-Identifier: MIT */
#ifndef MP__NET_CONNECT_H
#define MP__NET_CONNECT_H

#include "net/address.h"
#include "os/clock.h"

/* A socket connected to that address: the descriptor; MP_ETIMEDOUT; -errno. No details. */
int mp__connect_socket(const struct mp__address *address, mp__time deadline);
/* What a connected socket should have: small messages are not held back, and the end of the other
 * machine is noticed. */
void mp__connect_tune(int socket, const struct mp__address *address);

#endif

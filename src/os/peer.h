/* Who is at the other end of a socket.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_PEER_H
#define MP__OS_PEER_H

#include <sys/types.h>

/* The process that connected a Unix socket; 0: it is of another family or machine, or the system
 * does not say. */
pid_t mp__peer_pid(int socket);

#endif

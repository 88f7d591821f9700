/* File descriptors, close-on-exec from birth, and how they travel.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_DESCRIPTOR_H
#define MP__OS_DESCRIPTOR_H

#include <stddef.h>
#include <sys/types.h>

#include "os/clock.h"

void mp__descriptor_close(int descriptor);    /* < 0: nothing */
int mp__descriptor_pipe(int out[2]);          /* [0] reads, [1] writes; 0 or -errno */
int mp__descriptor_duplicate(int descriptor); /* close-on-exec copy or -errno */
/* AF_UNIX, SOCK_STREAM or SOCK_SEQPACKET: 0 or -errno. */
int mp__descriptor_socketpair(int out[2], int type);
int mp__descriptor_socket(int family, int type); /* unconnected: the descriptor or -errno */
/* Have the system notice within a minute, where it can, that the machine at the other end of a TCP
 * connection is gone. */
void mp__descriptor_keep_alive(int socket);
/* accept(2), which may wait as the listening socket does: the descriptor or -errno. `address` and
 * `size` as there. */
int mp__descriptor_accept(int listening, void *address, unsigned *size);
int mp__descriptor_set_blocking(int descriptor, int is_blocking);

/* Wait for poll(2) `events`: the ready events (> 0), 0 in time nothing, -errno. */
int mp__descriptor_poll(int descriptor, short events, mp__time deadline);

/* As write(2), but a pipe that nobody reads raises no SIGPIPE: bytes written or -errno. */
ssize_t mp__descriptor_write(int descriptor, const void *data, size_t size);

#define MP__PASS_MAX 64 /* descriptors in one message */
/* Send/receive one message with descriptors (SCM_RIGHTS) over a Unix socket. Bytes sent/received or
 * -errno (-EAGAIN on a non-blocking socket). Receive: 0 is end of file; *count in: room, out: how
 * many came; -EMSGSIZE: the data or the descriptors do not fit, -EMFILE: this process may not have
 * so many; then the message and its descriptors are gone. */
ssize_t mp__descriptor_send(int socket, const void *data, size_t size, const int *list,
                            size_t count);
ssize_t mp__descriptor_receive(int socket, void *data, size_t capacity, int *list, size_t *count);

#endif

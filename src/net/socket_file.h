/* The file of a Unix socket: whose it is, and that it goes.
 * SPDX-License-Identifier: MIT */
#ifndef MP__NET_SOCKET_FILE_H
#define MP__NET_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "net/address.h"

struct mp__socket_file {
    char *path; /* absolute where that can be known, from malloc; NULL: none */
    dev_t device;
    ino_t inode; /* whoever has put another file there keeps it */
};

/* Is there a socket that no process has any more? A listener does not notice the question. */
bool mp__socket_file_is_stale(const struct mp__address *address);
/* Note the file of a socket that was just bound. 0 or -ENOMEM. */
int mp__socket_file_note(struct mp__socket_file *out, const struct mp__address *address);
/* Remove it, if it is still the same, and forget it. None: nothing. */
void mp__socket_file_remove(struct mp__socket_file *file);

/* Where a listener that makes up its address puts the socket: base/prefixXXXXXX/listener. */
#define MP__SOCKET_DIRECTORY "libmp-"
#define MP__SOCKET_NAME "listener"
/* Remove what killed processes of this user have left of those. */
void mp__socket_file_sweep(const char *base);

#endif

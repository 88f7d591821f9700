/* Addresses as text, and as the system has them.
 * SPDX-License-Identifier: MIT */
#ifndef MP__NET_ADDRESS_H
#define MP__NET_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define MP__ADDRESS_TEXT_MAX 300 /* bytes of the longest text, its NUL included */
#define MP__ADDRESS_COUNT_MAX 16 /* of those that a name has, the first ones are tried */

struct mp__address {
    struct sockaddr_storage storage;
    socklen_t size; /* bytes of it that count */
};

/* Read "tcp://host:port", "unix:path" or "abstract:name": how many addresses it stands for, those
 * of IPv4 first as Python knows no others. MP_EINVAL: it is none of those; -EADDRNOTAVAIL and the
 * like: no such host. A listener's host may be empty: any.
 * blocks  as long as the system takes to find the host */
int mp__address_read(const char *text, bool is_listener, struct mp__address *out, int capacity,
                     const char *function);

/* Write it; a Unix socket without a name is "". */
void mp__address_write(const struct mp__address *address, char *out, size_t capacity);

/* The path of a Unix socket in the file system; NULL: it has none. */
const char *mp__address_path(const struct mp__address *address);

#endif

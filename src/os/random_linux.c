/* Bytes nobody can guess: from the kernel.
 * SPDX-License-Identifier: MIT */
#include "os/random.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

int mp__random_bytes(void *out, size_t size) {
    unsigned char *next = out;
    while (size > 0) {
        ssize_t got = getrandom(next, size, 0);
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        }
    }
    return 0;
}

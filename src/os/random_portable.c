/* Bytes nobody can guess: from the system's device.
 * SPDX-License-Identifier: MIT */
#include "os/random.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "os/descriptor.h"

static int read_all(int descriptor, unsigned char *next, size_t size) {
    while (size > 0) {
        ssize_t got = read(descriptor, next, size);
        if (got == 0)
            return -EIO;
        if (got < 0 && errno != EINTR)
            return -errno;
        if (got > 0) {
            next += got;
            size -= (size_t)got;
        }
    }
    return 0;
}

int mp__random_bytes(void *out, size_t size) {
    int descriptor;
    do
        descriptor = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    while (descriptor < 0 && errno == EINTR);
    if (descriptor < 0)
        return -errno;
    int code = read_all(descriptor, out, size);
    mp__descriptor_close(descriptor);
    return code;
}

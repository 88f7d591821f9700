/* Shared memory with a name: shm_open.
 * SPDX-License-Identifier: MIT */
#include "os/named_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "os/descriptor.h"
#include "os/memory.h"

static int open_name(const char *name, int flags) {
    int descriptor;
    do
        descriptor = shm_open(name, flags, 0600); /* close-on-exec, says POSIX */
    while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

int mp__named_memory_create(const char *name, uint64_t size) {
    int descriptor = open_name(name, O_RDWR | O_CREAT | O_EXCL);
    if (descriptor < 0)
        return descriptor;
    int code = mp__memory_resize(descriptor, size);
    if (code == 0)
        code = mp__memory_reserve(descriptor, 0, size);
    if (code == 0)
        return descriptor;
    shm_unlink(name);
    mp__descriptor_close(descriptor);
    return code;
}

int mp__named_memory_open(const char *name) {
    return open_name(name, O_RDWR);
}

int mp__named_memory_map(int descriptor, void **address, size_t *size) {
    struct stat status;
    if (fstat(descriptor, &status) < 0)
        return -errno;
    void *got =
        mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (got == MAP_FAILED)
        return -errno;
    *address = got;
    *size = (size_t)status.st_size;
    return 0;
}

int mp__named_memory_unlink(const char *name) {
    return shm_unlink(name) < 0 ? -errno : 0;
}

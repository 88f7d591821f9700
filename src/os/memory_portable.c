/* Shared memory whose name is gone as soon as it is open: shm_open.
 * SPDX-License-Identifier: MIT */
#include "os/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/random.h"

#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif

/* Between open and unlink a kill leaves an empty file behind: POSIX has no way round that. The name
 * says who made it; some systems allow 31 characters. */
static int open_memory(void) {
    int descriptor;
    do {
        uint32_t number;
        char name[32];
        int code = mp__random_bytes(&number, sizeof number);
        if (code < 0)
            return code;
        snprintf(name, sizeof name, "/libmp-%d-%08x", (int)getpid(), (unsigned)number);
        descriptor =
            shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600); /* close-on-exec, says POSIX */
        if (descriptor >= 0)
            shm_unlink(name);
    } while (descriptor < 0 && (errno == EEXIST || errno == EINTR));
    return descriptor < 0 ? -errno : descriptor;
}

int mp__memory_create(uint64_t size) {
    int descriptor = open_memory();
    int code = descriptor < 0 ? descriptor : mp__memory_resize(descriptor, size);
    if (code < 0)
        mp__descriptor_close(descriptor);
    return code < 0 ? code : descriptor;
}

/* Without MAP_FIXED, which would replace what is there. */
int mp__memory_map(int descriptor, void *address, uint64_t size) {
    void *got =
        mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
    if (got == MAP_FAILED)
        return -errno;
    if (got == address)
        return 0;
    munmap(got, size);
    return -EEXIST;
}

void mp__memory_unmap(void *address, uint64_t size) {
    munmap(address, size);
}

int mp__memory_commit(int descriptor, uint64_t offset, uint64_t size) {
    return mp__memory_reserve(descriptor, offset, size);
}

/* POSIX cannot give pages of a shared memory back: they keep their memory, with zeros in it. */
void mp__memory_expect_run(void (*function)(void)) {
    (void)function;
}

void mp__memory_prefer_large_pages(void *address, size_t size) {
    (void)address;
    (void)size;
}

void mp__memory_populate(void *address, size_t size) {
    (void)address;
    (void)size;
}

void mp__memory_release(void *address, uint64_t size) {
    memset(address, 0, size);
}

bool mp__memory_is_returnable(void) {
    return false;
}

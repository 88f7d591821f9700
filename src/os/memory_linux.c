/* Shared memory without a name: memfd.
 * SPDX-License-Identifier: MIT */
#include "os/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/descriptor.h"

#define PAGE 4096

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* Some systems refuse memory files that do not renounce execution; kernels before 6.3 do not know
 * how to. */
static int open_memory(void) {
    int descriptor = memfd_create("libmp", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (descriptor < 0 && errno == EINVAL)
        descriptor = memfd_create("libmp", MFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int mp__memory_create(uint64_t size) {
    int descriptor = open_memory();
    int code = descriptor < 0 ? descriptor : mp__memory_resize(descriptor, size);
    if (code < 0)
        mp__descriptor_close(descriptor);
    return code < 0 ? code : descriptor;
}

int mp__memory_map(int descriptor, void *address, uint64_t size) {
    void *got = mmap(address, size, PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, descriptor, 0);
    if (got == MAP_FAILED)
        return -errno;
    if (got != address) { /* kernels before 4.17 take the address for a hint */
        munmap(got, size);
        return -EEXIST;
    }
    madvise(address, size, MADV_DONTDUMP);
    return 0;
}

void mp__memory_unmap(void *address, uint64_t size) {
    munmap(address, size);
}

int mp__memory_commit(int descriptor, uint64_t offset, uint64_t size) {
    (void)descriptor;
    (void)offset;
    (void)size;
    return 0;
}

/* Kernels before 5.14 do not know it. */
void mp__memory_populate(void *address, size_t size) {
    uintptr_t begin = (uintptr_t)address & ~(uintptr_t)(PAGE - 1);
    madvise((void *)begin, (uintptr_t)address + size - begin, MADV_POPULATE_WRITE);
}

/* A system call reads what we may not be allowed to. */
void mp__memory_expect_run(void (*function)(void)) {
    madvise((void *)((uintptr_t)function & ~(uintptr_t)(PAGE - 1)), PAGE, MADV_POPULATE_READ);
}

void mp__memory_prefer_large_pages(void *address, size_t size) {
    madvise(address, size, MADV_HUGEPAGE);
}

void mp__memory_release(void *address, uint64_t size) {
    if (madvise(address, size, MADV_REMOVE) < 0)
        memset(address, 0, size);
}

bool mp__memory_is_returnable(void) {
    return true;
}

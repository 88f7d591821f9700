/* How large shared memory may be, and where in the address space the arena may lie.
 * SPDX-License-Identifier: MIT */
#include "os/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "os/sanitizer.h"

#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define SURROUNDINGS (UINT64_C(1) << 16) /* bytes, aligned, of what is mapped together */

struct candidate_range {
    uint64_t start; /* address of the first candidate */
    uint64_t step;  /* bytes from one to the next, and the largest size that fits */
    unsigned count; /* candidates */
};

static const struct candidate_range ranges[] = {
#if defined(MP__UNDER_TSAN)
    /* On x86-64 TSan gives programs only what lies below 0x80_0000_0000, beside the ends of the
       address space. */
    {UINT64_C(0x1000000000), 64 * GIB, 6},
#elif UINTPTR_MAX > UINT32_MAX
    {UINT64_C(0x200000000000), TIB, 32},
    {UINT64_C(0x1000000000), 64 * GIB, 3}, /* address spaces of 39 bits */
#else
    {0x60000000, GIB / 4, 4},
#endif
};

/* Valgrind notes each page of a mapping: a sparse TiB costs it seconds at every start and fork. */
static uint64_t largest_size(void) {
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "vgpreload") ? GIB : UINT64_MAX;
}

void *mp__memory_candidate(unsigned attempt, uint64_t *limit_bytes) {
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        if (attempt < ranges[i].count) {
            uint64_t largest = largest_size();
            *limit_bytes = ranges[i].step < largest ? ranges[i].step : largest;
            return (void *)(uintptr_t)(ranges[i].start + attempt * ranges[i].step);
        }
        attempt -= ranges[i].count;
    }
    return NULL;
}

int mp__memory_resize(int descriptor, uint64_t size) {
    struct rlimit limit;
    /* Beyond that limit ftruncate would also send SIGXFSZ, which kills. */
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        size > limit.rlim_cur)
        return -EFBIG;
    return ftruncate(descriptor, (off_t)size) < 0 ? -errno : 0;
}

/* Where the file system cannot reserve, that is all there is: touching the page decides. */
int mp__memory_reserve(int descriptor, uint64_t offset, uint64_t size) {
    int error;
    do
        error = posix_fallocate(descriptor, (off_t)offset, (off_t)size);
    while (error == EINTR);
    return error == EOPNOTSUPP || error == EINVAL || error == ENODEV ? 0 : -error;
}

/* A page that is read for the first time comes with those around it that exist, one that is written
 * comes alone. The first bytes may be written already, so the last ones are read. */
void mp__memory_expect_write(const void *address, size_t size) {
    for (uintptr_t at = (uintptr_t)address, end = at + size; at < end;) {
        uintptr_t next = (at | (SURROUNDINGS - 1)) + 1;
        next = next < end ? next : end;
        (void)*(const volatile unsigned char *)(next - 1);
        at = next;
    }
}

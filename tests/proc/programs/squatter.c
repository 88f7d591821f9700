/* A program that has something where its parent has the shared memory.
 * SPDX-License-Identifier: MIT */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "mp/context.h"

/* argv[2] is "descriptor,address,...". */
static void take_address(const char *order) {
    char *end;
    (void)strtoull(order, &end, 10);
    void *address = (void *)(uintptr_t)strtoull(end + 1, NULL, 10);
    mmap(address, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
}

int main(int argc, char **argv) {
    if (argc > 2)
        take_address(argv[2]);
    mp_freeze_support(argc, argv);
    return 3;
}

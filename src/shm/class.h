/* Size classes of small blocks and the sizes of the slabs they are cut from.
 * SPDX-License-Identifier: MIT
 *
 * 16, 32, 48, then multiples of 64 (so that a block never shares a cache line): 64 128 192 256 and
 * from there four per doubling: 320 384 448 512, 640 768 896 1024, ... up to 8 KiB. */
#ifndef MP__SHM_CLASS_H
#define MP__SHM_CLASS_H

#include <stddef.h>
#include <stdint.h>

#define MP__CLASS_COUNT 27
#define MP__SMALL_MAX 8192 /* larger blocks are runs of units */

/* The class of a size from 1 to MP__SMALL_MAX. */
static inline uint32_t mp__class_of(size_t size) {
    if (size <= 256)
        return size <= 48 ? (uint32_t)(size - 1) / 16 : 3 + (uint32_t)(size - 1) / 64;
    uint32_t last = (uint32_t)size - 1;
    uint32_t doubling = 31 - (uint32_t)__builtin_clz(last); /* 8: 257..512 */
    return 7 + (doubling - 8) * 4 + ((last >> (doubling - 2)) & 3);
}

/* Bytes of a block of the class. */
static inline uint32_t mp__class_size(uint32_t class) {
    if (class < 7)
        return class < 3 ? (class + 1) * 16 : (class - 2) * 64;
    return (5 + (class - 7) % 4) << (6 + (class - 7) / 4);
}

static inline uint32_t mp__class_align(uint32_t class) {
    return class < 3 ? 16 : 64;
}

#endif

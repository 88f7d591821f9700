/* The loaded objects of this process: which one an address belongs to, and where one is.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_IMAGE_H
#define MP__OS_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define MP__BUILD_ID_MAX 32

struct mp__image {
    uintptr_t base; /* load address: pointer = base + offset */
    char path[512]; /* "" for the program itself */
    unsigned char
        build_id[MP__BUILD_ID_MAX]; /* GNU build id; without one a digest of headers and size */
    size_t build_id_size;           /* used of it, never 0 */
};

int mp__image_of(const void *function,
                 struct mp__image *out); /* 0; MP_EINVAL: in no loaded object */
int mp__image_find(const char *path,
                   struct mp__image *out); /* "": the program; 0; -ENOENT: not loaded */
int mp__image_load(const char *path);      /* dlopen for good; 0 or MP_EINVAL with detail */

#endif

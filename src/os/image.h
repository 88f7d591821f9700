/* The loaded objects of this process: which one an address belongs to, and where one is.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_IMAGE_H
#define MP__OS_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP__BUILD_ID_MAX 32

struct mp__image {
    uintptr_t base; /* load address: pointer = base + offset */
    char path[512]; /* "" for the program itself */
    /* GNU build id; without one a digest of headers and machine code, which takes a ms per 2 MB. */
    unsigned char build_id[MP__BUILD_ID_MAX];
    size_t build_id_size; /* used of it, never 0 */
};

/* The object that a function lies in: 0; MP_EINVAL: in none, with detail. */
int mp__image_of(const void *function, struct mp__image *out);
/* "" finds the program: 0; -ENOENT: not loaded. */
int mp__image_find(const char *path, struct mp__image *out);
/* Load it for good: 0 or MP_EINVAL with detail. */
int mp__image_load(const char *path);

/* The name of the function at that offset in the object's file, as that is now: for a message only.
 * false: the file has no such symbol, or is not there. */
bool mp__image_name_function(const char *path, uint64_t offset, char *out, size_t capacity);

#endif

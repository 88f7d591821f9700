/* A table from addresses to numbers.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_POINTER_MAP_H
#define MP__CODEC_POINTER_MAP_H

#include <stddef.h>

struct mp__pointer_pair {
    const void *key; /* NULL: free */
    size_t value;
};

struct mp__pointer_map {            /* all zero: empty */
    struct mp__pointer_pair *pairs; /* from malloc */
    size_t count;                   /* of keys */
    size_t capacity;                /* a power of two, or 0 */
};

/* Give the number of a key; NULL: the key is not there. */
size_t *mp__pointer_map_find(const struct mp__pointer_map *map, const void *key);

/* Find a key or add it with number 0. 1: it was there; 0: it is new; -ENOMEM. The place is good
 * until the next key comes. */
int mp__pointer_map_put(struct mp__pointer_map *map, const void *key, size_t **place);

void mp__pointer_map_fini(struct mp__pointer_map *map);

#endif

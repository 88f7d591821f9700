/* A table from addresses to numbers: open addressing, at most half full.
 * SPDX-License-Identifier: MIT */
#include "codec/pointer_map.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/fail.h"

static struct mp__pointer_pair *find_place(const struct mp__pointer_map *map, const void *key) {
    uint64_t hash = (uint64_t)(uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = (size_t)(hash >> 20);; i++) {
        struct mp__pointer_pair *pair = &map->pairs[i & (map->capacity - 1)];
        if (!pair->key || pair->key == key)
            return pair;
    }
}

size_t *mp__pointer_map_find(const struct mp__pointer_map *map, const void *key) {
    if (map->count == 0)
        return NULL;
    struct mp__pointer_pair *pair = find_place(map, key);
    return pair->key ? &pair->value : NULL;
}

static int grow(struct mp__pointer_map *map) {
    struct mp__pointer_map larger = {.capacity = map->capacity ? map->capacity * 4 : 64,
                                     .count = map->count};
    larger.pairs = calloc(larger.capacity, sizeof *larger.pairs);
    if (!larger.pairs)
        return mp__fail(-ENOMEM, "keeping track of %zu objects", map->count);
    for (size_t i = 0; i < map->capacity; i++)
        if (map->pairs[i].key)
            *find_place(&larger, map->pairs[i].key) = map->pairs[i];
    free(map->pairs);
    *map = larger;
    return 0;
}

int mp__pointer_map_put(struct mp__pointer_map *map, const void *key, size_t **place) {
    if (map->count * 2 >= map->capacity) {
        int code = grow(map);
        if (code < 0)
            return code;
    }
    struct mp__pointer_pair *pair = find_place(map, key);
    *place = &pair->value;
    if (pair->key)
        return 1;
    pair->key = key;
    map->count++;
    return 0;
}

void mp__pointer_map_fini(struct mp__pointer_map *map) {
    free(map->pairs);
    *map = (struct mp__pointer_map){0};
}

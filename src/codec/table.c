/* Tables of entries in the order of insertion, found by hash.
 * SPDX-License-Identifier: MIT
 *
 * The entries lie in an array; an index of their numbers, twice as large, is built once there are
 * more than a few. A removed entry stays as a hole until the array is full. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/equal.h"
#include "codec/hash.h"

#define INDEX_FREE UINT32_MAX
#define SMALL_COUNT 8 /* so many are searched without an index */
#define COUNT_MAX 0x7fffffffu

static void index_entry(struct mp__table *table, size_t position) {
    size_t place = (size_t)table->entries[position].hash & (table->index_size - 1);
    while (table->index[place] != INDEX_FREE)
        place = (place + 1) & (table->index_size - 1);
    table->index[place] = (uint32_t)position;
}

static int match_entry(const struct mp__entry *entry, const mp_object *key, uint64_t hash) {
    if (!entry->key || entry->hash != hash)
        return 0;
    return entry->key == key ? 1 : mp__key_equal(entry->key, key);
}

int mp__table_find(const struct mp__table *table, const mp_object *key, uint64_t hash,
                   size_t *position) {
    if (!table->index) {
        for (size_t i = 0; i < table->used; i++) {
            int code = match_entry(&table->entries[i], key, hash);
            *position = i;
            if (code != 0)
                return code;
        }
        return 0;
    }
    size_t place = (size_t)hash & (table->index_size - 1);
    for (; table->index[place] != INDEX_FREE; place = (place + 1) & (table->index_size - 1)) {
        *position = table->index[place];
        int code = match_entry(&table->entries[*position], key, hash);
        if (code != 0)
            return code;
    }
    return 0;
}

static void close_holes(struct mp__table *table) {
    size_t used = 0;
    for (size_t i = 0; i < table->used; i++)
        if (table->entries[i].key)
            table->entries[used++] = table->entries[i];
    table->used = used;
}

int mp__table_reserve(struct mp__table *table, size_t more) {
    if (table->capacity - table->used >= more)
        return 0;
    size_t capacity = table->live + table->live / 2;
    if (capacity < table->live + more)
        capacity = table->live + more;
    if (capacity < 4)
        capacity = 4;
    if (capacity > COUNT_MAX)
        return mp__fail(-ENOMEM, "a table of %zu entries", capacity);
    size_t index_size = 0;
    if (capacity > SMALL_COUNT)
        for (index_size = 16; index_size < capacity * 3 / 2;)
            index_size *= 2;
    uint32_t *index = index_size ? malloc(index_size * sizeof *index) : NULL;
    struct mp__entry *entries = malloc(capacity * sizeof *entries);
    if (!entries || (index_size && !index)) {
        free(index);
        free(entries);
        return mp__fail(-ENOMEM, "a table of %zu entries", capacity);
    }
    close_holes(table);
    if (table->used > 0)
        memcpy(entries, table->entries, table->used * sizeof *entries);
    free(table->entries);
    free(table->index);
    *table = (struct mp__table){entries, index, table->used, table->used, capacity, index_size};
    if (index)
        memset(index, 0xff, index_size * sizeof *index);
    for (size_t i = 0; index && i < table->used; i++)
        index_entry(table, i);
    return 0;
}

int mp__table_set(struct mp__table *table, mp_object *key, uint64_t hash, mp_object *value) {
    size_t position;
    int code = mp__table_find(table, key, hash, &position);
    if (code < 0)
        return code;
    if (code > 0) {
        mp_object *old = table->entries[position].value;
        table->entries[position].value = value;
        mp_object_free(old);
        mp_object_free(key);
        return 0;
    }
    code = mp__table_reserve(table, 1);
    if (code < 0)
        return code;
    table->entries[table->used] = (struct mp__entry){key, value, hash};
    table->used++;
    table->live++;
    if (table->index)
        index_entry(table, table->used - 1);
    return 0;
}

/* The entry's number stays in the index: what follows it there must still be found. */
void mp__table_drop(struct mp__table *table, size_t position) {
    table->entries[position].key = NULL;
    table->entries[position].value = NULL;
    table->live--;
    while (!table->index && table->used > 0 && !table->entries[table->used - 1].key)
        table->used--;
}

bool mp__table_next(const struct mp__table *table, size_t *cursor, struct mp__entry **entry) {
    while (*cursor < table->used) {
        *entry = &table->entries[(*cursor)++];
        if ((*entry)->key)
            return true;
    }
    return false;
}

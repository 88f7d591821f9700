/* Hashes of objects, and tables of entries by them.
 * SPDX-License-Identifier: MIT
 *
 * Equal objects have equal hashes, across int, float and bool. Hashes are keyed with a secret of
 * this process: bytes from outside cannot be made so that they collide. */
#ifndef MP__CODEC_HASH_H
#define MP__CODEC_HASH_H

#include "codec/object.h"

/* Give an object's hash, never 0. 0; MP_ETYPE: unhashable; MP_EINVAL: nested too deep. */
int mp__object_hash(const mp_object *object, uint64_t *hash);

/* Find a key. 1 found, *position is its entry; 0 not there; or a failed comparison's code. */
int mp__table_find(const struct mp__table *table, const mp_object *key, uint64_t hash,
                   size_t *position);

/* Set a key's value (NULL in sets). Both are the table's on success, and a value or a key that is
 * not needed any more is released. 0; -ENOMEM or a failed comparison's code, then nothing has
 * changed. */
int mp__table_set(struct mp__table *table, mp_object *key, uint64_t hash, mp_object *value);

/* Drop an entry; its key and value are the caller's again. */
void mp__table_drop(struct mp__table *table, size_t position);

/* The next entry at or behind a position; false: no more. */
bool mp__table_next(const struct mp__table *table, size_t *cursor, struct mp__entry **entry);

/* Make room for `more` entries: 0 or -ENOMEM. */
int mp__table_reserve(struct mp__table *table, size_t more);

#endif

/* Dicts, sets and frozensets.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "codec/hash.h"
#include "codec/symbol.h"

mp_object *mp_dict_new(void) {
    return mp__node_alloc(MP_OBJECT_DICT, sizeof(struct mp__dict));
}

mp_object *mp_set_new(void) {
    return mp__node_alloc(MP_OBJECT_SET, sizeof(struct mp__dict));
}

int mp__mapping_put(mp_object *mapping, mp_object *key, mp_object *value) {
    uint64_t hash;
    int code = mp__object_hash(key, &hash);
    if (code == 0)
        code = mp__node_place(mapping, key);
    if (code == 0 && value)
        code = mp__node_place(mapping, value);
    if (code == 0)
        code = mp__table_set(&((struct mp__dict *)mapping)->table, key, hash, value);
    if (code < 0) {
        mp_object_free(key);
        mp_object_free(value);
    }
    return code;
}

mp_object *mp_frozenset_new(mp_object *const *items, size_t count) {
    mp_object *set = mp__node_alloc(MP_OBJECT_FROZENSET, sizeof(struct mp__dict));
    int code = set ? 0 : -ENOMEM;
    for (size_t i = 0; items && i < count; i++) {
        if (code == 0 && !items[i])
            code = mp__fail(MP_EINVAL, "mp_frozenset_new: an item is NULL");
        else if (code == 0)
            code = mp__mapping_put(set, items[i], NULL);
        else
            mp_object_free(items[i]);
    }
    if (!items && count > 0 && set)
        code = mp__fail(MP_EINVAL, "mp_frozenset_new: items is NULL");
    if (code == 0)
        return set;
    mp_object_free(set);
    return NULL;
}

int mp_dict_set(mp_object *dict, mp_object *key, mp_object *value) {
    int code = mp__expect_kind(dict, MP_OBJECT_DICT, "mp_dict_set");
    if (code == 0 && (!key || !value))
        code = mp__fail(-ENOMEM, "mp_dict_set: the key or the value could not be made");
    if (code == 0)
        return mp__mapping_put(dict, key, value);
    mp_object_free(key);
    mp_object_free(value);
    return code;
}

int mp_dict_set_text(mp_object *dict, const char *key, mp_object *value) {
    mp_object *name = mp_str_new(key);
    if (name)
        return mp_dict_set(dict, name, value);
    mp_object_free(value);
    return key && strlen(key) < PTRDIFF_MAX / 2
               ? mp__fail(MP_EINVAL, "mp_dict_set_text: the key is no UTF-8, or memory is short")
               : mp__fail(MP_EINVAL, "mp_dict_set_text: the key is NULL");
}

/* 1: there; 0: not; or a code. */
static int find_key(const mp_object *mapping, const mp_object *key, size_t *position) {
    uint64_t hash;
    if (!key)
        return mp__fail(MP_EINVAL, "the key is NULL");
    int code = mp__object_hash(key, &hash);
    if (code < 0)
        return code;
    return mp__table_find(&((const struct mp__dict *)mapping)->table, key, hash, position);
}

static int no_such_key(const mp_object *key) {
    char *text = NULL;
    int code = mp_object_repr(key, &text, NULL);
    code = mp__fail(MP_EKEY, "no such key: %.200s", code == 0 ? text : "?");
    free(text);
    return code;
}

mp_object *mp_dict_get(const mp_object *dict, const mp_object *key) {
    size_t position;
    if (mp__expect_kind(dict, MP_OBJECT_DICT, "mp_dict_get") < 0)
        return NULL;
    int code = find_key(dict, key, &position);
    if (code > 0)
        return ((const struct mp__dict *)dict)->table.entries[position].value;
    if (code == 0)
        mp__fail(MP_EKEY, "mp_dict_get: no such key");
    return NULL;
}

mp_object *mp_dict_get_text(const mp_object *dict, const char *key) {
    mp_object *name = mp_str_new(key);
    mp_object *value = name ? mp_dict_get(dict, name) : NULL;
    mp_object_free(name);
    return value;
}

static int take_entry(mp_object *mapping, const mp_object *key, struct mp__entry *entry) {
    size_t position;
    int code = find_key(mapping, key, &position);
    if (code <= 0)
        return code < 0 ? code : no_such_key(key);
    struct mp__table *table = &((struct mp__dict *)mapping)->table;
    *entry = table->entries[position];
    mp__table_drop(table, position);
    return 0;
}

int mp_dict_pop(mp_object **out, mp_object *dict, const mp_object *key) {
    struct mp__entry entry;
    if (!out)
        return mp__fail(MP_EINVAL, "mp_dict_pop: out is NULL");
    int code = mp__expect_kind(dict, MP_OBJECT_DICT, "mp_dict_pop");
    if (code == 0)
        code = take_entry(dict, key, &entry);
    if (code < 0)
        return code;
    *out = entry.value;
    mp_object_free(entry.key);
    return 0;
}

int mp_dict_delete(mp_object *dict, const mp_object *key) {
    mp_object *value;
    int code = mp_dict_pop(&value, dict, key);
    if (code == 0)
        mp_object_free(value);
    return code;
}

bool mp_dict_next(const mp_object *dict, size_t *cursor, mp_object **key, mp_object **value) {
    struct mp__entry *entry;
    if (!mp__is_kind(dict, MP_OBJECT_DICT) || !cursor ||
        !mp__table_next(&((const struct mp__dict *)dict)->table, cursor, &entry))
        return false;
    if (key)
        *key = entry->key;
    if (value)
        *value = entry->value;
    return true;
}

int mp_set_add(mp_object *set, mp_object *item) {
    int code = mp__expect_kind(set, MP_OBJECT_SET, "mp_set_add");
    if (code == 0 && !item)
        code = mp__fail(-ENOMEM, "mp_set_add: the item could not be made");
    if (code == 0)
        return mp__mapping_put(set, item, NULL);
    mp_object_free(item);
    return code;
}

int mp_set_remove(mp_object *set, const mp_object *item) {
    struct mp__entry entry;
    int code = mp__expect_kind(set, MP_OBJECT_SET, "mp_set_remove");
    if (code == 0)
        code = take_entry(set, item, &entry);
    if (code == 0)
        mp_object_free(entry.key);
    return code;
}

static bool is_set(const mp_object *object) {
    return mp__is_kind(object, MP_OBJECT_SET) || mp__is_kind(object, MP_OBJECT_FROZENSET);
}

bool mp_set_next(const mp_object *set, size_t *cursor, mp_object **item) {
    struct mp__entry *entry;
    if (!is_set(set) || !cursor || !item ||
        !mp__table_next(&((const struct mp__dict *)set)->table, cursor, &entry))
        return false;
    *item = entry->key;
    return true;
}

int mp_object_contains(const mp_object *collection, const mp_object *item) {
    size_t position;
    if (!collection || !item)
        return mp__fail(MP_EINVAL, "mp_object_contains: an argument is NULL");
    if (is_set(collection) || mp__is_kind(collection, MP_OBJECT_DICT))
        return find_key(collection, item, &position);
    int code = mp_list_find(collection, item, &position);
    return code == MP_EINDEX ? 0 : code < 0 ? code : 1;
}

/* What is in it may hold the collection itself, so it is empty before that goes. */
static void empty_mapping(mp_object *object) {
    struct mp__dict *mapping = (struct mp__dict *)object;
    struct mp__table table = mapping->table;
    mapping->table = (struct mp__table){0};
    for (size_t i = 0; i < table.used; i++) {
        mp_object *pair[2] = {table.entries[i].key, table.entries[i].value};
        mp__objects_release(pair, 2);
    }
    free(table.entries);
    free(table.index);
}

int mp_object_clear(mp_object *collection) {
    switch (mp_object_get_kind(collection)) {
    case MP_OBJECT_LIST:
        mp__list_empty(collection);
        return 0;
    case MP_OBJECT_DICT:
    case MP_OBJECT_SET:
        empty_mapping(collection);
        return 0;
    case MP_OBJECT_BYTEARRAY:
        return mp_bytearray_set(collection, NULL, 0);
    case MP_OBJECT_INVALID:
        return mp__fail(MP_EINVAL, "mp_object_clear: collection is NULL");
    default:
        return mp__fail(MP_ETYPE, "mp_object_clear: a %s cannot be emptied",
                        mp_object_kind_name(mp__kind_of(collection)));
    }
}

/* Hashes of objects, keyed with a secret of this process.
 * SPDX-License-Identifier: MIT */
#include "codec/hash.h"

#include <math.h>
#include <pthread.h>
#include <time.h>

#include "base/fail.h"
#include "codec/number.h"
#include "os/random.h"

static uint64_t secret[2];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void make_secret(void) {
    if (mp__random_bytes(secret, sizeof secret) < 0) {
        secret[0] = (uint64_t)(uintptr_t)&secret ^ (uint64_t)time(NULL) << 20;
        secret[1] = secret[0] * UINT64_C(0x9e3779b97f4a7c15);
    }
}

static inline uint64_t rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static inline void mix_round(uint64_t v[4]) {
    v[0] += v[1], v[1] = rotate(v[1], 13) ^ v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17) ^ v[2], v[2] = rotate(v[2], 32);
}

/* SipHash with one round a word and three at the end. */
static uint64_t hash_bytes(const void *data, size_t size, uint64_t salt) {
    const uint8_t *at = data;
    uint64_t v[4] = {secret[0] ^ UINT64_C(0x736f6d6570736575),
                     secret[1] ^ UINT64_C(0x646f72616e646f6d),
                     secret[0] ^ UINT64_C(0x6c7967656e657261), secret[1] ^ salt};
    uint64_t last = (uint64_t)size << 56;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        v[3] ^= word;
        mix_round(v);
        v[0] ^= word;
    }
    for (size_t i = 0; i < size; i++)
        last |= (uint64_t)at[i] << 8 * i;
    v[3] ^= last;
    mix_round(v);
    v[0] ^= last;
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 3; i++)
        mix_round(v);
    uint64_t hash = v[0] ^ v[1] ^ v[2] ^ v[3];
    return hash ? hash : 1;
}

enum { SALT_NUMBER = 0x74656462, SALT_TEXT, SALT_BYTES, SALT_TUPLE, SALT_SET, SALT_OTHER };

static uint64_t hash_word(uint64_t word, uint64_t salt) {
    return hash_bytes(&word, sizeof word, salt);
}

/* Ints that fit into a word, by two rounds of multiplying with the secret. */
static uint64_t hash_small(int64_t value) {
    unsigned __int128 product = (unsigned __int128)((uint64_t)value ^ secret[0]) * (secret[1] | 1);
    uint64_t folded = (uint64_t)product ^ (uint64_t)(product >> 64);
    product = (unsigned __int128)(folded ^ secret[1]) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    return hash ? hash : 1;
}

static uint64_t hash_large(const uint8_t *bytes, size_t size) {
    if (size > 8)
        return hash_bytes(bytes, size, SALT_NUMBER);
    uint64_t value = size > 0 && (bytes[size - 1] & 0x80) ? UINT64_MAX : 0;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return hash_small((int64_t)value);
}

static uint64_t hash_number(const mp_object *object) {
    struct mp__digits digits;
    uint8_t bytes[MP__DOUBLE_BYTES];
    if (mp__kind_of(object) == MP_OBJECT_FLOAT) {
        double value = ((const struct mp__float *)object)->value;
        if (isnan(value)) /* equal to nothing but itself */
            return hash_word((uint64_t)(uintptr_t)object, SALT_OTHER);
        if (!mp__is_integral(value))
            return hash_bytes(&value, sizeof value, SALT_OTHER);
        return hash_large(bytes, mp__double_bytes(value, bytes));
    }
    if (mp__is_small(object))
        return hash_small(mp__small_value(object));
    mp__integer_look(object, &digits);
    return hash_large(digits.bytes, digits.size);
}

static uint64_t hash_text(struct mp__text *text) {
    uint64_t hash = atomic_load_explicit(&text->hash, memory_order_relaxed);
    if (hash != 0)
        return hash;
    hash = hash_bytes(text->data, text->size,
                      text->head.kind == MP_OBJECT_STR ? SALT_TEXT : SALT_BYTES);
    atomic_store_explicit(&text->hash, hash, memory_order_relaxed);
    return hash;
}

static int hash_tuple(struct mp__tuple *tuple, uint64_t *out) {
    uint64_t hash = atomic_load_explicit(&tuple->hash, memory_order_relaxed);
    for (size_t i = 0; hash == 0 && i <= tuple->count; i++) {
        static const size_t block = 16;
        uint64_t words[17] = { *out = i == 0 ? SALT_TUPLE : *out};
        size_t count = 1;
        for (; count <= block && i < tuple->count; i++, count++) {
            int code = mp__object_hash(tuple->items[i], &words[count]);
            if (code < 0)
                return code;
        }
        *out = hash_bytes(words, count * sizeof words[0], SALT_TUPLE);
        i -= i < tuple->count;
    }
    if (hash == 0)
        atomic_store_explicit(&tuple->hash, hash = *out, memory_order_relaxed);
    *out = hash;
    return 0;
}

/* The members' hashes are known; their order does not matter. */
static uint64_t hash_members(struct mp__dict *set) {
    uint64_t hash = atomic_load_explicit(&set->hash, memory_order_relaxed), sum = 0;
    if (hash != 0)
        return hash;
    struct mp__entry *entry;
    for (size_t cursor = 0; mp__table_next(&set->table, &cursor, &entry);)
        sum += entry->hash * (entry->hash | 1);
    hash = hash_word(sum, SALT_SET);
    atomic_store_explicit(&set->hash, hash, memory_order_relaxed);
    return hash;
}

/* A leaf's hash; of a node only what it is. */
static uint64_t hash_leaf(const mp_object *object) {
    uint64_t hash = SALT_OTHER;
    if (object && mp__is_node(object))
        return hash_word(object->kind + mp__node_slots(object) * 256, SALT_OTHER);
    return object && mp__object_hash(object, &hash) == 0 ? hash : SALT_OTHER;
}

/* A hash of what can be seen without going deeper, of lists and dicts too: instances of one class
 * mostly differ there. A dict's order does not matter. */
static uint64_t hash_surface(const mp_object *object) {
    if (!object || !mp__is_node(object))
        return hash_leaf(object);
    size_t count = mp__node_slots(object);
    bool is_pairs = object->kind == MP_OBJECT_DICT;
    uint64_t hash = SALT_TUPLE;
    for (size_t i = 0; i < count && !is_pairs; i++)
        hash = hash * 31 + hash_leaf(mp__node_slot(object, i));
    for (size_t i = 0; i + 1 < count && is_pairs; i += 2)
        hash += hash_word(hash_leaf(mp__node_slot(object, i)) * 31 +
                              hash_leaf(mp__node_slot(object, i + 1)),
                          SALT_OTHER);
    return hash_word(hash, SALT_TUPLE);
}

/* A call is what it calls and what is then done to it; that is complete when it becomes a key. */
static int hash_call(const struct mp__call *call, uint64_t *out) {
    uint64_t words[3] = {0, 0, SALT_OTHER};
    int code = mp__object_hash(call->parts[0], &words[0]);
    if (code < 0)
        return code;
    if (!mp__is_kind(call->parts[1], MP_OBJECT_TUPLE) ||
        mp__object_hash(call->parts[1], &words[1]) < 0)
        words[1] = hash_surface(call->parts[1]);
    for (size_t i = 0; i < call->step_count; i++)
        words[2] = words[2] * 31 + hash_surface(call->steps[i].value) +
                   hash_leaf(call->steps[i].key) + call->steps[i].what;
    *out = hash_bytes(words, sizeof words, SALT_OTHER);
    return 0;
}

static int hash_node(const mp_object *object, uint64_t *hash) {
    uint64_t words[2];
    switch (object->kind) {
    case MP_OBJECT_TUPLE:
        return hash_tuple((struct mp__tuple *)object, hash);
    case MP_OBJECT_FROZENSET:
        *hash = hash_members((struct mp__dict *)object);
        return 0;
    case MP_OBJECT_GLOBAL:
        words[0] = hash_text((struct mp__text *)((const struct mp__global *)object)->names[0]);
        words[1] = hash_text((struct mp__text *)((const struct mp__global *)object)->names[1]);
        *hash = hash_bytes(words, sizeof words, SALT_OTHER);
        return 0;
    case MP_OBJECT_CALL:
        return hash_call((const struct mp__call *)object, hash);
    case MP_OBJECT_PERSISTENT:
        return mp__object_hash(((const struct mp__persistent *)object)->id, hash);
    default:
        return mp__fail(MP_ETYPE, "unhashable type: '%s'",
                        mp_object_kind_name((mp_object_kind)object->kind));
    }
}

int mp__object_hash(const mp_object *object, uint64_t *hash) {
    pthread_once(&secret_once, make_secret);
    switch (mp__kind_of(object)) {
    case MP_OBJECT_INT:
    case MP_OBJECT_BOOL:
    case MP_OBJECT_FLOAT:
        *hash = hash_number(object);
        return 0;
    case MP_OBJECT_STR:
    case MP_OBJECT_BYTES:
        *hash = hash_text((struct mp__text *)object);
        return 0;
    case MP_OBJECT_NONE:
        *hash = hash_word(0, SALT_OTHER);
        return 0;
    case MP_OBJECT_EXTENSION:
        *hash = hash_word((uint64_t)((const struct mp__extension *)object)->code, SALT_OTHER);
        return 0;
    case MP_OBJECT_BYTEARRAY:
        return mp__fail(MP_ETYPE, "unhashable type: 'bytearray'");
    default:
        if (object->height > MP__HASH_HEIGHT_MAX)
            return mp__fail(MP_EINVAL, "a key nests deeper than %d", MP__HASH_HEIGHT_MAX);
        return hash_node(object, hash);
    }
}

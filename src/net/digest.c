/* MD5 (RFC 1321), SHA-256 (FIPS 180-4) and HMAC (RFC 2104).
 * SPDX-License-Identifier: MIT */
#include "net/digest.h"

#include <string.h>

enum { BLOCK = 64 }; /* bytes, of both */

struct digest {
    uint32_t state[8];    /* MD5 uses four */
    uint64_t size;        /* bytes taken in */
    uint8_t block[BLOCK]; /* the last size % BLOCK of them */
    enum mp__digest_kind kind;
};

static const uint32_t md5_table[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static const uint32_t sha256_table[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t rotate_left(uint32_t x, unsigned by) {
    return x << by | x >> (32 - by);
}

static uint32_t rotate_right(uint32_t x, unsigned by) {
    return x >> by | x << (32 - by);
}

static uint32_t read_word(const uint8_t *from, bool is_big) {
    uint32_t little =
        from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
    return is_big ? __builtin_bswap32(little) : little;
}

/* The function and the word of one of MD5's 64 steps. */
static uint32_t mix_md5(unsigned step, uint32_t b, uint32_t c, uint32_t d, unsigned *word) {
    switch (step / 16) {
    case 0:
        *word = step;
        return (b & c) | (~b & d);
    case 1:
        *word = (5 * step + 1) % 16;
        return (d & b) | (~d & c);
    case 2:
        *word = (3 * step + 5) % 16;
        return b ^ c ^ d;
    default:
        *word = 7 * step % 16;
        return c ^ (b | ~d);
    }
}

static void take_md5(uint32_t *state, const uint8_t *block) {
    static const uint8_t turns[4][4] = {
        {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    for (unsigned i = 0; i < 64; i++) {
        unsigned word;
        uint32_t mixed = a + mix_md5(i, b, c, d, &word) + md5_table[i];
        mixed += read_word(block + 4 * (size_t)word, false);
        a = d;
        d = c;
        c = b;
        b += rotate_left(mixed, turns[i / 16][i % 4]);
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

static void spread_sha256(uint32_t *words, const uint8_t *block) {
    for (unsigned i = 0; i < 16; i++)
        words[i] = read_word(block + 4 * (size_t)i, true);
    for (unsigned i = 16; i < 64; i++) {
        uint32_t x = words[i - 15], y = words[i - 2];
        words[i] = words[i - 16] + words[i - 7] +
                   (rotate_right(x, 7) ^ rotate_right(x, 18) ^ (x >> 3)) +
                   (rotate_right(y, 17) ^ rotate_right(y, 19) ^ (y >> 10));
    }
}

static void take_sha256(uint32_t *state, const uint8_t *block) {
    uint32_t words[64], s[8];
    spread_sha256(words, block);
    memcpy(s, state, sizeof s);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t big1 = rotate_right(s[4], 6) ^ rotate_right(s[4], 11) ^ rotate_right(s[4], 25);
        uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]);
        uint32_t first = s[7] + big1 + choice + sha256_table[i] + words[i];
        uint32_t big0 = rotate_right(s[0], 2) ^ rotate_right(s[0], 13) ^ rotate_right(s[0], 22);
        uint32_t majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += first;
        s[0] = first + big0 + majority;
    }
    for (unsigned i = 0; i < 8; i++)
        state[i] += s[i];
}

static void take_block(struct digest *digest, const uint8_t *block) {
    if (digest->kind == MP__DIGEST_MD5)
        take_md5(digest->state, block);
    else
        take_sha256(digest->state, block);
}

static void begin(struct digest *digest, enum mp__digest_kind kind) {
    static const uint32_t md5[8] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    static const uint32_t sha256[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    *digest = (struct digest){.kind = kind};
    memcpy(digest->state, kind == MP__DIGEST_MD5 ? md5 : sha256, sizeof md5);
}

static void take(struct digest *digest, const void *data, size_t size) {
    const uint8_t *from = data;
    while (size > 0) {
        size_t used = digest->size % BLOCK;
        size_t now = size < BLOCK - used ? size : BLOCK - used;
        memcpy(digest->block + used, from, now);
        digest->size += now;
        from += now;
        size -= now;
        if (used + now == BLOCK)
            take_block(digest, digest->block);
    }
}

static void end(struct digest *digest, uint8_t *out) {
    static const uint8_t padding[BLOCK] = {0x80};
    bool is_big = digest->kind == MP__DIGEST_SHA256;
    uint64_t bits = digest->size * 8;
    uint8_t length[8];
    for (unsigned i = 0; i < 8; i++)
        length[i] = (uint8_t)(bits >> 8 * (is_big ? 7 - i : i));
    take(digest, padding, 1 + (BLOCK + 55 - digest->size % BLOCK) % BLOCK);
    take(digest, length, sizeof length);
    for (size_t i = 0; i < mp__digest_size(digest->kind); i++)
        out[i] = (uint8_t)(digest->state[i / 4] >> 8 * (is_big ? 3 - i % 4 : i % 4));
}

size_t mp__digest_size(enum mp__digest_kind kind) {
    return kind == MP__DIGEST_MD5 ? 16 : 32;
}

void mp__digest(enum mp__digest_kind kind, const void *data, size_t size, uint8_t *out) {
    struct digest digest;
    begin(&digest, kind);
    take(&digest, data, size);
    end(&digest, out);
}

static void begin_keyed(struct digest *digest, enum mp__digest_kind kind, const uint8_t *key,
                        uint8_t pad) {
    uint8_t block[BLOCK];
    for (unsigned i = 0; i < BLOCK; i++)
        block[i] = key[i] ^ pad;
    begin(digest, kind);
    take(digest, block, sizeof block);
}

void mp__digest_hmac(enum mp__digest_kind kind, const void *key, size_t key_size, const void *data,
                     size_t size, uint8_t *out) {
    struct digest digest;
    uint8_t block[BLOCK] = {0}, inner[MP__DIGEST_MAX];
    if (key_size > BLOCK)
        mp__digest(kind, key, key_size, block);
    else if (key_size > 0)
        memcpy(block, key, key_size);
    begin_keyed(&digest, kind, block, 0x36);
    take(&digest, data, size);
    end(&digest, inner);
    begin_keyed(&digest, kind, block, 0x5c);
    take(&digest, inner, mp__digest_size(kind));
    end(&digest, out);
}

bool mp__digest_equal(const void *left, const void *right, size_t size) {
    const volatile uint8_t *a = left, *b = right;
    uint8_t difference = 0;
    for (size_t i = 0; i < size; i++)
        difference |= (uint8_t)(a[i] ^ b[i]);
    return difference == 0;
}

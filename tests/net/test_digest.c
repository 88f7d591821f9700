/* Digests against the vectors of their standards, and those of CPython's handshake.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/digest.h"

static void expect_hex(const uint8_t *bytes, size_t size, const char *hex) {
    char text[2 * MP__DIGEST_MAX + 1];
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    assert_string_equal(text, hex);
}

static void expect_digest(enum mp__digest_kind kind, const char *text, const char *hex) {
    uint8_t out[MP__DIGEST_MAX];
    mp__digest(kind, text, strlen(text), out);
    expect_hex(out, mp__digest_size(kind), hex);
}

static void expect_hmac(enum mp__digest_kind kind, const void *key, size_t key_size,
                        const void *data, size_t size, const char *hex) {
    uint8_t out[MP__DIGEST_MAX];
    mp__digest_hmac(kind, key, key_size, data, size, out);
    expect_hex(out, mp__digest_size(kind), hex);
}

static void test_md5_is_that_of_rfc_1321(void **state) {
    (void)state;
    enum mp__digest_kind kind = MP__DIGEST_MD5;
    expect_digest(kind, "", "d41d8cd98f00b204e9800998ecf8427e");
    expect_digest(kind, "a", "0cc175b9c0f1b6a831c399e269772661");
    expect_digest(kind, "abc", "900150983cd24fb0d6963f7d28e17f72");
    expect_digest(kind, "message digest", "f96b697d7cb7938d525a2f31aaf161d0");
    expect_digest(kind, "abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b");
    expect_digest(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
                  "d174ab98d277d9f5a5611c2c9f419d9f");
    expect_digest(kind,
                  "1234567890123456789012345678901234567890"
                  "1234567890123456789012345678901234567890",
                  "57edf4a22be3c955ac49da2e2107b67a");
}

static void test_sha256_is_that_of_fips_180(void **state) {
    (void)state;
    enum mp__digest_kind kind = MP__DIGEST_SHA256;
    expect_digest(kind, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect_digest(kind, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect_digest(kind, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void test_a_million_letters_have_their_digests(void **state) {
    (void)state;
    char *text = malloc(1000000);
    uint8_t out[MP__DIGEST_MAX];
    assert_non_null(text);
    memset(text, 'a', 1000000);
    mp__digest(MP__DIGEST_SHA256, text, 1000000, out);
    expect_hex(out, 32, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    mp__digest(MP__DIGEST_MD5, text, 1000000, out);
    expect_hex(out, 16, "7707d6ae4e027c70eea2a935c2296f21");
    free(text);
}

static void test_hmac_is_that_of_rfc_2202_and_4231(void **state) {
    (void)state;
    char long_key[131], high[50];
    memset(long_key, 0xaa, sizeof long_key);
    memset(high, 0xdd, sizeof high);
    const char *first = "Test Using Larger Than Block-Size Key - Hash Key First";
    expect_hmac(MP__DIGEST_MD5, "Jefe", 4, "what do ya want for nothing?", 28,
                "750c783e6ab0b503eaa86e310a5db738");
    expect_hmac(MP__DIGEST_MD5, long_key, 16, high, 50, "56be34521d144c88dbb8c733f0e8b3f6");
    expect_hmac(MP__DIGEST_MD5, long_key, 80, first, 54, "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    expect_hmac(MP__DIGEST_SHA256, "Jefe", 4, "what do ya want for nothing?", 28,
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    expect_hmac(MP__DIGEST_SHA256, long_key, 20, high, 50,
                "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    expect_hmac(MP__DIGEST_SHA256, long_key, 131, first, 54,
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void test_hmac_is_that_of_cpythons_challenges(void **state) {
    (void)state;
    uint8_t md5[5 + 40] = "{md5}", sha256[8 + 40] = "{sha256}", raw[20];
    for (uint8_t i = 0; i < 40; i++) {
        md5[5 + i] = sha256[8 + i] = i;
        raw[i % 20] = i % 20;
    }
    expect_hmac(MP__DIGEST_MD5, "abracadabra", 11, md5, sizeof md5,
                "f70bfd024a752d679558d6e9b3d092f6");
    expect_hmac(MP__DIGEST_SHA256, "abracadabra", 11, sha256, sizeof sha256,
                "536016a8c32ca9231522a6e91ddbbd637ba292f333e6fd43599971f107db3002");
    expect_hmac(MP__DIGEST_MD5, "abracadabra", 11, raw, sizeof raw,
                "ff63d69f0d1055b99f32d588bd840b74");
    expect_hmac(MP__DIGEST_MD5, "abracadabra", 11, sha256, sizeof sha256,
                "7690e2569f3bc902fa21a77cf545d7f6");
}

static void test_bytes_are_equal_only_when_all_are(void **state) {
    (void)state;
    assert_true(mp__digest_equal("abcd", "abcd", 4));
    assert_true(mp__digest_equal("abcd", "abce", 3));
    assert_false(mp__digest_equal("abcd", "abce", 4));
    assert_false(mp__digest_equal("abcd", "bbcd", 4));
}

MPT_MAIN(MPT_CASE(test_md5_is_that_of_rfc_1321), MPT_CASE(test_sha256_is_that_of_fips_180),
         MPT_CASE(test_a_million_letters_have_their_digests),
         MPT_CASE(test_hmac_is_that_of_rfc_2202_and_4231),
         MPT_CASE(test_hmac_is_that_of_cpythons_challenges),
         MPT_CASE(test_bytes_are_equal_only_when_all_are))

/* MD5, SHA-256 and HMAC, for proving that one knows a key.
 * SPDX-License-Identifier: MIT */
#ifndef MP__NET_DIGEST_H
#define MP__NET_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP__DIGEST_MAX 32 /* bytes of the longest */

enum mp__digest_kind { MP__DIGEST_MD5, MP__DIGEST_SHA256 };

size_t mp__digest_size(enum mp__digest_kind kind); /* bytes that it has */
void mp__digest(enum mp__digest_kind kind, const void *data, size_t size, uint8_t *out);
void mp__digest_hmac(enum mp__digest_kind kind, const void *key, size_t key_size, const void *data,
                     size_t size, uint8_t *out); /* RFC 2104 */

/* Are these bytes the same? Takes as long wherever they differ. */
bool mp__digest_equal(const void *left, const void *right, size_t size);

#endif

/* Python's type codes and what they are in C.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SHARE_TYPECODE_H
#define MP__SHARE_TYPECODE_H

#include <stddef.h>

/* Bytes of one item, 0: there is no such code. */
size_t mp__typecode_size(char typecode);

/* The same for a public function: MP_ETYPE with a sentence. */
int mp__typecode_check(char typecode, const char *function, size_t *size);

#endif

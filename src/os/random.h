/* Bytes nobody can guess.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_RANDOM_H
#define MP__OS_RANDOM_H

#include <stddef.h>

int mp__random_bytes(void *out, size_t size); /* 0 or -errno */

#endif

/* What an array is, and its check, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SHARE_ARRAY_H
#define MP__SHARE_ARRAY_H

#include <stddef.h>

#include "mp/shared.h"

#include "share/owned.h"

struct array_shared {
    _Alignas(16) mp__kind_word kind; /* MP__KIND_ARRAY */
    char typecode;                   /* as in mp/shared.h; nothing but the items ever changes */
    size_t item_size;                /* bytes */
    size_t length;                   /* items */
    char *data;                      /* behind this struct */
    struct lock_shared *lock;        /* own, the user's, or NULL: raw */
    struct lock_shared own;          /* an RLock, in use when lock points here */
};

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__array_check(const mp_array *array);

#endif

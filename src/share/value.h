/* What a value is, and its check, for tests.
 * SPDX-License-Identifier: MIT */
#ifndef MP__SHARE_VALUE_H
#define MP__SHARE_VALUE_H

#include <stddef.h>

#include "mp/shared.h"

#include "share/owned.h"

struct value_shared {
    _Alignas(16) mp__kind_word kind; /* MP__KIND_VALUE */
    char typecode;                   /* as in mp/shared.h; nothing but the data ever changes */
    void *data;                      /* behind this struct, or another value's */
    size_t size;                     /* bytes of it */
    struct lock_shared *lock;        /* own, the user's, or NULL: raw */
    struct lock_shared own;          /* an RLock, in use when lock points here */
};

/* 0, or MP_ESTATE with what contradicts itself in the detail. */
int mp__value_check(const mp_value *value);

#endif

/* Equality of objects.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_EQUAL_H
#define MP__CODEC_EQUAL_H

#include "codec/object.h"

/* Is a key the same as another: itself or equal to it? 1, 0, -ENOMEM, or MP_EINVAL when that takes
 * more steps than any sensible key: hostile ones cannot make it take for ever. */
int mp__key_equal(const mp_object *a, const mp_object *b);

/* Between these two, all comparisons of keys by this thread share so many steps. */
void mp__key_budget_begin(size_t steps);
void mp__key_budget_end(void);

#endif

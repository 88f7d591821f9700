/* Objects compared with what Python prints of them.
 * SPDX-License-Identifier: MIT */
#ifndef MPT_OBJECT_H
#define MPT_OBJECT_H

#include "mp/object.h"

void mpt_expect_repr(const mp_object *object, const char *expected);
/* Frees the object, too. */
void mpt_expect_new(mp_object *object, const char *expected);

#endif

/* Objects compared with what Python prints of them.
 * SPDX-License-Identifier: MIT */
#include "object.h"

#include "mpt.h"

#include <stdlib.h>

void mpt_expect_repr(const mp_object *object, const char *expected) {
    char *text;
    assert_non_null(object);
    MPT_OK(mp_object_repr(object, &text, NULL));
    assert_string_equal(text, expected);
    free(text);
}

void mpt_expect_new(mp_object *object, const char *expected) {
    mpt_expect_repr(object, expected);
    mp_object_free(object);
}

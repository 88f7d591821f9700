/* Leaves the sentence that mp_error_detail() gives back.
 * SPDX-License-Identifier: MIT */
#ifndef MP__BASE_FAIL_H
#define MP__BASE_FAIL_H

#include "mp/base.h"

/* Set this thread's detail and return `code`, so that `return mp__fail(MP_EINVAL, "...", ...)`
 * reads as one statement. For -errno codes ": <strerror>" is appended. */
__attribute__((format(printf, 2, 3), cold)) int mp__fail(int code, const char *format, ...);

#endif

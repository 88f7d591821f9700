/* Wrong values beside a good object: how a test says that a call refuses them.
 * SPDX-License-Identifier: MIT */
#ifndef REFUSED_H
#define REFUSED_H

#include "mpt.h"

#include <errno.h>
#include <stdio.h>

#include "base/fail.h"

#define HUGE_SIZE SIZE_MAX /* bytes, where the pointer is good */

/* The call fails with that code and a sentence of its own. */
#define REFUSED(code, call) (mp__fail(0, "%s", ""), expect_refusal((call), (code), #call))
#define BAD(call) REFUSED(MP_EINVAL, call)
#define TOO_LARGE(call) REFUSED(-ENOMEM, call)
#define NOTHING(call) BAD((call) ? 0 : MP_EINVAL) /* a call that gives NULL */

static inline void expect_refusal(int code, int expected, const char *text) {
    if (code == expected && mp_error_detail()[0])
        return;
    fprintf(stderr, "%s: %d, '%s'\n", text, code, mp_error_detail());
    mpt_die(__FILE__, __LINE__, "the code, with a detail");
}

#endif

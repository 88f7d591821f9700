/* What people call a process: kept in its slot, for messages and listings.
 * SPDX-License-Identifier: MIT */
#ifndef MP__REG_LABEL_H
#define MP__REG_LABEL_H

#include <stdbool.h>

#include "reg/member.h"

#define MP__LABEL_BYTES 56 /* of a name, its 0 included; the rest of a longer one is left out */

struct mp__label {
    char
        name[MP__LABEL_BYTES]; /* unless given: "MainProcess" of the root and of a bare fork, "-" */
    bool is_daemon;            /* ends with its parent */
};

void mp__label_set(mp__member_ref member, const char *name, bool is_daemon);
/* Of a member, also while it is being written or the member is gone. */
struct mp__label mp__label_of(mp__member_ref member);

#endif

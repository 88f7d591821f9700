/* A fence for all others: there is none.
 * SPDX-License-Identifier: MIT */
#include "os/barrier.h"

bool mp__barrier_exists(void) {
    return false;
}

bool mp__barrier_join(void) {
    return false;
}

void mp__barrier_join_early(void) {
}

bool mp__barrier_everywhere(void) {
    return false;
}

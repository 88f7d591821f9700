/* How many processors the machine has.
 * SPDX-License-Identifier: MIT */
#include "os/cpu.h"

#include <unistd.h>

int mp__cpu_count(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int)count;
}

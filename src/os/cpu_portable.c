/* How many processors this process may use: POSIX knows nothing that would restrict it.
 * SPDX-License-Identifier: MIT */
#include "os/cpu.h"

#include <limits.h>

int mp__cpu_usable_count(void) {
    return mp__cpu_count();
}

bool mp__cpu_is_alone(void) {
    static _Atomic int known; /* 0: not asked, else the count */
    if (known == 0)
        known = mp__cpu_count();
    return known == 1;
}

bool mp__cpu_can_pin(void) {
    return false;
}

void mp__cpu_pin(unsigned number) {
    (void)number;
}

int mp__cpu_quota(const char *groups, const char *mounts) {
    (void)groups, (void)mounts;
    return INT_MAX;
}

int mp__cpu_here(void) {
    return -1;
}

bool mp__cpu_bring(pid_t pid) {
    (void)pid;
    return false;
}

void mp__cpu_remember(void) {
}

void mp__cpu_roam(void) {
}

int mp__cpu_settle(int cpu) {
    (void)cpu;
    return -1;
}

void mp__cpu_leave(int cpu) {
    (void)cpu;
}

/* Processors: how many, how many for us, and how to wait a moment on one.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_CPU_H
#define MP__OS_CPU_H

#include <stdbool.h>

int mp__cpu_count(void); /* online in the machine, at least 1 */
int mp__cpu_usable_count(
    void); /* allowed by affinity and by the cgroup's quota (v1 and v2), at least 1 */
bool mp__cpu_is_alone(
    void); /* this process may run on one cpu only: spinning never helps; cached */

static inline void mp__cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

#endif

/* Which descriptors cross the next exec.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_INHERIT_H
#define MP__OS_INHERIT_H

#include <stddef.h>

/* Mark every open descriptor above 2 close-on-exec. Async-signal-safe, for children about to exec;
 * asks for all numbers that the limit allows, 1024 with each system call. */
void mp__inherit_nothing(void);

#endif

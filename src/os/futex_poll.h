/* Sleeping on words by looking at them again and again: for systems without a futex between
 * processes. SPDX-License-Identifier: MIT */
#ifndef MP__OS_FUTEX_POLL_H
#define MP__OS_FUTEX_POLL_H

#include "os/futex.h"

/* As mp__futex_wait_any, but notices a change only after up to 2 ms, and not at all one that was
 * undone. */
int mp__futex_poll(const struct mp__wait_word *list, size_t count, mp__time deadline);

#endif

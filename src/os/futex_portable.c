/* Sleep until a word changes, with nothing but POSIX: nobody is woken, everybody looks.
 * SPDX-License-Identifier: MIT
 *
 * A condition variable between processes would wake faster, but one that is killed while it holds
 * the mutex or waits in the condition leaves it in a state that POSIX does not define. Looking has
 * no state that could break. */
#include "os/futex.h"

#include "os/futex_poll.h"

int mp__futex_wait(_Atomic uint32_t *word, uint32_t expected, mp__time deadline) {
    return mp__futex_poll(&(struct mp__wait_word){word, expected}, 1, deadline);
}

int mp__futex_wait_any(const struct mp__wait_word *list, size_t count, mp__time deadline) {
    return mp__futex_poll(list, count, deadline);
}

bool mp__futex_can_wait_any(void) {
    return false;
}

void mp__futex_wake(_Atomic uint32_t *word, int count) {
    (void)word;
    (void)count;
}

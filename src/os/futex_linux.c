/* Sleep until a word changes: Linux futexes, never private ones, for the words lie in shared
 * memory. SPDX-License-Identifier: MIT */
#include "os/futex.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mp/base.h"
#include "os/futex_poll.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* the same number on every architecture; Linux 5.16 */
#endif

/* What the two system calls read; libc's headers may be older than either. */
struct futex_timespec {
    long seconds;     /* of CLOCK_MONOTONIC */
    long nanoseconds; /* below a second */
};
struct waitv_timespec {
    int64_t seconds;     /* of CLOCK_MONOTONIC */
    int64_t nanoseconds; /* below a second */
};
struct waitv_entry {
    uint64_t expected; /* sleep while the word has this value */
    uint64_t address;  /* of the word */
    uint32_t flags;    /* its size, and no FUTEX_PRIVATE_FLAG */
    uint32_t reserved; /* 0 */
};
#define WAITV_32_BIT 2

/* 0: look again; MP_ETIMEDOUT; -EINTR: sleep on. */
static int result_of(long result) {
    if (result >= 0 || errno == EAGAIN)
        return 0;
    assert(errno == EINTR || errno == ETIMEDOUT);
    return errno == ETIMEDOUT ? MP_ETIMEDOUT : errno == EINTR ? -EINTR : 0;
}

int mp__futex_wait(_Atomic uint32_t *word, uint32_t expected, mp__time deadline) {
    if (atomic_load_explicit(word, memory_order_acquire) != expected)
        return 0;
    if (deadline <= 0)
        return MP_ETIMEDOUT;
    struct futex_timespec until = {(long)(deadline / MP__SECOND), (long)(deadline % MP__SECOND)};
    int result;
    do
        result =
            result_of(syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected,
                              deadline == MP__NEVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY));
    while (result == -EINTR);
    return result;
}

bool mp__futex_can_wait_any(void) {
    static _Atomic int known; /* 0: not asked, 1: it is there, -1: it is not */
    int answer = atomic_load_explicit(&known, memory_order_relaxed);
    if (answer == 0) {
        /* No words at all: EINVAL from a kernel that knows the call; ENOSYS or a sandbox's EPERM
         * elsewhere. */
        answer = syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == EINVAL ? 1 : -1;
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    }
    return answer > 0;
}

int mp__futex_wait_any(const struct mp__wait_word *list, size_t count, mp__time deadline) {
    assert(count >= 1 && count <= MP__WAIT_ANY_MAX);
    if (count == 1)
        return mp__futex_wait(list[0].word, list[0].expected, deadline);
    if (deadline <= 0 || !mp__futex_can_wait_any())
        return mp__futex_poll(list, count, deadline);
    struct waitv_entry entries[MP__WAIT_ANY_MAX];
    for (size_t i = 0; i < count; i++)
        entries[i] =
            (struct waitv_entry){list[i].expected, (uintptr_t)list[i].word, WAITV_32_BIT, 0};
    struct waitv_timespec until = {deadline / MP__SECOND, deadline % MP__SECOND};
    int result;
    do {
        long got = syscall(SYS_futex_waitv, entries, (unsigned)count, 0,
                           deadline == MP__NEVER ? NULL : &until, 1 /* CLOCK_MONOTONIC */);
        /* A sandbox since we asked, or the kernel has no memory for the list. */
        if (got < 0 && (errno == ENOSYS || errno == EPERM || errno == ENOMEM))
            return mp__futex_poll(list, count, deadline);
        result = result_of(got);
    } while (result == -EINTR);
    return result;
}

void mp__futex_wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

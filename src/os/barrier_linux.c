/* A fence for all others: membarrier(2), of Linux 4.16.
 * SPDX-License-Identifier: MIT */
#include "os/barrier.h"

#include <linux/membarrier.h>
#include <stdatomic.h>
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif
#include <sys/syscall.h>
#include <unistd.h>

bool mp__barrier_exists(void) {
    static _Atomic int answer; /* 0 not asked yet, 1 yes, 2 no */
    if (atomic_load_explicit(&answer, memory_order_relaxed) == 0) {
        long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
        bool is_there = commands > 0 && (commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED);
        atomic_store(&answer, is_there ? 1 : 2);
    }
    return atomic_load_explicit(&answer, memory_order_relaxed) == 1;
}

/* fork() hands the kernel's registration down with this word, exec forgets both. */
bool mp__barrier_join(void) {
    static _Atomic int answer; /* 0 not asked yet, 1 joined, 2 cannot */
    if (atomic_load_explicit(&answer, memory_order_relaxed) == 0)
        atomic_store(
            &answer,
            syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0 ? 1 : 2);
    return atomic_load_explicit(&answer, memory_order_relaxed) == 1;
}

void mp__barrier_join_early(void) {
#if __has_include(<sys/single_threaded.h>)
    if (__libc_single_threaded)
        mp__barrier_join();
#endif
}

bool mp__barrier_everywhere(void) {
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) == 0;
}

/* Processors: how many, how many for us, and how to wait a moment on one.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_CPU_H
#define MP__OS_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

int mp__cpu_count(void); /* online in the machine, at least 1 */
/* Allowed by affinity and by the cgroup's quota (v1 and v2), at least 1. Reads files. */
int mp__cpu_usable_count(void);
/* The quota, rounded up, as files like /proc/self/cgroup and /proc/self/mountinfo lead to it;
 * INT_MAX: none. */
int mp__cpu_quota(const char *groups, const char *mounts);
/* May this process run on one cpu only, so that spinning never helps? Cached. */
bool mp__cpu_is_alone(void);

bool mp__cpu_can_pin(void); /* this system can keep a thread on one processor */
/* Keep the calling thread on one of those that it may use: the `number`-th, counted round. Only a
 * wish: it is not heard when that processor was taken away meanwhile. */
void mp__cpu_pin(unsigned number);

int mp__cpu_here(void); /* which one we run on right now; -1: not known */
/* Have a sleeping process of ours wake up on this processor, and stay until it roams. A wake-up on
 * another one takes ten times as long. false: it wakes up where it will. */
bool mp__cpu_bring(pid_t pid);
/* Note where this thread may run, for itself and the children that it forks; run there again. */
void mp__cpu_remember(void);
void mp__cpu_roam(void);
/* Go on on that processor, if it is among what was remembered, as if we had never been on another
 * one: the end of a process that has run on two has to interrupt the other. Where we are then. */
int mp__cpu_settle(int cpu);
/* Go on on another processor than that, if we run there, within what was remembered. */
void mp__cpu_leave(int cpu);

static inline void mp__cpu_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

/* Fetch the line there while going on: it will be written. The compiler's own prefetch would fetch
 * it to be read, where it does not know that the processor can do better. */
static inline void mp__cpu_expect_write(const void *there) {
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" ::"m"(*(const char *)there));
#else
    __builtin_prefetch(there, 1);
#endif
}

/* A full fence behind an atomic read-modify-write of this thread, which is one by itself here. */
static inline void mp__cpu_fence_after_exchange(void) {
#if defined(__x86_64__) || defined(__i386__)
    __asm__ volatile("" ::: "memory");
#else
    atomic_thread_fence(memory_order_seq_cst);
#endif
}

#endif

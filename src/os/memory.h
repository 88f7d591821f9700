/* Memory without a name that processes share at one address.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_MEMORY_H
#define MP__OS_MEMORY_H

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

/* Make an anonymous shared memory object of `size` bytes, sparse, close-on-exec: descriptor or
 * -errno. */
int mp__memory_create(uint64_t size);

/* Give a memory object that many bytes, zeros: 0 or -errno, never a signal. */
int mp__memory_resize(int descriptor, uint64_t size);
/* Take the pages of that part from the system: 0 or -errno (-ENOSPC). */
int mp__memory_reserve(int descriptor, uint64_t offset, uint64_t size);

/* Map all of it readable, writable, shared, without reserving memory, exactly at `address`: 0;
 * -EEXIST when something is there; -errno (-ENOMEM: no address space that large). Kept out of core
 * dumps. */
int mp__memory_map(int descriptor, void *address, uint64_t size);
void mp__memory_unmap(void *address, uint64_t size);

/* Make sure that [offset, offset+size) can be touched without a signal: 0 or -errno (-ENOSPC). On
 * Linux's memfd nothing has to be done; where pages come from a bounded file system they are
 * reserved here. */
int mp__memory_commit(int descriptor, uint64_t offset, uint64_t size);

/* Give the pages of [address, address+size), page aligned, back to the system; they read as zeros
 * again. */
void mp__memory_release(void *address, uint64_t size);
/* false: the system takes none back, so that releasing costs its writing of zeros for nothing. */
bool mp__memory_is_returnable(void);

/* All of it is about to be written. Its pages exist, but may never have been used by this process:
 * have them mapped many at once, where writing would map one by one. */
void mp__memory_expect_write(const void *address, size_t size);
/* The same where no page exists yet. Only a hint. */
void mp__memory_populate(void *address, size_t size);

/* That code is about to run: have its page mapped, and the pages next to it. Only a hint. */
void mp__memory_expect_run(void (*function)(void));

/* Tell the system that this memory of ours, about to be written from end to end, may come in large
 * pages. Only a hint. */
void mp__memory_prefer_large_pages(void *address, size_t size);

/* Where to try to map the arena, attempt 0, 1, 2...: addresses that loader, heap and mmap leave
 * alone (under TSan its own range). NULL: no more. `*limit_bytes`: the largest size that fits
 * there. */
void *mp__memory_candidate(unsigned attempt, uint64_t *limit_bytes);

#endif

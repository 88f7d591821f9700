/* Shared memory with a name, for programs that are no family.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_NAMED_MEMORY_H
#define MP__OS_NAMED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Make it, for this user alone, with all its pages, so that using them raises no signal: the
 * descriptor; -EEXIST; -ENOSPC; -errno. Name: "/..." */
int mp__named_memory_create(const char *name, uint64_t size);
int mp__named_memory_open(const char *name); /* the descriptor; -ENOENT; -errno */

/* Map all of it, wherever there is room: 0; -errno (-EINVAL: it has no bytes). */
int mp__named_memory_map(int descriptor, void **address, size_t *size);

int mp__named_memory_unlink(const char *name); /* 0; -ENOENT; -errno */

#endif

/* The arena: one memory at one address in every process of the family.
 * SPDX-License-Identifier: MIT
 *
 *     +------+---------+----------+--------+----------------------------------------+
 *     | head | heap    | registry | images | units of the heap ...   (sparse) ...   |
 *     +------+---------+----------+--------+----------------------------------------+
 *
 * The root of the family makes it on first use; forked children have it, spawned ones attach it first of all.
 * Nothing in it has a name in the file system. */
#ifndef MP__SHM_ARENA_H
#define MP__SHM_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mp__section { /* fixed parts, zero when the arena is new; each layer's struct lies at its start */
    MP__SECTION_HEAP,
    MP__SECTION_REGISTRY,
    MP__SECTION_FUNCTIONS,
    MP__SECTION_PROCESSES,
    MP__SECTION_COUNT
};

struct arena_shared {
    uint64_t magic;                              /* "libmp" and the layout's version; written last */
    uint64_t size;                               /* bytes mapped, this head included */
    void *address;                               /* where, in every process */
    uint64_t section_offset[MP__SECTION_COUNT];  /* from address */
    uint64_t section_size[MP__SECTION_COUNT];    /* bytes */
    uint64_t heap_offset;                        /* first unit of the heap, page aligned, to the end */
};

/* NULL until opened or attached in this process; then never changes. */
extern struct arena_shared *mp__arena;

int mp__arena_open(void);  /* idempotent, from any thread; 0, or -errno with detail */
int mp__arena_attach(int descriptor, void *address, uint64_t size); /* spawned child; 0; -EEXIST: address taken */
int mp__arena_descriptor(void);
void *mp__arena_section(enum mp__section section);
bool mp__arena_contains(const void *pointer, size_t size); /* false when there is no arena */

#endif

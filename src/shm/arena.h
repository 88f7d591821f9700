/* The arena: one memory at one address in every process of the family.
 * SPDX-License-Identifier: MIT
 *
 *     +------+----------+-----------+-----------+--------+--------------------------------------+
 *     | head | registry | functions | processes | heap   | units of the heap ...  (sparse) ...  |
 *     +------+----------+-----------+-----------+--------+--------------------------------------+
 *
 * The root of the family makes it on first use; forked children have it, spawned ones attach it
 * first of all. Nothing in it has a name in the file system. LIBMP_ARENA_BYTES in the environment
 * of the root sets its size, from 16 MiB to 1 TiB; without it, it is as large as the system allows,
 * from 1 TiB down to 64 MiB. It costs no memory until it is used. */
#ifndef MP__SHM_ARENA_H
#define MP__SHM_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fixed parts, zero when the arena is new; each layer's struct lies at its start. */
enum mp__section {
    MP__SECTION_HEAP,
    MP__SECTION_REGISTRY,
    MP__SECTION_FUNCTIONS,
    MP__SECTION_PROCESSES,
    MP__SECTION_COUNT
};

struct arena_shared {
    uint64_t magic;                             /* "libmp" and the layout's version; written last */
    uint64_t size;                              /* bytes mapped, this head included */
    void *address;                              /* where, in every process */
    uint64_t section_offset[MP__SECTION_COUNT]; /* from address */
    uint64_t section_size[MP__SECTION_COUNT];   /* bytes */
    uint64_t heap_offset;                       /* units of the heap, page aligned, to the end */
};

/* NULL until opened or attached in this process; then never changes. */
extern struct arena_shared *mp__arena;

/* Make the arena unless this process has it. From any thread. 0; MP_EINVAL: LIBMP_ARENA_BYTES is
 * nonsense; -errno. */
int mp__arena_open(void);
/* In a spawned child: map the arena that was passed, exactly there. 0; -EEXIST: the address is
 * taken here; MP_ESTATE: there is one already; MP_EPROTO: another version's; -errno. The descriptor
 * is the arena's from then on. */
int mp__arena_attach(int descriptor, void *address, uint64_t size);
int mp__arena_descriptor(void); /* -1: no arena */
void *mp__arena_section(enum mp__section section);
bool mp__arena_contains(const void *pointer, size_t size); /* false when there is no arena */

#endif

/* The heap in the arena: any process allocates, any frees, any may die in between.
 * SPDX-License-Identifier: MIT
 *
 * Each block has a tag in a table beside the memory: 0 free; the member (process) that took it and has not
 * published it yet; or MP__PUBLISHED. One store of the tag is the whole hand-over, so that after a death all
 * blocks of the dead member, and no other, are found by walking the tags. */
#ifndef MP__SHM_HEAP_H
#define MP__SHM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MP__HEAP_THREAD_MAX 16384 /* threads are numbered below this */
#define MP__PUBLISHED UINT32_MAX /* holder of a block that belongs to a shared structure or to the user */

/* Tell the heap who this thread is: `member` tags what it takes; `thread` (1..MP__THREAD_MAX) owns slabs.
 * Called by the registry when a thread joins; leave when it ends (its slabs are given up). */
void mp__heap_join(uint32_t member, uint32_t thread);
void mp__heap_leave(void);
void mp__heap_forked(void); /* in a child made by fork: forget the parent's thread, touch nothing shared */

/* Take a block of at least `size` bytes (0 counts as 1), 16-byte aligned (64 from 64 bytes on), contents undefined.
 * NULL: the arena is full (detail set). Held by this member until published or freed. */
void *mp__heap_alloc(size_t size);
void *mp__heap_zalloc(size_t size);       /* the same, zero */
void mp__heap_publish(void *block);       /* it belongs to a shared structure now and outlives us */
void mp__heap_take(void *block);          /* the other way: ours again, freed if we die */
void mp__heap_free(void *block);          /* by any process; NULL: nothing */
size_t mp__heap_size(const void *block);  /* usable bytes */
bool mp__heap_is_block(const void *pointer); /* is this the start of a block in use? Any pointer may be asked. */

/* Free every block held by a dead member and give up its slabs (owned by threads for which is_dead_thread). Idempotent. */
void mp__heap_recover(uint32_t dead_member, bool (*is_dead_thread)(uint32_t thread));

struct mp__heap_figures {
    uint64_t blocks;      /* in use, held or published */
    uint64_t block_bytes; /* their usable bytes */
    uint64_t used_bytes;  /* of the arena's units, slabs included */
    uint64_t peak_bytes;  /* largest used_bytes ever */
};
void mp__heap_figures(struct mp__heap_figures *out);

/* Walk everything and compare: 0, or MP_ESTATE with the first contradiction in the detail. Others may go on
 * meanwhile for slabs, not for units (takes the lock). */
int mp__heap_check(void);

#endif

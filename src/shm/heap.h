/* The heap in the arena: any process allocates, any frees, any may die in between.
 * SPDX-License-Identifier: MIT
 *
 * Each block has a tag in a table beside the memory: 0 free; the member (process) that took it and
 * has not published it yet; or published. One store of the tag is the whole hand-over, so that
 * after a death all blocks of the dead member, and no other, are found by walking the tags.
 *
 *     up to 8 KiB     cut from slabs (shm/slab.h), each owned by a thread that takes from it
 *                     without a lock; anybody frees without a lock
 *     larger          runs of 4 KiB units (shm/unit.h), under the heap's lock; up to 4 MiB some
 *                     that were freed lately are taken again without it (shm/spare.h). Huge ones go
 *                     back to the system when freed, others once much of such memory has piled up
 *
 *     who may call what at once      everything, from any process; two must not free one block
 *     if a process dies in a call    the others go on: who comes to the lock next repairs what was
 *                                    half done, mp__heap_recover frees what the dead one held */
#ifndef MP__SHM_HEAP_H
#define MP__SHM_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MP__HEAP_MEMBER_MAX 0xffff /* members are numbered from 1 to below this */
#define MP__HEAP_THREAD_MAX 16384  /* threads are numbered from 1 to below this */

/* Tell the heap who this thread is: `member` tags what it takes, `thread` owns slabs. Called by the
 * registry when a thread joins; leave when it ends (its slabs are given up). */
void mp__heap_join(uint32_t member, uint32_t thread);
void mp__heap_leave(void);
void mp__heap_forked(void); /* in a forked child: forget the parent's thread, nothing else */

/* Take a block of at least `size` bytes (0 counts as 1), 16-byte aligned (64 from 64 bytes on),
 * contents undefined. NULL: the arena is full, or this thread has not joined (detail set). Held by
 * this member until published or freed. For all that follows the thread need not have joined. */
void *mp__heap_alloc(size_t size);
void *mp__heap_zalloc(size_t size); /* the same, zero */
void mp__heap_publish(void *block); /* it belongs to a shared structure now and outlives us */
void mp__heap_take(void *block);    /* joined threads: it is ours again, freed if we die */
void mp__heap_give(void *block, uint32_t member); /* to that member: freed if it dies */
void mp__heap_free(void *block);                  /* by any process; NULL: nothing */
size_t mp__heap_size(const void *block);          /* usable bytes */
/* Just taken: is it a large one whose memory nobody has touched before? */
bool mp__heap_is_fresh(const void *block);
/* Soon it will be taken, read and freed here. Any pointer into the heap will do. */
void mp__heap_expect(const void *block);

/* Is this the start of a block in use? Any pointer may be asked, also while others allocate and
 * free. */
bool mp__heap_is_block(const void *pointer);

/* Free every block held by a dead member and give up its slabs (those whose threads is_dead_thread
 * says are its). Idempotent; may be cut off by a death and begun again by another process. */
void mp__heap_recover(uint32_t dead_member, bool (*is_dead_thread)(uint32_t thread));

struct mp__heap_figures {
    uint64_t blocks;      /* in use, held or published */
    uint64_t block_bytes; /* their usable bytes */
    uint64_t used_bytes;  /* of the arena's units, slabs included */
    uint64_t peak_bytes;  /* largest used_bytes ever */
};
void mp__heap_figures(struct mp__heap_figures *out);

/* Show `look` every block in use, held or published, and its bytes. Takes no lock and waits for
 * nobody: blocks that others take, free or merge meanwhile may be left out, or gone when `look` is
 * called. So read them by mp__heap_peek, and ask mp__heap_is_block afterwards. */
void mp__heap_each(void (*look)(const void *block, size_t size, void *arg), void *arg);
/* Copy bytes that others may be writing: each 8 bytes are from one moment. `from` is 8-byte
 * aligned. */
void mp__heap_peek(void *to, const void *from, size_t size);

/* Walk everything and compare: 0, or MP_ESTATE with the first contradiction in the detail. Takes
 * the lock: others may meanwhile use the slabs they own, nothing else. */
int mp__heap_check(void);

#endif

/* The heap's upper half: allocating and freeing, and what a thread keeps for it.
 * SPDX-License-Identifier: MIT */
#include "shm/heap.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/cpu.h"
#include "os/memory.h"
#include "shm/arena.h"
#include "shm/slab.h"
#include "shm/spare.h"
#include "shm/unit.h"

#define RELEASE_UNITS \
    2048 /* blocks from here on go back to the system when freed, without waiting for others */

/* What this thread is, and the slab of each class that it owns. Small: libmp may be loaded by
 * dlopen, and then all objects share a few hundred bytes of such memory. */
static _Thread_local __attribute__((tls_model("initial-exec"))) struct {
    uint32_t member;                 /* 0: has not joined */
    uint32_t thread;                 /* 0: has not joined */
    uint32_t slabs[MP__CLASS_COUNT]; /* heads, 0: none */
} self;

/* Where a block is. */
struct place {
    uint32_t head;            /* first unit of its run */
    uint64_t word;            /* state of that */
    struct slab_shared *slab; /* NULL: the run is the block */
    uint32_t index;           /* in the slab */
};

static struct place find(const void *block) {
    struct place place = {.head = mp__unit_at(block)};
    place.word = mp__unit_state(place.head);
    if (mp__unit_kind(place.word) == MP__UNIT_LARGE)
        return place;
    if (mp__unit_kind(place.word) == MP__UNIT_BODY) {
        place.head -= mp__unit_length(place.word);
        place.word = mp__unit_state(place.head);
    }
    assert(mp__unit_kind(place.word) == MP__UNIT_SLAB);
    place.slab = mp__slab(place.head);
    uint32_t offset =
        (uint32_t)((const char *)block - (const char *)place.slab) - place.slab->first;
    place.index = mp__slab_index(place.slab, offset);
    return place;
}

void mp__heap_join(uint32_t member, uint32_t thread) {
    assert(member > 0 && member < MP__TAG_PUBLISHED && thread > 0 && thread < MP__HEAP_THREAD_MAX);
    if (self.thread != 0 && self.thread != thread)
        mp__heap_leave();
    self.member = member;
    self.thread = thread;
}

void mp__heap_leave(void) {
    if (self.thread == 0)
        return;
    mp__heap_lock();
    for (uint32_t class = 0; class < MP__CLASS_COUNT; class ++)
        if (self.slabs[class])
            mp__slab_disown(self.slabs[class]);
    mp__heap_unlock();
    memset(&self, 0, sizeof self);
}

void mp__heap_forked(void) {
    memset(&self, 0, sizeof self);
}

/* Nobody would ever give back what it takes. Without a slab the common way need not ask. */
static bool has_joined(void) {
    if (self.thread == 0)
        mp__fail(-ENOMEM, "this thread has no place in the family, so that it can own no block");
    return self.thread != 0;
}

/* Make a slab with free blocks ours: the one we have is used up. */
static struct slab_shared *change_slab(uint32_t class, size_t asked) {
    uint32_t used_up = 0, head = self.slabs[class];
    mp__heap_lock();
    if (head) {
        used_up = mp__unit_length(mp__unit_state(head));
        mp__slab_disown(head);
    }
    head = mp__slab_adopt(class, self.thread, used_up, asked);
    mp__heap_unlock();
    self.slabs[class] = head;
    return head ? mp__slab(head) : NULL;
}

/* The thread's slab of the class, with something on its stack. NULL: arena full. */
static __attribute__((noinline)) struct slab_shared *refill(uint32_t class, size_t asked) {
    struct slab_shared *slab = self.slabs[class] ? mp__slab(self.slabs[class]) : NULL;
    if (!slab && !has_joined())
        return NULL;
    while (!slab || !mp__slab_refill(slab)) {
        slab = change_slab(class, asked);
        if (!slab)
            return NULL;
    }
    return slab;
}

static void *alloc_small(size_t size) {
    uint32_t class = mp__class_of(size ? size : 1);
    struct slab_shared *slab = NULL;
    uint32_t head = self.slabs[class];
    if (__builtin_expect(head != 0, 1))
        slab = mp__slab(head);
    if (__builtin_expect(!slab || slab->stack_count == 0, 0)) {
        slab = refill(class, size);
        if (!slab)
            return NULL;
    }
    uint32_t index = slab->stack[--slab->stack_count];
    atomic_store_explicit(&slab->tags[index], (uint16_t)self.member, memory_order_release);
    MP__POINT("heap.alloc.tagged");
    return mp__slab_block(slab, index);
}

static void *alloc_large(size_t size) {
    uint64_t length = ((uint64_t)size + MP__UNIT_BYTES - 1) / MP__UNIT_BYTES;
    if (size > (uint64_t)MP__UNIT_MAX * MP__UNIT_BYTES) {
        mp__fail(-ENOMEM, "%zu B asked, no arena is that large", size);
        return NULL;
    }
    if (!has_joined())
        return NULL;
    uint32_t head = 0;
    if (length <= MP__SPARE_LENGTH_MAX)
        head = mp__spare_take((uint32_t)length, self.member);
    if (head)
        return mp__unit_memory(head);
    mp__heap_lock();
    head = mp__run_take((uint32_t)length, size);
    if (head) {
        uint64_t word = mp__unit_word(MP__UNIT_LARGE, (uint32_t)length, self.member);
        word |= mp__unit_state(head) & MP__UNIT_DIRTY;
        mp__run_mark_end(head, word);
        mp__unit_set(head, word);
        MP__POINT("heap.alloc.marked");
        mp__run_count((int64_t)length);
    }
    mp__heap_unlock();
    return head ? mp__unit_memory(head) : NULL;
}

void *mp__heap_alloc(size_t size) {
    if (__builtin_expect(size > MP__SMALL_MAX, 0))
        return alloc_large(size);
    return alloc_small(size);
}

/* A huge block may have a little used memory in it: writing zeros would fill all of it. */
void *mp__heap_zalloc(size_t size) {
    void *block = mp__heap_alloc(size);
    if (!block)
        return NULL;
    bool is_large = size > MP__SMALL_MAX;
    bool is_dirty = is_large && mp__unit_state(mp__unit_at(block)) & MP__UNIT_DIRTY;
    if (is_dirty && size >= (size_t)RELEASE_UNITS * MP__UNIT_BYTES)
        mp__memory_release(block, mp__heap_size(block));
    else if (is_dirty || !is_large)
        memset(block, 0, size);
    return block;
}

/* A large block's pages are given back while it is still a block, ours: nobody waits for that, and
 * if we die in it, the rest is done for us. */
static void free_large(uint32_t head, uint64_t word) {
    uint32_t length = mp__unit_length(word);
    bool is_short = length <= MP__SPARE_LENGTH_MAX && self.member != 0;
    if (is_short && mp__spare_keep(head, length, self.member))
        return;
    bool is_released = length >= RELEASE_UNITS && self.member != 0 && mp__memory_is_returnable();
    if (is_released) {
        mp__unit_set(head, mp__unit_word(MP__UNIT_LARGE, length, self.member) | MP__UNIT_DIRTY);
        MP__POINT("heap.free.taken");
        mp__memory_release(mp__unit_memory(head), (uint64_t)length * MP__UNIT_BYTES);
        MP__POINT("heap.free.released");
    }
    mp__heap_lock();
    if (is_short)
        mp__spares_free();
    mp__run_free(head, length, !is_released);
    mp__run_count(-(int64_t)length);
    bool is_much = mp__units_are_dirty();
    mp__heap_unlock();
    if (is_much)
        mp__units_trim(self.member);
}

static void free_small(struct place place) {
    _Atomic uint16_t *tag = &place.slab->tags[place.index];
    struct unit_shared *unit = mp__unit(place.head);
    uint32_t owner = atomic_load_explicit(&unit->owner, memory_order_relaxed);
    if (__builtin_expect(owner == self.thread && owner != 0, 1)) {
        assert(atomic_load_explicit(tag, memory_order_relaxed) != 0);
        atomic_store_explicit(tag, 0, memory_order_release);
        if (place.slab->stack_count < MP__SLAB_STACK)
            place.slab->stack[place.slab->stack_count++] = (uint16_t)place.index;
        return;
    }
    /* Whoever takes the owner away counts the tags after that; so one of us two sees the other's
     * store. */
    uint16_t before = atomic_exchange(tag, 0);
    assert(before != 0);
    (void)before;
    MP__POINT("heap.free.untagged");
    if (atomic_load(&unit->owner) == 0)
        mp__slab_freed(place.head);
}

void mp__heap_free(void *block) {
    if (!block)
        return;
    struct place place = find(block);
    if (__builtin_expect(place.slab != NULL, 1))
        free_small(place);
    else
        free_large(place.head, place.word);
}

static void set_holder(void *block, uint32_t holder) {
    struct place place = find(block);
    if (place.slab)
        atomic_store_explicit(&place.slab->tags[place.index], (uint16_t)holder,
                              memory_order_release);
    else
        mp__unit_set(place.head,
                     mp__unit_word(MP__UNIT_LARGE, mp__unit_length(place.word), holder));
}

void mp__heap_publish(void *block) {
    set_holder(block, MP__TAG_PUBLISHED);
    MP__POINT("heap.publish.stored");
}

void mp__heap_take(void *block) {
    assert(self.member != 0);
    set_holder(block, self.member);
    MP__POINT("heap.take.stored");
}

void mp__heap_give(void *block, uint32_t member) {
    set_holder(block, member);
    MP__POINT("heap.give.stored");
}

size_t mp__heap_size(const void *block) {
    struct place place = find(block);
    return place.slab ? place.slab->size : (size_t)mp__unit_length(place.word) * MP__UNIT_BYTES;
}

bool mp__heap_is_fresh(const void *block) {
    struct place place = find(block);
    return !place.slab && !(place.word & MP__UNIT_DIRTY);
}

void mp__heap_expect(const void *block) {
    mp__cpu_expect_write(mp__unit(mp__unit_at(block)));
    mp__cpu_expect_write(block);
}

/* Is this the start of a block in use of the slab at head? */
static bool is_slab_block(uint32_t head, uint64_t word, const void *pointer) {
    struct slab_shared now;
    mp__slab_layout(&now, mp__unit_class(word), mp__unit_length(word));
    uint64_t distance = (uint64_t)((const char *)pointer - (const char *)mp__slab(head));
    if (distance < now.first || (distance - now.first) % now.size != 0)
        return false;
    uint64_t index = (distance - now.first) / now.size;
    if (index >= now.count)
        return false;
    uint16_t tag = atomic_load_explicit(&mp__slab(head)->tags[index], memory_order_acquire);
    return tag != 0 && mp__unit_state(head) == word;
}

bool mp__heap_is_block(const void *pointer) {
    struct heap_shared *heap = mp__heap_place.heap;
    uintptr_t offset = (uintptr_t)pointer - (uintptr_t)mp__heap_place.base;
    if (!heap || (const char *)pointer < mp__heap_place.base || offset % 16 != 0)
        return false;
    if (offset / MP__UNIT_BYTES >= atomic_load_explicit(&heap->top, memory_order_acquire))
        return false;
    uint32_t head = mp__unit_at(pointer);
    uint64_t word = mp__unit_state(head);
    if (mp__unit_kind(word) == MP__UNIT_LARGE)
        return offset % MP__UNIT_BYTES == 0;
    if (mp__unit_kind(word) == MP__UNIT_BODY) {
        uint32_t distance = mp__unit_length(word);
        head -= distance;
        word = mp__unit_state(head);
        if (mp__unit_length(word) <= distance)
            return false;
    }
    return mp__unit_kind(word) == MP__UNIT_SLAB && is_slab_block(head, word, pointer);
}

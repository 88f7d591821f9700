/* Slabs: layout, refilling the owner's stack, adopting and giving up.
 * SPDX-License-Identifier: MIT */
#include "shm/slab.h"

#include <assert.h>
#include <string.h>

#include "base/point.h"

static struct heap_shared *heap(void) {
    return mp__heap_place.heap;
}

static uint32_t units_for(uint32_t class, uint32_t blocks) {
    uint64_t bytes =
        sizeof(struct slab_shared) + 64 + (uint64_t)blocks * (mp__class_size(class) + 2);
    return (uint32_t)((bytes + MP__UNIT_BYTES - 1) / MP__UNIT_BYTES);
}

static uint32_t least(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

static uint32_t fewest_units(uint32_t class) {
    uint32_t size = mp__class_size(class);
    return units_for(class, size <= 1024 ? 8 : 4);
}

/* A sixteenth of what the class has, so that few blocks take little and many need few slabs; and
 * not much more than the thread has just used up, so that many idle threads take little too. */
static uint32_t choose_units(uint32_t class, uint32_t used_up) {
    uint32_t size = mp__class_size(class), fewest = fewest_units(class);
    uint32_t most = least(2 * used_up, size <= 2048 ? 16 : 64);
    uint32_t share = least(heap()->class_units[class] / 16, most);
    return share < fewest ? fewest : share;
}

void mp__slab_layout(struct slab_shared *out, uint32_t class, uint32_t length) {
    uint32_t size = mp__class_size(class), align = mp__class_align(class);
    uint32_t bytes = length * MP__UNIT_BYTES, count = (bytes - sizeof *out) / (size + 2), first;
    for (;; count--) {
        first = ((uint32_t)sizeof *out + count * 2 + align - 1) & ~(align - 1);
        if (first + count * size <= bytes)
            break;
    }
    out->class = class;
    out->size = size;
    out->count = count;
    out->first = first;
    out->reciprocal = ((UINT64_C(1) << 32) + size - 1) / size;
}

uint32_t mp__slab_used(struct slab_shared *slab) {
    uint32_t used = 0;
    for (uint32_t i = 0; i < slab->count; i++)
        used += atomic_load_explicit(&slab->tags[i], memory_order_acquire) != 0;
    return used;
}

uint32_t mp__slab_threshold(const struct slab_shared *slab) {
    return slab->count < 16 ? 1 : slab->count / 16;
}

static void fill_stack(struct slab_shared *slab) {
    while (slab->cursor < slab->count && slab->stack_count < MP__SLAB_STACK) {
        if (atomic_load_explicit(&slab->tags[slab->cursor], memory_order_acquire) == 0)
            slab->stack[slab->stack_count++] = (uint16_t)slab->cursor;
        slab->cursor++;
    }
}

/* A new round through the tags is begun only when it yields enough: each look at a tag is paid by
 * an allocation. */
bool mp__slab_refill(struct slab_shared *slab) {
    fill_stack(slab);
    if (slab->stack_count > 0)
        return true;
    if (slab->count - mp__slab_used(slab) < mp__slab_threshold(slab))
        return false;
    slab->cursor = 0;
    fill_stack(slab);
    return slab->stack_count > 0;
}

static void unlist(uint32_t head, uint32_t class) {
    if (!mp__unit(head)->is_listed)
        return;
    mp__list_drop(&heap()->partial[class], head);
    mp__unit(head)->is_listed = 0;
}

static void give_back_units(uint32_t head, uint64_t word) {
    uint32_t length = mp__unit_length(word), class = mp__unit_class(word);
    unlist(head, class);
    heap()->class_units[class] -= length;
    mp__run_free(head, length, true);
    mp__run_count(-(int64_t)length);
}

/* Frees go on meanwhile: one that found the slab without owner subtracts from `left` after its tag.
 * So `left` is emptied before the tags are counted; one too few makes somebody look too early,
 * never too late. */
void mp__slab_settle(uint32_t head) {
    struct unit_shared *unit = mp__unit(head);
    struct slab_shared *slab = mp__slab(head);
    uint32_t class = slab->class, threshold = mp__slab_threshold(slab);
    int32_t goal;
    do {
        atomic_exchange(&unit->left, 0);
        uint32_t used = mp__slab_used(slab), unused = slab->count - used;
        if (used == 0) {
            give_back_units(head, mp__unit_state(head));
            return;
        }
        if (unused >= threshold && !unit->is_listed) {
            mp__list_push(&heap()->partial[class], head);
            unit->is_listed = 1;
        }
        MP__POINT("heap.settle.listed");
        goal = (int32_t)(unit->is_listed ? used : threshold - unused);
    } while (atomic_fetch_add(&unit->left, goal) + goal <= 0);
}

void mp__slab_disown(uint32_t head) {
    atomic_store(&mp__unit(head)->owner, 0);
    MP__POINT("heap.disown.stored");
    mp__slab_settle(head);
}

static bool is_slab_without_owner(uint32_t head) {
    return mp__unit_kind(mp__unit_state(head)) == MP__UNIT_SLAB &&
           atomic_load(&mp__unit(head)->owner) == 0;
}

void mp__slab_freed(uint32_t head) {
    bool has_more = atomic_fetch_sub(&mp__unit(head)->left, 1) > 1;
    MP__POINT("heap.free.counted");
    if (has_more)
        return;
    mp__heap_lock();
    if (is_slab_without_owner(head))
        mp__slab_settle(head);
    mp__heap_unlock();
}

/* Units become a slab by the last store: the word of the first one. */
static uint32_t create(uint32_t class, uint32_t thread, uint32_t used_up, size_t asked) {
    uint32_t length = choose_units(class, used_up);
    uint32_t head = mp__run_take(length, asked);
    if (!head) {
        length = fewest_units(class);
        head = mp__run_take(length, asked);
    }
    if (!head)
        return 0;
    struct slab_shared *slab = mp__slab(head);
    memset(slab, 0, sizeof *slab);
    mp__slab_layout(slab, class, length);
    memset((void *)slab->tags, 0, slab->count * sizeof slab->tags[0]);
    for (uint32_t i = 1; i < length; i++)
        mp__unit_set(head + i, mp__unit_word(MP__UNIT_BODY, i, 0));
    MP__POINT("heap.slab.filled");
    mp__unit(head)->is_listed = 0;
    atomic_store(&mp__unit(head)->owner, thread);
    mp__unit_set(head, mp__unit_word(MP__UNIT_SLAB, length, 0) | (uint64_t) class << 48);
    MP__POINT("heap.slab.made");
    heap()->class_units[class] += length;
    mp__run_count(length);
    return head;
}

uint32_t mp__slab_adopt(uint32_t class, uint32_t thread, uint32_t used_up, size_t asked) {
    uint32_t head = heap()->partial[class];
    if (!head)
        return create(class, thread, used_up, asked);
    unlist(head, class);
    struct slab_shared *slab = mp__slab(head);
    slab->stack_count = 0;
    slab->cursor = 0;
    atomic_store(&mp__unit(head)->owner, thread);
    MP__POINT("heap.adopt.stored");
    return head;
}

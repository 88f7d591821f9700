/* Looking at the heap's blocks while others use them, without a lock.
 * SPDX-License-Identifier: MIT
 *
 * Runs are split and merged under us. From a run's true head its length leads to the next head; a
 * walk that lost its way goes on unit by unit until it finds one: stale words never say LARGE,
 * SPARE, BUSY or SLAB, and what they say of free runs is believed only when the run's end says the
 * same. */
#include <string.h>

#include "shm/heap.h"
#include "shm/slab.h"
#include "shm/unit.h"

struct walk {
    void (*look)(const void *block, size_t size, void *arg); /* the caller's */
    void *arg;                                               /* for it */
    uint32_t top;                                            /* units below it were ever used */
};

static void look_at_slab(const struct walk *walk, uint32_t head, uint64_t word) {
    struct slab_shared layout;
    mp__slab_layout(&layout, mp__unit_class(word), mp__unit_length(word));
    struct slab_shared *slab = mp__slab(head);
    for (uint32_t i = 0; i < layout.count; i++) {
        if (atomic_load_explicit(&slab->tags[i], memory_order_acquire) == 0)
            continue;
        if (mp__unit_state(head) != word)
            return;
        walk->look((char *)slab + layout.first + (uint64_t)i * layout.size, layout.size, walk->arg);
    }
}

static bool is_free_run(uint32_t head, uint32_t length) {
    return length == 1 ||
           mp__unit_state(head + length - 1) == mp__unit_word(MP__UNIT_END, length, 0);
}

/* How many units to go on. */
static uint32_t look_at_run(const struct walk *walk, uint32_t head) {
    uint64_t word = mp__unit_state(head);
    uint32_t length = mp__unit_length(word);
    enum mp__unit_kind kind = mp__unit_kind(word);
    if (length == 0 || length > walk->top - head)
        return 1;
    if (kind == MP__UNIT_SLAB && mp__unit_class(word) < MP__CLASS_COUNT)
        look_at_slab(walk, head, word);
    else if (kind == MP__UNIT_LARGE)
        walk->look(mp__unit_memory(head), (size_t)length * MP__UNIT_BYTES, walk->arg);
    else if (kind != MP__UNIT_BUSY && kind != MP__UNIT_SPARE &&
             (kind != MP__UNIT_FREE || !is_free_run(head, length)))
        return 1;
    return length;
}

void mp__heap_each(void (*look)(const void *block, size_t size, void *arg), void *arg) {
    struct heap_shared *heap = mp__heap_place.heap;
    if (!heap)
        return;
    struct walk walk = {look, arg, atomic_load_explicit(&heap->top, memory_order_acquire)};
    for (uint32_t head = 1; head < walk.top;)
        head += look_at_run(&walk, head);
}

/* ThreadSanitizer is right that this races: that is what it is for. */
__attribute__((no_sanitize("thread"), noinline)) void mp__heap_peek(void *to, const void *from,
                                                                    size_t size) {
    const volatile uint64_t *words = from;
    size_t whole = size / 8;
    for (size_t i = 0; i < whole; i++) {
        uint64_t word = words[i];
        __builtin_memcpy((char *)to + i * 8, &word, 8);
    }
    const volatile char *rest = (const volatile char *)from + whole * 8;
    for (size_t i = 0; i < size % 8; i++)
        ((char *)to)[whole * 8 + i] = rest[i];
}

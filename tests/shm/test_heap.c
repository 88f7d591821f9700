/* The heap: sizes, alignment, reuse, returning memory, many processes.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdlib.h>
#include <string.h>

#include "shm/arena.h"
#include "shm/class.h"
#include "shm/heap.h"

static void join(uint32_t member) {
    MPT_OK(mp__arena_open());
    mp__heap_join(member, member);
}

static uint64_t blocks_in_use(void) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    return figures.blocks;
}

static void test_every_size_fits_its_class(void **state) {
    (void)state;
    for (size_t size = 1; size <= MP__SMALL_MAX; size++) {
        uint32_t class = mp__class_of(size);
        assert_true(class < MP__CLASS_COUNT && mp__class_size(class) >= size);
        assert_true(class == 0 || mp__class_size(class - 1) < size);
        assert_int_equal(mp__class_size(class) % mp__class_align(class), 0);
    }
}

static void test_blocks_are_aligned_and_do_not_overlap(void **state) {
    (void)state;
    join(1);
    static unsigned char *blocks[3000];
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i * 37 % 70000;
        blocks[i] = mp__heap_alloc(size);
        assert_non_null(blocks[i]);
        assert_int_equal((uintptr_t)blocks[i] % (size >= 64 ? 64 : 16), 0);
        assert_true(mp__heap_size(blocks[i]) >= size);
        memset(blocks[i], (int)i, size);
    }
    MPT_OK(mp__heap_check());
    assert_int_equal(blocks_in_use(), 3000);
    for (size_t i = 0; i < 3000; i++) {
        size_t size = i * 37 % 70000;
        for (size_t k = 0; k < size; k++)
            assert_int_equal(blocks[i][k], (unsigned char)i);
        assert_true(mp__heap_is_block(blocks[i]));
        mp__heap_free(blocks[i]);
        assert_false(mp__heap_is_block(blocks[i]));
    }
}

MPT_MAIN(MPT_CASE(test_every_size_fits_its_class),
         MPT_CASE(test_blocks_are_aligned_and_do_not_overlap))

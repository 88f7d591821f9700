/* A board: a block of the arena, and the registry as it has to be left.
 * SPDX-License-Identifier: MIT */
#include "board.h"

#include "mpt.h"

#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/heap.h"

void *mpt_board_new(size_t size) {
    MPT_CHECK(mp__self());
    void *board = mp__heap_zalloc(size);
    MPT_CHECK(board);
    mp__heap_publish(board);
    return board;
}

void mpt_board_end(void *board) {
    mp__heap_free(board);
    mp__recover_all();
    MPT_OK(mp__registry_check());
}

unsigned mpt_count_members(void) {
    unsigned count = 0;
    for (uint32_t i = 1; i < MP__MEMBER_MAX; i++)
        count += mp__status_state(atomic_load(&mp__member_at(i)->status)) != MP__MEMBER_FREE;
    return count;
}

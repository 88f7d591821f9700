/* A board: words that the processes of a case share, for layers below mp_shared_alloc.
 * SPDX-License-Identifier: MIT */
#ifndef MPT_BOARD_H
#define MPT_BOARD_H

#include <stddef.h>

/* Joins the family; the block is zero. The end recovers whoever died and checks the registry. */
void *mpt_board_new(size_t size);
void mpt_board_end(void *board);

/* Slots that are not free, ours included. */
unsigned mpt_count_members(void);

#endif

/* A process of the family as the library sees it.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PROC_PROCESS_H
#define MP__PROC_PROCESS_H

#include "mp/process.h"
#include "reg/member.h"

/* mp_process_start in two halves, so that many children can come up at once (pool): launch returns as soon as the child is
 * on its way, confirm waits until it runs or has failed to (its detail becomes ours). */
int mp__process_launch(mp_process *process);
int mp__process_confirm(mp_process *process);
mp__member_ref mp__process_member(const mp_process *process); /* its slot in the registry; 0 before start */

#endif

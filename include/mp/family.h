/* mp/family.h: look at the whole family: who lives, who holds what, who waits for whom.
 * SPDX-License-Identifier: MIT
 *
 *     mp_family_dump(stderr);          // in any process of the family, say on SIGALRM's thread
 *
 *     process 4711 'MainProcess' running
 *     process 4712 'Process-1' running, parent 4711, daemon
 *     process 4713 'Process-2' dead, parent 4711
 *     lock 0x200000a01080 'accounts' held by 'Process-1' (pid 4712, thread 2)
 *         waits: 'MainProcess' (pid 4711, thread 1)
 *     rlock 0x200000a01100 held by 'Process-2' (pid 4713, thread 3, dead), 2 deep
 *     semaphore 0x200000a02040 value 3, at most 5
 *     condition 0x200000a03080 lock 0x200000a030c0 free
 *         waits: 'Process-1' (pid 4712, thread 4)
 *     event 0x200000a04000 not set
 *     barrier 0x200000a05000 1 of 3 have come
 *         waits: 'Process-1' (pid 4712, thread 5)
 *     value 0x200000a06000 'd', 8 bytes, lock free
 *     queue 0x200000b00000 length 17, limit 100, put by 'Process-1' (pid 4712, thread 6)
 *         waits: 'MainProcess' (pid 4711, thread 7)
 *     pipe 0x200000b10000 ends 2, 4096 bytes for connection 0x200000b10000, 0 for 0x200000b10080
 *     connection 0x200000b20000 over a socket, received by 'Process-1' (pid 4712, thread 5)
 *     pool 0x200000c00000 open, 2 workers of 'MainProcess' (pid 4711)
 *         worker 0 'ForkPoolWorker-3' (pid 4714) runs item 17 of map 0x200000c10000 of 1000
 *         worker 1 'ForkPoolWorker-4' (pid 4715) idle
 *
 * One line for each process and object, beginning with its noun: for grep. Objects are named by
 * their pointers, which are the same in every process; locks also by the name in mp_lock_options.
 * What else belongs to an object follows in indented lines. `dead`: has died, and nobody has needed
 * anything of it yet; a lock that its owner took along says `free, its last owner died` once it has
 * been given back. Lines grow at their end in later versions.
 *
 * WHO MAY CALL WHAT AT ONCE
 *     mp_family_dump            any thread of any process, at any time
 *
 * IF A PROCESS DIES IN THE MIDDLE OF ...
 *     mp_family_dump            nothing happens to the others: it only reads
 */
#ifndef MP_FAMILY_H
#define MP_FAMILY_H

#include <stdio.h>

#include "mp/base.h"

MP_BEGIN_DECLS

/* Write down every process of the family and every object in its shared memory, with holders and
 * waiters. It takes no lock of the family, so that it also works where a process is stopped, or
 * died, holding one. What changes meanwhile is shown as it was at one moment or another. In a
 * process that has not used the family yet it writes nothing.
 * returns  0; MP_EINVAL: stream is NULL; -EIO: the stream has an error
 * blocks   no longer than writing takes */
int mp_family_dump(FILE *stream);

MP_END_DECLS
#endif

/* mp/shared_memory.h: memory with a name, for programs that are no family; and lists in it.
 * SPDX-License-Identifier: MIT
 *
 *     mp_shared_memory *memory;
 *     mp_shared_memory_open(&memory, NULL, 4096, MP_CREATE);
 *     printf("%s\n", mp_shared_memory_name(memory));          // psm_9f3a01c2
 *     strcpy(mp_shared_memory_buf(memory), "hello");
 *     // in any program, also Python's SharedMemory("psm_9f3a01c2"):
 *     mp_shared_memory_open(&memory, "psm_9f3a01c2", 0, 0);
 *     mp_shared_memory_unlink(memory);                        // one of them, at the end
 *     mp_shared_memory_free(memory);
 *
 * Byte for byte Python's multiprocessing.shared_memory: what one creates the other attaches. The
 * memory is a thing of the system's: it stays, whoever ends, until somebody unlinks its name, and
 * goes with its last user then. A Python before 3.13 that attaches or creates what C is to unlink
 * must say
 *     resource_tracker.unregister("/" + memory.name, "shared_memory")
 * and a later one SharedMemory(..., track=False): else Python unlinks it, or warns, at its end.
 *
 * The objects here are of this process, and of its forked children; others open by name.
 *
 *     who may call what at once
 *     _close, _free          one thread, when no other uses the object
 *     everything else        any thread; bytes and items are read and written without any lock
 *
 *     a process dies         what it does to the others
 *     in open                when it creates: the name may stay, with no bytes or with zeros
 *     in list_set            that item may be half written
 *     anywhere else          nothing; the memory stays
 */
#ifndef MP_SHARED_MEMORY_H
#define MP_SHARED_MEMORY_H

#include "mp/base.h"

typedef struct mp_object mp_object; /* mp/object.h */
typedef struct mp_shared_memory mp_shared_memory;
typedef struct mp_shareable_list mp_shareable_list;

#define MP_CREATE 1u /* of mp_shared_memory_open */

MP_BEGIN_DECLS

/* Create memory, or attach to what is there.
 *   name     without a slash; NULL, with MP_CREATE: made up, "psm_" and 8 hexadecimal digits
 *   size     bytes to create, all zero, and all there: using them never fails; not looked at
 *            otherwise
 *   flags    0; MP_CREATE: it must not exist
 *   returns  0; MP_EINVAL: size is 0 or absurd, no name or an impossible one, unknown flags,
 *            no bytes in what is there; -EEXIST; -ENOENT; -ENOSPC, -ENOMEM, -EMFILE, -EACCES
 *   owns     the caller: mp_shared_memory_free, and mp_shared_memory_unlink by somebody
 *   python   SharedMemory(name, create, size) */
int mp_shared_memory_open(mp_shared_memory **out, const char *name, size_t size, unsigned flags);

/* Tell where it lies here (NULL: closed), how large it is, its name without the slash. NULL gives
 * NULL or 0.
 *   python   .buf, .size, .name */
void *mp_shared_memory_buf(mp_shared_memory *memory);
size_t mp_shared_memory_size(const mp_shared_memory *memory);
const char *mp_shared_memory_name(const mp_shared_memory *memory);

/* Use it no more in this process; again: nothing happens.
 *   returns  0; MP_EINVAL: NULL
 *   python   SharedMemory.close() */
int mp_shared_memory_close(mp_shared_memory *memory);

/* Take the name away, before or after close; who has it open goes on using it.
 *   returns  0; -ENOENT: it has none any more; MP_EINVAL: NULL; -EACCES
 *   python   SharedMemory.unlink() */
int mp_shared_memory_unlink(mp_shared_memory *memory);

/* Close it and end the object. NULL: nothing. */
void mp_shared_memory_free(mp_shared_memory *memory);

/* ---- ShareableList: none, bools, ints of 64 bits, floats, str and bytes in such memory ----
 *
 * Its length is fixed, and what room a str or bytes has: up to the next multiple of 8 bytes beyond
 * its first value. NULs at the end of a str or bytes are lost, as in Python. Python 3.8's layout is
 * another one. */

/* Make a list.
 *   name     as above; NULL: made up
 *   items    a list or tuple, copied; NULL: an empty one
 *   returns  0; MP_ETYPE: neither list nor tuple, or an item of another kind; MP_EINVAL: an int
 *            beyond 64 bits, a str or bytes beyond 9999991 bytes, out is NULL; -EEXIST and so on
 *   python   ShareableList(items, name=name) */
int mp_shareable_list_new(mp_shareable_list **out, const char *name, const mp_object *items);

/* Attach to one.
 *   returns  0; MP_EPROTO: what lies there is no such list; MP_EINVAL; -ENOENT; -errno
 *   python   ShareableList(name=name) */
int mp_shareable_list_attach(mp_shareable_list **out, const char *name);

/* Count the items. NULL: 0.
 *   python   len(list) */
size_t mp_shareable_list_length(const mp_shareable_list *list);

/* Read an item. Negative indexes count from the end.
 *   out      gets a new object, the caller's
 *   returns  0; MP_EINDEX; MP_EPROTO: no item lies there; MP_ECLOSED; MP_EINVAL; -ENOMEM
 *   python   list[index] */
int mp_shareable_list_get(const mp_shareable_list *list, ptrdiff_t index, mp_object **out);

/* Write one, of whatever kind.
 *   returns  0; MP_EINDEX; MP_ETYPE: of a kind that does not go; MP_EINVAL: NULL, a str or bytes
 *            that is longer than its place, an int beyond 64 bits; MP_ECLOSED
 *   python   list[index] = value */
int mp_shareable_list_set(mp_shareable_list *list, ptrdiff_t index, const mp_object *value);

/* Find the first item equal to `value`; count those that are.
 *   returns  0 or the count; MP_EINDEX: none is (index only); MP_EPROTO; MP_ECLOSED; MP_EINVAL
 *   python   list.index(value), list.count(value) */
int mp_shareable_list_index(const mp_shareable_list *list, const mp_object *value, size_t *index);
int mp_shareable_list_count(const mp_shareable_list *list, const mp_object *value);

/* Write the formats of all items in the letters of Python's struct.
 *   out      gets a text from malloc; end it with free()
 *   returns  0; MP_EINVAL; MP_ECLOSED; -ENOMEM
 *   python   list.format */
int mp_shareable_list_format(const mp_shareable_list *list, char **out);

/* Give the memory it lies in, borrowed: for its name and size. NULL: NULL.
 *   python   list.shm */
mp_shared_memory *mp_shareable_list_shm(mp_shareable_list *list);

/* As mp_shared_memory_close, _unlink and _free.
 *   python   list.shm.close(), list.shm.unlink() */
int mp_shareable_list_close(mp_shareable_list *list);
int mp_shareable_list_unlink(mp_shareable_list *list);
void mp_shareable_list_free(mp_shareable_list *list);

MP_END_DECLS
#endif

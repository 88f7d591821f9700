/* mp/shared.h: values, arrays and memory that all processes of the family share.
 * SPDX-License-Identifier: MIT
 *
 *     mp_value *total;
 *     mp_array *squares;
 *     mp_value_new(&total, NULL, 'd', NULL, MP_NEW_LOCK);
 *     mp_array_new(&squares, NULL, 'i', 10, NULL, MP_NO_LOCK);
 *     // in any process:
 *     MP_WITH_LOCK(mp_value_get_lock(total)) {
 *         MP_VALUE(double, total) += 1.5;
 *     }
 *     MP_ARRAY(int, squares)[3] = 9;
 *
 *     mp_value_free(total);
 *     mp_array_free(squares);
 *
 * Every pointer given out here means the same in every process of the family, so structures in
 * shared memory may be linked by ordinary pointers. Data is aligned to 16 bytes; 64 bytes and more
 * to 64.
 *
 * TYPE CODES, as in Python's array and ctypes
 *     'c' char       'b' signed char         'B' unsigned char   'u' wchar_t    '?' bool
 *     'h' short      'H' unsigned short      'i' int             'I' unsigned
 *     'l' long       'L' unsigned long       'q' long long       'Q' unsigned long long
 *     'f' float      'd' double              0: made by a _struct function
 *
 * LOCKS, the argument `lock`
 *     MP_NEW_LOCK or NULL            an RLock of its own, freed with the object
 *     MP_NO_LOCK                     none
 *     a lock of yours                not copied, must outlive the object
 *
 * WHO MAY CALL WHAT AT ONCE
 *     alloc, calloc, _new, _copy     any thread of any process; _copy takes no lock: take it
 *                                    yourself when others write
 *     realloc, free, _free           one thread of any process, once, when nobody uses it any more
 *     mp_array_get, mp_array_set     any; one at a time when the array has a lock
 *     MP_VALUE, MP_ARRAY, _data      any, and what C allows: under the lock, or by atomic types
 *
 * IF A PROCESS DIES IN THE MIDDLE OF ...
 *     alloc, new, copy, free         nothing leaks and nobody waits: the block is taken or free
 *     holding the object's lock      the next mp_lock_acquire gets MP_EOWNERDEAD: look at the data
 *     mp_array_set                   that item may be half written; the same MP_EOWNERDEAD tells
 *     using what it allocated        nothing: the memory is the family's until somebody frees it
 *
 * MP_EINVAL and -ENOMEM may come from any function, see mp/base.h; they are listed where there is
 * more to say. `context` may be any, it makes no difference. */
#ifndef MP_SHARED_H
#define MP_SHARED_H

#include "mp/base.h"
#include "mp/sync.h"

typedef struct value_shared mp_value;
typedef struct array_shared mp_array;

#define MP_NEW_LOCK ((mp_lock *)0)                    /* Python's lock=True */
#define MP_NO_LOCK ((mp_lock *)(intptr_t)-1)          /* Python's lock=False */
#define MP_VALUE(type, v) (*(type *)mp_value_data(v)) /* MP_VALUE(double, total) += 1.5; */
#define MP_ARRAY(type, a) ((type *)mp_array_data(a))  /* MP_ARRAY(int, squares)[3] = 9; */

MP_BEGIN_DECLS

/* ---- Value ---- */

/* Make one item.
 * typecode  as above, in quotes: 'i'
 * size      of a struct, 1 or more
 * initial   address of an item of that type or size, copied; NULL: zero
 * returns   0; MP_ETYPE: unknown typecode; MP_EINVAL: size 0 or absurd, not a lock; -ENOMEM
 * owns      end it with mp_value_free
 * python    Value(typecode, initial, lock=lock), Value(Struct, ...), RawValue(...) */
int mp_value_new(mp_value **out, mp_context *context, char typecode, const void *initial,
                 mp_lock *lock);
int mp_value_new_struct(mp_value **out, mp_context *context, size_t size, const void *initial,
                        mp_lock *lock);
int mp_raw_value_new(mp_value **out, mp_context *context, char typecode, const void *initial);

/* Tell where it is, how large, of what type, under which lock (NULL: raw). What is not a value
 * gives NULL or 0.
 * python   .value, get_obj(), get_lock() */
void *mp_value_data(mp_value *value);
size_t mp_value_size(const mp_value *value);
char mp_value_typecode(const mp_value *value);
mp_lock *mp_value_get_lock(mp_value *value);

/* Make a raw value (one without a lock) with the same bytes.
 * returns  0; MP_EINVAL; -ENOMEM
 * python   sharedctypes.copy(value) */
int mp_value_copy(mp_value **out, const mp_value *value);

/* Make a value with a lock whose data is that of `raw`, which must outlive it.
 * returns  0; MP_EINVAL: lock is MP_NO_LOCK or no lock; -ENOMEM
 * python   sharedctypes.synchronized(raw, lock) */
int mp_value_synchronized(mp_value **out, mp_value *raw, mp_lock *lock);
void mp_value_free(mp_value *value); /* with its own lock; NULL: nothing */

/* ---- Array ---- */

/* Make `length` items side by side; 0 is allowed.
 * initial   address of `length` items, copied; NULL: zeros
 * returns   0; MP_ETYPE: unknown typecode; MP_EINVAL: item_size 0, length * size overflows, not a
 *           lock; -ENOMEM
 * owns      end it with mp_array_free
 * python    Array(typecode, length or initial, lock=lock), RawArray(...) */
int mp_array_new(mp_array **out, mp_context *context, char typecode, size_t length,
                 const void *initial, mp_lock *lock);
int mp_array_new_struct(mp_array **out, mp_context *context, size_t item_size, size_t length,
                        const void *initial, mp_lock *lock);
int mp_raw_array_new(mp_array **out, mp_context *context, char typecode, size_t length,
                     const void *initial);

/* Tell where the items are, how many, how large, of what type, under which lock (NULL: raw). What
 * is not an array gives NULL or 0.
 * python   get_obj(), len(array), get_lock() */
void *mp_array_data(mp_array *array);
size_t mp_array_length(const mp_array *array);
size_t mp_array_item_size(const mp_array *array);
char mp_array_typecode(const mp_array *array);
mp_lock *mp_array_get_lock(mp_array *array);

/* Copy one item out of the array, or into it, under its lock if it has one. A negative index counts
 * from the end.
 * returns  0; MP_EINDEX; MP_EINVAL: out or item is NULL. Not MP_EOWNERDEAD: that is left for the
 *          next mp_lock_acquire to say. MP_EDEADLK, where the lock's options ask for it
 * blocks   until the lock is free; for ever when the caller holds it and it is a Lock, not an RLock
 * python   array[index], array[index] = item */
int mp_array_get(mp_array *array, ptrdiff_t index, void *out);
int mp_array_set(mp_array *array, ptrdiff_t index, const void *item);

/* Make a raw array with the same items.
 * returns  0; MP_EINVAL; -ENOMEM
 * python   sharedctypes.copy(array) */
int mp_array_copy(mp_array **out, const mp_array *array);
void mp_array_free(mp_array *array); /* with its own lock; NULL: nothing */

/* ---- The family's heap ---- */

/* As malloc, calloc and realloc, in memory that every process of the family has at one address.
 * Size 0 gives a pointer of its own, also in realloc. The block stays when its taker ends.
 * returns  NULL: no memory, n * size overflows, or (realloc) `block` is none; then nothing has
 *          changed and mp_error_detail() says why
 * owns     end it with mp_shared_free in any process; objects of libmp have their own _free
 * python   heap.BufferWrapper */
void *mp_shared_alloc(size_t size);                /* contents undefined */
void *mp_shared_calloc(size_t n, size_t size);     /* zeros */
void *mp_shared_realloc(void *block, size_t size); /* NULL: as alloc; may move */

/* Give a block back. NULL: nothing. What is no block in use is left alone, and mp_error_detail()
 * says so. */
void mp_shared_free(void *block);

MP_END_DECLS
#endif

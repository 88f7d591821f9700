/* mp/collection.h: lists, tuples, dicts and sets of objects.
 * SPDX-License-Identifier: MIT
 *
 *     mp_object *ages = mp_dict_new();
 *     mp_dict_set_text(ages, "Ada", mp_integer_new(36));
 *     mp_object *key, *value;
 *     for (size_t cursor = 0; mp_dict_next(ages, &cursor, &key, &value);)
 *         ...key and value are borrowed...
 *     mp_object_free(ages);
 *
 * What is put in is taken over, also when that fails; NULL put in fails as what made it. What comes
 * out is borrowed while the collection holds it, but for _pop, which hands it over. Indexes count
 * from 0, negative ones from the end (-1 is the last). Keys of dicts and members of sets are what
 * Python can hash: no list, dict, set or bytearray, nor a tuple with one of them in it.
 *
 *     who may call what at once          as in mp/object.h: one thread changes, or many look
 *     a process dies                     nothing: objects are not shared between processes
 */
#ifndef MP_COLLECTION_H
#define MP_COLLECTION_H

#include "mp/object.h"

MP_BEGIN_DECLS

/* Make an empty list. NULL: -ENOMEM. */
mp_object *mp_list_new(void);

/* Make a tuple or a frozenset of `count` objects, all taken over, also on failure.
 *   returns  the object; NULL: an item is NULL or (frozenset) unhashable, -ENOMEM */
mp_object *mp_tuple_new(mp_object *const *items, size_t count);
mp_object *mp_frozenset_new(mp_object *const *items, size_t count);

/* Look at an item of a list or a tuple.
 *   returns  the item, borrowed; NULL: no such index, neither list nor tuple */
mp_object *mp_list_get(const mp_object *list, ptrdiff_t index);
mp_object *mp_tuple_get(const mp_object *tuple, ptrdiff_t index);

/* Change a list. An index beyond either end means that end for insert, as in Python.
 *   item     taken over, also on failure; NULL: -ENOMEM
 *   returns  0; MP_EINDEX (set, delete, pop); MP_ETYPE: not a list; MP_EINVAL: NULL; -ENOMEM
 *   python   list.append(item), list.insert(index, item), list[index] = item, del list[index] */
int mp_list_append(mp_object *list, mp_object *item);
int mp_list_insert(mp_object *list, ptrdiff_t index, mp_object *item);
int mp_list_set(mp_object *list, ptrdiff_t index, mp_object *item);
int mp_list_delete(mp_object *list, ptrdiff_t index);

/* Take an item out of a list.
 *   out      gets it; the caller's
 *   returns  as above
 *   python   list.pop(index) */
int mp_list_pop(mp_object **out, mp_object *list, ptrdiff_t index);

/* Append all items of a list or tuple, which stays as it is.
 *   returns  0; MP_ETYPE; MP_EINVAL; -ENOMEM
 *   python   list.extend(items) */
int mp_list_extend(mp_object *list, const mp_object *items);

/* Turn a list round. 0; MP_ETYPE; MP_EINVAL. */
int mp_list_reverse(mp_object *list);

/* Find the first item equal to `item`.
 *   returns  0; MP_EINDEX: none is; MP_ETYPE: neither list nor tuple; MP_EINVAL; -ENOMEM
 *   python   list.index(item) */
int mp_list_find(const mp_object *list, const mp_object *item, size_t *index);

/* Sort a list; equal items keep their order, also in reverse.
 *   returns  0; MP_ETYPE: not a list, or items that Python does not order; MP_EINVAL; -ENOMEM. On
 *            failure nothing has changed
 *   python   list.sort(reverse=...) */
int mp_list_sort(mp_object *list, bool reverse);

/* A part of a list: from start, by step, until before stop. MP_SLICE_NONE is Python's None. */
#define MP_SLICE_NONE PTRDIFF_MIN
typedef struct mp_slice {
    ptrdiff_t start, stop, step;
} mp_slice;

/* Tell which of `length` items a slice means: `count` of them from `first` by `step`.
 *   returns  0; MP_EINVAL: a step of 0, NULL
 *   python   slice.indices(length) */
int mp_slice_indices(mp_slice slice, size_t length, size_t *first, ptrdiff_t *step, size_t *count);

/* Make a list of a part of a list, a tuple of a part of a tuple / a list, a tuple of all items of
 * either. The items are shared.
 *   returns  NULL: neither list nor tuple, a step of 0, -ENOMEM
 *   python   sequence[start:stop:step], list(sequence), tuple(sequence) */
mp_object *mp_list_slice(const mp_object *sequence, mp_slice slice);
mp_object *mp_list_copy(const mp_object *sequence);
mp_object *mp_tuple_copy(const mp_object *sequence);

/* Replace a part of a list by the items of a list or tuple, which stay as they are / drop it.
 *   returns  0; MP_EINVAL: a step of 0, or another one than 1 and another number of items;
 *            MP_ETYPE; -ENOMEM
 *   python   list[start:stop:step] = items, del list[start:stop:step] */
int mp_list_set_slice(mp_object *list, mp_slice slice, const mp_object *items);
int mp_list_delete_slice(mp_object *list, mp_slice slice);

/* Make an empty dict. NULL: -ENOMEM. */
mp_object *mp_dict_new(void);

/* Set a key's value; a new key comes last, an old one keeps its place.
 *   key      taken over, also on failure; _text: a name in UTF-8, copied
 *   value    taken over, also on failure
 *   returns  0; MP_ETYPE: unhashable key, not a dict; MP_EINVAL: NULL, no UTF-8; -ENOMEM
 *   python   dict[key] = value */
int mp_dict_set(mp_object *dict, mp_object *key, mp_object *value);
int mp_dict_set_text(mp_object *dict, const char *key, mp_object *value);

/* Look a key up.
 *   key      stays the caller's
 *   returns  the value, borrowed; NULL: no such key, not a dict, unhashable key
 *   python   dict.get(key) */
mp_object *mp_dict_get(const mp_object *dict, const mp_object *key);
mp_object *mp_dict_get_text(const mp_object *dict, const char *key);

/* Drop a key / take its value out.
 *   out      gets the value; the caller's
 *   returns  0; MP_EKEY; MP_ETYPE; MP_EINVAL; -ENOMEM
 *   python   del dict[key], dict.pop(key) */
int mp_dict_delete(mp_object *dict, const mp_object *key);
int mp_dict_pop(mp_object **out, mp_object *dict, const mp_object *key);

/* Go through a dict in the order of insertion. Values of keys that are there may be set meanwhile;
 * adding keys may move what the cursor means.
 *   cursor   0 at first; changed by each call
 *   key      gets the key, borrowed; NULL: not wanted
 *   value    gets the value, borrowed; NULL: not wanted
 *   returns  true: an entry; false: no more, or not a dict */
bool mp_dict_next(const mp_object *dict, size_t *cursor, mp_object **key, mp_object **value);

/* Make an empty set. NULL: -ENOMEM. */
mp_object *mp_set_new(void);

/* Add to a set what is not in it yet.
 *   item     taken over, also on failure
 *   returns  0; MP_ETYPE: unhashable, not a set (a frozenset does not change); MP_EINVAL; -ENOMEM
 *   python   set.add(item) */
int mp_set_add(mp_object *set, mp_object *item);

/* Drop a member.
 *   returns  0; MP_EKEY: it was not in; MP_ETYPE; MP_EINVAL; -ENOMEM
 *   python   set.remove(item) */
int mp_set_remove(mp_object *set, const mp_object *item);

/* Go through a set or a frozenset, as mp_dict_next does. */
bool mp_set_next(const mp_object *set, size_t *cursor, mp_object **item);

/* Is an object equal to `item` in a list, tuple, set or frozenset, or among a dict's keys?
 *   returns  1; 0; MP_ETYPE: nothing with items, or unhashable; MP_EINVAL: NULL; -ENOMEM
 *   python   item in collection */
int mp_object_contains(const mp_object *collection, const mp_object *item);

/* Take everything out of a list, dict, set or bytearray.
 *   returns  0; MP_ETYPE; MP_EINVAL; -ENOMEM (a bytearray only)
 *   python   clear() */
int mp_object_clear(mp_object *collection);

MP_END_DECLS
#endif

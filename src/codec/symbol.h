/* Making names, recipes and entries from parts that are there already.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_SYMBOL_H
#define MP__CODEC_SYMBOL_H

#include "codec/object.h"

/* All take over what they are given, also on failure; NULL: -ENOMEM, or a part was NULL. */
mp_object *mp__global_new(mp_object *module, mp_object *name);
mp_object *mp__call_alloc(mp_call_form form, mp_object *callable, mp_object *args,
                          mp_object *kwargs);
mp_object *mp__persistent_new(mp_object *id);
mp_object *mp__extension_new(int32_t code);

/* Make room for steps (0 or -ENOMEM), and add one into that room. */
int mp__call_reserve(mp_object *call, size_t more);
void mp__call_push(mp_object *call, mp_call_step step, mp_object *key, mp_object *value);

/* Give a call that has none something that belongs to it: `detach` is called for it when the call
 * goes. Copies of the call do not have it. */
void mp__call_attach(mp_object *call, void *attached, void (*detach)(void *it));
void *mp__call_attached(const mp_object *call, void (*detach)(void *it)); /* NULL: not this kind */

/* Make room for items of a list: 0 or -ENOMEM. */
int mp__list_reserve(mp_object *list, size_t more);
void mp__list_empty(mp_object *list);

/* Put a key (and a value) into a dict or a set, frozen or not; takes them over, also on failure. */
int mp__mapping_put(mp_object *mapping, mp_object *key, mp_object *value);

#endif

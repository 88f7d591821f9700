/* What Python's pickles of its own objects look like when they come to a child that it spawns.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PYTHON_SHAPE_H
#define MP__PYTHON_SHAPE_H

#include "mp/object.h"

/* The name after the dot, borrowed, when the object is made by calling something of that module;
 * else NULL. */
const char *mp__shape_name(const mp_object *object, const char *module);
bool mp__shape_is(const mp_object *object, const char *module, const char *name);
mp_object *mp__shape_args(const mp_object *object); /* of that call, borrowed */

/* The descriptor that came with a _DupFd, or a code with detail. */
int mp__shape_descriptor(const mp_object *object);
/* The same, which becomes the caller's: close-on-exec, MP_ESTATE when it was taken before. */
int mp__shape_take_descriptor(const mp_object *object);

/* Check the arguments of an _open function; the sentences for what cannot be opened. */
int mp__shape_check(const void *out, const mp_object *object, const char *function);
int mp__shape_refuse(const mp_object *object, const char *noun, const char *function);
int mp__shape_broken(const char *noun, const char *function);

#endif

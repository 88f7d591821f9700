/* Python's exceptions and our error codes.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_EXCEPTION_H
#define MP__MGR_EXCEPTION_H

#include "codec/buffer.h"
#include "mp/object.h"

/* Make module.name(argument); argument is taken over, also on failure; NULL: none. NULL: memory is
 * short. */
mp_object *mp__exception_new(const char *module, const char *name, mp_object *argument);
/* The same with a sentence for argument: mp__exception_text("builtins", "IndexError", "..."). */
mp_object *mp__exception_text(const char *module, const char *name, const char *text);

/* Make the exception that Python would raise where C returns `code`: MP_EKEY is a KeyError(text),
 * -ENOENT an OSError(2, text). Text NULL or "": no argument. */
mp_object *mp__exception_from_code(int code, const char *text);

/* Tell which code stands for an exception that came from Python; the detail becomes
 * "KeyError: 'nope'". What C has no code for is MP_EREMOTE; an AttributeError is MP_EKEY. */
int mp__exception_code(const mp_object *exception);

/* Append "KeyError: 'nope'", as Python's tracebacks end. 0 or -ENOMEM. */
int mp__exception_print(struct mp__buffer *text, const mp_object *exception);

/* Is it an exception of that class? */
bool mp__exception_is(const mp_object *object, const char *module, const char *name);

#endif

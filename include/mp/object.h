/* mp/object.h: Python's values in C: none, bool, int, float, str, bytes, and what holds them.
 * SPDX-License-Identifier: MIT
 *
 *     mp_object *job = mp_object_build("{s:i,s:[dd]}", "id", 7, "range", 0.5, 1.5);
 *     char *text;
 *     if (mp_object_repr(job, &text, NULL) == 0)
 *         puts(text);    // {'id': 7, 'range': [0.5, 1.5]}
 *     free(text);
 *     mp_object_free(job);
 *
 * Lists, tuples, dicts and sets are edited by mp/collection.h; bytes for Python come from and go
 * to mp/pickle.h. An object lives in this process only and is counted: it lives as long as
 * somebody holds a reference. Three rules say who does:
 *
 *     what a function makes (_new, _build, _copy, _ref) is the caller's; mp_object_free ends it
 *     what is put into a collection is taken over, also when that fails
 *     what is looked at (an item, a key, a text) is borrowed: good while its holder holds it
 *
 * To keep a borrowed object, or to go on using what is put in, take mp_object_ref of it. Functions
 * that take objects over accept NULL as "making it failed": `mp_list_append(list, mp_str_new(t))`
 * needs one check. A function that returns a pointer gives NULL on failure; mp_error_detail() says
 * why.
 *
 *     who may call what at once
 *     looking at an object, copy, repr,      any threads, while nobody changes it or what is in it
 *     equality, pickling
 *     mp_object_ref, mp_object_free          any threads, each for a reference of its own
 *     changing an object                     one thread, and nobody looks at it meanwhile
 *     anything with an object that contains  one thread at a time, also mp_object_ref and _free
 *     itself
 *
 *     a process dies             nothing: objects are not shared between processes
 */
#ifndef MP_OBJECT_H
#define MP_OBJECT_H

#include "mp/base.h"

typedef struct mp_object mp_object; /* of this process, not in the arena */

typedef enum mp_object_kind {
    MP_OBJECT_INVALID = 0, /* NULL */
    MP_OBJECT_NONE,
    MP_OBJECT_BOOL,
    MP_OBJECT_INT, /* of any size */
    MP_OBJECT_FLOAT,
    MP_OBJECT_STR,       /* UTF-8; a lone surrogate is written as if it were a character */
    MP_OBJECT_BYTES,     /* does not change */
    MP_OBJECT_BYTEARRAY, /* may change */
    MP_OBJECT_EXTENSION, /* a class by its registered number, see mp/pickle.h */
    MP_OBJECT_LIST,
    MP_OBJECT_TUPLE,
    MP_OBJECT_DICT,
    MP_OBJECT_SET,
    MP_OBJECT_FROZENSET,
    MP_OBJECT_GLOBAL,     /* a class or function by its name, see mp/pickle.h */
    MP_OBJECT_CALL,       /* an object of a class that C does not know: how Python makes it */
    MP_OBJECT_PERSISTENT, /* an object that lives outside the pickle, by its id */
} mp_object_kind;

MP_BEGIN_DECLS

/* Tell what an object is. NULL: MP_OBJECT_INVALID. */
mp_object_kind mp_object_get_kind(const mp_object *object);

/* Give Python's name of a kind: "int", "NoneType"; "?" for what is none. */
const char *mp_object_kind_name(mp_object_kind kind);

/* Take one more reference and return the object. NULL: NULL. */
mp_object *mp_object_ref(const mp_object *object);

/* Give a reference back; with the last one the object goes, and what only it held, also when it
 * contains itself. NULL: nothing happens. */
void mp_object_free(mp_object *object);

/* Make objects. All: NULL when memory is short, and as said. None, both bools and small ints take
 * no memory.
 *   integer_new_text   decimal digits, maybe with a sign, 100000 at most; else NULL
 *   integer_new_bytes  two's complement, the lowest byte first; no bytes: 0
 *   str_new            NULL when it is no UTF-8
 *   str_new_sized      the same from `size` bytes, which may hold NULs
 *   bytes_new          copied; data NULL only when size is 0 */
mp_object *mp_none_new(void);
mp_object *mp_bool_new(bool value);
mp_object *mp_integer_new(int64_t value);
mp_object *mp_integer_new_unsigned(uint64_t value);
mp_object *mp_integer_new_text(const char *digits);
mp_object *mp_integer_new_bytes(const void *data, size_t size);
mp_object *mp_float_new(double value);
mp_object *mp_str_new(const char *text);
mp_object *mp_str_new_sized(const char *text, size_t size);
mp_object *mp_bytes_new(const void *data, size_t size);
mp_object *mp_bytearray_new(const void *data, size_t size);

/* Read a bool.
 *   returns  0; MP_ETYPE: not a bool; MP_EINVAL */
int mp_bool_get(const mp_object *object, bool *out);

/* Read an int or a bool as a C integer.
 *   returns  0; MP_EINVAL: it does not fit, or an argument is NULL; MP_ETYPE: another kind */
int mp_integer_get(const mp_object *object, int64_t *out);
int mp_integer_get_unsigned(const mp_object *object, uint64_t *out);

/* Write an int in decimal.
 *   out      gets a text from malloc; end it with free()
 *   returns  0; MP_EINVAL: more than 100000 digits; MP_ETYPE; -ENOMEM */
int mp_integer_get_text(const mp_object *object, char **out);

/* Write an int in two's complement, lowest byte first, in as many bytes as it needs (0 needs none).
 *   size     gets how many, also with MP_ETOOSHORT
 *   returns  0; MP_ETOOSHORT: capacity is less than *size; MP_ETYPE; MP_EINVAL */
int mp_integer_get_bytes(const mp_object *object, void *buffer, size_t capacity, size_t *size);

/* Read a float, an int or a bool as a double.
 *   returns  0; MP_EINVAL: an int larger than any double; MP_ETYPE */
int mp_float_get(const mp_object *object, double *out);

/* Look at a str.
 *   text     gets its UTF-8, borrowed, with a NUL behind it
 *   size     gets its bytes without that NUL; NULL: not wanted, then a NUL inside is MP_EINVAL
 *   returns  0; MP_ETYPE; MP_EINVAL */
int mp_str_get(const mp_object *object, const char **text, size_t *size);

/* Look at a bytes or a bytearray.
 *   data     gets the bytes, borrowed, never NULL; those of a bytearray until it is changed
 *   returns  0; MP_ETYPE; MP_EINVAL */
int mp_bytes_get(const mp_object *object, const void **data, size_t *size);

/* Replace what a bytearray holds.
 *   returns  0; MP_ETYPE; MP_EINVAL; -ENOMEM: nothing has changed */
int mp_bytearray_set(mp_object *object, const void *data, size_t size);

/* Tell Python's truth of an object: false for none, zeros and what is empty. NULL: false.
 *   python   bool(object) */
bool mp_object_is_true(const mp_object *object);

/* Count: characters of a str, bytes, items. Other kinds and NULL: 0.
 *   python   len(object) */
size_t mp_object_length(const mp_object *object);

/* Compare as Python does: 1 == 1.0 == True, b"x" == bytearray(b"x"), order matters in lists and not
 * in dicts and sets. Objects that contain themselves are equal when no difference can be found.
 *   returns  1 equal; 0 different; MP_EINVAL: NULL; -ENOMEM
 *   python   a == b */
int mp_object_equal(const mp_object *a, const mp_object *b);

/* Order two numbers, strs, bytes, lists, tuples or sets as Python does.
 *   returns  1: a < b; 0; MP_ETYPE: Python does not order them; MP_EINVAL: NULL, or more than 200
 *            sequences in sequences; -ENOMEM
 *   python   a < b */
int mp_object_less(const mp_object *a, const mp_object *b);

/* Copy an object with all that is in it, once each: what was shared inside is shared in the copy.
 * NULL: no memory, object is NULL, or objects in objects deeper than 60000.
 *   python   copy.deepcopy(object) */
mp_object *mp_object_copy(const mp_object *object);

/* Write an object as Python prints it; a call as "module.Class(arguments)".
 *   out      gets a NUL-terminated UTF-8 text from malloc; end it with free(). Lone surrogates
 *            are escaped
 *   size     gets its bytes; NULL: not wanted
 *   returns  0; MP_EINVAL: NULL, or longer than 1 GiB; -ENOMEM
 *   python   repr(object) */
int mp_object_repr(const mp_object *object, char **out, size_t *size);

/* Make an object from C values. In the format blanks and , : are only for the reader.
 *   n                  None, no argument      ?           bool from an int
 *   b h i l L          signed char, short, int, long, long long
 *   B H I k K          the same unsigned      d f         double
 *   s  s#              str; with # a size_t after it; NULL is None (z, z#: the same)
 *   y  y#              bytes, the same way
 *   O                  an object; the caller's reference stays the caller's
 *   N                  an object, taken over, also on failure
 *   (...) [...] {...}  tuple, list, dict of keys and values
 * Several values without brackets are a tuple; none is None.
 *   returns  the object; NULL: bad format, an O or N that is NULL, no UTF-8, an unhashable key,
 *            no memory
 *   python   Py_BuildValue */
mp_object *mp_object_build(const char *format, ...);

/* Take an object apart into C variables, by the letters of mp_object_build with these differences.
 *   n                 must be None; no argument     ?   bool *
 *   s y               const char **, borrowed; without # a NUL inside is MP_EINVAL; z also takes
 *                     None and gives NULL
 *   s# y#             const char **, size_t *
 *   O                 mp_object **, borrowed
 *   (...) [...]       a tuple (or list) / a list of just so many items; after | the rest may be
 *                     missing and its variables stay as they are
 *   {s:i,s:O}         for each s a const char * that names a key, then the value's variable
 *   returns  0; MP_ETYPE: another kind than the letter's, or another number of items; MP_EINVAL:
 *            does not fit, bad format; MP_EKEY: no such key. On failure nothing is written
 *   python   PyArg_Parse */
int mp_object_parse(const mp_object *object, const char *format, ...);

MP_END_DECLS
#endif

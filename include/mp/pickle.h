/* mp/pickle.h: objects to bytes that Python's pickle reads, and back.
 * SPDX-License-Identifier: MIT
 *
 *     void *data;
 *     size_t size;
 *     mp_object_dumps(object, MP_PICKLE_DEFAULT, &data, &size);
 *     mp_object *again;
 *     if (mp_object_loads(&again, data, size) < 0)
 *         fprintf(stderr, "%s\n", mp_error_detail());
 *
 * Reading builds data and nothing else: no bytes, however made, call a function, load a module or
 * open a file. A class or a function stays a name (global), an object of a class that C does not
 * know stays the recipe by which Python would make it (call): both can be looked at, kept, compared
 * and written back as they came. set, frozenset, bytearray and bytes, which old protocols write as
 * calls, become what they are.
 *
 *     who may call what at once          as in mp/object.h
 *     a process dies                     nothing: objects are not shared between processes
 */
#ifndef MP_PICKLE_H
#define MP_PICKLE_H

#include "mp/object.h"

#define MP_PICKLE_DEFAULT 4 /* read by Python 3.4 and later */
#define MP_PICKLE_HIGHEST 5 /* read by Python 3.8 and later */

typedef struct mp_load_limits {
    size_t bytes;  /* of memory that reading may take, about; 0: no limit */
    size_t depth;  /* of objects in objects; 0: 10000; 60000 at most */
    size_t memo;   /* objects that the bytes may number for use again; 0: no limit */
    size_t length; /* of the longest text, bytes or collection; 0: no limit */
} mp_load_limits;

/* How Python makes an object, see mp_call_new. */
typedef enum mp_call_form {
    MP_CALL_REDUCE,    /* callable(*args) */
    MP_CALL_NEWOBJ,    /* callable.__new__(callable, *args) */
    MP_CALL_NEWOBJ_EX, /* callable.__new__(callable, *args, **kwargs) */
} mp_call_form;

/* What is then done to it, step by step. */
typedef enum mp_call_step {
    MP_CALL_APPEND, /* append(value) */
    MP_CALL_SET,    /* object[key] = value */
    MP_CALL_ADD,    /* add(value) */
    MP_CALL_BUILD,  /* __setstate__(value), or value's items become attributes */
} mp_call_step;

MP_BEGIN_DECLS

/* Write an object as Python's pickle module does, byte for byte where Python's order of sets is
 * ours.
 *   protocol  2 to 5; MP_PICKLE_DEFAULT unless the reader is older or newer
 *   data      gets the bytes, from malloc; end them with free()
 *   returns   0; MP_EINVAL: NULL, unknown protocol, bytes or text above 4 GiB with protocol 2 or 3;
 *             -ENOMEM
 *   python    pickle.dumps(object, protocol) */
int mp_object_dumps(const mp_object *object, int protocol, void **data, size_t *size);

/* Read an object from bytes of any protocol, 0 to 5. Bytes behind its end are ignored.
 *   out      gets the object; the caller's
 *   returns  0; MP_EPROTO: these are no pickle, or one with out-of-band buffers, or a limit is
 *            passed; MP_EINVAL: NULL; -ENOMEM
 *   python   pickle.loads(data) */
int mp_object_loads(mp_object **out, const void *data, size_t size);

/* The same within limits; memory is at most some hundred times `size` without any.
 *   limits   NULL: none but the depth */
int mp_object_loads_limited(mp_object **out, const void *data, size_t size,
                            const mp_load_limits *limits);

/* Make a class's or a function's name: mp_global_new("builtins", "KeyError"). Dots in the name go
 * into classes.
 *   returns  the object; NULL: NULL, no UTF-8, -ENOMEM */
mp_object *mp_global_new(const char *module, const char *name);

/* Look at a global's names.
 *   module, name  get them, borrowed; NULL: not wanted
 *   returns       0; MP_ETYPE: not a global; MP_EINVAL */
int mp_global_get(const mp_object *global, const char **module, const char **name);

/* Is it the global of this name? */
bool mp_global_is(const mp_object *object, const char *module, const char *name);

/* Make the recipe for an object.
 *   callable  a global as a rule; taken over, also on failure
 *   args      a tuple; taken over, also on failure
 *   kwargs    a dict for MP_CALL_NEWOBJ_EX, taken over, also on failure; NULL in the other forms
 *   returns   the object; NULL: wrong kinds, -ENOMEM */
mp_object *mp_call_new(mp_call_form form, mp_object *callable, mp_object *args, mp_object *kwargs);

/* Look at a recipe.
 *   form, callable, args, kwargs  get its parts, borrowed (kwargs maybe NULL); NULL: not wanted
 *   returns                       0; MP_ETYPE: not a call; MP_EINVAL */
int mp_call_get(const mp_object *call, mp_call_form *form, mp_object **callable, mp_object **args,
                mp_object **kwargs);

/* Give the state of the last MP_CALL_BUILD, borrowed; NULL: there is none, not a call. */
mp_object *mp_call_get_state(const mp_object *call);

/* Add a step at the end.
 *   key      for MP_CALL_SET, taken over, also on failure; NULL in the other steps
 *   value    taken over, also on failure
 *   returns  0; MP_ETYPE: not a call; MP_EINVAL: NULL; -ENOMEM */
int mp_call_add(mp_object *call, mp_call_step step, mp_object *key, mp_object *value);

/* Go through the steps, as mp_dict_next does. Key is NULL but in MP_CALL_SET. */
bool mp_call_next(const mp_object *call, size_t *cursor, mp_call_step *step, mp_object **key,
                  mp_object **value);

/* Give the id of an object outside the pickle, borrowed; NULL: it is no such object.
 *   python   Unpickler.persistent_load's argument */
mp_object *mp_persistent_get(const mp_object *object);

/* Give the registered number of a class; 0: it is no extension.
 *   python   copyreg.add_extension */
int32_t mp_extension_get(const mp_object *object);

MP_END_DECLS
#endif

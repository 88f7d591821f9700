/* The readers of pickle's instructions, by the byte that stands for each.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_INSTRUCTIONS_H
#define MP__CODEC_INSTRUCTIONS_H

#include "codec/unpickler.h"

/* Called behind the instruction's byte: 0, MP__STOPPED (the result is on the stack), or a code. */
typedef int (*mp__reader_fn)(struct mp__unpickler *unpickler);
extern const mp__reader_fn mp__readers[256]; /* NULL: no instruction, or one that is refused */

/* What the machine does for them. */
int mp__unpickler_push_mark(struct mp__unpickler *unpickler);
int mp__unpickler_pop(struct mp__unpickler *unpickler);
int mp__unpickler_dup(struct mp__unpickler *unpickler);
int mp__unpickler_text(struct mp__unpickler *unpickler, mp_object_kind kind, const void *data,
                       size_t size, mp_object **out);

/* Those that make and fill collections, in their own file. */
int mp__read_empty_list(struct mp__unpickler *unpickler);
int mp__read_list(struct mp__unpickler *unpickler);
int mp__read_append(struct mp__unpickler *unpickler);
int mp__read_appends(struct mp__unpickler *unpickler);
int mp__read_empty_tuple(struct mp__unpickler *unpickler);
int mp__read_tuple(struct mp__unpickler *unpickler);
int mp__read_tuple1(struct mp__unpickler *unpickler);
int mp__read_tuple2(struct mp__unpickler *unpickler);
int mp__read_tuple3(struct mp__unpickler *unpickler);
int mp__read_empty_dict(struct mp__unpickler *unpickler);
int mp__read_dict(struct mp__unpickler *unpickler);
int mp__read_setitem(struct mp__unpickler *unpickler);
int mp__read_setitems(struct mp__unpickler *unpickler);
int mp__read_empty_set(struct mp__unpickler *unpickler);
int mp__read_additems(struct mp__unpickler *unpickler);
int mp__read_frozenset(struct mp__unpickler *unpickler);

/* Those that make names and calls. */
int mp__read_stack_global(struct mp__unpickler *unpickler);
int mp__read_reduce(struct mp__unpickler *unpickler);
int mp__read_newobj(struct mp__unpickler *unpickler);
int mp__read_newobj_ex(struct mp__unpickler *unpickler);
int mp__read_build(struct mp__unpickler *unpickler);
int mp__read_binpersid(struct mp__unpickler *unpickler);

#endif

/* Memory of Python's: a piece of a file that it has mapped, for values and barriers.
 * SPDX-License-Identifier: MIT */
#ifndef MP__PYTHON_MEMORY_H
#define MP__PYTHON_MEMORY_H

#include <stddef.h>

#include "mp/object.h"

struct python_memory {
    void *arena;       /* all of the file, mapped here; NULL: nothing is */
    size_t arena_size; /* bytes */
    size_t start;      /* of the piece, in bytes from there */
    size_t size;       /* of the piece */
};

/* Map what a BufferWrapper stands for, into zeros; unmap ends it, also after a failure. `noun` and
 * `function` are for the sentences. 0; MP_EPROTO; -errno. */
int mp__python_memory_map(struct python_memory *out, const mp_object *wrapper, const char *noun,
                          const char *function);
void mp__python_memory_unmap(struct python_memory *memory);

static inline void *mp__python_memory_data(const struct python_memory *memory) {
    return (char *)memory->arena + memory->start;
}

#endif

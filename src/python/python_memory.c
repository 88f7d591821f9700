/* Mapping the files behind Python's shared memory.
 * SPDX-License-Identifier: MIT */
#include "python/python_memory.h"

#include <sys/mman.h>

#include "base/fail.h"
#include "mp/pickle.h"
#include "os/named_memory.h"
#include "python/shape.h"

/* The file is the parent's and other objects', too: its descriptor stays as it is. */
static int map_arena(struct python_memory *out, const mp_object *arena, const char *function) {
    mp_object *file;
    long long size;
    if (!mp__shape_is(arena, "multiprocessing.heap", "rebuild_arena") ||
        mp_object_parse(mp__shape_args(arena), "(LO)", &size, &file) < 0)
        return MP_EPROTO;
    int descriptor = mp__shape_descriptor(file);
    if (descriptor < 0)
        return descriptor;
    int code = mp__named_memory_map(descriptor, &out->arena, &out->arena_size);
    return code < 0 ? mp__fail(code, "%s: mapping descriptor %d", function, descriptor) : 0;
}

int mp__python_memory_map(struct python_memory *out, const mp_object *wrapper, const char *noun,
                          const char *function) {
    mp_object *arena;
    long long start, stop, size;
    if (!mp__shape_is(wrapper, "multiprocessing.heap", "BufferWrapper") ||
        mp_object_parse(mp_call_get_state(wrapper), "{s:((OLL)L)}", "_state", &arena, &start, &stop,
                        &size) < 0 ||
        size < 0)
        return mp__shape_broken(noun, function);
    int code = map_arena(out, arena, function);
    if (code == 0 && (start < 0 || (uint64_t)start > out->arena_size ||
                      (uint64_t)size > out->arena_size - (size_t)start))
        code = MP_EPROTO;
    out->start = (size_t)start;
    out->size = (size_t)size;
    return code == MP_EPROTO ? mp__shape_broken(noun, function) : code;
}

void mp__python_memory_unmap(struct python_memory *memory) {
    if (memory->arena)
        munmap(memory->arena, memory->arena_size);
}

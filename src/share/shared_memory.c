/* Memory with a name, as Python's SharedMemory has it.
 * SPDX-License-Identifier: MIT */
#include "mp/shared_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/fail.h"
#include "base/log.h"
#include "os/descriptor.h"
#include "os/named_memory.h"
#include "os/random.h"

#define MADE_UP_BYTES sizeof "/psm_01234567" /* 13 and the NUL: some systems allow 14 */

struct mp_shared_memory {
    void *address; /* NULL: closed */
    size_t size;   /* bytes; stays after close */
    char name[];   /* with the slash before it */
};

/* Python keeps the descriptor until close; the mapping needs none. */
static int map(struct mp_shared_memory *memory, int descriptor) {
    int code = mp__named_memory_map(descriptor, &memory->address, &memory->size);
    mp__descriptor_close(descriptor);
    return code;
}

static int create_made_up(struct mp_shared_memory *memory, size_t size) {
    int code;
    do {
        uint32_t number;
        code = mp__random_bytes(&number, sizeof number);
        if (code < 0)
            return code;
        snprintf(memory->name, MADE_UP_BYTES, "/psm_%08x", (unsigned)number);
        code = mp__named_memory_create(memory->name, size);
    } while (code == -EEXIST);
    return code;
}

static int fail_name(const struct mp_shared_memory *memory) {
    return mp__fail(MP_EINVAL, "mp_shared_memory_open: '%s' cannot be a name", memory->name + 1);
}

static int create(struct mp_shared_memory *memory, bool has_name, size_t size) {
    int descriptor =
        has_name ? mp__named_memory_create(memory->name, size) : create_made_up(memory, size);
    if (descriptor == -EINVAL)
        return fail_name(memory);
    if (descriptor < 0)
        return mp__fail(descriptor, "mp_shared_memory_open: creating '%s' of %zu bytes",
                        memory->name + 1, size);
    int code = map(memory, descriptor);
    if (code < 0)
        mp__named_memory_unlink(memory->name);
    return code < 0 ? mp__fail(code, "mp_shared_memory_open: mapping the %zu bytes of '%s'", size,
                               memory->name + 1)
                    : 0;
}

static int attach(struct mp_shared_memory *memory) {
    int descriptor = mp__named_memory_open(memory->name);
    if (descriptor == -EINVAL)
        return fail_name(memory);
    if (descriptor < 0)
        return mp__fail(descriptor, "mp_shared_memory_open: attaching to '%s'", memory->name + 1);
    int code = map(memory, descriptor);
    if (code == -EINVAL)
        return mp__fail(MP_EINVAL, "mp_shared_memory_open: there are no bytes in '%s'",
                        memory->name + 1);
    return code < 0 ? mp__fail(code, "mp_shared_memory_open: mapping '%s'", memory->name + 1) : 0;
}

static int check_arguments(mp_shared_memory **out, const char *name, size_t size, unsigned flags) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_shared_memory_open: out is NULL");
    if (flags & ~MP_CREATE)
        return mp__fail(MP_EINVAL, "mp_shared_memory_open: flags %#x are not 0 or MP_CREATE",
                        flags);
    if (!(flags & MP_CREATE) && !name)
        return mp__fail(MP_EINVAL, "mp_shared_memory_open: only with MP_CREATE is there a name for "
                                   "what has none");
    if ((flags & MP_CREATE) && (size == 0 || size > PTRDIFF_MAX))
        return mp__fail(MP_EINVAL, "mp_shared_memory_open: %zu bytes cannot be created", size);
    return 0;
}

int mp_shared_memory_open(mp_shared_memory **out, const char *name, size_t size, unsigned flags) {
    int code = check_arguments(out, name, size, flags);
    if (code < 0)
        return code;
    size_t room = name ? strlen(name) + 2 : MADE_UP_BYTES;
    struct mp_shared_memory *memory = malloc(sizeof *memory + room);
    if (!memory)
        return mp__fail(-ENOMEM, "mp_shared_memory_open");
    snprintf(memory->name, room, "/%s", name ? name : "");
    code = flags & MP_CREATE ? create(memory, name != NULL, size) : attach(memory);
    if (code < 0) {
        free(memory);
        return code;
    }
    mp__log_held(MP_LOG_DEBUG, "%s shared memory '%s' of %zu bytes",
                 flags & MP_CREATE ? "created" : "attached to", memory->name + 1, memory->size);
    *out = memory;
    return 0;
}

void *mp_shared_memory_buf(mp_shared_memory *memory) {
    return memory ? memory->address : NULL;
}

size_t mp_shared_memory_size(const mp_shared_memory *memory) {
    return memory ? memory->size : 0;
}

const char *mp_shared_memory_name(const mp_shared_memory *memory) {
    return memory ? memory->name + 1 : NULL;
}

int mp_shared_memory_close(mp_shared_memory *memory) {
    if (!memory)
        return mp__fail(MP_EINVAL, "mp_shared_memory_close: memory is NULL");
    if (memory->address)
        munmap(memory->address, memory->size);
    memory->address = NULL;
    return 0;
}

int mp_shared_memory_unlink(mp_shared_memory *memory) {
    if (!memory)
        return mp__fail(MP_EINVAL, "mp_shared_memory_unlink: memory is NULL");
    int code = mp__named_memory_unlink(memory->name);
    if (code == 0)
        mp__log_held(MP_LOG_DEBUG, "unlinked shared memory '%s'", memory->name + 1);
    return code < 0 ? mp__fail(code, "mp_shared_memory_unlink: '%s'", memory->name + 1) : 0;
}

void mp_shared_memory_free(mp_shared_memory *memory) {
    if (memory)
        mp_shared_memory_close(memory);
    free(memory);
}

/* Making, mapping and dividing the arena.
 * SPDX-License-Identifier: MIT */
#include "shm/arena.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/log.h"
#include "os/descriptor.h"
#include "os/memory.h"
#include "shm/unit.h"

#define MAGIC UINT64_C(0x0001706d62696c) /* "libmp", layout 1 */
#define PAGE UINT64_C(4096)
#define MIB (UINT64_C(1) << 20)
#define SIZE_DEFAULT (UINT64_C(1) << 40)
#define SIZE_LEAST (64 * MIB)       /* when smaller ones were refused */
#define SIZE_LEAST_ASKED (16 * MIB) /* when LIBMP_ARENA_BYTES says so */

struct arena_shared *mp__arena;
static int arena_descriptor = -1;
static uint64_t arena_size; /* as the arena says, without a look at its first page */
static pthread_mutex_t open_mutex = PTHREAD_MUTEX_INITIALIZER;

/* A child forked while another thread opens the arena must not find the mutex locked for ever. */
static void lock_open(void) {
    pthread_mutex_lock(&open_mutex);
}
static void unlock_open(void) {
    pthread_mutex_unlock(&open_mutex);
}
__attribute__((constructor)) static void guard_fork(void) {
    pthread_atfork(lock_open, unlock_open, unlock_open);
}

static struct arena_shared *current(void) {
    return __atomic_load_n(&mp__arena, __ATOMIC_ACQUIRE);
}

static void adopt(struct arena_shared *arena, int descriptor) {
    mp__heap_locate(arena);
    arena_descriptor = descriptor;
    arena_size = arena->size;
    __atomic_store_n(&mp__arena, arena, __ATOMIC_RELEASE);
}

/* What the environment asks for, 0: nothing. */
static int ask_size(uint64_t *out) {
    const char *text = getenv("LIBMP_ARENA_BYTES");
    *out = 0;
    if (!text || !*text)
        return 0;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno || *end || *text < '0' || *text > '9' || value < SIZE_LEAST_ASKED ||
        value > SIZE_DEFAULT)
        return mp__fail(
            MP_EINVAL, "LIBMP_ARENA_BYTES=%s is not a number of bytes from %" PRIu64 " to %" PRIu64,
            text, SIZE_LEAST_ASKED, SIZE_DEFAULT);
    *out = value & ~(PAGE - 1);
    return 0;
}

static uint64_t place_sections(struct arena_shared *arena) {
    const uint64_t wanted[MP__SECTION_COUNT] = {
        [MP__SECTION_HEAP] = mp__heap_table_bytes(arena->size),
        [MP__SECTION_REGISTRY] = 8 * MIB,
        [MP__SECTION_FUNCTIONS] = 256 * 1024,
        [MP__SECTION_PROCESSES] = 1600 * 1024,
    };
    /* What every new process touches lies together in the first 2 MiB, which cost it one page of
     * page table. The heap's table, which grows with use, comes last: what is before it can be
     * committed at once. */
    static const enum mp__section order[] = {MP__SECTION_FUNCTIONS, MP__SECTION_PROCESSES,
                                             MP__SECTION_REGISTRY, MP__SECTION_HEAP};
    uint64_t offset = PAGE;
    for (size_t i = 0; i < MP__SECTION_COUNT; i++) {
        arena->section_offset[order[i]] = offset;
        arena->section_size[order[i]] = (wanted[order[i]] + PAGE - 1) & ~(PAGE - 1);
        offset += arena->section_size[order[i]];
    }
    return offset;
}

/* Fill a mapped, zero arena. */
static int lay_out(void *address, uint64_t size, int descriptor) {
    struct arena_shared draft = {.size = size, .address = address};
    draft.heap_offset = place_sections(&draft);
    uint64_t fixed = draft.section_offset[MP__SECTION_HEAP] + sizeof(struct heap_shared);
    int code = mp__memory_commit(descriptor, 0, (fixed + PAGE - 1) & ~(PAGE - 1));
    if (code < 0)
        return code;
    struct arena_shared *arena = address;
    *arena = draft;
    mp__heap_create(arena);
    arena->magic = MAGIC;
    adopt(arena, descriptor);
    return 0;
}

/* Try every place for one size: 0 or the last reason. */
static int map_somewhere(int descriptor, uint64_t size, void **out) {
    int code = -ENOMEM;
    uint64_t limit;
    void *address;
    for (unsigned attempt = 0; (address = mp__memory_candidate(attempt, &limit)) != NULL;
         attempt++) {
        if (size > limit)
            continue;
        code = mp__memory_map(descriptor, address, size);
        if (code == -EEXIST)
            continue;
        *out = address;
        break;
    }
    return code;
}

static int create(uint64_t size) {
    int descriptor = mp__memory_create(size);
    if (descriptor < 0)
        return descriptor;
    void *address = NULL;
    int code = map_somewhere(descriptor, size, &address);
    if (code == 0) {
        code = lay_out(address, size, descriptor);
        if (code < 0)
            mp__memory_unmap(address, size);
    }
    if (code < 0)
        mp__descriptor_close(descriptor);
    return code;
}

/* Out of descriptors or of memory files: a smaller one would be refused too. */
static bool is_final(int code) {
    return code == -EMFILE || code == -ENFILE || code == -EPERM || code == -ENOSYS;
}

static int open_locked(void) {
    if (current())
        return 0;
    uint64_t asked;
    int code = ask_size(&asked);
    if (code < 0)
        return code;
    uint64_t least = asked ? SIZE_LEAST_ASKED : SIZE_LEAST;
    for (uint64_t size = asked ? asked : SIZE_DEFAULT; size >= least;
         size = size / 2 & ~(PAGE - 1)) {
        code = create(size);
        if (code == 0 || is_final(code))
            break;
    }
    if (code < 0)
        return mp__fail(code, "no shared memory: not even %" PRIu64 " MiB at an address of its own",
                        least / MIB);
    return 0;
}

int mp__arena_open(void) {
    if (current())
        return 0;
    lock_open();
    bool is_new = !current();
    int code = open_locked();
    unlock_open();
    if (code == 0 && is_new)
        mp__log_held(MP_LOG_INFO, "allocating a new mmap of length %" PRIu64, arena_size);
    return code;
}

static int attach_locked(int descriptor, void *address, uint64_t size) {
    if (current())
        return mp__fail(MP_ESTATE, "this process has an arena already, at %p", (void *)current());
    int code = mp__memory_map(descriptor, address, size);
    if (code == -EEXIST)
        return mp__fail(code,
                        "address %p is taken in the child, libmp's %" PRIu64
                        " MiB of shared memory must lie there",
                        address, size / MIB);
    if (code < 0)
        return mp__fail(code, "cannot map %" PRIu64 " MiB of shared memory at %p", size / MIB,
                        address);
    struct arena_shared *arena = address;
    if (arena->magic != MAGIC || arena->size != size || arena->address != address) {
        mp__memory_unmap(address, size);
        return mp__fail(
            MP_EPROTO,
            "the memory passed as descriptor %d is not an arena of this version of libmp",
            descriptor);
    }
    adopt(arena, descriptor);
    return 0;
}

int mp__arena_attach(int descriptor, void *address, uint64_t size) {
    lock_open();
    int code = attach_locked(descriptor, address, size);
    unlock_open();
    return code;
}

int mp__arena_descriptor(void) {
    return arena_descriptor;
}

void *mp__arena_section(enum mp__section section) {
    struct arena_shared *arena = current();
    return (char *)arena + arena->section_offset[section];
}

bool mp__arena_contains(const void *pointer, size_t size) {
    struct arena_shared *arena = current();
    uintptr_t offset = (uintptr_t)pointer - (uintptr_t)arena;
    return arena && offset < arena_size && size <= arena_size - offset;
}

/* The loaded objects: by the loader's own list, whose first entry is the program.
 * SPDX-License-Identifier: MIT */
#include "os/image.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fail.h"

#define BUILD_ID_NOTE 3 /* NT_GNU_BUILD_ID */

struct search {
    const void *function;  /* an address inside of what is looked for, or NULL */
    const char *path;      /* or its path */
    bool has_file;         /* `file` is known: two names of one file are the same */
    struct stat file;      /* of `path` */
    unsigned seen;         /* objects so far */
    struct mp__image *out; /* filled when found */
};

static bool holds_address(const struct dl_phdr_info *info, const void *address) {
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD &&
            (uintptr_t)address - info->dlpi_addr - part->p_vaddr < part->p_memsz)
            return true;
    }
    return false;
}

/* The kernel's own object has no file, and may lie elsewhere in every process. */
static bool is_vdso(const char *name) {
    return strncmp(name, "linux-vdso", 10) == 0 || strncmp(name, "linux-gate", 10) == 0;
}

/* Loaded by a relative name: another process may be in another folder. */
static const char *absolute_path(const char *name, char room[PATH_MAX]) {
    return name[0] != '/' && realpath(name, room) ? room : name;
}

static bool is_same_file(const struct search *search, const char *name) {
    struct stat file;
    return search->has_file && stat(name, &file) == 0 && file.st_dev == search->file.st_dev &&
           file.st_ino == search->file.st_ino;
}

static bool is_wanted(const struct search *search, const struct dl_phdr_info *info) {
    bool is_program = search->seen == 0;
    if (search->function)
        return holds_address(info, search->function);
    if (search->path[0] == 0 || is_program)
        return is_program && search->path[0] == 0;
    return strcmp(info->dlpi_name, search->path) == 0 || is_same_file(search, info->dlpi_name);
}

/* Notes are {name size, content size, type, name, content}, both padded. */
static bool take_build_id(const ElfW(Phdr) * part, const char *notes, struct mp__image *out) {
    size_t align = part->p_align == 8 ? 8 : 4;
    for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= part->p_memsz;) {
        const ElfW(Nhdr) *note = (const void *)(notes + at);
        size_t name_at = at + sizeof *note;
        size_t content_at = name_at + ((note->n_namesz + align - 1) & ~(align - 1));
        size_t end = content_at + note->n_descsz;
        if (end > part->p_memsz)
            return false;
        if (note->n_type == BUILD_ID_NOTE && note->n_namesz == 4 &&
            memcmp(notes + name_at, "GNU", 4) == 0 && note->n_descsz > 0) {
            out->build_id_size =
                note->n_descsz < MP__BUILD_ID_MAX ? note->n_descsz : MP__BUILD_ID_MAX;
            memcpy(out->build_id, notes + content_at, out->build_id_size);
            return true;
        }
        at = (end + align - 1) & ~(align - 1);
    }
    return false;
}

static bool find_build_id(const struct dl_phdr_info *info, struct mp__image *out) {
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_NOTE &&
            take_build_id(part, (const char *)(info->dlpi_addr + part->p_vaddr), out))
            return true;
    }
    return false;
}

/* FNV-1a over whole words, and a shift that lets high bits reach low ones. */
static uint64_t mix(uint64_t digest, const void *data, size_t size) {
    const char *next = data;
    for (; size >= sizeof digest; size -= sizeof digest, next += sizeof digest) {
        uint64_t word;
        memcpy(&word, next, sizeof word);
        digest = (digest ^ word) * UINT64_C(0x100000001b3);
        digest ^= digest >> 29;
    }
    return digest;
}

/* Linked without a build id: its layout and its machine code, which the loader does not change,
 * tell builds apart. */
static void make_digest(const struct dl_phdr_info *info, struct mp__image *out) {
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        digest = mix(digest, part, sizeof *part);
        if (part->p_type == PT_LOAD && (part->p_flags & (PF_X | PF_R | PF_W)) == (PF_X | PF_R))
            digest = mix(digest, (const char *)(info->dlpi_addr + part->p_vaddr), part->p_filesz);
    }
    memcpy(out->build_id, &digest, sizeof digest);
    out->build_id_size = sizeof digest;
}

static int describe(const struct dl_phdr_info *info, bool is_program, struct mp__image *out) {
    char room[PATH_MAX];
    const char *path = is_program ? "" : absolute_path(info->dlpi_name, room);
    if (strlen(path) >= sizeof out->path)
        return MP_EINVAL;
    *out = (struct mp__image){.base = info->dlpi_addr};
    strcpy(out->path, path);
    if (!find_build_id(info, out))
        make_digest(info, out);
    return 1;
}

/* Not 0 ends the walk: 1 found, negative a code. */
static int visit(struct dl_phdr_info *info, size_t size, void *argument) {
    (void)size;
    struct search *search = argument;
    bool is_program = search->seen == 0;
    int result = 0;
    if (!is_vdso(info->dlpi_name) && is_wanted(search, info))
        result = describe(info, is_program, search->out);
    search->seen++;
    return result;
}

int mp__image_of(const void *function, struct mp__image *out) {
    struct search search = {.function = function, .out = out};
    int result = function ? dl_iterate_phdr(visit, &search) : 0;
    if (result < 0)
        return mp__fail(result, "the path of the object that holds %p is longer than %zu bytes",
                        function, sizeof out->path - 1);
    if (result == 0)
        return mp__fail(
            MP_EINVAL,
            "%p lies in no loaded object; give a function of the program or of a shared object",
            function);
    return 0;
}

int mp__image_find(const char *path, struct mp__image *out) {
    struct search search = {.path = path, .out = out};
    search.has_file = path[0] != 0 && stat(path, &search.file) == 0;
    return dl_iterate_phdr(visit, &search) == 1 ? 0 : -ENOENT;
}

/* A static program asks for no loader. Its dlopen would bring a second libc into the process. */
static int find_loader(struct dl_phdr_info *info, size_t size, void *argument) {
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_INTERP)
            *(bool *)argument = true;
    return 1; /* the program, which comes first, tells */
}

/* RTLD_LOCAL: its names must not get in the way of the program's. */
int mp__image_load(const char *path) {
    bool has_loader = false;
    dl_iterate_phdr(find_loader, &has_loader);
    if (!has_loader)
        return mp__fail(MP_EINVAL,
                        "cannot load '%s' into a static program; link the function into it", path);
    if (!dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE))
        return mp__fail(MP_EINVAL, "cannot load '%s': %s", path, dlerror());
    return 0;
}

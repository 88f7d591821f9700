/* Names of functions, static ones too: from the symbols in the object's file, if it has any.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/image.h"

/* A file that may say anything. */
struct file {
    const char *bytes; /* mapped */
    uint64_t size;     /* of it */
};

/* `count` things of `each` bytes at that offset; NULL: not in the file, or misplaced. */
static const void *part_of(const struct file *file, uint64_t offset, uint64_t count,
                           uint64_t each) {
    bool is_inside = offset <= file->size && count <= (file->size - offset) / each;
    return is_inside && offset % 8 == 0 ? file->bytes + offset : NULL;
}

static bool is_it(const ElfW(Sym) * symbol, uint64_t offset) {
    return (symbol->st_info & 15) == STT_FUNC && symbol->st_shndx != SHN_UNDEF &&
           offset - symbol->st_value < (symbol->st_size ? symbol->st_size : 1);
}

static bool copy_name(const struct file *file, const ElfW(Shdr) * strings, uint32_t at, char *out,
                      size_t capacity) {
    if (strings->sh_offset > file->size || strings->sh_size > file->size - strings->sh_offset ||
        at >= strings->sh_size)
        return false;
    const char *name = file->bytes + strings->sh_offset + at;
    size_t length = strnlen(name, strings->sh_size - at);
    if (length == 0 || length == strings->sh_size - at)
        return false;
    snprintf(out, capacity, "%s", name);
    return true;
}

static bool find_in(const struct file *file, const ElfW(Shdr) * sections, uint32_t count,
                    const ElfW(Shdr) * table, uint64_t offset, char *out, size_t capacity) {
    uint64_t symbol_count = table->sh_size / sizeof(ElfW(Sym));
    const ElfW(Sym) *symbols = part_of(file, table->sh_offset, symbol_count, sizeof *symbols);
    for (uint64_t i = 0; symbols && i < symbol_count && table->sh_link < count; i++)
        if (is_it(&symbols[i], offset))
            return copy_name(file, &sections[table->sh_link], symbols[i].st_name, out, capacity);
    return false;
}

static bool find_name(const struct file *file, uint64_t offset, char *out, size_t capacity) {
    const ElfW(Ehdr) *header = part_of(file, 0, 1, sizeof *header);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_shentsize != sizeof(ElfW(Shdr)))
        return false;
    uint32_t count = header->e_shnum;
    const ElfW(Shdr) *sections = part_of(file, header->e_shoff, count, sizeof *sections);
    for (uint32_t i = 0; sections && i < count; i++)
        if ((sections[i].sh_type == SHT_SYMTAB || sections[i].sh_type == SHT_DYNSYM) &&
            find_in(file, sections, count, &sections[i], offset, out, capacity))
            return true;
    return false;
}

bool mp__image_name_function(const char *path, uint64_t offset, char *out, size_t capacity) {
    struct stat status;
    int fd = open(path[0] ? path : "/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    struct file file = {.bytes = MAP_FAILED};
    if (fstat(fd, &status) == 0 && status.st_size > 0) {
        file.size = (uint64_t)status.st_size;
        file.bytes = mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (file.bytes == MAP_FAILED)
        return false;
    bool is_found = find_name(&file, offset, out, capacity);
    munmap((void *)(uintptr_t)file.bytes, file.size);
    return is_found;
}

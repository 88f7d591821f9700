/* Functions across processes: the arena's table of loaded objects, and what this process knows of
 * it. SPDX-License-Identifier: MIT */
#include "shm/function.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/image.h"
#include "os/memory.h"
#include "shm/arena.h"

#define ROWS 256
#define OFFSET_BITS 48 /* of a function's offset in one word */
#define KNOWN 64       /* packed functions that this process remembers */

enum row_state { ROW_FREE, ROW_CLAIMED, ROW_READY };

/* A loaded object. A row whose process died while it filled it stays claimed, and is passed over
 * for ever. */
struct image_shared {
    _Atomic uint32_t state;                   /* enum row_state; the rest is constant once READY */
    uint32_t build_id_size;                   /* bytes used of the next */
    unsigned char build_id[MP__BUILD_ID_MAX]; /* which build */
    char path[512];                           /* "": the program itself */
};
struct functions_shared {
    struct image_shared rows[ROWS]; /* in order of appearance */
};

/* Where the rows' objects are loaded here: base | 1, 0 not asked yet. */
static _Atomic uintptr_t bases[ROWS];
/* Functions packed lately, by their hash: 1 << 63 | row << 48 | offset. A word that belongs to
 * another function is recognised, because its object's base and its offset do not add up. */
static _Atomic uint64_t known[KNOWN];

static struct functions_shared *table(void) {
    return mp__arena_section(MP__SECTION_FUNCTIONS);
}

static _Atomic uint64_t *known_at(uintptr_t function) {
    return &known[(function >> 4 ^ function >> 10) % KNOWN];
}

static bool is_row_of(const struct image_shared *row, const struct mp__image *image) {
    return atomic_load_explicit(&row->state, memory_order_acquire) == ROW_READY &&
           row->build_id_size == image->build_id_size &&
           memcmp(row->build_id, image->build_id, image->build_id_size) == 0 &&
           strcmp(row->path, image->path) == 0;
}

static void fill_row(struct image_shared *row, const struct mp__image *image) {
    MP__POINT("function.row.claimed");
    row->build_id_size = (uint32_t)image->build_id_size;
    memcpy(row->build_id, image->build_id, image->build_id_size);
    memcpy(row->path, image->path, sizeof row->path);
    MP__POINT("function.row.filled");
    atomic_store_explicit(&row->state, ROW_READY, memory_order_release);
}

/* The image's row, made when there is none. Two processes may make one each at the same time; both
 * are right. */
static int intern(const struct mp__image *image) {
    for (int i = 0; i < ROWS; i++) {
        struct image_shared *row = &table()->rows[i];
        uint32_t state = ROW_FREE;
        if (is_row_of(row, image))
            return i;
        if (atomic_load_explicit(&row->state, memory_order_relaxed) == ROW_FREE &&
            atomic_compare_exchange_strong(&row->state, &state, ROW_CLAIMED)) {
            fill_row(row, image);
            return i;
        }
        if (is_row_of(row, image))
            return i;
    }
    return mp__fail(MP_EINVAL, "functions of more than %d programs and shared objects", ROWS);
}

static int pack_slowly(uintptr_t function, struct mp__function *out) {
    struct mp__image image;
    int code = mp__image_of((const void *)function, &image);
    if (code < 0)
        return mp__fail(MP_EINVAL, "%p is not a function of the program or of a shared object",
                        (void *)function);
    code = mp__arena_open();
    if (code < 0)
        return code;
    int row = intern(&image);
    if (row < 0)
        return row;
    uint64_t offset = function - image.base;
    atomic_store_explicit(&bases[row], image.base | 1, memory_order_relaxed);
    atomic_store_explicit(known_at(function), UINT64_C(1) << 63 | (uint64_t)row << 48 | offset,
                          memory_order_relaxed);
    *out = (struct mp__function){(uint32_t)row + 1, offset};
    return 0;
}

int mp__function_pack(mp__any_fn function, struct mp__function *out) {
    uintptr_t address = (uintptr_t)function;
    if (!function) {
        *out = (struct mp__function){0};
        return 0;
    }
    uint64_t word = atomic_load_explicit(known_at(address), memory_order_relaxed);
    if (word != 0) {
        uint32_t row = (uint32_t)(word >> 48) & (ROWS - 1);
        uint64_t offset = word & ((UINT64_C(1) << 48) - 1);
        uintptr_t base = atomic_load_explicit(&bases[row], memory_order_relaxed);
        if ((base & ~(uintptr_t)1) + offset == address) {
            *out = (struct mp__function){row + 1, offset};
            return 0;
        }
    }
    return pack_slowly(address, out);
}

static void print_id(char *out, const unsigned char *id, size_t size) {
    static const char digits[] = "0123456789abcdef";
    size_t shown = size < 6 ? size : 6;
    for (size_t i = 0; i < shown; i++) {
        *out++ = digits[id[i] >> 4];
        *out++ = digits[id[i] & 15];
    }
    *out = '\0';
}

static int fail_build(const struct image_shared *row, const struct mp__image *here) {
    char is[16], expected[16];
    print_id(is, here->build_id, here->build_id_size);
    print_id(expected, row->build_id, row->build_id_size);
    const char *name = *row->path ? row->path : "the program";
    return mp__fail(
        MP_EINVAL,
        "'%s' is another build here (id %s.., expected %s..); rebuild or restart all processes",
        name, is, expected);
}

/* Find, and if need be load, the row's object here. */
static int locate(const struct image_shared *row, struct mp__image *out) {
    int code = mp__image_find(row->path, out);
    if (code < 0) {
        code = mp__image_load(row->path);
        if (code == 0)
            code = mp__image_find(row->path, out);
        else
            return code;
    }
    if (code < 0)
        return mp__fail(
            MP_EINVAL,
            "'%s', which has the function, is not to be found among the loaded objects here",
            row->path);
    if (out->build_id_size != row->build_id_size ||
        memcmp(out->build_id, row->build_id, row->build_id_size) != 0)
        return fail_build(row, out);
    return 0;
}

static int find_slowly(uint32_t index, uintptr_t *base) {
    struct image_shared *row = &table()->rows[index];
    if (atomic_load_explicit(&row->state, memory_order_acquire) != ROW_READY)
        return mp__fail(MP_EINVAL, "no function: object %" PRIu32 " is not in the table",
                        index + 1);
    struct mp__image image;
    int code = locate(row, &image);
    if (code < 0)
        return code;
    *base = image.base | 1;
    atomic_store_explicit(&bases[index], *base, memory_order_relaxed);
    return 0;
}

int mp__function_find(const struct mp__function *function, mp__any_fn *out) {
    if (function->image == 0) {
        *out = NULL;
        return 0;
    }
    uint32_t index = function->image - 1;
    if (index >= ROWS || !mp__arena)
        return mp__fail(MP_EINVAL, "no function: object %" PRIu32 " of %d", function->image, ROWS);
    uintptr_t base = atomic_load_explicit(&bases[index], memory_order_relaxed);
    if (base == 0) {
        int code = find_slowly(index, &base);
        if (code < 0)
            return code;
    }
    *out = (mp__any_fn)((base & ~(uintptr_t)1) + function->offset);
    return 0;
}

uint64_t mp__function_word(const struct mp__function *function) {
    return (uint64_t)function->image << OFFSET_BITS | function->offset;
}

void mp__function_expect(uint64_t word) {
    uint32_t image = (uint32_t)(word >> OFFSET_BITS);
    if (image == 0 || image > ROWS)
        return;
    uintptr_t base = atomic_load_explicit(&bases[image - 1], memory_order_relaxed);
    uintptr_t address = (base & ~(uintptr_t)1) + (word & ((UINT64_C(1) << OFFSET_BITS) - 1));
    if (base != 0)
        mp__memory_expect_run((void (*)(void))address);
}

/* Another build of the same file is for whoever needs it to find out. */
void mp__function_learn(void) {
    static uint32_t next; /* the first row not looked up */
    struct mp__image image;
    for (; next < ROWS; next++) {
        const struct image_shared *row = &table()->rows[next];
        if (atomic_load_explicit(&row->state, memory_order_acquire) != ROW_READY)
            return;
        if (mp__image_find(row->path, &image) == 0 && is_row_of(row, &image))
            atomic_store_explicit(&bases[next], image.base | 1, memory_order_relaxed);
    }
}

void mp__function_describe(const struct mp__function *function, char *out, size_t capacity) {
    const char *path = "", *file = "the program";
    if (function->image >= 1 && function->image <= ROWS && mp__arena)
        path = table()->rows[function->image - 1].path;
    if (mp__image_name_function(path, function->offset, out, capacity))
        return;
    if (path[0])
        file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    snprintf(out, capacity, "%s+0x%" PRIx64, file, function->offset);
}

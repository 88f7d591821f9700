/* Between the files that list a family.
 * SPDX-License-Identifier: MIT */
#ifndef MP__FAMILY_DUMP_H
#define MP__FAMILY_DUMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "reg/member.h"
#include "sync/guard.h"

/* A block as it was at one moment: a copy, since it may change or go. */
struct mp__sight {
    FILE *stream;       /* where to */
    const void *block;  /* where it is */
    size_t size;        /* bytes of it */
    const void *object; /* its copy */
};

/* A bool of a copy, which may be any byte when the block is not what it looks like. */
static inline bool mp__dump_truth(const bool *field) {
    return *(const unsigned char *)field != 0;
}

/* 'name' (pid 1, thread 2, dead) */
void mp__dump_thread(FILE *stream, uint32_t thread);
void mp__dump_member(FILE *stream, mp__member_ref member);
/* "free", "held by ..." */
void mp__dump_guard(FILE *stream, const struct mp__guard *guard);
/* A line for each thread that waits for something in the block. */
void mp__dump_waiters(const struct mp__sight *sight);

void mp__dump_sync(const struct mp__sight *sight, uint32_t kind);
void mp__dump_share(const struct mp__sight *sight, uint32_t kind);
void mp__dump_queue(const struct mp__sight *sight, uint32_t kind);
void mp__dump_pipe(const struct mp__sight *sight, uint32_t kind);
void mp__dump_stream(const struct mp__sight *sight, uint32_t kind);
void mp__dump_pool(const struct mp__sight *sight, uint32_t kind);

#endif

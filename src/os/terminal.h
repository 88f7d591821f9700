/* The terminal behind a descriptor.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_TERMINAL_H
#define MP__OS_TERMINAL_H

#include <stddef.h>

/* Columns of the terminal there: the smaller one of what it says itself and of $COLUMNS, 80 when
 * neither says anything; 0: no terminal, or one that cannot go back in its line (TERM=dumb). */
unsigned mp__terminal_columns(int descriptor);
/* Write what it takes, in one go; the rest is lost. */
void mp__terminal_write(int descriptor, const char *bytes, size_t size);

#endif

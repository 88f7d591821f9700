/* What lies in the buffers of output streams.
 * SPDX-License-Identifier: MIT */
#ifndef MP__OS_OUTPUT_H
#define MP__OS_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

/* Could fflush wait for a reader? The caller has the stream's lock. */
bool mp__output_would_wait(FILE *stream);

/* In a forked child: what lies in it is the parent's, which writes it. */
void mp__output_forget(FILE *stream);

#endif

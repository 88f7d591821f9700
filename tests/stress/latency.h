/* What the parts of latency share.
 * SPDX-License-Identifier: MIT */
#ifndef LATENCY_H
#define LATENCY_H

#include "os/clock.h"

void sleep_for(mp__time time);
/* A line of the table, its name as printf makes it: median, 95 % and maximum of these
 * milliseconds, which it sorts. */
__attribute__((format(printf, 3, 4))) void report(double *times, unsigned rounds,
                                                  const char *format, ...);
/* The lines about processes of ours that are joined, and about workers of pools; of those whose
 * name contains `chosen`, NULL: all. */
void measure_children(unsigned rounds, const char *chosen);

#endif

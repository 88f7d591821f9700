/* A shared object that a test loads: its function runs in children.
 * SPDX-License-Identifier: MIT */
#include <stddef.h>

int plugin_sum(void *arg, size_t size);

static int calls; /* in the process that counts */

static int sum_hidden(void *arg, size_t size) {
    int sum = 0;
    calls++;
    for (size_t i = 0; i < size; i++)
        sum += ((unsigned char *)arg)[i];
    return sum;
}

int plugin_sum(void *arg, size_t size) {
    return sum_hidden(arg, size) + calls - 1;
}

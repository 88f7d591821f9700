/* CPython as a peer: its programs are run by the python3 that is here.
 * SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "channels.h"

bool bench_has_python(void) {
    static int is_here = -1;
    if (is_here < 0)
        is_here = system("python3 -c 'import _multiprocessing' >/dev/null 2>&1") == 0;
    return is_here;
}

double bench_measure_python_stream(const void *subject) {
    const struct bench_stream *stream = subject;
    char command[512];
    double rate;
    if (!bench_has_python())
        return NAN;
    snprintf(command, sizeof command, "python3 '" BENCH_DIR "/peer_queue.py' %zu %u %d",
             stream->size, stream->pairs ? stream->pairs : 1, bench_is_smoke() ? 5 : 50);
    FILE *output = popen(command, "r");
    BENCH_CHECK(output && fscanf(output, "%lf", &rate) == 1 && pclose(output) == 0);
    return rate;
}

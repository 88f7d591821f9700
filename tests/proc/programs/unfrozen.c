/* A program that forgot mp_freeze_support(): a start must say so at once. 0: it did.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "mp/process.h"
#include "mp/context.h"

static int work(void *arg, size_t size) {
    (void)arg;
    (void)size;
    return 0;
}

int main(void) {
    for (mp_start_method method = MP_SPAWN; method <= MP_FORKSERVER; method++) {
        mp_process *process;
        mp_process_options options = {.target = work};
        if (mp_process_new(&process, mp_get_context(method), &options) < 0)
            return 2;
        int code = mp_process_start(process);
        if (code != MP_ENOTMAIN || !strstr(mp_error_detail(), "mp_freeze_support(argc, argv);")) {
            fprintf(stderr, "%s: %s\n", mp_error_name(code), mp_error_detail());
            return 1;
        }
        if (mp_process_close(process) < 0)
            return 2;
    }
    return 0;
}

/* A program whose file is replaced while it runs: its children are what it was. 0: so it is.
 * argv[1]: its file.
 * SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <unistd.h>

#include "mp/process.h"
#include "mp/context.h"

static int work(void *arg, size_t size) {
    (void)arg;
    (void)size;
    return 21;
}

static int replace(const char *path) {
    FILE *file = unlink(path) == 0 ? fopen(path, "w") : NULL;
    return file && fputs("#!/bin/false\n", file) > 0 ? fclose(file) : -1;
}

static int run(mp_start_method method) {
    mp_process *process;
    mp_process_options options = {.target = work};
    int code = -1;
    if (mp_process_new(&process, mp_get_context(method), &options) < 0 ||
        mp_process_start(process) < 0 || mp_process_join(process, MP_FOREVER) < 0 ||
        mp_process_exitcode(process, &code) < 0) {
        fprintf(stderr, "%s\n", mp_error_detail());
        return -1;
    }
    return mp_process_close(process) < 0 ? -1 : code;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    if (argc < 2 || replace(argv[1]) != 0)
        return 2;
    return run(MP_SPAWN) == 21 && run(MP_FORKSERVER) == 21 ? 0 : 1;
}

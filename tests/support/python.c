/* Finding and starting Pythons.
 * SPDX-License-Identifier: MIT */
#include "python.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "mpt.h"

#define SKIPPED 77

/* Of each: the version's number after the dot and the path. What is named python3.x may be a shim
 * for nothing, and several names may mean one; the shell drops what cannot be run. MPT_PYTHONS: so
 * many of the newest; the presets that are slow ask for one. */
static const char find_all[] =
    "for python in python3 python3.8 python3.9 python3.10 python3.11 python3.12 python3.13 "
    "python3.14 /usr/bin/python3 ~/.pyenv/versions/3.*/bin/python3; do $python -c '"
    "import multiprocessing.connection, os, sys; "
    "print(sys.version_info[1], os.path.realpath(sys.executable))"
    "' 2>/dev/null </dev/null; done | sort -nu | tail -n ${MPT_PYTHONS:-99}";

void mpt_each_python(int minor, mpt_python_fn check) {
    char path[256];
    int found;
    unsigned count = 0;
    FILE *list = popen(find_all, "r");
    MPT_CHECK(list);
    while (fscanf(list, "%d %255[^\n]", &found, path) == 2) {
        if (found < minor)
            continue;
        check(path);
        count++;
    }
    pclose(list);
    if (count > 0)
        return;
    fprintf(stderr, "there is no python3.%d or later to talk to\n", minor);
    exit(SKIPPED);
}

FILE *mpt_python_start(const char *python, const char *script, const char *format, ...) {
    char command[2048];
    int used =
        snprintf(command, sizeof command, "exec '%s' '" MPT_TESTS_DIR "/%s' ", python, script);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command + used, sizeof command - (size_t)used, format, arguments);
    va_end(arguments);
    FILE *peer = popen(command, "r");
    MPT_CHECK(peer);
    return peer;
}

int mpt_python_end(FILE *peer) {
    int status = pclose(peer);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* A program that has no descriptor left as it begins: mp_freeze_support says so. 0: it did.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "mp/context.h"

int main(int argc, char **argv) {
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, before.rlim_max});
    int code = mp_freeze_support(argc, argv);
    if (code != -EMFILE || !mp_error_detail()[0]) {
        fprintf(stderr, "%s: %s\n", mp_error_name(code), mp_error_detail());
        return 1;
    }
    setrlimit(RLIMIT_NOFILE, &before);
    return mp_freeze_support(argc, argv) == 0 ? 0 : 2;
}

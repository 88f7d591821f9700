/* A program that does as the manual says, but has none of a test's functions.
 * SPDX-License-Identifier: MIT */
#include "mp/context.h"

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    return 3;
}

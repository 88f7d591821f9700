/* Every python3 of this machine as the other end of a test.
 * SPDX-License-Identifier: MIT */
#ifndef MPT_PYTHON_H
#define MPT_PYTHON_H

#include <stdio.h>

typedef void (*mpt_python_fn)(const char *python);

/* Call `check` with the path of each python3 that is at least 3.`minor`: those of PATH, the
 * system's and pyenv's. When there is none the case is skipped, and says so. */
void mpt_each_python(int minor, mpt_python_fn check);

/* Start a script of tests/ ("net/peer_connection.py") with arguments in the shell's words,
 * redirections too. Read its output; mpt_python_end closes it and gives the exit code. */
__attribute__((format(printf, 3, 4))) FILE *mpt_python_start(const char *python, const char *script,
                                                             const char *format, ...);
int mpt_python_end(FILE *peer);

#endif

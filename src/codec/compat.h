/* Names of modules and what is in them, as Python 2 and protocols 0 to 2 have them.
 * SPDX-License-Identifier: MIT */
#ifndef MP__CODEC_COMPAT_H
#define MP__CODEC_COMPAT_H

#include <stddef.h>

/* Replace a module's and a global's name by those of the other Python, where they differ. The texts
 * need no NUL behind them and stay the caller's or become static. */
void mp__compat_to_old(const char **module, size_t *module_size, const char **name,
                       size_t *name_size);
void mp__compat_to_new(const char **module, size_t *module_size, const char **name,
                       size_t *name_size);

#endif

/* mp/context.h: how processes are started, for everything made under a context.
 * SPDX-License-Identifier: MIT */
#ifndef MP_CONTEXT_H
#define MP_CONTEXT_H

#include "mp/base.h"

typedef enum { MP_DEFAULT = 0, MP_FORK, MP_SPAWN, MP_FORKSERVER, MP_THREAD } mp_start_method;

MP_BEGIN_DECLS

int mp_freeze_support(int argc, char **argv);
mp_context *mp_get_context(mp_start_method method);
int mp_set_start_method(mp_start_method method, bool force);
mp_start_method mp_get_start_method(bool allow_none);
int mp_get_all_start_methods(mp_start_method *out, int capacity);
const char *mp_start_method_name(mp_start_method method);
mp_start_method mp_start_method_from_name(const char *name);
int mp_set_executable(const char *path);
int mp_set_forkserver_preload(int (*preload)(void *arg), const void *arg, size_t arg_size);
int mp_cpu_count(void);
int mp_usable_cpu_count(void);

MP_END_DECLS
#endif

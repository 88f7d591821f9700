/* One call of a proxy by the letters of mp_object_build, and its result as C wants it: what typed
 * functions are made of.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_INVOKE_H
#define MP__MGR_INVOKE_H

#include "mp/proxy.h"

/* `function`: the public one, for sentences. An N that is NULL: MP_EINVAL. */
int mp__proxy_create(mp_manager *manager, mp_proxy **out, const char *function, const char *type_id,
                     const char *format, ...);
/* The result is of no interest / is given out as it is / is a number / is a truth (1, 0). */
int mp__proxy_do(mp_proxy *proxy, const char *function, const char *method, const char *format,
                 ...);
int mp__proxy_get(mp_proxy *proxy, mp_object **out, const char *function, const char *method,
                  const char *format, ...);
int mp__proxy_size(mp_proxy *proxy, size_t *out, const char *function, const char *method,
                   const char *format, ...);
int mp__proxy_truth(mp_proxy *proxy, const char *function, const char *method, const char *format,
                    ...);
/* The result is a list, which Python writes as list([...]). No arguments. */
int mp__proxy_view(mp_proxy *proxy, mp_object **out, const char *function, const char *method);
/* A result that is a truth, where false means that time ran out. */
int mp__proxy_in_time(int truth, const char *function);

#endif

/* Proxies inside of objects.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_NESTED_H
#define MP__MGR_NESTED_H

#include "mgr/protocol.h"

struct mp__server;

typedef void (*mp__proxy_visit_fn)(struct mp__server *server, const struct mp__token *token,
                                   void *arg);

/* Go through an object and what is in it, and call `visit` for each proxy. 0 or -ENOMEM. */
int mp__proxies_visit(const mp_object *root, struct mp__server *server, mp__proxy_visit_fn visit,
                      void *arg);

#endif

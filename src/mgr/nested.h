/* Proxies inside of objects.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_NESTED_H
#define MP__MGR_NESTED_H

#include "mgr/protocol.h"

/* Gets a proxy as it stands in an object, and its parts. */
typedef void (*mp__proxy_visit_fn)(const mp_object *object, const struct mp__proxy_form *form,
                                   void *arg);

/* Go through an object and what is in it, and call `visit` for each proxy. 0 or -ENOMEM. */
int mp__proxies_visit(const mp_object *root, mp__proxy_visit_fn visit, void *arg);

#endif

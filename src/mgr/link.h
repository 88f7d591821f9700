/* This process's connections to managers.
 * SPDX-License-Identifier: MIT
 *
 * Each thread has a channel of its own to each manager that it calls, because a manager knows by
 * the connection which thread holds a lock. It ends with the thread, or when nothing of this
 * process talks to that manager any more. A forked child has none of its parent's. All of it is
 * private memory: who is killed leaves nothing.
 *
 * A manager of ours takes requests for itself over channels, too, and gives a process's references
 * back when the last of its connections ends. So where threads come and go, one more connection,
 * the anchor, stays. To Python's managers such requests go over connections of their own, one each.
 */
#ifndef MP__MGR_LINK_H
#define MP__MGR_LINK_H

#include "mp/object.h"

struct mp__site { /* a manager as its clients know it; borrowed */
    const char *address;
    const void *key;
    size_t key_size;
};

/* Something in this process talks to that address / does so no more. hold: 0 or -ENOMEM. */
int mp__link_hold(const char *address);
void mp__link_release(const char *address);
/* Which of its times of being connected with that address this process is in, 1, 2...; 0: it is
 * not. References at a manager of ours last for one of them. */
unsigned mp__link_epoch(const char *address);
/* Does the manager there give a process's references back? 1, 0; the codes of mp__link_call. */
int mp__link_counts(const struct mp__site *site);

/* Send a request for an object, and receive the reply; blocks as long as the manager takes. The
 * request is taken over, NULL is -ENOMEM.
 *   reply      gets it; the caller's
 *   has_proxy  gets whether a proxy may be somewhere in it; NULL: not wanted
 * MP_EEOF: the manager is gone; the codes of mp_client_connect, MP_EPROTO, -ENOMEM, with detail. */
int mp__link_call(const struct mp__site *site, mp_object *request, mp_object **reply,
                  bool *has_proxy);
/* The same with a request for the manager itself: dummy, create, incref ... */
int mp__link_ask(const struct mp__site *site, mp_object *request, mp_object **reply);
/* Send one whose reply does not matter, if possible without waiting. Nobody hears of failures. */
void mp__link_tell(const struct mp__site *site, mp_object *request);

#endif

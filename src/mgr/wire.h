/* One connection to a manager: requests out, replies in, in CPython's framing.
 * SPDX-License-Identifier: MIT */
#ifndef MP__MGR_WIRE_H
#define MP__MGR_WIRE_H

#include "codec/buffer.h"
#include "mp/object.h"

struct mp__site;

struct mp__wire {
    int socket;            /* -1: not connected */
    struct mp__buffer out; /* of the request */
    struct mp__buffer in;  /* what has come and was not yet given to anybody */
};

/* Connect and prove the key. 0; MP_EEOF: it hung up; what mp_client_connect says. */
int mp__wire_open(struct mp__wire *wire, const struct mp__site *site);
void mp__wire_close(struct mp__wire *wire);

/* Several requests may be out; replies come in the same order. 0; MP_EEOF: the manager is gone;
 * MP_EPROTO, -ENOMEM. After a failure the wire is of no use.
 *   has_proxy  gets whether a proxy may be somewhere in it; NULL: not wanted */
int mp__wire_send(struct mp__wire *wire, const mp_object *request);
int mp__wire_receive(struct mp__wire *wire, mp_object **reply, bool *has_proxy);

#endif

/* mp/listener.h: connections between programs that are no family, Python ones among them.
 * SPDX-License-Identifier: MIT
 *
 *     mp_listener *listener;                          // one program
 *     mp_listener_options options = {.authkey = "secret", .authkey_size = 6};
 *     mp_listener_new(&listener, "tcp://127.0.0.1:6000", &options);
 *     mp_connection *connection;
 *     mp_listener_accept(listener, &connection, MP_FOREVER);
 *     mp_connection_send_bytes(connection, "hello", 5, MP_FOREVER);
 *     mp_connection_free(connection);
 *     mp_listener_close(listener);
 *
 *     mp_client_connect(&connection, "tcp://127.0.0.1:6000", "secret", 6, 10.0);    // the other
 *
 * Python's multiprocessing.connection.Listener and Client are the same protocol, byte for byte:
 * Client(("127.0.0.1", 6000), authkey=b"secret"). What a connection does stands in
 * mp/connection.h; it can be given to child processes like an end of a pipe.
 *
 *     address              Python's
 *     tcp://host:port      (host, port)     port 0: any free one; host empty in a listener: all of
 *                                           this machine's; IPv6 (Python has none): [::1]
 *     unix:path            path
 *     abstract:name        "\0name"         Linux only; gone with the last process that has it
 *
 * Both ends prove to each other that they know the key, by HMAC over random bytes: of MD5 as
 * CPython does up to 3.11, of SHA-256 from 3.12 on. The key never travels; what is sent later is
 * neither hidden nor protected. Before that no message over 256 bytes is received, and none waited
 * for longer than `timeout`.
 *
 *     who may call what at once
 *     mp_listener_accept       any thread; also of a forked child, which has the listener too
 *     mp_listener_last_accepted  the thread that accepts
 *     mp_listener_close        once in each process, when no thread uses it any more
 *
 *     a process dies                   what it does to the others
 *     that has a listener              clients that are not accepted get -ECONNRESET or MP_EEOF. A
 *                                      Unix socket's file stays; whoever makes a listener there
 *                                      next removes it, a made-up one whoever makes up the next
 *     that has the end of a connection  the other end receives what was sent, then MP_EEOF; it
 *                                      sends: -EPIPE
 */
#ifndef MP_LISTENER_H
#define MP_LISTENER_H

#include "mp/base.h"
#include "mp/connection.h"

typedef struct mp_listener_options { /* all zero: Python's defaults */
    int backlog;                     /* clients that wait to be accepted; 0: 1 */
    const void *authkey;             /* the key; copied; NULL: nobody has to prove anything */
    size_t authkey_size;             /* bytes; an empty key is a key */
    double timeout;                  /* seconds that a client may take to prove itself; 0: 20 */
} mp_listener_options;

MP_BEGIN_DECLS

/* Make a listener.
 *   out      gets it; this process's, ended with mp_listener_close
 *   address  as above; NULL: a Unix socket in a new directory of $TMPDIR that only this user enters
 *   options  NULL: the defaults
 *   returns  0; MP_EINVAL: no address, bad options; -EADDRINUSE: somebody listens there;
 *            -EADDRNOTAVAIL: no such host; -EAGAIN: nobody can tell now whether there is one;
 *            -EACCES, -ENOENT and what else bind(2) says; -ENOMEM
 *   blocks   while the system looks for a host's name
 *   python   Listener(address, backlog=1, authkey=None) */
int mp_listener_new(mp_listener **out, const char *address, const mp_listener_options *options);

/* Accept a client, and let it prove itself when there is a key.
 *   out      gets the connection; ended with mp_connection_free
 *   timeout  for a client to come; then it has the time that the options give it
 *   returns  0; MP_ETIMEDOUT: nobody came; MP_EAUTH: somebody came and did not know the key, was
 *            silent or went away: call again; MP_EINVAL; -EMFILE and the like; -ENOMEM
 *   python   Listener.accept() */
int mp_listener_accept(mp_listener *listener, mp_connection **out, double timeout);

/* Give the address for clients, with the port that was chosen. The listener's. NULL: none.
 *   python   Listener.address */
const char *mp_listener_address(const mp_listener *listener);

/* Give the address of the client accepted last, "" over Unix sockets; NULL: nobody was. Valid
 * until the next accept.
 *   python   Listener.last_accepted */
const char *mp_listener_last_accepted(const mp_listener *listener);

/* Give the descriptor that is readable when a client waits: for MP_WAIT_LISTENER, poll and the
 * like. Accept may nevertheless find nobody. The listener's.
 *   returns  the descriptor; MP_EINVAL: NULL */
int mp_listener_fileno(const mp_listener *listener);

/* End a listener; its connections stay. The process that made it removes the Unix socket's file.
 * NULL: nothing happens.
 *   python   Listener.close() */
void mp_listener_close(mp_listener *listener);

/* Connect to a listener, and prove that we know its key.
 *   out      gets the connection; ended with mp_connection_free
 *   authkey  NULL: it wants none
 *   timeout  for all of it but the system's looking for a host's name
 *   returns  0; MP_ETIMEDOUT; MP_EAUTH: our key or its is wrong, one of us has none, or it is no
 *            listener; MP_EEOF: it hung up; -ECONNREFUSED, -ENOENT: nobody listens;
 *            -EADDRNOTAVAIL: no such host; -EAGAIN: nobody can tell now whether there is one;
 *            MP_EINVAL; -EMFILE and the like; -ENOMEM
 *   python   Client(address, authkey=None) */
int mp_client_connect(mp_connection **out, const char *address, const void *authkey,
                      size_t authkey_size, double timeout);

/* Have the other end prove that it knows a key / prove it to the other end. Works on any
 * connection. A listener delivers first, then answers; a client the other way round.
 *   key      NULL only when size is 0
 *   returns  0; MP_EAUTH: the proof is wrong / was refused, or the other end says something else;
 *            otherwise as mp_connection_send_bytes and _recv_bytes
 *   blocks   until timeout
 *   python   deliver_challenge, answer_challenge of multiprocessing.connection */
int mp_connection_deliver_challenge(mp_connection *connection, const void *key, size_t size,
                                    double timeout);
int mp_connection_answer_challenge(mp_connection *connection, const void *key, size_t size,
                                   double timeout);

MP_END_DECLS
#endif

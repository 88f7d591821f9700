/* mp/connection.h: pipes between two processes, and waiting for several things at once.
 * SPDX-License-Identifier: MIT
 *
 *     mp_connection *mine, *theirs;
 *     mp_pipe_new(&mine, &theirs, NULL, true);
 *     ...start a child:  mp_connection_send_bytes(theirs, "hello", 5, MP_FOREVER);
 *     mp_connection_close(theirs);                  // here: so that end of file can come
 *     char text[80];
 *     size_t size;
 *     while (mp_connection_recv_bytes_into(mine, text, sizeof text, &size, MP_FOREVER) == 0)
 *         printf("%.*s\n", (int)size, text);        // until MP_EEOF
 *     mp_connection_free(mine);
 *     mp_connection_free(theirs);
 *
 * Bytes go through shared memory; a socket pair under it carries the life of the ends, wake-ups and
 * descriptors. The pointer is good in every process of the family, the descriptor under it must be
 * given to a process: forked children have it, others get it with the process options; elsewhere
 * the functions say MP_ENOTPASSED. An end is gone when every process that had it has closed it or
 * ended, however that came.
 *
 * A connection made by mp/listener.h goes over a socket to a program that may be Python: its bytes
 * and their framing are CPython's. The same functions work on it, but nobody's death is repaired in
 * the middle of a message: who dies receiving a long one, or sending one, leaves MP_EPROTO / -EPIPE
 * for that direction. So does a send whose time runs out when a part is out; a receive keeps what
 * came in time, and the next one goes on. MP_EPROTO, too, for a length that nobody means and an end
 * in the middle of a message.
 *
 *     who may call what at once
 *     send_*, recv_*, poll, fileno, mp_wait    any thread of any process that has the connection
 *     mp_connection_close                      not while another thread of this process uses it
 *     mp_connection_free                       once for each end, when no process uses it any more
 *
 *     a process dies          what it does to the others
 *     in a send               its message is there, whole, or not there
 *     in a receive            the message it was taking is gone, or still there, whole
 *     as an end's last one    the other end receives what was sent, then MP_EEOF; it sends: -EPIPE
 *     in any of them          the others go on within a second (10 s at worst, when several die at
 *                             once); on Linux as a rule within a millisecond, elsewhere 0.1 s
 *     in mp_connection_free   its end is freed for it, with the second one the pipe
 *     stopped (SIGSTOP) in    who wants to do the same on that end waits for it, but no longer than
 *       a send or a receive   its time limit
 *
 * MP_EINVAL and -ENOMEM may come from any function, see mp/base.h; they are listed where there is
 * more to say.
 */
#ifndef MP_CONNECTION_H
#define MP_CONNECTION_H

#include "mp/base.h"

typedef struct mp_connection mp_connection; /* one end of a pipe, in the arena */
typedef struct mp_process mp_process;       /* see mp/process.h */
typedef struct mp_queue mp_queue;           /* see mp/queue.h */
typedef struct mp_object mp_object;         /* see mp/object.h */
typedef struct mp_listener mp_listener;     /* see mp/listener.h */

MP_BEGIN_DECLS

/* Make a pipe of two connected ends.
 *   first, second  get the ends; owned by the caller, each ended with mp_connection_free
 *   duplex         true: both send and receive; false: first receives, second sends
 *   context        NULL: the default one; any will do
 *   returns        0; MP_EINVAL; -ENOMEM; -EMFILE and the like: no descriptor
 *   python         Pipe(duplex) */
int mp_pipe_new(mp_connection **first, mp_connection **second, mp_context *context, bool duplex);

/* Send a copy of some bytes as one message.
 *   data     NULL only when size is 0
 *   returns  0; MP_ETIMEDOUT: no room in time, nothing sent; -EPIPE: the other end is gone;
 *            MP_ECLOSED: closed in this process; MP_ENOTPASSED: never given to it; MP_EINVAL, also
 *            when this end only receives; -ENOMEM; over a socket what else send(2) says
 *   blocks   while the pipe holds 1 MiB or one larger message, until timeout
 *   python   Connection.send_bytes(data) */
int mp_connection_send_bytes(mp_connection *connection, const void *data, size_t size,
                             double timeout);

/* Receive a message into memory made for it.
 *   data      gets the bytes, from malloc, never NULL; end it with free()
 *   size      gets their number
 *   max_size  refuse longer messages; 0: no limit
 *   returns   0; MP_ETIMEDOUT; MP_EEOF: all is received and the other end is gone; MP_ETOOSHORT:
 *             longer than max_size, the message stays; MP_ETYPE: a handle is next; MP_ECLOSED;
 *             MP_ENOTPASSED; MP_EINVAL, also when this end only sends; -ENOMEM: the message stays;
 *             over a socket MP_EPROTO, see above, and what else recv(2) says
 *   blocks    while nothing is there, until timeout
 *   python    Connection.recv_bytes(maxlength) */
int mp_connection_recv_bytes(mp_connection *connection, void **data, size_t *size, size_t max_size,
                             double timeout);

/* Receive a message into a buffer.
 *   buffer   NULL only when capacity is 0
 *   size     gets the number of bytes, also with MP_ETOOSHORT; NULL: not wanted
 *   returns  as above; MP_ETOOSHORT: it needs *size bytes and can be received again, whole
 *   blocks   as above
 *   python   Connection.recv_bytes_into(buffer) */
int mp_connection_recv_bytes_into(mp_connection *connection, void *buffer, size_t capacity,
                                  size_t *size, double timeout);

/* Send / receive an object as Python's pickle writes it.
 *   object   copied; stays the caller's
 *   out      gets the object; the caller's, ended with mp_object_free
 *   returns  as mp_connection_send_bytes / _recv_bytes; MP_EPROTO: the message was no pickle, and
 *            -ENOMEM when there was none for the object: the message is gone
 *   blocks   as those do
 *   python   Connection.send(object), Connection.recv() */
int mp_connection_send(mp_connection *connection, const mp_object *object, double timeout);
int mp_connection_recv(mp_connection *connection, mp_object **out, double timeout);

/* Wait until there is something to receive, or end of file.
 *   returns  1; 0: not in time; MP_ECLOSED; MP_ENOTPASSED; MP_EINVAL, also when this end only sends
 *   blocks   until then, or until timeout
 *   python   Connection.poll(timeout) */
int mp_connection_poll(mp_connection *connection, double timeout);

/* Give the descriptor that is readable whenever there is something to receive, or end of file: for
 * poll, epoll and event loops. Only to be looked at: never read from it. After it was readable call
 * receive with MP_NOWAIT and expect MP_ETIMEDOUT at times.
 *   returns  the descriptor; MP_ECLOSED; MP_ENOTPASSED; MP_EINVAL
 *   owns     the connection
 *   python   Connection.fileno() */
int mp_connection_fileno(mp_connection *connection);

/* Close this process's descriptor. The pointer stays good for mp_connection_closed and
 * mp_connection_free.
 *   returns  0, also the second time; MP_ENOTPASSED; MP_EINVAL
 *   python   Connection.close() */
int mp_connection_close(mp_connection *connection);

/* Ask: has this process no descriptor for it (any more)? May this end receive / send at all? What
 * is no connection is closed and can do neither.
 *   python   Connection.closed, .readable, .writable */
bool mp_connection_closed(const mp_connection *connection);
bool mp_connection_readable(const mp_connection *connection);
bool mp_connection_writable(const mp_connection *connection);

/* Close and free one end; the messages go with the second end. Other processes must have closed
 * theirs, or end without using it again. NULL and what is no connection: nothing happens. */
void mp_connection_free(mp_connection *connection);

/* Send a copy of a descriptor, in order with the messages. The other end gets it with
 * mp_connection_recv_handle.
 *   fd       stays the caller's
 *   returns  0; -EBADF; MP_EINVAL, also over TCP; otherwise as mp_connection_send_bytes
 *   blocks   as that does, and while too many handles are under way
 *   python   reduction.send_handle */
int mp_connection_send_handle(mp_connection *connection, int fd, double timeout);

/* Receive a descriptor.
 *   fd       gets it, close-on-exec; the caller's, ended with close()
 *   returns  0; MP_ETYPE: a message is next, which stays (over a socket mostly MP_EPROTO: then
 *            nothing can be received any more); -EMFILE: no descriptor is free, the handle is lost;
 *            MP_EINVAL, also over TCP; otherwise as mp_connection_recv_bytes
 *   blocks   as that does
 *   python   reduction.recv_handle */
int mp_connection_recv_handle(mp_connection *connection, int *fd, double timeout);

/* Something that mp_wait can wait for; made by the macros below. */
enum mp_waitable_kind { MP_WAITABLE_CONNECTION = 1, MP_WAITABLE_QUEUE, MP_WAITABLE_FD };
typedef struct mp_waitable {
    int kind;     /* enum mp_waitable_kind */
    void *object; /* the connection or queue; NULL for descriptors */
    int fd;       /* the descriptor; -1 for others */
    bool ready;   /* out: true when it was ready as mp_wait returned */
} mp_waitable;

static inline mp_waitable mp_waitable_make(int kind, void *object, int fd) {
    mp_waitable waitable;
    waitable.kind = kind;
    waitable.object = object;
    waitable.fd = fd;
    waitable.ready = false;
    return waitable;
}
int mp_process_sentinel(const mp_process *process);  /* mp/process.h */
int mp_listener_fileno(const mp_listener *listener); /* mp/listener.h */

/* A connection is ready when mp_connection_poll gives 1, a queue when it is not empty, a process
 * when it has ended, a listener when somebody connects, a descriptor when it is readable or at its
 * end. */
#define MP_WAIT_CONNECTION(connection) mp_waitable_make(MP_WAITABLE_CONNECTION, (connection), -1)
#define MP_WAIT_QUEUE(queue) mp_waitable_make(MP_WAITABLE_QUEUE, (queue), -1)
#define MP_WAIT_PROCESS(process) mp_waitable_make(MP_WAITABLE_FD, 0, mp_process_sentinel(process))
#define MP_WAIT_LISTENER(listener) mp_waitable_make(MP_WAITABLE_FD, 0, mp_listener_fileno(listener))
#define MP_WAIT_FD(fd) mp_waitable_make(MP_WAITABLE_FD, 0, (fd))

/* Wait until at least one of them is ready, or until timeout.
 *   list     `ready` is set on each, on success only; NULL only when count is 0
 *   returns  how many are ready; 0: time ran out, or count is 0 (at once); MP_EINVAL: an entry is
 *            bad, the detail says which; MP_ECLOSED, MP_ENOTPASSED: a connection or queue is; the
 *            code of mp_process_sentinel; -ENOMEM; -EAGAIN, -EMFILE: mixing queues with others
 *            takes a thread and a descriptor
 *   python   connection.wait(object_list, timeout) */
int mp_wait(mp_waitable *list, size_t count, double timeout);

MP_END_DECLS
#endif

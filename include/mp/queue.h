/* mp/queue.h: queues of messages between processes.
 * SPDX-License-Identifier: MIT
 *
 *     mp_queue *queue;    // the pointer is good in every process of the family
 *     mp_queue_new(&queue, NULL, 0);
 *     ...a child:  mp_queue_put(queue, "hello", 5, MP_FOREVER);
 *     char text[80];
 *     size_t size;
 *     if (mp_queue_get(queue, text, sizeof text, &size, 10.0) == 0)
 *         printf("%.*s\n", (int)size, text);
 *     mp_queue_free(queue);
 *
 * A message is 0 bytes to some GiB. There is no feeder thread: when put returns the message is in
 * the queue, whatever then happens to the putter. Messages of one putting thread come out in the
 * order in which it put them.
 *
 *     who may call what at once
 *     put, get and their kin, task_done,     any thread of any process
 *     join, qsize, empty, full
 *     mp_queue_close                         any thread; for its process
 *     mp_queue_free                          once, when nobody uses the queue any more
 *     what takes a mp_message                one thread at a time for each message
 *
 *     a process dies             what it does to the others
 *     in a put                   its message is there, whole, or not there
 *     in a get                   the message it was taking is gone, or still there, whole
 *     in any of them             the others go on, with no error, within a second (10 s at worst,
 *                                when several die at once); on Linux as a rule within a
 *                                millisecond, elsewhere 0.1 s
 *     owning a mp_message        the message is freed
 *     before it calls task_done  that task stays unfinished: mp_queue_join goes on waiting; with
 *                                redeliver the message goes to somebody else
 *     in mp_queue_free           the queue is freed for it
 *     stopped (SIGSTOP) in one   who wants that end of the queue waits for it, but no longer than
 *                                its time limit
 *
 * MP_EINVAL and -ENOMEM may come from any function, see mp/base.h; they are listed where there is
 * more to say.
 */
#ifndef MP_QUEUE_H
#define MP_QUEUE_H

#include "mp/base.h"

typedef struct mp_queue mp_queue;     /* in the arena */
typedef struct mp_object mp_object;   /* see mp/object.h */
typedef struct mp_message mp_message; /* in the arena: bytes that a queue hands over by pointer */

typedef struct mp_bytes {
    const void *data; /* NULL only when size is 0; read during the call */
    size_t size;      /* bytes */
} mp_bytes;

MP_BEGIN_DECLS

/* Make a queue.
 *   out      gets the queue; owned by the caller, ended with mp_queue_free
 *   context  NULL: the default one; any will do
 *   maxsize  messages that it holds at most; 0: no limit but memory
 *   returns  0; MP_EINVAL (out is NULL); -ENOMEM
 *   python   Queue(maxsize) */
int mp_queue_new(mp_queue **out, mp_context *context, size_t maxsize);

/* Make a queue that counts finished tasks, for mp_queue_task_done and mp_queue_join; else as above.
 *   python   JoinableQueue(maxsize) */
int mp_joinable_queue_new(mp_queue **out, mp_context *context, size_t maxsize);

/* Make a queue without limit; else as above. All functions but task_done and join work on it.
 *   python   SimpleQueue() */
int mp_simple_queue_new(mp_queue **out, mp_context *context);

typedef struct mp_queue_options { /* all zero: mp_queue_new with no limit */
    size_t maxsize;               /* messages that it holds at most; 0: no limit but memory */
    bool joinable;                /* as mp_joinable_queue_new */
    bool redeliver;               /* at-least-once delivery, see below; needs joinable */
} mp_queue_options;

/* Make a queue with these options. As above.
 *   options  NULL: the defaults; copied
 *   returns  also MP_EINVAL: redeliver without joinable
 *
 * With redeliver a message that was got stays leased to the process that got it. Each
 * mp_queue_task_done ends one lease: the one of the message that the calling thread got longest ago
 * or, when it has none left, that its process did. When a process ends, however that comes, its
 * messages are in front again in their order, within half a second, and go to others: once for each
 * such end. While their holder lives nobody else gets them. They do not count against maxsize, and
 * mp_queue_redelivered counts them. Every message is copied when it is got, also by
 * mp_queue_get_message and mp_queue_get_many; a forked child has none of its parent's leases. */
int mp_queue_new_with(mp_queue **out, mp_context *context, const mp_queue_options *options);

/* Free a queue and the messages in it. NULL and what is no queue: nothing happens. */
void mp_queue_free(mp_queue *queue);

/* Put a copy of some bytes in.
 *   data     NULL only when size is 0
 *   returns  0; MP_EFULL: no room in time, nothing put; MP_ECLOSED: by this process; MP_EINVAL;
 *            -ENOMEM
 *   blocks   while the queue is full, until timeout
 *   python   Queue.put(item, timeout=...) */
int mp_queue_put(mp_queue *queue, const void *data, size_t size, double timeout);

/* Take the oldest message.
 *   buffer   gets its bytes; NULL only when capacity is 0
 *   size     gets the number of bytes, also with MP_ETOOSHORT; NULL: not wanted
 *   returns  0; MP_EEMPTY: none in time; MP_ETOOSHORT: it needs *size bytes and stays the oldest;
 *            MP_ECLOSED; MP_EINVAL
 *   blocks   while the queue is empty, until timeout
 *   python   Queue.get(timeout=...) */
int mp_queue_get(mp_queue *queue, void *buffer, size_t capacity, size_t *size, double timeout);

/* Take the oldest message into memory made for it.
 *   data     gets the bytes, from malloc, never NULL; end it with free()
 *   size     gets their number
 *   returns  0; MP_EEMPTY; MP_ECLOSED; MP_EINVAL; -ENOMEM: the message stays
 *   blocks   while the queue is empty, until timeout */
int mp_queue_get_alloc(mp_queue *queue, void **data, size_t *size, double timeout);

/* Put many messages in, in order, as many under one lock as there is room for: much cheaper than
 * one by one.
 *   put      gets how many are in the queue, also on failure: always the first ones; NULL: not
 *            wanted
 *   returns  0: all; MP_EFULL: not all in time; MP_ECLOSED; MP_EINVAL (nothing is put); -ENOMEM
 *   blocks   until all are in or timeout; other putters' messages may come between */
int mp_queue_put_many(mp_queue *queue, const mp_bytes *messages, size_t count, size_t *put,
                      double timeout);

/* Take what is there, at most `capacity` messages, after waiting for the first.
 *   out      gets the messages; each is the caller's, ended with mp_message_free
 *   got      gets how many, at least 1
 *   returns  0; MP_EEMPTY: none in time; MP_ECLOSED; MP_EINVAL, also when capacity is 0; -ENOMEM:
 *            nothing was taken
 *   blocks   while the queue is empty, until timeout */
int mp_queue_get_many(mp_queue *queue, mp_message **out, size_t capacity, size_t *got,
                      double timeout);

/* Make a message of `size` bytes, contents undefined, to be filled in place.
 *   returns  0; MP_EINVAL; -ENOMEM
 *   owns     this process, until it is put or freed; freed when the process dies */
int mp_message_new(mp_message **out, size_t size);

/* Give a message's bytes, 16-byte aligned, and their number. NULL and 0 for what is no message. */
void *mp_message_data(mp_message *message);
size_t mp_message_size(const mp_message *message);

/* Free a message that this process owns. NULL: nothing happens. */
void mp_message_free(mp_message *message);

/* Hand a message over, at the same cost whatever its size.
 *   message  the queue's on success: do not touch it again; still the caller's on failure
 *   returns  0; MP_EFULL; MP_ECLOSED; MP_EINVAL; -ENOMEM
 *   blocks   while the queue is full, until timeout */
int mp_queue_put_message(mp_queue *queue, mp_message *message, double timeout);

/* Take the oldest message as it is.
 *   out      gets it; the caller's, ended with mp_message_free or put into a queue
 *   returns  0; MP_EEMPTY; MP_ECLOSED; MP_EINVAL; -ENOMEM: the message stays
 *   blocks   while the queue is empty, until timeout */
int mp_queue_get_message(mp_queue *queue, mp_message **out, double timeout);

/* Put / take an object, as Python's pickle writes it.
 *   object   copied; stays the caller's
 *   out      gets the object; the caller's, ended with mp_object_free
 *   returns  as mp_queue_put / mp_queue_get_message; MP_EPROTO: the oldest message was no pickle,
 *            and -ENOMEM when there was none for the object: the message is gone
 *   python   Queue.put(object), Queue.get() */
int mp_queue_put_object(mp_queue *queue, const mp_object *object, double timeout);
int mp_queue_get_object(mp_queue *queue, mp_object **out, double timeout);

/* Count the messages in the queue; others change it meanwhile.
 *   returns  the count; MP_EINVAL: no queue
 *   python   Queue.qsize() */
long mp_queue_qsize(const mp_queue *queue);

/* Is nothing in it / is there no room in it, at this moment? What is no queue is empty and not
 * full.
 *   python   Queue.empty(), Queue.full() */
bool mp_queue_empty(const mp_queue *queue);
bool mp_queue_full(const mp_queue *queue);

/* Let this process put and get no more; others go on. Closing twice does no harm.
 *   returns  0; MP_EINVAL; -ENOMEM
 *   python   Queue.close() */
int mp_queue_close(mp_queue *queue);

/* Do nothing: there is no thread to join, all messages are in the queue. Kept for Python's sake.
 *   returns  0; MP_ESTATE: join_thread before mp_queue_close, as in Python; MP_EINVAL
 *   python   Queue.join_thread(), Queue.cancel_join_thread() */
int mp_queue_join_thread(mp_queue *queue);
int mp_queue_cancel_join_thread(mp_queue *queue);

/* Say that one message got from a joinable queue has been dealt with.
 *   returns  0; MP_EINVAL: called more often than messages were put, with redeliver: than this
 *            process got; MP_ETYPE: not a joinable queue
 *   python   JoinableQueue.task_done() */
int mp_queue_task_done(mp_queue *queue);

/* Count how often a message was put back in front because its holder ended. 0 without redeliver.
 *   returns  the count; MP_EINVAL: no queue */
long mp_queue_redelivered(const mp_queue *queue);

/* Wait until every message ever put has had its mp_queue_task_done.
 *   returns  0; MP_ETIMEDOUT; MP_ETYPE: not a joinable queue; MP_EINVAL
 *   blocks   while there are unfinished tasks, until timeout
 *   python   JoinableQueue.join() */
int mp_queue_join(mp_queue *queue, double timeout);

MP_END_DECLS
#endif

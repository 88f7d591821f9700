/* libmp's queues and pipes, as contenders.
 * SPDX-License-Identifier: MIT */
#include <string.h>

#include "channels.h"
#include "mp/connection.h"
#include "mp/queue.h"

#define MANY 64

static mp_queue *queues[2];

static void open_queues(const struct bench_stream *stream) {
    for (int way = 0; way < 2; way++)
        BENCH_CHECK(mp_queue_new(&queues[way], NULL, bench_length(stream)) == 0);
}

static void put(unsigned way, const void *data, size_t size) {
    BENCH_CHECK(mp_queue_put(queues[way], data, size, MP_FOREVER) == 0);
}

static void get(unsigned way, void *buffer, size_t size) {
    size_t got;
    BENCH_CHECK(mp_queue_get(queues[way], buffer, size, &got, MP_FOREVER) == 0 && got == size);
}

static void close_queues(void) {
    for (int way = 0; way < 2; way++)
        mp_queue_free(queues[way]);
}

/* What a process has gathered, and what it has got and not yet handed on. */
static struct {
    unsigned char bytes[MANY][64];
    mp_bytes list[MANY];
    size_t gathered;
    mp_message *messages[MANY];
    size_t got, next;
} many;

static void begin_many(unsigned way, unsigned index) {
    (void)way;
    (void)index;
    memset(&many, 0, sizeof many);
}

static void put_gathered(unsigned way) {
    size_t count = many.gathered;
    many.gathered = 0;
    BENCH_CHECK(mp_queue_put_many(queues[way], many.list, count, NULL, MP_FOREVER) == 0);
}

static void put_many(unsigned way, const void *data, size_t size) {
    unsigned char *copy = many.bytes[many.gathered];
    memcpy(copy, data, size);
    many.list[many.gathered++] = (mp_bytes){copy, size};
    if (many.gathered == MANY)
        put_gathered(way);
}

static void get_many(unsigned way, void *buffer, size_t size) {
    if (many.next == many.got) {
        BENCH_CHECK(mp_queue_get_many(queues[way], many.messages, MANY, &many.got, MP_FOREVER) ==
                    0);
        many.next = 0;
    }
    mp_message *message = many.messages[many.next++];
    memcpy(buffer, mp_message_data(message), size);
    mp_message_free(message);
}

/* Whoever builds in place writes what it has to say: here the number, whatever the size. */
static void put_built(unsigned way, const void *data, size_t size) {
    mp_message *message;
    BENCH_CHECK(mp_message_new(&message, size) == 0);
    memcpy(mp_message_data(message), data, 8);
    BENCH_CHECK(mp_queue_put_message(queues[way], message, MP_FOREVER) == 0);
}

static void get_moved(unsigned way, void *buffer, size_t size) {
    mp_message *message;
    BENCH_CHECK(mp_queue_get_message(queues[way], &message, MP_FOREVER) == 0);
    BENCH_CHECK(mp_message_size(message) == size);
    memcpy(buffer, mp_message_data(message), 8);
    mp_message_free(message);
}

static mp_connection *ends[2];
static mp_connection *mine; /* of them */

static void open_connections(const struct bench_stream *stream) {
    (void)stream;
    BENCH_CHECK(mp_pipe_new(&ends[0], &ends[1], NULL, true) == 0);
}

static void begin_connection(unsigned way, unsigned index) {
    (void)index;
    mine = ends[way];
    BENCH_CHECK(mp_connection_close(ends[!way]) == 0);
}

static void send_connection(unsigned way, const void *data, size_t size) {
    (void)way;
    BENCH_CHECK(mp_connection_send_bytes(mine, data, size, MP_FOREVER) == 0);
}

static void receive_connection(unsigned way, void *buffer, size_t size) {
    (void)way;
    size_t got;
    BENCH_CHECK(mp_connection_recv_bytes_into(mine, buffer, size, &got, MP_FOREVER) == 0 &&
                got == size);
}

static void close_connections(void) {
    mp_connection_free(ends[0]);
    mp_connection_free(ends[1]);
}

const struct bench_channel bench_queue = {
    .open = open_queues,
    .send = put,
    .receive = get,
    .close = close_queues,
};
const struct bench_channel bench_queue_many = {
    .open = open_queues,
    .begin = begin_many,
    .send = put_many,
    .receive = get_many,
    .flush = put_gathered,
    .close = close_queues,
};
const struct bench_channel bench_queue_move = {
    .open = open_queues,
    .send = put_built,
    .receive = get_moved,
    .close = close_queues,
};
const struct bench_channel bench_connection = {
    .open = open_connections,
    .begin = begin_connection,
    .send = send_connection,
    .receive = receive_connection,
    .close = close_connections,
};

/* POSIX message queues, of the length that anybody may ask for.
 * SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <unistd.h>

#include "channels.h"

#define LENGTH 10 /* the system's limit for who is not root */

static mqd_t queues[2];

static void open_queues(const struct bench_stream *stream) {
    for (int way = 0; way < 2; way++) {
        char name[64];
        snprintf(name, sizeof name, "/libmp-bench.%d.%d", (int)getpid(), way);
        struct mq_attr attributes = {.mq_maxmsg = LENGTH, .mq_msgsize = (long)stream->size};
        queues[way] = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &attributes);
        BENCH_CHECK(queues[way] != (mqd_t)-1 && mq_unlink(name) == 0);
    }
}

static void send_message(unsigned way, const void *data, size_t size) {
    BENCH_CHECK(mq_send(queues[way], data, size, 0) == 0);
}

static void receive_message(unsigned way, void *buffer, size_t size) {
    BENCH_CHECK(mq_receive(queues[way], buffer, size, NULL) == (ssize_t)size);
}

static void close_queues(void) {
    for (int way = 0; way < 2; way++)
        mq_close(queues[way]);
}

const struct bench_channel bench_mqueue = {
    .open = open_queues,
    .send = send_message,
    .receive = receive_message,
    .close = close_queues,
};

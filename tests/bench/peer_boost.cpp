/* Boost.Interprocess message_queue, in shared memory of a name.
 * SPDX-License-Identifier: MIT */
#include <boost/interprocess/ipc/message_queue.hpp>
#include <string>
#include <unistd.h>

extern "C" {
#include "channels.h"
}

using boost::interprocess::message_queue;

static message_queue *queues[2];

static std::string name_of(unsigned way) {
    return "libmp-bench." + std::to_string(getpid()) + "." + std::to_string(way);
}

static void open_queues(const struct bench_stream *stream) {
    for (unsigned way = 0; way < 2; way++) {
        std::string name = name_of(way);
        queues[way] = new message_queue(boost::interprocess::create_only, name.c_str(),
                                        bench_length(stream), stream->size);
        message_queue::remove(name.c_str()); /* it stays mapped */
    }
}

static void send(unsigned way, const void *data, size_t size) {
    queues[way]->send(data, size, 0);
}

static void receive(unsigned way, void *buffer, size_t size) {
    message_queue::size_type got;
    unsigned priority;
    queues[way]->receive(buffer, size, got, priority);
    BENCH_CHECK(got == size);
}

static void close_queues(void) {
    for (unsigned way = 0; way < 2; way++)
        delete queues[way];
}

extern const struct bench_channel bench_boost = {open_queues, nullptr, send,
                                                 receive,     nullptr, close_queues};

/* Channels from inside: segments, the spare one, the check, and guards that are stopped in.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "chan/channel.h"
#include "chan/record.h"
#include "chan/queue.h"
#include "mp/connection.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "shm/heap.h"

static struct channel_shared *new_channel(uint64_t limit, bool load_is_bytes) {
    MPT_CHECK(mp__self());
    struct channel_shared *channel = mp__heap_zalloc(sizeof *channel);
    mp__channel_init(channel, limit, load_is_bytes);
    mp__heap_publish(channel);
    return channel;
}

static void free_channel(struct channel_shared *channel) {
    mp__channel_end(channel);
    mp__heap_free(channel);
}

static void put_bytes(struct channel_shared *channel, size_t size) {
    static unsigned char bytes[MP__CHANNEL_INLINE_MAX];
    struct mp__outgoing message = {MP__RECORD_INLINE, bytes, size};
    struct mp__writer writer;
    MPT_OK(mp__channel_lock_tail(channel, mp__self(), MP__NEVER));
    mp__writer_begin(&writer, channel);
    MPT_OK(mp__writer_write(&writer, &message));
    mp__writer_publish(&writer);
    mp__channel_unlock_tail(channel, mp__self());
}

static size_t get_bytes(struct channel_shared *channel) {
    struct mp__reader reader;
    MPT_OK(mp__channel_lock_head(channel, mp__self(), MP__NEVER));
    mp__reader_begin(&reader, channel);
    MPT_CHECK(mp__reader_look(&reader));
    mp__reader_pass(&reader);
    mp__reader_commit(&reader);
    mp__channel_unlock_head(channel, mp__self());
    return reader.size;
}

static uint64_t used_bytes(void) {
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    return figures.block_bytes;
}

/* Every distance to the end of a segment, with and without room for a skip record. */
static void test_records_fit_any_end_of_a_segment(void **state) {
    (void)state;
    for (size_t first = 0; first < 100; first++) {
        struct channel_shared *channel = new_channel(0, false);
        for (size_t i = 0; i < 700; i++)
            put_bytes(channel, i < 1 ? first : 24 + i % 3 * 8);
        MPT_OK(mp__channel_check(channel));
        for (size_t i = 0; i < 700; i++)
            MPT_CHECK(get_bytes(channel) == (i < 1 ? first : 24 + i % 3 * 8));
        assert_true(mp__channel_is_empty(channel));
        free_channel(channel);
    }
}

static void test_two_segments_serve_a_stream(void **state) {
    (void)state;
    struct channel_shared *channel = new_channel(0, false);
    for (int i = 0; i < 100000; i++) {
        put_bytes(channel, 100);
        get_bytes(channel);
    }
    assert_true(used_bytes() < sizeof *channel + 3 * MP__SEGMENT_SMALL_BYTES);
    free_channel(channel);
}

static void test_largest_inline_message_fits(void **state) {
    (void)state;
    struct channel_shared *channel = new_channel(0, false);
    for (int i = 0; i < 50; i++)
        put_bytes(channel, MP__CHANNEL_INLINE_MAX);
    for (int i = 0; i < 50; i++)
        assert_int_equal(get_bytes(channel), MP__CHANNEL_INLINE_MAX);
    free_channel(channel);
}

static void test_load_counts_messages_or_bytes(void **state) {
    (void)state;
    for (int is_bytes = 0; is_bytes < 2; is_bytes++) {
        struct channel_shared *channel = new_channel(1000, is_bytes);
        put_bytes(channel, 100);
        put_bytes(channel, 0);
        assert_int_equal(mp__channel_load(channel), is_bytes ? 116 : 2);
        get_bytes(channel);
        assert_int_equal(mp__channel_load(channel), is_bytes ? 8 : 1);
        free_channel(channel);
    }
}

static void test_check_finds_what_is_wrong(void **state) {
    (void)state;
    struct channel_shared *channel = new_channel(0, false);
    put_bytes(channel, 100);
    MPT_OK(mp__channel_check(channel));
    atomic_fetch_add(&channel->tail.load, 1);
    MPT_CODE(mp__channel_check(channel), MP_ESTATE);
    atomic_fetch_sub(&channel->tail.load, 1);
    struct segment_shared *segment = atomic_load(&channel->tail.segment);
    uint64_t header = mp__record_read(segment->data), wrong = header | 7;
    memcpy(segment->data, &wrong, sizeof wrong);
    MPT_CODE(mp__channel_check(channel), MP_ESTATE);
    memcpy(segment->data, &header, sizeof header);
    atomic_fetch_add(&channel->tail.position, 1 << 20);
    MPT_CODE(mp__channel_check(channel), MP_ESTATE);
    atomic_fetch_sub(&channel->tail.position, 1 << 20);
    MPT_OK(mp__channel_check(channel));
    free_channel(channel);
}

struct stopped {
    mp_queue *queue;
    const char *point; /* where the process stops */
    bool is_putter;
};

static void stop_inside(void *arg) {
    struct stopped *stopped = arg;
    mpt_stop_at(stopped->point, 1);
    if (stopped->is_putter)
        MPT_OK(mp_queue_put(stopped->queue, "b", 1, MP_NOWAIT));
    else
        MPT_OK(mp_queue_get(stopped->queue, (char[1]){0}, 1, NULL, MP_NOWAIT));
}

/* A stopped owner is not dead: others wait as long as they were told to, then all goes on. */
static void run_stopped(const char *point, bool is_putter) {
    struct stopped stopped = {.point = point, .is_putter = is_putter};
    MPT_OK(mp_queue_new(&stopped.queue, NULL, 0));
    MPT_OK(mp_queue_put(stopped.queue, "a", 1, MP_NOWAIT));
    pid_t pid = mpt_fork(stop_inside, &stopped);
    int status;
    MPT_CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    mp__recover_all();
    char byte;
    if (is_putter)
        MPT_CODE(mp_queue_put(stopped.queue, "c", 1, 0.05), MP_EFULL);
    else
        MPT_CODE(mp_queue_get(stopped.queue, &byte, 1, NULL, 0.05), MP_EEMPTY);
    kill(pid, SIGCONT);
    MPT_CHECK(mpt_join(pid) == 0);
    for (const char *left = is_putter ? "ab" : ""; *left; left++) {
        MPT_OK(mp_queue_get(stopped.queue, &byte, 1, NULL, MP_NOWAIT));
        MPT_CHECK(byte == *left);
    }
    MPT_CHECK(mp_queue_empty(stopped.queue));
    mp_queue_free(stopped.queue);
}

static void test_stopped_putter_is_not_dead(void **state) {
    (void)state;
    run_stopped("channel.put.written", true);
    run_stopped("channel.put.intended", true);
    run_stopped("channel.put.counted", true);
}

static void test_stopped_getter_is_not_dead(void **state) {
    (void)state;
    run_stopped("channel.get.copied", false);
    run_stopped("channel.get.load_intended", false);
}

struct stopped_end {
    mp_connection *sender, *receiver;
    const char *point; /* where the process stops */
    bool is_sender;
};

static void stop_in_pipe(void *arg) {
    struct stopped_end *stopped = arg;
    char byte;
    mpt_stop_at(stopped->point, 1);
    if (stopped->is_sender)
        MPT_OK(mp_connection_send_bytes(stopped->sender, "b", 1, MP_FOREVER));
    else
        MPT_OK(mp_connection_recv_bytes_into(stopped->receiver, &byte, 1, NULL, MP_FOREVER));
}

/* Who waits in vain for one side of a pipe is told why, not of an earlier failure. */
static void run_stopped_end(const char *point, bool is_sender) {
    struct stopped_end stopped = {.point = point, .is_sender = is_sender};
    MPT_OK(mp_pipe_new(&stopped.receiver, &stopped.sender, NULL, false));
    MPT_OK(mp_connection_send_bytes(stopped.sender, "a", 1, 1));
    pid_t pid = mpt_fork(stop_in_pipe, &stopped);
    int status;
    char byte;
    MPT_CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
    if (is_sender)
        MPT_CODE(mp_connection_send_bytes(stopped.sender, "c", 1, 0.05), MP_ETIMEDOUT);
    else
        MPT_CODE(mp_connection_recv_bytes_into(stopped.receiver, &byte, 1, NULL, 0.05),
                 MP_ETIMEDOUT);
    MPT_CHECK(strstr(mp_error_detail(),
                     is_sender ? "that sends here is stopped" : "that receives here is stopped"));
    kill(pid, SIGCONT);
    MPT_CHECK(mpt_join(pid) == 0);
    mp_connection_free(stopped.sender);
    mp_connection_free(stopped.receiver);
}

static void test_stopped_end_of_a_pipe_is_told(void **state) {
    (void)state;
    run_stopped_end("channel.put.intended", true);
    run_stopped_end("channel.get.load_intended", false);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_records_fit_any_end_of_a_segment),
         MPT_CASE(test_two_segments_serve_a_stream),
         MPT_CASE(test_largest_inline_message_fits),
         MPT_CASE(test_load_counts_messages_or_bytes),
         MPT_CASE(test_check_finds_what_is_wrong),
         MPT_CASE(test_stopped_putter_is_not_dead),
         MPT_CASE(test_stopped_end_of_a_pipe_is_told),
         MPT_CASE(test_stopped_getter_is_not_dead))

/* The storm's messages: numbered for each sender and lane, with a checksum.
 * SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storm.h"

struct head {
    uint64_t number;   /* of its sender in its lane, from 1 */
    uint32_t seat;     /* the sender's */
    uint32_t lane;     /* where it was put */
    uint64_t size;     /* bytes, this head included */
    uint64_t checksum; /* of what follows */
};

static uint64_t sum_up(const unsigned char *bytes, size_t size) {
    uint64_t sum = size * 0x9E3779B97F4A7C15u, word = 0;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, bytes + i, 8);
        sum = (sum ^ word) * 0xff51afd7ed558ccdu;
        sum ^= sum >> 29;
    }
    for (; i < size; i++)
        sum = (sum ^ bytes[i]) * 0xff51afd7ed558ccdu;
    return sum;
}

static size_t choose_size(struct storm_self *self) {
    static const size_t limits[] = {1, 64, 300, 3000, 5000, 40000, LARGEST_MESSAGE};
    size_t kind = storm_random(self, 40);
    size_t size = sizeof(struct head) + storm_random(self, limits[kind < 7 ? kind : 2]);
    return size < LARGEST_MESSAGE ? size : LARGEST_MESSAGE;
}

static size_t compose(struct storm_self *self, unsigned lane, unsigned char *at) {
    struct storm_lane *mine = &self->seat->lanes[lane];
    size_t size = choose_size(self);
    struct head head = {atomic_fetch_add(&mine->begun, 1) + 1, self->number, lane, size, 0};
    unsigned char *body = at + sizeof head;
    size_t count = size - sizeof head;
    memset(body, (int)head.number, count);
    for (size_t i = 0; i < count; i += 97)
        body[i] = (unsigned char)storm_random(self, 256);
    head.checksum = sum_up(body, count);
    memcpy(at, &head, sizeof head);
    return size;
}

/* Not torn, not doubled, in its sender's order. */
static void examine(struct storm_self *self, unsigned lane, const unsigned char *at, size_t size) {
    struct head head;
    if (size == 0) /* the empty message says nothing */
        return;
    STORM_CHECK(size >= sizeof head);
    memcpy(&head, at, sizeof head);
    STORM_CHECK(head.size == size && head.lane == lane && head.seat < SEAT_MAX);
    STORM_CHECK(head.checksum == sum_up(at + sizeof head, size - sizeof head));
    struct storm_lane *its = &self->storm->seats[head.seat].lanes[lane];
    STORM_CHECK(head.number <= atomic_load(&its->begun));
    bool is_in_order = head.number >= self->last[head.seat][lane];
    self->last[head.seat][lane] = head.number + 1;
    uint32_t before =
        atomic_exchange(&its->seen[head.number % SEEN_MAX], (uint32_t)head.number + 1);
    bool is_new = before != (uint32_t)head.number + 1;
    STORM_CHECK(lane == REDELIVER_LANE || (is_in_order && is_new));
    if (!is_new) {
        atomic_fetch_add(&self->storm->repeated, 1);
        return;
    }
    atomic_fetch_add(&its->got, 1);
    atomic_fetch_add_explicit(&self->storm->messages, 1, memory_order_relaxed);
}

bool storm_lane_is_empty(struct storm *storm, unsigned lane) {
    if (lane < QUEUE_COUNT)
        return mp_queue_empty(storm->queues[lane]);
    return mp_connection_poll(storm->ends[lane == PIPE_LANE], MP_NOWAIT) == 0;
}

static void begin(struct storm_self *self, enum storm_operation operation, unsigned lane) {
    atomic_store(&self->seat->lane_in_hand, lane);
    storm_begin(self, operation);
}

static int put_copy(struct storm_self *self, unsigned lane, size_t size, double timeout) {
    if (lane >= QUEUE_COUNT)
        return mp_connection_send_bytes(self->storm->ends[lane - PIPE_LANE], self->buffer, size,
                                        timeout);
    return mp_queue_put(self->storm->queues[lane], self->buffer, size, timeout);
}

static int put_in_place(struct storm_self *self, unsigned lane, size_t size, double timeout) {
    mp_message *message;
    STORM_CHECK(mp_message_new(&message, size) == 0);
    memcpy(mp_message_data(message), self->buffer, size);
    int code = mp_queue_put_message(self->storm->queues[lane], message, timeout);
    if (code < 0)
        mp_message_free(message);
    return code;
}

void storm_put(struct storm_self *self, unsigned lane, double timeout) {
    if (lane < QUEUE_COUNT && mp_queue_qsize(self->storm->queues[lane]) > 500)
        return;
    begin(self, lane < QUEUE_COUNT ? OP_PUT : OP_SEND, lane);
    bool is_empty = storm_random(self, 50) == 0; /* says nothing, so is not counted */
    size_t size = is_empty ? 0 : compose(self, lane, self->buffer);
    bool in_place = lane < QUEUE_COUNT && storm_random(self, 4) == 0;
    int code =
        in_place ? put_in_place(self, lane, size, timeout) : put_copy(self, lane, size, timeout);
    STORM_CHECK(code == 0 || ((code == MP_EFULL || code == MP_ETIMEDOUT) && timeout < 10));
    if (code == 0 && !is_empty)
        atomic_fetch_add(&self->seat->lanes[lane].put, 1);
    storm_end(self);
}

void storm_put_many(struct storm_self *self, unsigned lane) {
    mp_bytes list[BATCH];
    size_t put = 0;
    if (mp_queue_qsize(self->storm->queues[lane]) > 500)
        return;
    begin(self, OP_PUT_MANY, lane);
    for (unsigned i = 0; i < BATCH; i++) {
        unsigned char *at = self->buffer + (size_t)i * LARGEST_MESSAGE;
        list[i] = (mp_bytes){at, compose(self, lane, at)};
    }
    int code = mp_queue_put_many(self->storm->queues[lane], list, BATCH, &put, MP_FOREVER);
    STORM_CHECK(code == 0 && put == BATCH);
    atomic_fetch_add(&self->seat->lanes[lane].put, put);
    storm_end(self);
}

static void finish_task(struct storm_self *self, unsigned lane) {
    if (lane < TASK_LANE || lane >= PIPE_LANE)
        return;
    atomic_store(&self->seat->operation, OP_TASK_DONE);
    if (lane == REDELIVER_LANE && storm_random(self, 4) == 0)
        usleep((useconds_t)storm_random(self, 5000)); /* who dies now has it in hand */
    STORM_CHECK(mp_queue_task_done(self->storm->queues[lane]) == 0);
    atomic_fetch_add(&self->storm->tasks_done, 1);
}

static int get_any(struct storm_self *self, unsigned lane, void **data, size_t *size,
                   double timeout) {
    if (lane < QUEUE_COUNT)
        return mp_queue_get_alloc(self->storm->queues[lane], data, size, timeout);
    return mp_connection_recv_bytes(self->storm->ends[lane == PIPE_LANE], data, size, 0, timeout);
}

void storm_get(struct storm_self *self, unsigned lane, double timeout) {
    void *data;
    size_t size;
    begin(self, lane < QUEUE_COUNT ? OP_GET : OP_RECEIVE, lane);
    int code = get_any(self, lane, &data, &size, timeout);
    STORM_CHECK(code == 0 || ((code == MP_EEMPTY || code == MP_ETIMEDOUT) && timeout < 10));
    if (code == 0) {
        examine(self, lane, data, size);
        free(data);
        finish_task(self, lane);
    }
    storm_end(self);
}

void storm_get_many(struct storm_self *self, unsigned lane) {
    mp_message *list[BATCH];
    size_t got;
    begin(self, OP_GET_MANY, lane);
    STORM_CHECK(mp_queue_get_many(self->storm->queues[lane], list, BATCH, &got, MP_FOREVER) == 0);
    for (size_t i = 0; i < got; i++) {
        examine(self, lane, mp_message_data(list[i]), mp_message_size(list[i]));
        mp_message_free(list[i]);
        if (lane >= TASK_LANE) {
            STORM_CHECK(mp_queue_task_done(self->storm->queues[lane]) == 0);
            atomic_fetch_add(&self->storm->tasks_done, 1);
        }
    }
    storm_end(self);
}

/* At the end, alone. */
void storm_drain(struct storm_self *self) {
    for (unsigned lane = 0; lane < LANE_COUNT; lane++)
        while (!storm_lane_is_empty(self->storm, lane))
            storm_get(self, lane, 1.0);
}

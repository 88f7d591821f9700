/* queue.c: two producers put numbers into a queue, the parent gets them all.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/process.h>
#include <mp/queue.h>
#include <stdio.h>

enum { PRODUCERS = 2, NUMBERS = 1000 };

struct message {
    int producer; /* who */
    int number;   /* 0, 1, 2 ... */
};

struct order {
    mp_queue *queue; /* a pointer that means the same in every process */
    int producer;    /* who you are */
};

static int produce(void *arg, size_t arg_size) {
    (void)arg_size;
    struct order *order = arg;
    for (int i = 0; i < NUMBERS; i++) {
        struct message message = {order->producer, i};
        if (mp_queue_put(order->queue, &message, sizeof message, MP_FOREVER) < 0)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    mp_queue *queue;
    mp_process *processes[PRODUCERS];
    if (mp_queue_new(&queue, NULL, 0) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < PRODUCERS; i++) {
        struct order order = {queue, i};
        mp_process_options options = {.target = produce, .arg = &order, .arg_size = sizeof order};
        if (mp_process_new(&processes[i], NULL, &options) < 0 || mp_process_start(processes[i]) < 0)
            return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    }

    int next[PRODUCERS] = {0}, out_of_order = 0;
    for (int i = 0; i < PRODUCERS * NUMBERS; i++) {
        struct message message;
        size_t size;
        if (mp_queue_get(queue, &message, sizeof message, &size, MP_FOREVER) < 0)
            return fprintf(stderr, "%s\n", mp_error_detail()), 1;
        out_of_order += message.number != next[message.producer]++;
    }
    for (int i = 0; i < PRODUCERS; i++) {
        printf("producer %d: %d messages\n", i, next[i]);
        mp_process_join(processes[i], MP_FOREVER);
        mp_process_close(processes[i]);
    }
    printf("%d out of order, %ld left\n", out_of_order, mp_queue_qsize(queue));
    mp_queue_free(queue);
    return 0;
}

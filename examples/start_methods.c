/* start_methods.c: the same function and the same queue under fork, spawn and forkserver.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/process.h>
#include <mp/queue.h>
#include <stdio.h>

static int in_parent_only = 0; /* 1 when main was here: a forked child has a copy of it */

struct order {
    mp_queue *queue;        /* made by the parent */
    mp_start_method method; /* how this child was started */
};

static int report(void *arg, size_t arg_size) {
    (void)arg_size;
    struct order *order = arg;
    char text[100];
    int length =
        snprintf(text, sizeof text, "%s: %s has %s of the parent's memory",
                 mp_start_method_name(order->method), mp_process_name(mp_current_process()),
                 in_parent_only ? "a copy" : "nothing");
    return mp_queue_put(order->queue, text, (size_t)length + 1, MP_FOREVER) < 0;
}

static int run(mp_queue *queue, mp_start_method method) {
    struct order order = {queue, method};
    mp_process_options options = {.target = report, .arg = &order, .arg_size = sizeof order};
    mp_process *process;
    char text[100];
    size_t size;
    if (mp_process_new(&process, mp_get_context(method), &options) < 0 ||
        mp_process_start(process) < 0 ||
        mp_queue_get(queue, text, sizeof text, &size, MP_FOREVER) < 0)
        return -1;
    printf("%s\n", text);
    mp_process_join(process, MP_FOREVER);
    return mp_process_close(process);
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv); /* must come first: a spawned child goes no further */
    in_parent_only = 1;
    mp_queue *queue;
    mp_start_method methods[4];
    int count = mp_get_all_start_methods(methods, 4);
    if (count < 0 || mp_queue_new(&queue, NULL, 0) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    printf("default: %s\n", mp_start_method_name(mp_get_start_method(false)));
    for (int i = 0; i < count; i++)
        if (run(queue, methods[i]) < 0)
            return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    mp_queue_free(queue);
    return 0;
}

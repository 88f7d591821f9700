/* task_worker.c: takes tasks from a task_master, in C or in Python, until that ends.
 * SPDX-License-Identifier: MIT
 *
 *     usage: task_worker [ADDRESS [SECONDS]]     tcp://127.0.0.1:5000; how long a task takes: 0.1
 *
 * task_worker.py is the same program. */
#include <errno.h>
#include <mp/context.h>
#include <mp/manager.h>
#include <mp/object.h>
#include <mp/proxy_types.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int fail(void) {
    fprintf(stderr, "task_worker: %s\n", mp_error_detail());
    return 1;
}

static void take_time(double seconds) {
    struct timespec pause = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&pause, NULL);
}

/* One task: 0, or why there was none. */
static int work(mp_proxy *tasks, mp_proxy *results, double seconds) {
    mp_object *task;
    int number = 0;
    char text[64];
    int code = mp_proxy_queue_get(tasks, &task, MP_FOREVER);
    if (code < 0)
        return code;
    code = mp_object_parse(task, "i", &number);
    mp_object_free(task);
    if (code < 0)
        return code;
    printf("run task %d * %d...\n", number, number);
    fflush(stdout);
    take_time(seconds);
    snprintf(text, sizeof text, "%d * %d = %d", number, number, number * number);
    code = mp_proxy_queue_put(results, mp_object_build("(is)", number, text), MP_FOREVER);
    return code < 0 ? code : mp_proxy_queue_task_done(tasks);
}

static bool is_master_gone(int code) {
    return code == MP_EEOF || code == -ECONNREFUSED || code == -ECONNRESET || code == -EPIPE;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    mp_manager *manager;
    mp_proxy *tasks, *results;
    mp_manager_options options = {.address = argc > 1 ? argv[1] : "tcp://127.0.0.1:5000",
                                  .authkey = "abc",
                                  .authkey_size = 3};
    printf("Connect to server %s...\n", options.address);
    if (mp_manager_new(&manager, NULL, &options) < 0 || mp_manager_connect(manager) < 0 ||
        mp_manager_create(manager, &tasks, "get_task_queue", "") < 0 ||
        mp_manager_create(manager, &results, "get_result_queue", "") < 0)
        return fail();
    int code;
    do
        code = work(tasks, results, argc > 2 ? atof(argv[2]) : 0.1);
    while (code == 0);
    if (!is_master_gone(code))
        return fail();
    mp_proxy_free(tasks);
    mp_proxy_free(results);
    mp_manager_free(manager);
    printf("worker exit.\n");
    return 0;
}
